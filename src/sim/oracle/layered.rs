//! Checks slots that show a simulcast, where the server chooses what is forwarded. Whatever it chooses, the receiver must get
//! one stream: numbers without gaps that nobody lost, timestamps in order, counters that go on, key frames where another
//! encoding begins. Whether pictures can be decoded is for the receiver to notice.

use super::egress::{Packet, Place};
use super::{Epoch, Oracle, Slot};
use crate::core::command::MediaKind;
use crate::sim::codec::{CodecName, Stamp};

impl Oracle {
    /// Whether a packet without a stamp is one that keeps a number for nothing: what was lost before it was to be left out.
    pub(super) fn is_filler(&self, session: u64, packet: &Packet<'_>) -> bool {
        let slot = self.members.get(&session).and_then(|member| member.slots.get(&packet.header.ssrc));
        let is_known =
            slot.is_some_and(|slot| slot.highest_out.is_some_and(|highest| packet.index < highest));
        // The last byte of padding is how long it is (RFC 3550 §5.1).
        let padding = packet.payload.last().copied().unwrap_or(0);
        is_known && usize::from(padding) == packet.payload.len()
    }
}

impl Slot {
    /// Takes a packet of one of several encodings, and returns what is wrong with it.
    pub(super) fn take_layered(&mut self, place: &Place, stamp: &Stamp) -> Vec<String> {
        let mut faults = Vec::new();
        let epoch = self.epoch.filter(|epoch| epoch.stream == stamp.stream);
        let is_newest = self.highest_out.is_none_or(|highest| place.index > highest);
        let begins = epoch.is_none() || !(self.synced || self.doubtful);
        if is_newest {
            if begins && self.kind == MediaKind::Video && !stamp.starts_key() {
                faults.push("a picture begins without a key frame".to_owned());
            }
            self.check_order(place, stamp, begins, &mut faults);
            (self.synced, self.doubtful) = (true, false);
            let offset = place.timestamp.wrapping_sub(stamp.timestamp);
            if epoch.is_none_or(|epoch| epoch.timestamp_offset != offset) {
                self.epochs += 1;
                self.epoch = Some(Epoch {
                    stream: stamp.stream,
                    codec: stamp.codec,
                    base: place.index.cast_signed() - i64::from(stamp.index),
                    timestamp_offset: offset,
                    counters_in: stamp.counters,
                    counters_out: place.counters,
                    first_index: stamp.index,
                    number: self.epochs,
                });
            }
            self.highest_out = Some(place.index);
            self.highest_in = stamp.index;
            (self.latest_at, self.latest_timestamp) = (place.now, place.timestamp);
            self.latest = place.counters;
        }
        self.remember(place, stamp);
        faults
    }

    /// Checks that the newest packet goes on where the one before it ended.
    fn check_order(&self, place: &Place, stamp: &Stamp, begins: bool, faults: &mut Vec<String>) {
        let Some(highest) = self.highest_out else {
            if place.index >= 0x8000 {
                faults.push("a stream begins where its roll-over counter cannot be known".to_owned());
            }
            return;
        };
        // A number may be left out only for a packet that was lost on its way in.
        let gap = place.index - highest - 1;
        let missing = u64::from(stamp.index.saturating_sub(self.highest_in).saturating_sub(1));
        if gap > if begins { 0 } else { missing } {
            faults.push(format!("the stream goes on at {} behind {highest}", place.index));
        }
        let before = self.sent.get(&(highest as u16)).map(|left| left.stamp);
        let is_same = before.is_some_and(|one| (one.stream, one.frame) == (stamp.stream, stamp.frame));
        let moved = place.timestamp.wrapping_sub(self.latest_timestamp);
        if moved >= 1 << 31 || (moved == 0) != is_same {
            faults.push(format!("its clock moves by {} ticks", moved.cast_signed()));
        }
        let counts = stamp.codec == CodecName::Vp8 && before.is_some_and(|one| one.codec == CodecName::Vp8);
        if gap > 0 || is_same || !counts {
            return;
        }
        // Receivers wait for every picture id of VP8.
        let follows = |new: Option<u16>, old: Option<u16>, step: u16, mask: u16| match (new, old) {
            (Some(new), Some(old)) => new == old.wrapping_add(step) & mask,
            _ => true,
        };
        let (new, old) = (&place.counters, &self.latest);
        let step = u16::from(stamp.place.temporal == 0);
        if !follows(new.picture_id, old.picture_id, 1, 0x7fff)
            || !follows(new.tl0.map(u16::from), old.tl0.map(u16::from), step, 0xff)
        {
            faults.push(format!("its counters jump from {old:?} to {new:?}"));
        }
    }
}
