//! Checks every datagram that leaves the server: whether its receiver is the right one and may have it, and whether it
//! continues the stream.

use std::net::SocketAddr;

use super::{CONSENT, Epoch, Left, Member, Oracle, Slot, track_of};
use crate::core::command::MediaKind;
use crate::core::ids::TrackId;
use crate::core::media::rtcp::{self, RtcpItem};
use crate::core::media::srtp::OpenError;
use crate::sim::client::StreamInfo;
use crate::sim::codec::{CodecName, Counters, Stamp, read_counters};
use crate::sim::network::Micros;
use crate::sim::plan::Endpoints;
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::rtp::RtpHeader;
use crate::wire::{dependency_descriptor, red, stun};

/// The largest datagram that fits any path: IPv6's least MTU without the headers of IPv6 and UDP.
const DATAGRAM_BYTES_MAX: usize = 1280 - 40 - 8;
/// How many past epochs of a slot a retransmission may still belong to.
const EPOCHS: usize = 4;
/// How many packets of a slot are remembered.
const REMEMBERED: usize = 1200;
/// And for how long at least, µs.
const REMEMBERED_FOR: u64 = 3_000_000;
/// How far a new source's timestamp may be from the clock, µs.
const CLOCK_TOLERANCE: i64 = 5_000;

/// Bytes of a retransmission beside its payload, at most about.
const REPEAT_OVERHEAD: usize = 60;

/// The shortest time between two requests for a key frame, µs.
const KEYFRAME_REQUESTS_APART: Micros = 199_000;

/// How late the server may notice that consent has expired, µs.
const CONSENT_LATE: Micros = 110_000;

/// A decrypted packet of a slot.
pub(super) struct Packet<'a> {
    pub(super) header: RtpHeader,
    pub(super) index: u64,
    pub(super) payload: &'a [u8],
    /// The frame number of a dependency descriptor.
    frame_number: Option<u16>,
}

impl Oracle {
    /// Checks a datagram that leaves the server.
    pub fn leaves(&mut self, now: Micros, to: SocketAddr, bytes: &[u8], streams: &[StreamInfo]) {
        let kind = classify(bytes);
        if bytes.len() > DATAGRAM_BYTES_MAX {
            self.complain(now, format!("a datagram of {} bytes fits no path", bytes.len()));
        }
        if kind == DatagramKind::Stun {
            self.answered(now, to, bytes);
            return;
        }
        let Some(&session) = self.owners.get(&to) else {
            self.complain(now, format!("a datagram to {to}, from where nobody has passed a check"));
            return;
        };
        let Some(member) = self.members.get(&session) else { return };
        if member.gone && !self.gone_now.contains(&session) {
            let who = self.who(session);
            self.complain(now, format!("a datagram to {who}, who is gone"));
            return;
        }
        if kind == DatagramKind::Dtls || self.endpoints == Endpoints::Engine {
            return;
        }
        if !member.reach.ways.contains(&to) {
            let (who, ways) = (self.who(session), member.reach.ways.clone());
            self.complain(now, format!("media to {who} at {to}, who is at {ways:?}"));
        }
        let lapsed = |at: Micros| now > at + CONSENT + CONSENT_LATE + self.slack;
        if self.members.get(&session).and_then(|member| member.reach.checked_at).is_none_or(lapsed) {
            let who = self.who(session);
            self.complain(now, format!("media to {who}, who has not passed a check for long"));
        }
        match kind {
            DatagramKind::Rtp => self.rtp_leaves(now, session, bytes, streams),
            DatagramKind::Rtcp => self.rtcp_leaves(now, session, bytes, streams),
            _ => self.complain(now, "a datagram that is nothing"),
        }
    }

    fn answered(&mut self, now: Micros, to: SocketAddr, bytes: &[u8]) {
        let Some(message) = stun::peek(bytes) else { return };
        if message.is_binding_request() {
            let owner = self.owners.get(&to).and_then(|session| self.members.get_mut(session));
            return match owner {
                Some(member) => member.reach.asked(now, to, message.transaction),
                None => self.complain(now, format!("a check to {to}, from where nobody has passed one")),
            };
        }
        if !message.is_binding_success() {
            return;
        }
        let Some((_, session, _)) = self.checks.iter().find(|(one, ..)| *one == message.transaction) else {
            return;
        };
        let session = *session;
        self.owners.insert(to, session);
        if let Some(member) = self.members.get_mut(&session) {
            if member.reach.checked_at.is_none_or(|at| at + CONSENT <= now + self.slack) {
                member.checked_since = now;
                for slot in member.slots.values_mut() {
                    slot.doubt_sync(now);
                }
            }
            // Our checks all nominate.
            member.reach.check_answered(now, to);
        }
    }

    fn rtp_leaves(&mut self, now: Micros, session: u64, bytes: &[u8], streams: &[StreamInfo]) {
        let who = self.who(session);
        let Some(member) = self.members.get_mut(&session) else { return };
        let Ok(header) = RtpHeader::parse(bytes) else {
            self.complain(now, format!("RTP without a header to {who}"));
            return;
        };
        // The receiver's SRTP state is kept here, so that a number that is used twice is noticed.
        let mut bytes = bytes.to_vec();
        let opened = match member.tap.as_mut() {
            Some(tap) => tap.open_rtp(&mut bytes, header.header_len, header.sequence, header.ssrc),
            None => Err(OpenError::Forged),
        };
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                let what = match error {
                    OpenError::Replayed => "was sealed twice with one number",
                    OpenError::Forged => "cannot be opened by its receiver",
                    _ => "is far out of order",
                };
                self.complain(
                    now,
                    format!("packet {} of {:08x} to {who} {what}", header.sequence, header.ssrc),
                );
                return;
            }
        };
        let packet = bytes.get(..opened.len).unwrap_or_default();
        let number = header.extension(packet, member.numbering.transport_cc());
        let number = number.and_then(|number| <[u8; 2]>::try_from(number).ok()).map(u16::from_be_bytes);
        let complaint = match number {
            Some(number) => member.numbers.leaves(number),
            None if member.numbering.reports_arrivals() => {
                Some("a packet has no transport-wide number".into())
            }
            None => None,
        };
        let id = member.numbering.dependency_descriptor();
        let frame_number = header
            .extension(packet, id)
            .and_then(|data| dependency_descriptor::parse(data).ok())
            .map(|descriptor| descriptor.frame_number);
        let payload = packet.get(header.header_len..).unwrap_or_default();
        let is_main = member.slots.contains_key(&header.ssrc);
        let main = member.rtx.get(&header.ssrc).copied();
        if let Some(complaint) = complaint {
            self.complain(now, format!("{complaint} to {who}"));
        }
        let packet = Packet { header, index: opened.index, payload, frame_number };
        if is_main {
            let packet = self.without_copies(now, session, packet);
            self.media_leaves(now, session, &packet, streams);
        } else if let Some(main) = main {
            self.repeat_leaves(now, session, main, &packet, streams);
        } else {
            self.complain(now, format!("a packet of a stream that {who} was not told of"));
        }
    }

    /// Takes a packet apart that carries copies of those before it (RFC 2198), and checks the copies.
    fn without_copies<'a>(&mut self, now: Micros, session: u64, packet: Packet<'a>) -> Packet<'a> {
        let Some(member) = self.members.get(&session) else { return packet };
        let numbering = member.numbering;
        if numbering.redundant() != Some(packet.header.payload_type) {
            return packet;
        }
        let who = self.who(session);
        let Ok(redundant) = red::parse(packet.payload) else {
            self.complain(now, format!("{who} gets copies that nobody can read"));
            return packet;
        };
        let opus = numbering.payload_type(CodecName::Opus);
        let own = Stamp::find(redundant.primary);
        let count = redundant.copies().count() as u32;
        for (place, copy) in (0..count).zip(redundant.copies()) {
            let is_right = own.zip(Stamp::find(copy.payload)).is_some_and(|(own, earlier)| {
                earlier.stream == own.stream
                    && earlier.index + count - place == own.index
                    && own.timestamp.wrapping_sub(earlier.timestamp) == u32::from(copy.offset)
            });
            if !is_right || copy.payload_type != opus {
                let offset = copy.offset;
                self.complain(now, format!("{who} gets a copy, {offset} ticks old, of what it is not"));
            }
        }
        let mut header = packet.header;
        header.payload_type = redundant.payload_type;
        Packet { header, payload: redundant.primary, ..packet }
    }

    fn media_leaves(&mut self, now: Micros, session: u64, packet: &Packet<'_>, streams: &[StreamInfo]) {
        let who = self.who(session);
        let Some(stamp) = Stamp::find(packet.payload) else {
            if !self.is_filler(session, packet) {
                self.complain(now, format!("a packet without a stamp to {who}"));
            }
            return;
        };
        let Some(info) = streams.get(stamp.stream as usize) else { return };
        let track = track_of(&self.members, &self.tracks, info).map(|(id, _)| id);
        let muted = track.and_then(|id| self.tracks.get(&id)).is_some_and(|track| track.muted);
        let forbidden = self.is_forbidden(now, info);
        let Some(member) = self.members.get_mut(&session) else { return };
        let Some(slot) = member.slots.get_mut(&packet.header.ssrc) else { return };
        let shown = member.map.get(&slot.mid).copied();
        let of = format!("{}'s {:?}", super::name(info.person), info.source);
        let mut complaints = Vec::new();
        if shown.map(|shown| shown.0) != track || track.is_none() {
            complaints.push(format!("{who} gets {of} in slot {}, which does not show it", slot.mid));
        }
        if muted {
            complaints.push(format!("{who} gets {of}, which is muted"));
        }
        if forbidden {
            complaints.push(format!("{who} gets {of}, which may not be published"));
        }
        if track.is_some_and(|id| member.paused.contains(&id)) {
            complaints.push(format!("{who} gets {of}, and has paused it"));
        }
        if member.numbering.codec(packet.header.payload_type) != Some((stamp.codec, false)) {
            let pt = packet.header.payload_type;
            complaints.push(format!("{who} gets {:?} as payload type {pt}, which is another", stamp.codec));
        }
        if !slot.forwarded.insert((stamp.stream, stamp.index)) {
            complaints.push(format!("{who} gets packet {} of {of} a second time", stamp.index));
        }
        slot.held.remove(&(stamp.stream, stamp.index));
        while slot.forwarded.len() > REMEMBERED {
            slot.forwarded.pop_first();
        }
        let counters = match read_counters(stamp.codec, packet.payload) {
            Ok(counters) => Counters { frame_number: packet.frame_number, ..counters },
            Err(_) => {
                complaints.push(format!("{who} gets {:?} without its descriptor", stamp.codec));
                stamp.counters
            }
        };
        let from = shown.map_or(0, |shown| shown.1);
        let place = Place { now, index: packet.index, timestamp: packet.header.timestamp, counters, from };
        let is_layered = info.encoding.is_some();
        let faults =
            if is_layered { slot.take_layered(&place, &stamp) } else { slot.take(&place, &stamp, info) };
        for fault in faults {
            complaints.push(format!("{of} to {who}, packet {}: {fault}", packet.header.sequence));
        }
        self.forwarded += 1;
        self.observed.insert((session, packet.header.ssrc, stamp.stream, stamp.index));
        for complaint in complaints {
            self.complain(now, complaint);
        }
    }

    fn repeat_leaves(
        &mut self,
        now: Micros,
        session: u64,
        main: u32,
        packet: &Packet<'_>,
        streams: &[StreamInfo],
    ) {
        let who = self.who(session);
        let Some((original, payload)) = packet.payload.split_first_chunk::<2>() else {
            self.complain(now, format!("an empty retransmission to {who}"));
            return;
        };
        let sequence = u16::from_be_bytes(*original);
        let Some(stamp) = Stamp::find(payload) else { return };
        let Some(info) = streams.get(stamp.stream as usize) else { return };
        let track = track_of(&self.members, &self.tracks, info).and_then(|(id, _)| self.tracks.get(&id));
        let muted = track.is_some_and(|track| track.muted);
        let Some(member) = self.members.get_mut(&session) else { return };
        if let Some(slot) = member.slots.get_mut(&main) {
            slot.repeated += payload.len() + REPEAT_OVERHEAD;
            if let Some(left) = slot.sent.get_mut(&sequence) {
                left.again_at = Some(now);
            }
        }
        let slot = member.slots.get(&main);
        let left = slot.and_then(|slot| slot.sent.get(&sequence)).copied();
        let timestamp = packet.header.timestamp;
        let same = match left {
            Some(left) => left.stamp == stamp && left.timestamp == timestamp,
            // Too long ago to be remembered.
            None if info.encoding.is_some() => true,
            // A packet before the key frame that began the epoch was never sent, but may be asked for by its number.
            None => slot
                .is_some_and(|slot| slot.past.iter().any(|epoch| epoch.places(&stamp, sequence, timestamp))),
        };
        let as_codec = member.numbering.codec(packet.header.payload_type) == Some((stamp.codec, true));
        self.repeated += 1;
        self.due_repeats.remove(&(session, main, sequence));
        if !same {
            let was = left.map(|left| left.stamp);
            self.complain(now, format!("{who} gets {stamp:?} again as {sequence}, which was {was:?}"));
        }
        if !as_codec {
            let pt = packet.header.payload_type;
            self.complain(now, format!("{who} gets {:?} again as payload type {pt}", stamp.codec));
        }
        if muted {
            self.complain(now, format!("{who} gets again what is muted"));
        }
    }

    fn rtcp_leaves(&mut self, now: Micros, session: u64, bytes: &[u8], streams: &[StreamInfo]) {
        let who = self.who(session);
        let Some(member) = self.members.get_mut(&session) else { return };
        let mut bytes = bytes.to_vec();
        let opened = member.tap.as_mut().and_then(|tap| tap.open_rtcp(&mut bytes).ok());
        let Some(length) = opened else {
            self.complain(now, format!("a report that {who} cannot open, or once more"));
            return;
        };
        let mut asked = Vec::new();
        let mut lost = Vec::new();
        let mut reports = 0;
        let (mut clocks, mut feedback) = (Vec::new(), Vec::new());
        rtcp::parse(bytes.get(..length).unwrap_or_default(), &mut |item| match item {
            RtcpItem::Pli { media } => asked.push(media.0),
            RtcpItem::Nack { media, lost: sequences } => {
                lost.push((media.0, sequences.collect::<Vec<u16>>()));
            }
            RtcpItem::ReportBlock { .. } => reports += 1,
            RtcpItem::SenderReport { ssrc, ntp, rtp_timestamp, .. } => {
                clocks.push((ssrc.0, ntp, rtp_timestamp));
            }
            RtcpItem::TransportFeedback { bytes } => feedback.push(bytes.to_vec()),
            _ => {}
        });
        if reports > 0 {
            member.reported_at = now;
        }
        let (person, life) = (member.person, member.life);
        // A later stream may use an SSRC again; the newest one counts.
        let own = |ssrc: u32| {
            streams
                .iter()
                .enumerate()
                .rev()
                .find(|(_, info)| info.ssrc == ssrc && info.person == person && info.life == life)
        };
        for (ssrc, ntp, timestamp) in clocks {
            self.check_sender_report(now, session, ssrc, ntp, timestamp, streams);
        }
        for bytes in feedback {
            self.check_feedback(now, session, &bytes);
        }
        for ssrc in asked {
            let track = own(ssrc).and_then(|(_, info)| track_of(&self.members, &self.tracks, info));
            self.keyframe_asked(now, &who, ssrc, track.map(|(id, _)| id));
        }
        for (ssrc, sequences) in lost {
            let Some((number, _)) = own(ssrc) else {
                self.complain(now, format!("{who} is asked for packets of a stream that they do not send"));
                continue;
            };
            if let Some(stream) = self.streams.get_mut(&(number as u32)) {
                for sequence in sequences {
                    stream.holes.retain(|index, _| *index as u16 != sequence);
                }
            }
        }
    }

    /// Checks a request for a key frame of a track, which is `None` if the receiver of the request does not publish it.
    fn keyframe_asked(&mut self, now: Micros, who: &str, ssrc: u32, track: Option<TrackId>) {
        self.keyframes_asked += 1;
        let Some(track) = track.and_then(|id| self.tracks.get_mut(&id)) else {
            self.complain(now, format!("{who} is asked for a key frame of what they do not publish"));
            return;
        };
        let asked_at = match track.is_layered {
            true => self.asked_encodings.entry(ssrc).or_insert(0),
            false => &mut track.asked_at,
        };
        let since = now.saturating_sub(std::mem::replace(asked_at, now));
        // `asked_at` is zero for a track that was never asked for one.
        if since < KEYFRAME_REQUESTS_APART && since != now {
            self.complain(now, format!("{who} is asked for a key frame {since} µs after the last time"));
        }
    }
}

/// The outgoing numbers of a packet.
pub(super) struct Place {
    pub(super) now: Micros,
    pub(super) index: u64,
    pub(super) timestamp: u32,
    pub(super) counters: Counters,
    /// The RTP timestamp from which the slot shows its track, according to the slot map.
    from: u32,
}

impl Slot {
    /// Takes a packet that leaves, and returns what is wrong with it.
    fn take(&mut self, place: &Place, stamp: &Stamp, info: &StreamInfo) -> Vec<String> {
        let mut faults = Vec::new();
        let base = place.index.cast_signed() - i64::from(stamp.index);
        let epoch = self
            .epoch
            .filter(|epoch| epoch.stream == stamp.stream && epoch.base == base && epoch.codec == stamp.codec);
        // If nothing was sent in between, a source that begins anew looks as if it went on. When consent had nearly
        // expired, only the packet tells which of the two happened: a stream that begins anew gets its timestamp from
        // the server's clock, so one that keeps its offset to the tick has gone on, with a gap where packets were lost
        // on the way in.
        let goes_on = |epoch: &Epoch| place.timestamp == stamp.timestamp.wrapping_add(epoch.timestamp_offset);
        // If too much of a track waits to be sent, it begins anew with a key frame, and nothing may have been left out.
        let begins_anew =
            |epoch: &Epoch| self.kind == MediaKind::Video && stamp.starts_key() && !goes_on(epoch);
        let continues = epoch
            .filter(|epoch| self.synced || (self.doubtful && (!stamp.starts_key() || goes_on(epoch))))
            .filter(|epoch| !begins_anew(epoch));
        if let Some(epoch) = continues {
            // It goes on, because nothing can begin here without a key frame.
            (self.synced, self.doubtful) = (true, false);
            if place.timestamp != stamp.timestamp.wrapping_add(epoch.timestamp_offset) {
                faults.push("its timestamp does not continue".to_owned());
            }
            if !epoch.fits(stamp, &place.counters) {
                faults.push(format!(
                    "its counters do not continue: {:?} for {:?}",
                    place.counters, stamp.counters
                ));
            }
            if stamp.index < epoch.first_index {
                faults.push("it is from before the stream began".to_owned());
            }
        } else {
            self.begin(place, stamp, info, base, &mut faults);
        }
        let newest = self.highest_out.is_none_or(|highest| place.index > highest);
        if newest {
            self.highest_out = Some(place.index);
            self.latest_at = place.now;
            self.latest = place.counters;
            self.latest_ids = id_mask(stamp, &place.counters);
            if place.timestamp.wrapping_sub(self.latest_timestamp) < 1 << 31 || self.epochs <= 1 {
                self.latest_timestamp = place.timestamp;
            }
        }
        // Packets that fill gaps are remembered, too, but do not tell where the stream goes on.
        self.highest_in = self.highest_in.max(stamp.index);
        self.remember(place, stamp);
        faults
    }

    /// Remembers a packet, because it may be sent again.
    pub(super) fn remember(&mut self, place: &Place, stamp: &Stamp) {
        let left = Left {
            at: place.now,
            stamp: *stamp,
            timestamp: place.timestamp,
            epoch: self.epochs,
            again_at: None,
        };
        self.sent.insert(place.index as u16, left);
        if self.sent.len() > REMEMBERED {
            self.sent.retain(|_, left| left.at + REMEMBERED_FOR > place.now);
        }
    }

    /// Begins an epoch: with a new source, or with the same one after an interruption.
    fn begin(
        &mut self,
        place: &Place,
        stamp: &Stamp,
        info: &StreamInfo,
        base: i64,
        faults: &mut Vec<String>,
    ) {
        if self.kind == MediaKind::Video && !stamp.starts_key() {
            faults.push("a picture begins without a key frame".to_owned());
        }
        // The packet itself is already among those that were forwarded.
        if let Some(newest) = self.newest_of(stamp.stream).filter(|newest| stamp.index < *newest) {
            faults.push(format!("it begins with packet {} behind packet {newest}", stamp.index));
        }
        match self.highest_out {
            None => {
                // A receiver that misses the first packets would guess another roll-over counter (RFC 3711 §3.3.1).
                if place.index >= 0x8000 {
                    faults.push("a stream begins where its roll-over counter cannot be known".to_owned());
                }
            }
            Some(highest) => {
                if place.index != highest + 1 {
                    faults.push(format!("the stream goes on at {} behind {highest}", place.index));
                }
                // A receiver's jitter buffer takes the difference of timestamps as the time that has passed.
                let moved = i64::from(place.timestamp.wrapping_sub(self.latest_timestamp).cast_signed());
                let micros = moved * 1_000_000 / i64::from(info.clock_rate);
                let elapsed = (place.now - self.latest_at).cast_signed();
                if (micros - elapsed).abs() > CLOCK_TOLERANCE {
                    faults.push(format!("its clock moved {micros} µs in {elapsed} µs"));
                }
                // A decoder takes a gap in the counters as loss. Ids of 7 bits can only continue in their lower bits.
                let mask = self.latest_ids & id_mask(stamp, &place.counters);
                let follows = |new: Option<u16>, old: Option<u16>, mask: u16| match (new, old) {
                    (Some(new), Some(old)) => (new ^ old.wrapping_add(1)) & mask == 0,
                    _ => true,
                };
                let (new, old) = (&place.counters, &self.latest);
                if !follows(new.picture_id, old.picture_id, mask)
                    || !follows(new.tl0.map(u16::from), old.tl0.map(u16::from), 0xff)
                    || !follows(new.frame_number, old.frame_number, 0xffff)
                {
                    faults.push(format!("its counters jump from {old:?} to {new:?}"));
                }
            }
        }
        if place.timestamp.wrapping_sub(place.from) >= 1 << 31 {
            faults.push("it is older than the slot map promised".to_owned());
        }
        self.epochs += 1;
        self.highest_in = stamp.index;
        let epoch = Epoch {
            stream: stamp.stream,
            codec: stamp.codec,
            base,
            timestamp_offset: place.timestamp.wrapping_sub(stamp.timestamp),
            counters_in: stamp.counters,
            counters_out: place.counters,
            first_index: stamp.index,
            number: self.epochs,
        };
        self.epoch = Some(epoch);
        self.past.push_front(epoch);
        self.past.truncate(EPOCHS);
        self.synced = true;
    }
}

impl Slot {
    /// Returns the newest packet of a stream that the slot has shown, if it is remembered.
    pub(super) fn newest_of(&self, stream: u32) -> Option<u32> {
        self.forwarded.range((stream, 0)..=(stream, u32::MAX)).next_back().map(|(_, index)| *index)
    }
}

/// Returns the bits of a picture id that count: 7 or 15 of them.
fn id_mask(stamp: &Stamp, counters: &Counters) -> u16 {
    let numbered = matches!(stamp.codec, CodecName::Vp8 | CodecName::Vp9) && counters.picture_id.is_some();
    if numbered && stamp.short_ids { 0x7f } else { 0x7fff }
}

impl Epoch {
    /// Returns whether a packet that comes again has this number and timestamp in this epoch.
    fn places(&self, stamp: &Stamp, sequence: u16, timestamp: u32) -> bool {
        self.stream == stamp.stream
            && stamp.index >= self.first_index
            && (i64::from(stamp.index) + self.base) as u16 == sequence
            && stamp.timestamp.wrapping_add(self.timestamp_offset) == timestamp
    }

    /// Returns whether a packet's counters are as far from the first packet's as they were before they were rewritten.
    fn fits(&self, stamp: &Stamp, out: &Counters) -> bool {
        let same =
            |a: Option<u16>, b: Option<u16>, c: Option<u16>, d: Option<u16>, mask: u16| match (a, b, c, d) {
                (Some(a), Some(b), Some(c), Some(d)) => a.wrapping_sub(b) & mask == c.wrapping_sub(d) & mask,
                (a, _, c, _) => a.is_some() == c.is_some(),
            };
        let (first_in, first_out) = (&self.counters_in, &self.counters_out);
        same(
            stamp.counters.picture_id,
            first_in.picture_id,
            out.picture_id,
            first_out.picture_id,
            id_mask(stamp, out),
        ) && same(
            stamp.counters.tl0.map(u16::from),
            first_in.tl0.map(u16::from),
            out.tl0.map(u16::from),
            first_out.tl0.map(u16::from),
            0xff,
        ) && same(
            stamp.counters.frame_number,
            first_in.frame_number,
            out.frame_number,
            first_out.frame_number,
            0xffff,
        )
    }
}

impl Member {
    /// Returns whether media certainly has to be sent to them now.
    pub(super) fn is_reachable(&self, now: Micros) -> bool {
        !self.gone && self.tap.is_some() && self.reach.is_sure(now)
    }
}
