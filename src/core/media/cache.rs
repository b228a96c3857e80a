//! Cache: the last second of an encoding, for forwarding and retransmission. All viewers share it.
//!
//! RFC 4588 leaves open how the sender keeps packets. Here bytes lie in a ring. Metadata lies in a table whose size is
//! a power of two, in which the low bits of the packet's ingress index say where. Nothing is searched or freed: new
//! bytes overwrite the oldest, and the position of an entry tells whether its bytes are overwritten. Ring and table
//! begin small and double while they hold less than a second, up to their limits. After that nothing is allocated.

use std::time::{Duration, Instant};

/// The most bytes for video: one second of 2 Mbit/s.
pub const VIDEO_ARENA_BYTES: usize = 256 * 1024;
/// The most packets for video: one second of 5 Mbit/s in full packets.
pub const VIDEO_ENTRIES: usize = 512;
/// The most bytes for audio: one second of 256 kbit/s.
pub const AUDIO_ARENA_BYTES: usize = 32 * 1024;
/// The most packets for audio: one second of 10 ms frames.
pub const AUDIO_ENTRIES: usize = 128;
/// How old a packet may be. Older ones are of no use to any player.
pub const AGE_MAX: Duration = Duration::from_secs(1);

/// The ring and the table begin with their limits divided by this.
const FIRST_PART: usize = 8;
/// How many parts the ring has. It is known when each was written, so that bytes younger than [`AGE_MAX`] are not
/// overwritten while the ring can still grow.
const PARTS: usize = 8;

/// What is kept of a packet besides its bytes. `D` is for the caller's own data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketMeta<D: Copy> {
    /// Ingress index, 48 bits.
    pub index: u64,
    /// The publisher's RTP timestamp.
    pub timestamp: u32,
    /// The marker bit: with video, the last packet of a frame.
    pub marker: bool,
    /// Whether a key frame begins with this packet.
    pub keyframe_start: bool,
    /// When the packet came.
    pub arrival: Instant,
    /// The caller's own data.
    pub extra: D,
}

/// A packet that is still in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachedPacket<'a, D: Copy> {
    /// What is kept of it besides its bytes.
    pub meta: &'a PacketMeta<D>,
    /// Its header extensions, in the caller's form.
    pub extensions: &'a [u8],
    /// The payload, as it came.
    pub payload: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
struct Entry<D: Copy> {
    meta: PacketMeta<D>,
    /// How many bytes were ever written before this packet. Modulo the ring's length, that is its place in the ring.
    position: u64,
    extensions_len: u16,
    payload_len: u16,
}

impl<D: Copy> Entry<D> {
    fn len(&self) -> usize {
        usize::from(self.extensions_len) + usize::from(self.payload_len)
    }
}

/// The newest packets of one encoding.
#[derive(Debug)]
pub struct PacketCache<D: Copy> {
    arena: Vec<u8>,
    arena_bytes_max: usize,
    entries: Vec<Option<Entry<D>>>,
    entries_max: usize,
    /// How many bytes were ever written, with those left unused at the ring's end.
    written: u64,
    /// When each part of the ring was last written.
    written_at: [Option<Instant>; PARTS],
    /// No packet up to this index is accepted any more, because one of them was displaced.
    given_way: Option<u64>,
}

impl<D: Copy> PacketCache<D> {
    /// Makes a cache of at most `arena_bytes` bytes and `entries` packets (rounded up to a power of two).
    pub fn new(arena_bytes: usize, entries: usize) -> Self {
        let entries_max = entries.next_power_of_two();
        Self {
            arena: vec![0; arena_bytes.div_ceil(FIRST_PART)],
            arena_bytes_max: arena_bytes,
            entries: vec![None; (entries_max / FIRST_PART).max(1)],
            entries_max,
            written: 0,
            written_at: [None; PARTS],
            given_way: None,
        }
    }

    /// Makes a cache for a video track.
    pub fn video() -> Self {
        Self::new(VIDEO_ARENA_BYTES, VIDEO_ENTRIES)
    }

    /// Makes a cache for an audio track.
    pub fn audio() -> Self {
        Self::new(AUDIO_ARENA_BYTES, AUDIO_ENTRIES)
    }

    /// Refuses packets up to this index from now on, because a former cache may have kept them.
    pub fn refuse_up_to(&mut self, index: u64) {
        self.given_way = self.given_way.max(Some(index));
    }

    /// Keeps a packet. Returns `false` if it was kept before, if it is so late that newer ones have its place, or if it
    /// is larger than the ring may become.
    ///
    /// **No index is kept twice**, even if the bytes of the first packet are gone: a kept packet is forwarded, and
    /// forwarding it twice would encrypt twice with one nonce.
    pub fn insert(&mut self, meta: PacketMeta<D>, extensions: &[u8], payload: &[u8]) -> bool {
        let (Ok(extensions_len), Ok(payload_len)) =
            (u16::try_from(extensions.len()), u16::try_from(payload.len()))
        else {
            return false;
        };
        let len = extensions.len() + payload.len();
        if len > self.arena_bytes_max || self.given_way.is_some_and(|index| meta.index <= index) {
            return false;
        }
        let place = loop {
            let place = self.place(meta.index);
            match &self.entries[place] {
                None => break place,
                Some(entry) if entry.meta.index == meta.index => return false,
                Some(entry) => {
                    let fresh = meta.arrival.saturating_duration_since(entry.meta.arrival) <= AGE_MAX;
                    // After a long gap, a repaired packet can have an older number but be newer in time.
                    let late = entry.meta.index > meta.index;
                    if !((fresh || late) && self.grow_entries()) {
                        break place;
                    }
                }
            }
        };
        if let Some(entry) = &self.entries[place] {
            if entry.meta.index > meta.index {
                return false;
            }
            self.given_way = self.given_way.max(Some(entry.meta.index));
        }
        self.make_room(meta.arrival, len);
        let offset = self.offset(self.written);
        let (first, second) = self.arena[offset..offset + len].split_at_mut(extensions.len());
        first.copy_from_slice(extensions);
        second.copy_from_slice(payload);
        self.entries[place] = Some(Entry { meta, position: self.written, extensions_len, payload_len });
        self.written += len as u64;
        true
    }

    /// Returns the packet with this ingress index, if it is still in the cache.
    pub fn get(&self, index: u64) -> Option<CachedPacket<'_, D>> {
        let entry = self.entries[self.place(index)].as_ref()?;
        if entry.meta.index != index || !self.is_whole(entry) {
            return None;
        }
        let offset = self.offset(entry.position);
        let bytes = &self.arena[offset..offset + entry.len()];
        let (extensions, payload) = bytes.split_at(usize::from(entry.extensions_len));
        Some(CachedPacket { meta: &entry.meta, extensions, payload })
    }

    /// Returns the packet with this ingress index, if it is still in the cache and not older than [`AGE_MAX`].
    pub fn get_fresh(&self, now: Instant, index: u64) -> Option<CachedPacket<'_, D>> {
        self.get(index).filter(|packet| now.saturating_duration_since(packet.meta.arrival) <= AGE_MAX)
    }

    /// Whether this many packets and bytes are half of the limits or more. Below that, packets that come in a row do
    /// not displace each other.
    pub fn is_half_of_it(&self, packets: usize, bytes: usize) -> bool {
        packets >= self.entries_max / 2 || bytes >= self.arena_bytes_max / 2
    }

    /// Returns how much memory the cache holds, in bytes.
    #[cfg(test)]
    fn memory(&self) -> usize {
        self.arena.len() + size_of_val(self.entries.as_slice())
    }

    fn place(&self, index: u64) -> usize {
        index as usize & (self.entries.len() - 1)
    }

    fn offset(&self, position: u64) -> usize {
        position.checked_rem(self.arena.len() as u64).unwrap_or(0) as usize
    }

    /// Whether none of an entry's bytes have been overwritten.
    fn is_whole(&self, entry: &Entry<D>) -> bool {
        self.written - entry.position <= self.arena.len() as u64
    }

    /// Doubles the table. Returns `false` if it has reached its limit.
    fn grow_entries(&mut self) -> bool {
        if self.entries.len() >= self.entries_max {
            return false;
        }
        let larger = vec![None; self.entries.len() * 2];
        for entry in std::mem::replace(&mut self.entries, larger).into_iter().flatten() {
            // The packets of one place now have two places, so no two of them meet.
            let place = self.place(entry.meta.index);
            self.entries[place] = Some(entry);
        }
        true
    }

    /// Makes room for `len` bytes in a row. If that would overwrite packets younger than [`AGE_MAX`], the ring is
    /// doubled while it may grow: everything that comes in one batch must still be there when the batch is forwarded.
    fn make_room(&mut self, now: Instant, len: usize) {
        let may_grow = |cache: &Self| cache.arena.len() < cache.arena_bytes_max;
        while may_grow(self) && (len > self.arena.len() || self.overwrites_fresh(now, len)) {
            self.grow_arena();
        }
        let offset = self.offset(self.written);
        if offset + len > self.arena.len() {
            // A packet is never cut in two, so the rest at the end stays unused.
            self.written += (self.arena.len() - offset) as u64;
        }
        let offset = self.offset(self.written);
        self.note_written(now, offset, len);
    }

    /// Returns the size of a part of the ring, in bytes.
    fn part_bytes(&self) -> usize {
        self.arena.len().div_ceil(PARTS).max(1)
    }

    /// Notes which parts of the ring are written now.
    fn note_written(&mut self, now: Instant, offset: usize, len: usize) {
        let bytes = self.part_bytes();
        let parts = offset / bytes..=(offset + len.max(1) - 1) / bytes;
        self.written_at.get_mut(parts).into_iter().flatten().for_each(|at| *at = Some(now));
    }

    /// Whether the next packet begins to overwrite a part of the ring that was written less than [`AGE_MAX`] ago.
    fn overwrites_fresh(&self, now: Instant, len: usize) -> bool {
        let (bytes, offset) = (self.part_bytes(), self.offset(self.written));
        // Most packets begin no part.
        let begins = |from: usize, to: usize| {
            let first = from.div_ceil(bytes);
            let is_fresh =
                |at: &Option<Instant>| at.is_some_and(|at| now.saturating_duration_since(at) <= AGE_MAX);
            first * bytes < to
                && self.written_at.get(first..=(to - 1) / bytes).into_iter().flatten().any(is_fresh)
        };
        let room = self.arena.len();
        if offset + len > room {
            begins(offset, room) || begins(0, len)
        } else {
            begins(offset, offset + len)
        }
    }

    /// Doubles the ring, and moves the packets that are whole to its beginning.
    fn grow_arena(&mut self) {
        let mut whole: Vec<usize> = (0..self.entries.len())
            .filter(|place| self.entries[*place].as_ref().is_some_and(|entry| self.is_whole(entry)))
            .collect();
        whole.sort_unstable_by_key(|place| self.entries[*place].as_ref().map(|entry| entry.position));
        let size = (self.arena.len() * 2).clamp(1, self.arena_bytes_max);
        let mut larger = vec![0; size];
        // Positions go on from a multiple of the new size above all earlier ones, so that overwritten packets stay
        // overwritten.
        let base = (self.written / size as u64 + 2) * size as u64;
        let mut used = 0;
        let mut moved = Vec::new();
        for place in whole {
            let Some(entry) = self.entries[place] else { continue };
            let from = self.offset(entry.position);
            larger[used..used + entry.len()].copy_from_slice(&self.arena[from..from + entry.len()]);
            self.entries[place] = Some(Entry { position: base + used as u64, ..entry });
            moved.push((entry.meta.arrival, used, entry.len()));
            used += entry.len();
        }
        self.arena = larger;
        self.written = base + used as u64;
        self.written_at = [None; PARTS];
        for (arrival, offset, len) in moved {
            self.note_written(arrival, offset, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(index: u64, arrival: Instant) -> PacketMeta<u8> {
        PacketMeta { index, timestamp: index as u32, marker: false, keyframe_start: false, arrival, extra: 1 }
    }

    fn put(cache: &mut PacketCache<u8>, index: u64, arrival: Instant, payload: &[u8]) -> bool {
        cache.insert(meta(index, arrival), b"ext", payload)
    }

    fn payload(index: u64, len: usize) -> Vec<u8> {
        (0..len).map(|n| (index as usize * 7 + n) as u8).collect()
    }

    #[test]
    fn what_is_repaired_behind_a_gap_is_kept_beside_what_came_long_before() {
        let now = Instant::now();
        let mut cache = PacketCache::new(10_000, 64);
        assert!(put(&mut cache, 100, now, b"behind the gap"));
        let later = now + 2 * AGE_MAX;
        assert!((92..100).all(|index| put(&mut cache, index, later, b"repaired")));
        assert!((92..=100).all(|index| cache.get(index).is_some()));
    }

    #[test]
    fn what_is_put_in_comes_out_whole_or_not_at_all() {
        let now = Instant::now();
        let mut random = fastrand::Rng::with_seed(5);
        let mut cache = PacketCache::new(10_000, 64);
        let (mut lens, mut found) = (Vec::new(), 0);
        for index in 0..5000u64 {
            lens.push(random.usize(..1300));
            assert!(put(&mut cache, index, now, &payload(index, lens[index as usize])));
            for back in 0..70 {
                let Some(earlier) = index.checked_sub(back) else { break };
                if let Some(kept) = cache.get(earlier) {
                    assert_eq!(kept.meta.index, earlier);
                    assert_eq!(kept.payload, payload(earlier, lens[earlier as usize]));
                    found += 1;
                }
            }
            assert!(cache.get(index + 1).is_none());
        }
        assert!(found > 5000 * 10, "the ring holds a dozen packets: {found}");
    }

    #[test]
    fn the_newest_bytes_of_a_full_ring_are_all_there() {
        let now = Instant::now();
        let mut cache = PacketCache::new(1000, 64);
        for index in 0..100 {
            assert!(put(&mut cache, index, now, &payload(index, 97)));
        }
        assert!((90..100).all(|index| cache.get(index).is_some()));
        assert!(cache.get(89).is_none());
    }

    #[test]
    fn the_table_wraps_and_late_packets_do_not_displace_newer_ones() {
        let now = Instant::now();
        let mut cache = PacketCache::new(100_000, 8);
        let start = (1 << 48) - 5;
        for index in start..start + 12 {
            assert!(put(&mut cache, index, now, b"x"));
        }
        assert!((start + 4..start + 12).all(|index| cache.get(index).is_some()));
        assert!(cache.get(start + 3).is_none());
        assert!(!put(&mut cache, start + 3, now, b"late"));
        assert!(!put(&mut cache, start + 11, now, b"twice"));
        assert_eq!(cache.get(start + 11).unwrap().payload, b"x");
    }

    #[test]
    fn a_packet_does_not_come_again_when_its_bytes_are_gone() {
        let now = Instant::now();
        let mut cache = PacketCache::new(1000, 64);
        for index in 0..20 {
            assert!(put(&mut cache, index, now, &payload(index, 97)));
        }
        assert!(cache.get(3).is_none());
        assert!(!put(&mut cache, 3, now, b"sealed once already"));
    }

    #[test]
    fn a_late_packet_fills_its_hole() {
        let now = Instant::now();
        let mut cache = PacketCache::new(1000, 8);
        assert!(put(&mut cache, 1, now, b"one"));
        assert!(put(&mut cache, 3, now, b"three"));
        assert!(put(&mut cache, 2, now, b"two"));
        let two = cache.get(2).unwrap();
        assert_eq!((two.extensions, two.payload), (&b"ext"[..], &b"two"[..]));
        assert_eq!(cache.get(3).unwrap().payload, b"three");
        assert!(put(&mut cache, 10, now, b"ten"));
        assert_eq!(cache.get(2), None);
    }

    #[test]
    fn old_packets_are_not_fresh() {
        let now = Instant::now();
        let mut cache = PacketCache::new(1000, 8);
        assert!(put(&mut cache, 1, now, b"one"));
        assert!(cache.get_fresh(now + AGE_MAX, 1).is_some());
        assert!(cache.get_fresh(now + AGE_MAX + Duration::from_millis(1), 1).is_none());
        assert!(cache.get(1).is_some());
    }

    #[test]
    fn the_impossible_is_refused() {
        let now = Instant::now();
        let mut cache = PacketCache::new(10, 0);
        assert!(!cache.insert(meta(1, now), &[], &[0; 11]));
        assert!(cache.insert(meta(1, now), &[0; 4], &[0; 6]));
        assert!(cache.insert(meta(2, now), &[], &[]));
        let mut nothing = PacketCache::new(0, 1);
        assert!(!nothing.insert(meta(1, now), &[], &[1]));
        assert!(nothing.insert(meta(1, now), &[], &[]));
        assert_eq!(nothing.get(1).unwrap().payload, b"");
    }

    #[test]
    fn a_slow_track_takes_little_memory_and_a_fast_one_its_last_second() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let (mut slow, mut fast) = (PacketCache::video(), PacketCache::video());
        for n in 0..300 {
            assert!(put(&mut slow, n, at(n * 100), &[1; 1100]));
        }
        assert!(slow.memory() < 50 * 1024, "{}", slow.memory());
        for n in 0..1000 {
            assert!(put(&mut fast, n, at(n * 5), &[1; 1100]));
        }
        assert!((0..195).all(|back| fast.get(999 - back).is_some()), "a second of them");
        assert!(fast.memory() >= VIDEO_ARENA_BYTES);
    }

    #[test]
    fn a_burst_behind_a_quiet_while_does_not_push_itself_out() {
        let start = Instant::now();
        let mut cache = PacketCache::video();
        for n in 0..20 {
            assert!(put(&mut cache, n, start + Duration::from_millis(n * 200), &[1; 1100]));
        }
        // All that was lost in an outage comes again at once.
        let now = start + Duration::from_secs(5);
        for n in 20..60 {
            assert!(put(&mut cache, n, now, &[2; 1100]));
        }
        assert!((20..60).all(|index| cache.get(index).is_some()));
    }

    #[test]
    fn nothing_is_kept_twice_while_the_cache_grows() {
        let start = Instant::now();
        let mut random = fastrand::Rng::with_seed(11);
        let mut cache = PacketCache::new(100_000, 256);
        let mut taken = std::collections::BTreeSet::new();
        let mut newest = 1000;
        for n in 0..40_000u64 {
            // Faster and slower, forward and back, with repetitions.
            let now = start + Duration::from_millis(n * (1 + n / 10_000 * 7));
            newest += random.u64(..3);
            let index = newest - random.u64(..300);
            let is_new = !taken.contains(&index);
            if put(&mut cache, index, now, &payload(index, 200)) {
                assert!(is_new, "{index} was there");
                taken.insert(index);
                assert_eq!(cache.get(index).unwrap().payload, payload(index, 200));
            }
        }
        assert!(taken.len() > 20_000, "{}", taken.len());
    }
}
