//! The packets that a pass wants to send, gathered so that those to one peer are neighbours.
//!
//! A run of equally long packets on one path (the last may be shorter) leaves by one system call (UDP GSO), which saves
//! more than anything else in sending. Audio leaves before video, whatever rooms they are of. Packets of one path and
//! class never overtake each other, because their sequence numbers would look like loss to the receiver. Nothing is
//! allocated once the buffers have grown to a pass's size.
//!
//! A packet is written into the buffer from which it is sent ([`SendBatch::buffer`]). A run that is already long leaves
//! at once ([`SendBatch::end_run`]), and its place is used again, so that a fan-out of whole frames stays in the
//! processor's cache.

use crate::core::fixed_hash::FixedMap;
use crate::core::output::SINK_BUFFER_BYTES;
use crate::core::path::{Path, TrafficClass};

/// Size of the largest segment that may be sent as part of a run. It fits every path (IPv6's least MTU is 1280), so
/// that a small MTU somewhere never makes the kernel refuse a run.
const SEGMENT_BYTES_MAX: usize = 1232;

/// Size of the largest run: what one IP datagram can hold, with room for headers.
const RUN_BYTES_MAX: usize = 64_000;

/// How many packets make a run long enough to leave at once: waiting for those of another track would gain little.
const LONG_RUN_PACKETS: usize = 8;

const CLASSES: [TrafficClass; 4] =
    [TrafficClass::Control, TrafficClass::Audio, TrafficClass::Video, TrafficClass::Data];

const NONE: u32 = u32::MAX;

#[derive(Debug)]
struct Packet {
    start: usize,
    len: usize,
    /// The next packet of the same path.
    next: u32,
}

#[derive(Debug)]
struct Chain {
    path: Path,
    class: TrafficClass,
    head: u32,
    tail: u32,
    packets: usize,
}

impl Chain {
    fn is_of(&self, path: Path, class: TrafficClass) -> bool {
        self.class == class && self.path == path
    }

    /// Forgets the packets, which have been sent.
    fn clear(&mut self) {
        (self.head, self.tail, self.packets) = (NONE, NONE, 0);
    }
}

/// Packets to one peer that leave together.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The path that they take.
    pub path: Path,
    /// What they are for.
    pub class: TrafficClass,
    /// The packets, one after the other.
    pub bytes: &'a [u8],
    /// The length of each packet. The last may be shorter.
    pub segment: usize,
}

impl<'a> Run<'a> {
    /// Returns how many packets there are.
    pub fn packets(&self) -> u64 {
        self.bytes.len().div_ceil(self.segment.max(1)) as u64
    }

    /// Returns the packets one by one, each as a run.
    pub fn singles(self) -> impl Iterator<Item = Run<'a>> {
        self.bytes.chunks(self.segment.max(1)).map(move |bytes| Run {
            path: self.path,
            class: self.class,
            bytes,
            segment: bytes.len(),
        })
    }
}

/// The packets of one pass.
#[derive(Debug, Default)]
pub struct SendBatch {
    arena: Vec<u8>,
    used: usize,
    packets: Vec<Packet>,
    chains: Vec<Chain>,
    chain_of: FixedMap<(Path, TrafficClass), u32>,
    /// The chain of the packets that are added now.
    current: Option<u32>,
    /// Where the packets of a run are put side by side, if they are not so already.
    staging: Vec<u8>,
}

impl SendBatch {
    /// Returns how many bytes wait.
    pub fn bytes(&self) -> usize {
        self.used
    }

    /// Sets the path and the class of the packets that follow.
    pub fn to(&mut self, path: Path, class: TrafficClass) {
        match self.current {
            Some(current) if self.chains[current as usize].is_of(path, class) => {}
            _ => {
                self.current = Some(*self.chain_of.entry((path, class)).or_insert_with(|| {
                    self.chains.push(Chain { path, class, head: NONE, tail: NONE, packets: 0 });
                    self.chains.len() as u32 - 1
                }));
            }
        }
    }

    /// Returns at least [`SINK_BUFFER_BYTES`] bytes to write the next packet into.
    pub fn buffer(&mut self) -> &mut [u8] {
        self.buffer_of(SINK_BUFFER_BYTES)
    }

    fn buffer_of(&mut self, length: usize) -> &mut [u8] {
        let end = self.used + length;
        if self.arena.len() < end {
            self.arena.resize(end.max(2 * self.arena.len()), 0);
        }
        &mut self.arena[self.used..end]
    }

    /// Takes the first `length` bytes of the buffer as a packet. An empty packet is not sent.
    pub fn sent(&mut self, length: usize) {
        let Some(current) = self.current.filter(|_| length > 0) else { return };
        let index = self.packets.len() as u32;
        self.packets.push(Packet { start: self.used, len: length, next: NONE });
        self.used += length;
        let chain = &mut self.chains[current as usize];
        match chain.tail {
            NONE => chain.head = index,
            tail => self.packets[tail as usize].next = index,
        }
        chain.tail = index;
        chain.packets += 1;
    }

    /// Adds a copy of a packet.
    pub fn push(&mut self, path: Path, class: TrafficClass, bytes: &[u8]) {
        self.to(path, class);
        self.buffer_of(bytes.len()).copy_from_slice(bytes);
        self.sent(bytes.len());
    }

    /// Returns whether the last run is long enough to leave by [`end_run`](Self::end_run).
    pub fn is_run_long(&self) -> bool {
        self.current.is_some_and(|current| self.chains[current as usize].packets >= LONG_RUN_PACKETS)
    }

    /// Hands out the last chain, after everything that must leave before it.
    pub fn end_run(&mut self, segments_max: usize, mut send: impl FnMut(Run<'_>)) {
        let Some(current) = self.current.take() else { return };
        let class = self.chains[current as usize].class;
        for earlier in CLASSES.into_iter().filter(|earlier| *earlier < class) {
            self.drain_class(earlier, segments_max, &mut send);
        }
        let from = (self.packets.as_slice(), self.arena.as_slice());
        let chain = &mut self.chains[current as usize];
        one_chain(from, &mut self.staging, chain, segments_max, &mut send);
        // If nothing else was added since the chain began, its place is free again.
        let first = chain.head as usize;
        if self.packets.len() == first + chain.packets {
            self.used = self.packets.get(first).map_or(self.used, |packet| packet.start);
            self.packets.truncate(first);
        }
        chain.clear();
    }

    /// Hands out everything as runs of at most `segments_max` packets. The batch is empty afterwards.
    pub fn drain(&mut self, segments_max: usize, mut send: impl FnMut(Run<'_>)) {
        for class in CLASSES {
            self.drain_class(class, segments_max, &mut send);
        }
        self.used = 0;
        self.packets.clear();
        self.chains.clear();
        self.chain_of.clear();
        self.current = None;
    }

    fn drain_class(&mut self, class: TrafficClass, segments_max: usize, send: &mut impl FnMut(Run<'_>)) {
        let from = (self.packets.as_slice(), self.arena.as_slice());
        for chain in self.chains.iter_mut().filter(|chain| chain.class == class) {
            one_chain(from, &mut self.staging, chain, segments_max, send);
            chain.clear();
        }
    }
}

/// Sends all packets of a chain.
fn one_chain(
    from: (&[Packet], &[u8]),
    staging: &mut Vec<u8>,
    chain: &Chain,
    segments_max: usize,
    send: &mut impl FnMut(Run<'_>),
) {
    let mut at = chain.head;
    while at != NONE {
        at = one_run(from, staging, chain, at, segments_max, send);
    }
}

/// Sends the run that starts at packet `first`. Returns the packet after it.
fn one_run(
    (packets, arena): (&[Packet], &[u8]),
    staging: &mut Vec<u8>,
    &Chain { path, class, .. }: &Chain,
    first: u32,
    segments_max: usize,
    send: &mut impl FnMut(Run<'_>),
) -> u32 {
    let Packet { start, len: segment, mut next } = packets[first as usize];
    let (mut end, mut count, mut adjacent) = (start + segment, 1, true);
    let mut total = segment;
    while next != NONE && count < segments_max && segment <= SEGMENT_BYTES_MAX {
        let packet = &packets[next as usize];
        if packet.len > segment || total + packet.len > RUN_BYTES_MAX {
            break;
        }
        adjacent &= packet.start == end;
        end = packet.start + packet.len;
        total += packet.len;
        count += 1;
        next = packet.next;
        // A shorter packet can only be the last of a run.
        if packet.len < segment {
            break;
        }
    }
    if adjacent {
        send(Run { path, class, bytes: &arena[start..end], segment });
    } else {
        staging.clear();
        let mut at = first;
        while at != next {
            let packet = &packets[at as usize];
            staging.extend_from_slice(&arena[packet.start..packet.start + packet.len]);
            at = packet.next;
        }
        send(Run { path, class, bytes: staging, segment });
    }
    next
}

/// Runs that wait because the kernel's buffer was full. The backlog is bounded: what does not fit is lost, as on any
/// full link.
#[derive(Debug)]
pub struct Backlog {
    arena: Vec<u8>,
    runs: Vec<(Path, TrafficClass, usize, usize, usize)>,
    /// The first run that is still to be sent.
    first: usize,
    bytes_max: usize,
}

impl Backlog {
    /// Makes an empty backlog that holds at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { arena: Vec::new(), runs: Vec::new(), first: 0, bytes_max }
    }

    /// Returns whether nothing waits in it.
    pub fn is_empty(&self) -> bool {
        self.first == self.runs.len()
    }

    /// Keeps a run. Returns `false` if it is lost because the backlog is full.
    pub fn push(&mut self, run: Run<'_>) -> bool {
        if self.arena.len() + run.bytes.len() > self.bytes_max {
            return false;
        }
        self.runs.push((run.path, run.class, self.arena.len(), run.bytes.len(), run.segment));
        self.arena.extend_from_slice(run.bytes);
        true
    }

    /// Sends from the front for as long as `send` returns that the kernel takes more.
    pub fn drain(&mut self, mut send: impl FnMut(Run<'_>) -> bool) {
        while let Some(&(path, class, start, len, segment)) = self.runs.get(self.first) {
            if !send(Run { path, class, bytes: &self.arena[start..start + len], segment }) {
                return;
            }
            self.first += 1;
        }
        self.arena.clear();
        self.runs.clear();
        self.first = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::path::Carrier;

    fn path(port: u16) -> Path {
        let at = |port| ([127, 0, 0, 1], port).into();
        Path { carrier: Carrier::Udp, local: at(1), remote: at(port) }
    }

    fn runs(batch: &mut SendBatch, segments_max: usize) -> Vec<(u16, Vec<u8>, usize)> {
        let mut seen = Vec::new();
        batch.drain(segments_max, |run| {
            seen.push((run.path.remote.port(), run.bytes.to_vec(), run.segment));
        });
        seen
    }

    #[test]
    fn packets_to_one_peer_become_one_run_in_their_order() {
        let mut batch = SendBatch::default();
        for value in 0..3 {
            batch.push(path(10), TrafficClass::Video, &[value; 4]);
            batch.push(path(20), TrafficClass::Video, &[100 + value; 2]);
        }
        batch.push(path(10), TrafficClass::Video, &[3; 1]);
        batch.push(path(10), TrafficClass::Video, &[4; 4]);
        let first = [vec![0; 4], vec![1; 4], vec![2; 4], vec![3; 1]].concat();
        let second = vec![100, 100, 101, 101, 102, 102];
        assert_eq!(runs(&mut batch, 64), [(10, first, 4), (10, vec![4; 4], 4), (20, second, 2)]);
        assert_eq!(batch.bytes(), 0);
        assert!(runs(&mut batch, 64).is_empty());
    }

    #[test]
    fn a_longer_packet_starts_a_run_and_a_large_one_goes_alone() {
        let mut batch = SendBatch::default();
        batch.push(path(10), TrafficClass::Video, &[0; 3]);
        batch.push(path(10), TrafficClass::Video, &[1; 5]);
        batch.push(path(10), TrafficClass::Video, &[2; SEGMENT_BYTES_MAX + 1]);
        batch.push(path(10), TrafficClass::Video, &[3; SEGMENT_BYTES_MAX + 1]);
        let sizes: Vec<_> = runs(&mut batch, 64).into_iter().map(|(_, bytes, _)| bytes.len()).collect();
        assert_eq!(sizes, [3, 5, SEGMENT_BYTES_MAX + 1, SEGMENT_BYTES_MAX + 1]);
    }

    #[test]
    fn audio_leaves_before_video() {
        let mut batch = SendBatch::default();
        batch.push(path(10), TrafficClass::Video, &[1; 4]);
        batch.push(path(20), TrafficClass::Video, &[1; 4]);
        batch.push(path(10), TrafficClass::Audio, &[2; 4]);
        batch.push(path(20), TrafficClass::Control, &[3; 4]);
        let order: Vec<_> =
            runs(&mut batch, 64).into_iter().map(|(port, bytes, _)| (port, bytes[0])).collect();
        assert_eq!(order, [(20, 3), (10, 2), (10, 1), (20, 1)]);
    }

    #[test]
    fn a_long_run_leaves_at_once_behind_the_audio_and_its_place_is_used_again() {
        let mut batch = SendBatch::default();
        let mut seen = Vec::new();
        batch.push(path(20), TrafficClass::Audio, &[9; 3]);
        let before = batch.bytes();
        for peer in 10..13 {
            batch.to(path(peer), TrafficClass::Video);
            for value in 0..LONG_RUN_PACKETS as u8 {
                assert!(!batch.is_run_long());
                batch.buffer()[..4].fill(value);
                batch.sent(4);
            }
            assert!(batch.is_run_long());
            batch.end_run(64, |run| seen.push((run.path.remote.port(), run.packets())));
            assert_eq!(batch.bytes(), before, "its place is free");
        }
        assert_eq!(seen, [(20, 1), (10, 8), (11, 8), (12, 8)]);
        batch.push(path(10), TrafficClass::Video, &[1; 4]);
        batch.push(path(20), TrafficClass::Audio, &[2; 4]);
        assert_eq!(runs(&mut batch, 64), [(20, vec![2; 4], 4), (10, vec![1; 4], 4)]);
    }

    #[test]
    fn a_long_run_that_began_among_others_keeps_its_order_and_harms_none() {
        let mut batch = SendBatch::default();
        batch.push(path(10), TrafficClass::Video, &[0; 4]);
        batch.push(path(20), TrafficClass::Video, &[50; 4]);
        for value in 1..LONG_RUN_PACKETS as u8 {
            batch.push(path(10), TrafficClass::Video, &[value; 4]);
        }
        let mut seen = Vec::new();
        batch.end_run(64, |run| seen.push(run.bytes.to_vec()));
        let expected: Vec<u8> = (0..LONG_RUN_PACKETS as u8).flat_map(|value| [value; 4]).collect();
        assert_eq!(seen, [expected]);
        assert_eq!(runs(&mut batch, 64), [(20, vec![50; 4], 4)]);
    }

    #[test]
    fn runs_respect_the_kernels_limits() {
        let mut batch = SendBatch::default();
        for _ in 0..10 {
            batch.push(path(10), TrafficClass::Video, &[7; 100]);
        }
        let sizes: Vec<_> = runs(&mut batch, 4).into_iter().map(|(_, bytes, _)| bytes.len()).collect();
        assert_eq!(sizes, [400, 400, 200]);
        for _ in 0..100 {
            batch.push(path(10), TrafficClass::Video, &[7; SEGMENT_BYTES_MAX]);
        }
        assert!(runs(&mut batch, 64).iter().all(|(_, bytes, _)| bytes.len() <= RUN_BYTES_MAX));
    }

    #[test]
    fn the_backlog_is_bounded_and_keeps_its_order() {
        let mut backlog = Backlog::new(10);
        let run = |bytes| Run { path: path(10), class: TrafficClass::Video, bytes, segment: 4 };
        assert!(backlog.push(run(&[1; 4])));
        assert!(backlog.push(run(&[2; 6])));
        assert!(!backlog.push(run(&[3; 1])), "full");
        let mut taken = Vec::new();
        backlog.drain(|run| {
            if taken.is_empty() {
                taken.push(run.bytes.to_vec());
                return true;
            }
            false
        });
        assert!(!backlog.is_empty());
        backlog.drain(|run| {
            taken.push(run.bytes.to_vec());
            true
        });
        assert_eq!(taken, [vec![1; 4], vec![2; 6]]);
        assert!(backlog.is_empty() && backlog.push(run(&[3; 1])));
    }
}
