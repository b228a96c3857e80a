//! Checks reports: sender reports must relate a slot's clock to the publisher's, in the same way for all their tracks;
//! transport-wide feedback must report each packet's arrival once.

use std::collections::BTreeMap;

use super::{Oracle, track_of};
use crate::sim::client::StreamInfo;
use crate::sim::network::Micros;

/// How exactly a sender report's two clocks must agree, µs: to a millisecond, part of which is rounding.
const REPORT_TOLERANCE: i64 = 1_000;
/// How soon transport-wide feedback must report a packet that came, µs.
const TOLD_WITHIN: Micros = 300_000;
/// How many numbers are remembered, and for how long those whose turn to be forgotten never came, µs.
const REMEMBERED: u16 = 20_000;
const FORGOTTEN_AFTER: Micros = 20_000_000;
/// Units of transport-wide feedback, µs.
const TICK: Micros = 250;

/// A packet with a transport-wide number that has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArrivedPacket {
    at: Micros,
    /// Whether the server has certainly accepted it.
    sure: bool,
    told: bool,
}

/// Packets of one participant that came, by transport-wide number.
pub(super) type Arrivals = BTreeMap<u16, ArrivedPacket>;

/// Notes when a numbered packet arrived at the server.
pub(super) fn note(arrivals: &mut Arrivals, number: u16, at: Micros, sure: bool) {
    // Numbers repeat after 2^16, so old ones have to be forgotten long before.
    arrivals.remove(&number.wrapping_sub(REMEMBERED));
    let new = ArrivedPacket { at, sure, told: false };
    let known = arrivals.entry(number).or_insert(new);
    if at > known.at + FORGOTTEN_AFTER {
        *known = new;
    }
}

impl Oracle {
    /// Checks a sender report that leaves. `ntp` and `timestamp` have to be one moment on two clocks.
    pub(super) fn check_sender_report(
        &mut self,
        now: Micros,
        session: u64,
        ssrc: u32,
        ntp: u64,
        timestamp: u32,
        streams: &[StreamInfo],
    ) {
        let who = self.who(session);
        let slot = self.members.get(&session).and_then(|member| member.slots.get(&ssrc));
        let Some(epoch) = slot.and_then(|slot| slot.epoch) else {
            self.complain(now, format!("a report to {who} of a stream that has sent nothing"));
            return;
        };
        let Some(info) = streams.get(epoch.stream as usize) else { return };
        let Some((_, owner)) = track_of(&self.members, &self.tracks, info) else { return };
        // Converted back from the slot's clock to the publisher's stream, and from there to when the frame was
        // captured.
        let ticks = timestamp.wrapping_sub(epoch.timestamp_offset).wrapping_sub(info.timestamp_base);
        let captured = info.began.cast_signed()
            + i64::from(ticks.cast_signed()) * 1_000_000 / i64::from(info.clock_rate);
        let wall = (ntp >> 32) * 1_000_000 + (((ntp & 0xffff_ffff) * 1_000_000) >> 32);
        let offset = wall.cast_signed() - captured;
        // Audio and video stay in sync if all of a publisher's reports agree on the time between the clocks.
        let known = *self.clocks.entry(owner).or_insert(offset);
        if (offset - known).abs() > REPORT_TOLERANCE {
            let of = format!("{}'s {:?}", super::name(info.person), info.source);
            let off = offset - known;
            self.complain(now, format!("a report to {who} shows the clock of {of} off by {off} µs"));
        }
    }

    /// Checks transport-wide feedback that leaves the server.
    pub(super) fn check_feedback(&mut self, now: Micros, session: u64, bytes: &[u8]) {
        let who = self.who(session);
        let Some(member) = self.members.get_mut(&session) else { return };
        let Some(statuses) = read(bytes) else {
            self.complain(now, format!("transport-wide feedback to {who} that cannot be read"));
            return;
        };
        let mut wrong = Vec::new();
        for (number, tick) in statuses {
            match (member.arrivals.get_mut(&number), tick) {
                (None, Some(_)) => wrong.push(format!("came, which never did: {number}")),
                (Some(came), Some(_)) if came.told => wrong.push(format!("came, a second time: {number}")),
                (Some(came), Some(tick)) => {
                    came.told = true;
                    if came.sure && (came.at / TICK).abs_diff(tick) > 1 {
                        wrong.push(format!("came at another time than it did: {number}"));
                    }
                }
                // In the same pass the report may have been made before the packet was read.
                (Some(came), None) if came.sure && !came.told && came.at < now => {
                    wrong.push(format!("did not come, though it did: {number}"));
                }
                (_, None) => {}
            }
        }
        if let Some(what) = wrong.first() {
            self.complain(now, format!("transport-wide feedback tells {who} that a packet {what}"));
        }
    }

    /// Checks that feedback has reported everything that came a while ago.
    pub(super) fn check_told(&mut self, now: Micros) {
        let slack = self.slack;
        let mut found = Vec::new();
        for (session, member) in &mut self.members {
            let reachable = member.is_reachable(now);
            let untold = |came: &ArrivedPacket| came.sure && !came.told;
            if reachable
                && member.arrivals.values().any(|came| untold(came) && now > came.at + TOLD_WITHIN + slack)
            {
                found.push(*session);
            }
            // Feedback that was sent while somebody could not be reached is not repeated.
            if !reachable || found.last() == Some(session) {
                member.arrivals.values_mut().for_each(|came| came.sure = false);
            }
        }
        for session in found {
            let who = self.who(session);
            self.complain(now, format!("{who} was not told by transport-wide feedback of what came"));
        }
    }
}

/// Returns the numbers and times, in ticks, of a feedback packet (draft-holmer-rmcat-transport-wide-cc-extensions-01
/// §3.1). A packet without a time was not received.
fn read(bytes: &[u8]) -> Option<Vec<(u16, Option<Micros>)>> {
    let half = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (base, count) = (half(12)?, usize::from(half(14)?));
    let reference = u32::from_be_bytes(bytes.get(16..20)?.try_into().ok()?) >> 8;
    let mut at = 20;
    let mut kinds = Vec::new();
    while kinds.len() < count {
        let chunk = half(at)?;
        at += 2;
        // A chunk is a run of one status, or a list of 14 statuses of one bit, or of 7 of two bits.
        if chunk & 0x8000 == 0 {
            kinds.extend(std::iter::repeat_n(chunk >> 13 & 3, usize::from(chunk & 0x1fff)));
        } else if chunk & 0x4000 == 0 {
            kinds.extend((0..14).map(|n| chunk >> (13 - n) & 1));
        } else {
            kinds.extend((0..7).map(|n| chunk >> (12 - 2 * n) & 3));
        }
    }
    kinds.truncate(count);
    let mut tick = i64::from(reference) * 256;
    let mut statuses = Vec::new();
    for (n, kind) in kinds.into_iter().enumerate() {
        let delta = match kind {
            0 => None,
            1 => Some(i64::from(*bytes.get(at)?)),
            _ => Some(i64::from(half(at)?.cast_signed())),
        };
        // The status is also the number of bytes that its time takes.
        at += usize::from(kind);
        tick += delta.unwrap_or(0);
        statuses.push((base.wrapping_add(n as u16), delta.map(|_| tick.cast_unsigned())));
    }
    Some(statuses)
}
