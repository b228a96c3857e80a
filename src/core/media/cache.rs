//! The last second of a published track, for retransmission: one cache per track, whoever watches it.
//!
//! RFC 4588 leaves to the sender what it keeps. Here: payload bytes in a ring, metadata in a table of a power of
//! two, found by the low bits of the packet's ingress index. Nothing is searched, moved, freed or allocated: new
//! bytes simply overwrite the oldest, and an entry whose bytes are overwritten is known by its position.

use std::time::{Duration, Instant};

/// For video: 256 KiB, or one second of 2 Mbit/s.
pub const VIDEO_ARENA_BYTES: usize = 256 * 1024;
/// For video: packets in the table. One second of 5 Mbit/s in full packets.
pub const VIDEO_ENTRIES: usize = 512;
/// For audio: 32 KiB, or one second of 256 kbit/s.
pub const AUDIO_ARENA_BYTES: usize = 32 * 1024;
/// For audio: packets in the table. One second of 10 ms frames.
pub const AUDIO_ENTRIES: usize = 128;
/// Older packets are of no use to any player.
pub const AGE_MAX: Duration = Duration::from_secs(1);

/// What is kept of a packet besides its payload. `D` is what else the caller keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketMeta<D: Copy> {
    /// Ingress index, 48 bits.
    pub index: u64,
    /// The publisher's RTP timestamp.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// Whether a key frame begins with this packet.
    pub keyframe_start: bool,
    /// When it came.
    pub arrival: Instant,
    /// What else the caller keeps of it.
    pub extra: D,
}

/// Where a packet was put. Finds that packet, or nothing, however much was inserted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRef {
    index: u64,
    position: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry<D: Copy> {
    meta: PacketMeta<D>,
    /// Bytes ever written before this payload. Its place in the ring is that modulo the ring's length.
    position: u64,
    len: usize,
}

/// The newest packets of one track.
#[derive(Debug)]
pub struct PacketCache<D: Copy> {
    arena: Box<[u8]>,
    entries: Box<[Option<Entry<D>>]>,
    /// Bytes ever written, with those left out at the ring's end.
    written: u64,
}

impl<D: Copy> PacketCache<D> {
    /// A cache of `arena_bytes` of payload and `entries` packets (rounded up to a power of two).
    pub fn new(arena_bytes: usize, entries: usize) -> Self {
        Self {
            arena: vec![0; arena_bytes].into_boxed_slice(),
            entries: vec![None; entries.next_power_of_two()].into_boxed_slice(),
            written: 0,
        }
    }

    /// A cache for a video track.
    pub fn video() -> Self {
        Self::new(VIDEO_ARENA_BYTES, VIDEO_ENTRIES)
    }

    /// A cache for an audio track.
    pub fn audio() -> Self {
        Self::new(AUDIO_ARENA_BYTES, AUDIO_ENTRIES)
    }

    /// Keeps a packet. `None` if it has been there already, is so late that a newer one has its place, or is larger
    /// than the whole ring.
    ///
    /// **No index is kept twice**, also when the bytes of the first are gone: what is kept is forwarded, and a packet
    /// forwarded twice would be sealed twice with one nonce.
    pub fn insert(&mut self, meta: PacketMeta<D>, packet_payload: &[u8]) -> Option<CacheRef> {
        let slot = self.slot(meta.index);
        let newer = |entry: &Entry<D>| entry.meta.index >= meta.index;
        if packet_payload.len() > self.arena.len() || self.entries[slot].as_ref().is_some_and(newer) {
            return None;
        }
        let ring = self.arena.len() as u64;
        let mut offset = self.offset(self.written);
        if offset + packet_payload.len() > self.arena.len() {
            // A payload is never cut in two: what is left at the end stays unused.
            self.written += ring - offset as u64;
            offset = 0;
        }
        self.arena[offset..offset + packet_payload.len()].copy_from_slice(packet_payload);
        let position = self.written;
        self.written += packet_payload.len() as u64;
        self.entries[slot] = Some(Entry { meta, position, len: packet_payload.len() });
        Some(CacheRef { index: meta.index, position })
    }

    /// The packet with this ingress index, if it is still there.
    pub fn get(&self, index: u64) -> Option<(&PacketMeta<D>, &[u8])> {
        let entry = self.entries[self.slot(index)].as_ref()?;
        if entry.meta.index != index || !self.is_whole(entry) {
            return None;
        }
        let offset = self.offset(entry.position);
        Some((&entry.meta, &self.arena[offset..offset + entry.len]))
    }

    /// The packet with this ingress index, if it is still there and not older than [`AGE_MAX`].
    pub fn get_fresh(&self, now: Instant, index: u64) -> Option<(&PacketMeta<D>, &[u8])> {
        self.get(index).filter(|(meta, _)| now.saturating_duration_since(meta.arrival) <= AGE_MAX)
    }

    /// The packet that [`insert`](Self::insert) put there, if it is still there.
    pub fn get_ref(&self, place: CacheRef) -> Option<(&PacketMeta<D>, &[u8])> {
        let entry = self.entries[self.slot(place.index)].as_ref()?;
        if entry.position != place.position { None } else { self.get(place.index) }
    }

    /// Memory held, bytes.
    pub fn memory(&self) -> usize {
        self.arena.len() + size_of_val(&*self.entries)
    }

    fn slot(&self, index: u64) -> usize {
        index as usize & (self.entries.len() - 1)
    }

    fn offset(&self, position: u64) -> usize {
        position.checked_rem(self.arena.len() as u64).unwrap_or(0) as usize
    }

    /// Whether none of its bytes have been overwritten.
    fn is_whole(&self, entry: &Entry<D>) -> bool {
        self.written - entry.position <= self.arena.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(index: u64, arrival: Instant) -> PacketMeta<u8> {
        PacketMeta { index, timestamp: index as u32, marker: false, keyframe_start: false, arrival, extra: 1 }
    }

    fn payload(index: u64, len: usize) -> Vec<u8> {
        (0..len).map(|n| (index as usize * 7 + n) as u8).collect()
    }

    #[test]
    fn what_is_put_in_comes_out_whole_or_not_at_all() {
        let now = Instant::now();
        let mut random = fastrand::Rng::with_seed(5);
        let mut cache = PacketCache::new(10_000, 64);
        let (mut lens, mut found) = (Vec::new(), 0);
        for index in 0..5000u64 {
            lens.push(random.usize(..1300));
            cache.insert(meta(index, now), &payload(index, lens[index as usize])).unwrap();
            for back in 0..70 {
                let Some(earlier) = index.checked_sub(back) else { break };
                if let Some((kept, bytes)) = cache.get(earlier) {
                    assert_eq!(kept.index, earlier);
                    assert_eq!(bytes, payload(earlier, lens[earlier as usize]));
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
            cache.insert(meta(index, now), &payload(index, 100)).unwrap();
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
            cache.insert(meta(index, now), b"x").unwrap();
        }
        assert!((start + 4..start + 12).all(|index| cache.get(index).is_some()));
        assert!(cache.get(start + 3).is_none());
        assert_eq!(cache.insert(meta(start + 3, now), b"late"), None);
        assert_eq!(cache.insert(meta(start + 11, now), b"twice"), None);
        assert_eq!(cache.get(start + 11).unwrap().1, b"x");
    }

    #[test]
    fn a_packet_does_not_come_again_when_its_bytes_are_gone() {
        let now = Instant::now();
        let mut cache = PacketCache::new(1000, 64);
        for index in 0..20 {
            cache.insert(meta(index, now), &payload(index, 100)).unwrap();
        }
        assert!(cache.get(3).is_none());
        assert_eq!(cache.insert(meta(3, now), b"sealed once already"), None);
    }

    #[test]
    fn a_late_packet_fills_its_hole() {
        let now = Instant::now();
        let mut cache = PacketCache::new(1000, 8);
        cache.insert(meta(1, now), b"one").unwrap();
        cache.insert(meta(3, now), b"three").unwrap();
        let place = cache.insert(meta(2, now), b"two").unwrap();
        assert_eq!(cache.get_ref(place).unwrap().1, b"two");
        assert_eq!(cache.get(3).unwrap().1, b"three");
        cache.insert(meta(10, now), b"ten").unwrap();
        assert_eq!(cache.get_ref(place), None);
    }

    #[test]
    fn old_packets_are_not_fresh() {
        let now = Instant::now();
        let mut cache = PacketCache::new(1000, 8);
        cache.insert(meta(1, now), b"one").unwrap();
        assert!(cache.get_fresh(now + AGE_MAX, 1).is_some());
        assert!(cache.get_fresh(now + AGE_MAX + Duration::from_millis(1), 1).is_none());
        assert!(cache.get(1).is_some());
    }

    #[test]
    fn the_impossible_is_refused() {
        let now = Instant::now();
        let mut cache = PacketCache::new(10, 0);
        assert_eq!(cache.insert(meta(1, now), &[0; 11]), None);
        assert!(cache.insert(meta(1, now), &[0; 10]).is_some());
        assert!(cache.insert(meta(2, now), &[]).is_some());
        let mut nothing = PacketCache::new(0, 1);
        assert_eq!(nothing.insert(meta(1, now), &[1]), None);
        assert!(nothing.insert(meta(1, now), &[]).is_some());
        assert_eq!(nothing.get(1).unwrap().1, b"");
    }
}
