//! Checks that everything that is due leaves the server: packets that came, retransmissions, requests for key frames
//! and lost packets, reports. If it is uncertain whether something is due, nothing is demanded.

use std::net::SocketAddr;

use super::{Due, Oracle, Stream, feedback, track_of};
use crate::core::command::MediaKind;
use crate::core::ids::TrackId;
use crate::sim::client::{Sent, StreamInfo};
use crate::sim::network::{Micros, SECOND, name};

/// A packet that is this far behind the newest may be dropped.
const LATE: u32 = 450;
/// A packet that is this far behind the newest is not decrypted, so feedback does not cover it.
const OPENED: u32 = 1000;
/// A gap of this many packets is an outage, after which nothing is asked for again.
const GAP: u32 = 800;
/// A pause of this length in a track interrupts it, µs.
const PAUSE: Micros = 700_000;
/// The time within which a key frame is asked for, and asked for again, µs.
const KEYFRAME_WITHIN: Micros = 1_200_000;
/// The time within which a lost packet is asked for, µs.
const LOST_WITHIN: Micros = 90_000;
/// The longest time between reports to somebody who sends video, µs.
const VIDEO_REPORT_WITHIN: Micros = 1_300_000;
/// The longest time between reports to somebody who sends audio, µs.
const AUDIO_REPORT_WITHIN: Micros = 5_400_000;
/// For how long after a change of stream or codec it is uncertain what is due, µs.
const SETTLED: Micros = 2_200_000;
/// After how long a packet that was sent may be forgotten, µs.
const REPEAT_AGE: Micros = 850_000;
/// For how long after a retransmission another request for the packet is ignored, because it was made before the packet
/// came, µs.
const REPEAT_PAUSE: Micros = 16_000;
/// Whoever was sent more than this again, in bytes, is not sure to get more: what is sent again is limited.
const REPEATED_BYTES: usize = 500 * 1024;
/// For how long a packet may be held back because the network to its receiver is narrow, µs.
const HELD_MAX: Micros = 1_200_000;
/// No packet is longer, in bytes.
const PACKET_BYTES: usize = 1500;
/// A packet may also be forgotten once this many others were sent after it: of large packets no more are kept, and what an
/// outage kept back comes all at once.
const REPEAT_PACKETS: usize = 200;

impl Oracle {
    /// Notes a connectivity check that reached the server.
    pub fn fed_check(&mut self, ufrag: &str, transaction: [u8; 12], from: SocketAddr) {
        let server = ufrag.split(':').next().unwrap_or_default();
        // A check that comes again, or is replayed, is answered, and changes nothing.
        if let Some(&session) = self.ufrags.get(server)
            && self.transactions.insert(transaction)
        {
            self.checks.push((transaction, session, from));
        }
    }

    /// Notes an answer to a check of the server's that reached it.
    pub fn fed_answer(&mut self, now: Micros, session: u64, from: SocketAddr, transaction: [u8; 12]) {
        if let Some(member) = self.members.get_mut(&session) {
            member.reach.answer_came(now, from, transaction);
        }
    }

    /// Returns whether the server accepts datagrams from this address as theirs.
    fn is_heard(&self, session: u64, from: SocketAddr) -> bool {
        self.owners.get(&from) == Some(&session)
            && self.members.get(&session).is_some_and(|member| !member.gone && member.tap.is_some())
    }

    /// Returns whether the server may accept datagrams from this address as theirs, because they come after a check of
    /// the same pass, whose answer is not known yet.
    fn may_be_heard(&self, session: u64, from: SocketAddr) -> bool {
        self.checks.iter().any(|(_, of, by)| *of == session && *by == from)
    }

    /// Notes a media packet that reached the server for the first time. Returns whether the server accepts it, or may
    /// accept it.
    pub fn fed_rtp(
        &mut self,
        now: Micros,
        session: u64,
        from: SocketAddr,
        sent: &Sent,
        streams: &[StreamInfo],
    ) -> bool {
        let stamp = sent.stamp;
        let is_heard = self.is_heard(session, from);
        self.fed_level(now, sent, is_heard, streams);
        if !is_heard {
            let may_be_heard = self.may_be_heard(session, from);
            // Feedback may cover it or not, and it may be asked for or not: both are right.
            if may_be_heard {
                if let Some(member) = self.members.get_mut(&session) {
                    feedback::note(&mut member.arrivals, sent.transport, now, false);
                }
                let stream = self.streams.entry(stamp.stream).or_default();
                stream.arrived.insert(stamp.index, now);
                stream.holes.remove(&stamp.index);
                if stamp.starts_key() {
                    stream.holes = stream.holes.split_off(&stamp.index);
                }
            }
            return may_be_heard;
        }
        self.hears_rtp(now, session, from, sent, streams);
        true
    }

    fn hears_rtp(
        &mut self,
        now: Micros,
        session: u64,
        from: SocketAddr,
        sent: &Sent,
        streams: &[StreamInfo],
    ) {
        let stamp = sent.stamp;
        if let Some(member) = self.members.get_mut(&session) {
            // A packet far behind the newest is not decrypted.
            let highest = self.streams.get(&stamp.stream).and_then(|stream| stream.highest).unwrap_or(0);
            let sure = sent.recovered || stamp.index + OPENED >= highest;
            feedback::note(&mut member.arrivals, sent.transport, now, sure);
        }
        let Some(info) = streams.get(stamp.stream as usize) else { return };
        let Some((id, _)) = track_of(&self.members, &self.tracks, info) else { return };
        if let Some(track) = self.tracks.get_mut(&id) {
            track.is_layered = info.encoding.is_some();
        }
        if let Some(member) = self.members.get_mut(&session) {
            // It may be too late for the packet to be accepted. So it adds an address to which the server may send, and
            // removes none.
            member.reach.may_be_wanted_at(from);
            member.incoming_since.get_or_insert(now);
        }
        let stream = self.streams.entry(stamp.stream).or_default();
        let Some(highest) = stream.highest else {
            // A retransmission alone does not tell the server that the stream has begun.
            if sent.recovered {
                return;
            }
            stream.highest = Some(stamp.index);
            stream.arrived.insert(stamp.index, now);
            self.arrives(now, id, sent);
            return;
        };
        if !sent.recovered && stamp.index > highest {
            let missing = highest + 1..stamp.index;
            let Stream { holes, arrived, .. } = stream;
            if missing.len() as u32 > GAP || holes.len() as u32 > GAP {
                holes.clear();
            } else if info.source.kind() == MediaKind::Video && info.encoding.is_none() {
                // Packets that came as retransmissions are not missing.
                let missing = missing.filter(|index| !arrived.contains_key(index));
                holes.extend(missing.map(|index| (index, now)));
            }
            stream.highest = Some(stamp.index);
        }
        stream.holes.remove(&stamp.index);
        // Packets before a key frame are not needed, so they are not asked for any more.
        if stamp.starts_key() {
            stream.holes = stream.holes.split_off(&stamp.index);
        }
        let muted = self.tracks.get(&id).is_some_and(|track| track.muted);
        let late = stamp.index + LATE < highest;
        // A repair that takes this long comes when the packets sent after it have been replaced by newer ones.
        let next = stream.arrived.range(stamp.index + 1..).next();
        let forgotten = next.is_some_and(|(_, at)| now >= at + REPEAT_AGE);
        if !muted && stream.arrived.insert(stamp.index, now).is_none() && !late && !forgotten {
            // More packets than any check looks back at.
            while stream.arrived.len() > 3000 {
                stream.arrived.pop_first();
            }
            self.arrives(now, id, sent);
        }
    }

    fn arrives(&mut self, now: Micros, id: TrackId, sent: &Sent) {
        let stamp = sent.stamp;
        let Some(track) = self.tracks.get_mut(&id) else { return };
        if track.muted {
            return;
        }
        if now > track.fed_at + PAUSE {
            track.run_since = now;
        }
        track.fed_at = now;
        if track.is_layered {
            // Which encoding is due to whom is not for the oracle to say.
            track.codec = Some(stamp.codec);
            return;
        }
        if !sent.recovered && track.stream != Some(stamp.stream) {
            if track.stream.is_some_and(|old| old > stamp.stream) {
                // It is late, and belongs to a stream that has ended.
                return;
            }
            (track.stream, track.changed_at, track.run_since) = (Some(stamp.stream), now, now);
            track.codec_from = 0;
            self.lose_sync_of(now, id);
        }
        let Some(track) = self.tracks.get_mut(&id) else { return };
        if track.codec != Some(stamp.codec) {
            // Late packets of the previous codec do not bring it back.
            if track.codec.is_some() && stamp.index < track.codec_from {
                return;
            }
            track.codec_from = stamp.index;
            (track.codec, track.changed_at, track.run_since) = (Some(stamp.codec), now, now);
            track.touched = true;
        }
        if stamp.starts_key() {
            track.key_at = now;
        }
        self.dues.push(Due { track: id, stamp });
    }

    /// Notes RTCP that reached the server for the first time. Returns whether the server accepts it, or may accept it.
    pub fn fed_rtcp(
        &mut self,
        now: Micros,
        session: u64,
        from: SocketAddr,
        lost: &[(u32, Vec<u16>)],
    ) -> bool {
        if !self.is_heard(session, from) {
            return self.may_be_heard(session, from);
        }
        let Some(member) = self.members.get_mut(&session) else { return false };
        if !member.reach.is_sure(now) {
            member.reach.may_be_wanted_at(from);
            return true;
        }
        member.reach.wanted_at(now, from);
        for (ssrc, sequences) in lost {
            let Some(slot) = member.slots.get(ssrc) else { continue };
            let Some((shown, _)) = member.map.get(&slot.mid) else { continue };
            let Some(track) = self.tracks.get(shown).filter(|track| track.alive && !track.muted) else {
                continue;
            };
            for sequence in sequences {
                let Some(left) = slot.sent.get(sequence) else { continue };
                let newest = track.stream.and_then(|stream| self.streams.get(&stream)?.highest).unwrap_or(0);
                // What is asked for in one pass takes from the limit before any of it leaves.
                let asked = self.due_repeats.range((session, *ssrc, 0)..=(session, *ssrc, u16::MAX)).count();
                // A retransmission is only due if the slot still shows the stream in the present epoch, and the packet
                // is young enough to be kept.
                let due = slot.synced
                    // To whoever tells what their network carries no more is sent again than fits.
                    && !member.numbering.reports_arrivals()
                    && slot.repeated + asked * PACKET_BYTES < REPEATED_BYTES
                    && track.stream == Some(left.stamp.stream)
                    && track.codec == Some(left.stamp.codec)
                    && slot.epoch.is_some_and(|epoch| epoch.number == left.epoch)
                    && now < left.at + REPEAT_AGE
                    && left.again_at.is_none_or(|at| now >= at + REPEAT_PAUSE)
                    && left.stamp.index + 300 > newest
                    && slot.sent.values().filter(|other| other.at >= left.at).count() <= REPEAT_PACKETS;
                if due {
                    self.due_repeats.insert((session, *ssrc, *sequence));
                }
            }
        }
        true
    }

    /// Checks a pass of the server, after it has done everything that it wanted to.
    pub fn drained(&mut self, now: Micros, streams: &[StreamInfo]) {
        for due in std::mem::take(&mut self.dues) {
            self.check_forwarded(now, &due, streams);
        }
        self.check_held(now);
        for (session, ssrc, sequence) in std::mem::take(&mut self.due_repeats) {
            if self.members.get(&session).is_some_and(|member| !member.touched && !member.gone) {
                let who = self.who(session);
                self.complain(
                    now,
                    format!("{who} asked for packet {sequence} of {ssrc:08x} again, and got nothing"),
                );
            }
        }
        self.check_requests(now);
        self.check_reports(now);
        self.check_told(now);
        self.check_speech(now);
        self.check_words(now);
        let stays =
            |(session, member): (&u64, &super::Member)| (member.left && !member.gone).then_some(*session);
        if let Some(session) = self.members.iter().find_map(stays) {
            let who = self.who(session);
            self.complain(now, format!("{who} has left, and is still there"));
        }
        self.check_banned(now);
        self.observed.clear();
        self.gone_now.clear();
        self.checks.clear();
        self.members.values_mut().for_each(|member| member.touched = false);
        self.tracks.values_mut().for_each(|track| track.touched = false);
    }

    fn check_forwarded(&mut self, now: Micros, due: &Due, streams: &[StreamInfo]) {
        let Some(track) = self.tracks.get(&due.track).filter(|track| track.alive && !track.muted) else {
            return;
        };
        // In the pass in which something changes, the packet may have come before or after the change.
        if track.touched || track.stream != Some(due.stamp.stream) {
            return;
        }
        let mut missing = Vec::new();
        for (session, member) in &mut self.members {
            if *session == track.owner || member.touched || !member.is_reachable(now) {
                continue;
            }
            let Some((mid, _)) = member.map.iter().find(|(_, shown)| shown.0 == due.track) else { continue };
            let Some((ssrc, slot)) = member.slots.iter_mut().find(|(_, slot)| slot.mid == *mid) else {
                continue;
            };
            let can =
                due.stamp.codec.kind() == MediaKind::Audio || member.plan.receives.contains(&due.stamp.codec);
            if member.paused.contains(&due.track) || !can {
                continue;
            }
            // After a leap a slot may have to begin anew with a key frame.
            if due.stamp.index > slot.highest_in + 8000 && slot.synced {
                slot.doubt_sync(now);
            }
            let flows = slot.synced
                && slot.epoch.is_some_and(|epoch| {
                    epoch.stream == due.stamp.stream
                        && epoch.codec == due.stamp.codec
                        && due.stamp.index >= epoch.first_index
                });
            // A viewer who has seen newer packets of the stream is not taken back to an older key frame.
            let begins = !slot.synced
                && slot.newest_of(due.stamp.stream).is_none_or(|newest| due.stamp.index > newest)
                && due.stamp.starts_key()
                && now > track.changed_at + SETTLED
                && now > slot.unsynced_since + SECOND / 10;
            // To whoever tells what their network carries video is sent when there is room.
            if due.stamp.codec.kind() == MediaKind::Video && member.numbering.reports_arrivals() {
                let place = (due.stamp.stream, due.stamp.index);
                if let Some(epoch) = slot.epoch.filter(|_| flows && !slot.forwarded.contains(&place)) {
                    slot.held.insert(place, (now, epoch.number));
                }
                continue;
            }
            if (flows || begins)
                && !self.observed.contains(&(*session, *ssrc, due.stamp.stream, due.stamp.index))
            {
                missing.push((member.person, flows));
            }
        }
        for (person, flows) in missing {
            let info = &streams[due.stamp.stream as usize];
            let what = if flows { "packet" } else { "the key frame at packet" };
            self.complain(
                now,
                format!(
                    "{what} {} of {}'s {:?} was not forwarded to {}",
                    due.stamp.index,
                    name(info.person),
                    info.source,
                    name(person)
                ),
            );
        }
    }

    /// What was held back is sent in time, or a key frame begins anew: no hole stays in what is sent.
    fn check_held(&mut self, now: Micros) {
        let mut holes = Vec::new();
        for member in self.members.values_mut() {
            let is_reachable = member.is_reachable(now);
            for slot in member.slots.values_mut() {
                let (epoch, highest, synced) = (slot.epoch, slot.highest_in, slot.synced);
                slot.held.retain(|(stream, index), (since, of)| {
                    let goes_on = epoch.is_some_and(|epoch| epoch.number == *of) && highest > *index;
                    let is_over = now > *since + HELD_MAX;
                    if is_over && goes_on && synced && is_reachable && now > member.checked_since + 2 * SECOND
                    {
                        holes.push((member.person, *stream, *index));
                    }
                    !is_over
                });
            }
        }
        for (person, stream, index) in holes {
            let who = name(person);
            self.complain(
                now,
                format!("packet {index} of stream {stream} to {who} was held back and never sent"),
            );
        }
    }

    fn check_requests(&mut self, now: Micros) {
        let mut found = Vec::new();
        for (session, member) in &self.members {
            if !member.is_reachable(now) {
                continue;
            }
            for slot in member.slots.values().filter(|slot| slot.kind == MediaKind::Video && !slot.synced) {
                let Some((id, _)) = member.map.get(&slot.mid) else { continue };
                let Some(track) = self.tracks.get(id).filter(|track| track.alive && !track.muted) else {
                    continue;
                };
                let Some(owner) = self.members.get(&track.owner).filter(|owner| owner.is_reachable(now))
                else {
                    continue;
                };
                let can = track.codec.is_some_and(|codec| member.plan.receives.contains(&codec));
                if track.is_layered || member.paused.contains(id) || !can || now > track.fed_at + PAUSE {
                    continue;
                }
                // After the last of these the server knows that a key frame is needed, and can ask for it.
                let since = [
                    slot.unsynced_since,
                    track.run_since,
                    track.asked_at,
                    track.key_at,
                    track.changed_at + SETTLED,
                    member.keyed_at,
                    member.checked_since,
                    owner.checked_since,
                    owner.keyed_at,
                ];
                let since = since.into_iter().max().unwrap_or(0);
                if now > since + KEYFRAME_WITHIN + self.slack {
                    found.push((*session, *id, since));
                }
            }
        }
        for (session, id, since) in found {
            let who = self.who(session);
            let owner = self.tracks.get(&id).map(|track| self.who(track.owner)).unwrap_or_default();
            self.complain(
                now,
                format!("{who} waits for a key frame of {owner}, who was not asked since {since} µs"),
            );
            if let Some(track) = self.tracks.get_mut(&id) {
                track.asked_at = now;
            }
        }
        let slack = self.slack;
        let mut late = Vec::new();
        for (number, stream) in &mut self.streams {
            let due = |at: &Micros| now > *at + LOST_WITHIN + slack;
            if stream.holes.values().any(&due) {
                late.push((*number, stream.holes.iter().find(|(_, at)| due(at)).map(|(index, _)| *index)));
                stream.holes.retain(|_, at| !due(at));
            }
        }
        for (number, index) in late {
            self.complain_of_hole(now, number, index.unwrap_or(0));
        }
    }

    fn complain_of_hole(&mut self, now: Micros, number: u32, index: u32) {
        let owner = self.tracks.values().find(|track| track.stream == Some(number) && track.alive);
        let owner = owner.map(|track| track.owner);
        let Some(member) = owner.and_then(|owner| self.members.get(&owner)) else { return };
        // A client who could not be reached all the time may have missed the request.
        if member.is_reachable(now) && now > member.checked_since + SECOND {
            let who = name(member.person);
            self.complain(now, format!("{who} was not asked for lost packet {index} of stream {number}"));
        }
    }

    fn check_reports(&mut self, now: Micros) {
        let mut late = Vec::new();
        for (session, member) in &mut self.members {
            let Some(since) = member.incoming_since else { continue };
            if !member.is_reachable(now) {
                member.reported_at = now;
                continue;
            }
            let since = since.max(member.reported_at).max(member.checked_since).max(member.keyed_at);
            // A client who publishes nothing at present has no streams to report on.
            let is_late = self.tracks.values().any(|track| {
                let is_video = track.source.kind() == MediaKind::Video;
                let within = if is_video { VIDEO_REPORT_WITHIN } else { AUDIO_REPORT_WITHIN } + self.slack;
                track.owner == *session
                    && track.alive
                    && now < track.fed_at + SECOND
                    && now > since.max(track.run_since) + within
            });
            if is_late {
                member.reported_at = now;
                late.push(member.person);
            }
        }
        for person in late {
            self.complain(now, format!("{} sends, and got no report for longer than agreed", name(person)));
        }
    }
}
