//! What keeps a peer from filling our memory by SCTP. The library counts the user data that waits, and nothing else: a byte
//! that waits may hold a whole packet, or a place in a table. So no DATA is let in that is far ahead of what has come in
//! without a gap, or on a stream that we do not have; while messages wait to be read, only a number more are; and who sends on
//! and on what makes no message is not talked to any more. How small the pieces of a message are says nothing: browsers send
//! a few bytes where their congestion window ends.

use std::collections::BTreeMap;

use crate::limits::CHANNEL_STREAMS_MAX;
use crate::wire::sctp::{Chunk, chunks};

/// How far ahead of the last DATA that came without a gap another one may be: more than fit into the receive window if
/// they are as large as they may be.
const AHEAD_MAX: u32 = 1024;
/// How many DATA chunks may come while messages wait to be read.
const UNREAD_MAX: usize = 1024;
/// How many DATA chunks may come on all streams since the last message of each was read. The largest message has a few
/// hundred, and as many as 1,024 may wait behind a gap, and to be read.
const UNDELIVERED_MAX: u32 = 4096;

/// What is to be done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The association may take it.
    In,
    /// It is dropped. An honest peer sends it again.
    Out,
    /// No honest peer comes to this: the association ends.
    End,
}

/// What is known of one peer.
#[derive(Debug, Default)]
pub struct Guard {
    /// The last sequence number up to which everything has come, as we last told the peer.
    cumulative: Option<u32>,
    /// How many DATA chunks were let in since all messages were read.
    unread: usize,
    /// How many were let in on each stream since its last message was read, and in all.
    undelivered: BTreeMap<u16, u32>,
    undelivered_in_all: u32,
}

impl Guard {
    /// Judges a packet of the peer's, and counts it if the association may take it.
    pub fn judge(&mut self, packet: &[u8]) -> Verdict {
        let mut data = 0;
        for chunk in chunks(packet) {
            match chunk {
                Err(_) => return Verdict::Out,
                Ok(Chunk::Init { first_tsn }) => {
                    self.cumulative.get_or_insert(first_tsn.wrapping_sub(1));
                }
                Ok(Chunk::Data { tsn, stream }) => {
                    let Some(cumulative) = self.cumulative else { return Verdict::Out };
                    let ahead = tsn.wrapping_sub(cumulative);
                    // What was received before is ahead by nearly all numbers there are, and only confirmed again.
                    let is_far = ahead > AHEAD_MAX && ahead < u32::MAX / 2;
                    data += 1;
                    if is_far || stream >= CHANNEL_STREAMS_MAX || self.unread + data > UNREAD_MAX {
                        return Verdict::Out;
                    }
                }
                Ok(Chunk::Sack { .. } | Chunk::Other(_)) => {}
            }
        }
        if data > 0 {
            self.count(packet);
            self.unread += data;
        }
        if self.undelivered_in_all > UNDELIVERED_MAX { Verdict::End } else { Verdict::In }
    }

    fn count(&mut self, packet: &[u8]) {
        for chunk in chunks(packet) {
            if let Ok(Chunk::Data { stream, .. }) = chunk {
                *self.undelivered.entry(stream).or_default() += 1;
                self.undelivered_in_all += 1;
            }
        }
    }

    /// Notes that a message of a stream was read, or that the stream and what waited there is gone.
    pub fn is_delivered(&mut self, stream: u16) {
        let delivered = self.undelivered.remove(&stream).unwrap_or_default();
        self.undelivered_in_all -= delivered;
    }

    /// Notes that no message waits to be read.
    pub fn all_is_read(&mut self) {
        self.unread = 0;
    }

    /// Notes a packet that the association sends.
    pub fn note_sent(&mut self, packet: &[u8]) {
        for chunk in chunks(packet) {
            if let Ok(Chunk::Sack { cumulative }) = chunk {
                self.cumulative = Some(cumulative);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(chunks: &[Vec<u8>]) -> Vec<u8> {
        [&[0; 12][..], &chunks.concat()].concat()
    }

    /// DATA with that number and flags on a stream, of that length.
    fn data(tsn: u32, flags: u8, stream: u16, length: usize) -> Vec<u8> {
        let mut chunk = vec![0, flags];
        chunk.extend((16 + length as u16).to_be_bytes());
        chunk.extend(tsn.to_be_bytes());
        chunk.extend(stream.to_be_bytes());
        chunk.resize(16 + length.next_multiple_of(4), 0);
        chunk
    }

    /// A guard that has seen the peer begin, whose first number is 1000.
    fn begun() -> Guard {
        let mut guard = Guard::default();
        let init = [&[1, 0, 0, 20][..], &[0; 12], &1000_u32.to_be_bytes()].concat();
        assert_eq!(guard.judge(&packet(&[init])), Verdict::In);
        guard
    }

    #[test]
    fn what_honest_peers_send_is_let_in() {
        let mut guard = begun();
        for tsn in 1000..1100 {
            assert_eq!(guard.judge(&packet(&[data(tsn, 2, 0, 1100)])), Verdict::In);
        }
        assert_eq!(guard.judge(&packet(&[data(1050, 3, 0, 4), data(1051, 1, 255, 1)])), Verdict::In, "again");
        assert_eq!(guard.judge(&packet(&[data(1999, 3, 0, 0)])), Verdict::In, "behind a gap");
        assert_eq!(
            guard.judge(&packet(&[data(1100, 2, 0, 10)])),
            Verdict::In,
            "where a congestion window ends"
        );
    }

    #[test]
    fn what_no_honest_peer_sends_is_dropped() {
        assert_eq!(
            Guard::default().judge(&packet(&[data(1000, 3, 0, 9)])),
            Verdict::Out,
            "nothing has begun"
        );
        let mut guard = begun();
        for (chunk, why) in [
            (data(999 + AHEAD_MAX + 1, 3, 0, 9), "too far ahead"),
            (data(1000, 3, CHANNEL_STREAMS_MAX, 9), "no such stream"),
            (vec![0, 3, 0, 9, 0], "malformed"),
        ] {
            assert_eq!(guard.judge(&packet(&[chunk])), Verdict::Out, "{why}");
        }
        guard.note_sent(&packet(&[vec![3, 0, 0, 8, 0, 0, 0x10, 0]]));
        assert_eq!(
            guard.judge(&packet(&[data(0x1000 + AHEAD_MAX, 3, 0, 9)])),
            Verdict::In,
            "the window moves"
        );
    }

    #[test]
    fn what_waits_to_be_read_is_bounded_and_what_is_never_read_ends_it() {
        let mut guard = begun();
        let many = packet(&vec![data(1000, 3, 7, 0); 16]);
        let let_in = |guard: &mut Guard| (0..100).filter(|_| guard.judge(&many) == Verdict::In).count();
        assert_eq!(let_in(&mut guard), UNREAD_MAX / 16);
        guard.is_delivered(7);
        guard.all_is_read();
        assert_eq!(let_in(&mut guard), UNREAD_MAX / 16);
        for _ in 0..3 {
            guard.all_is_read();
            let_in(&mut guard);
        }
        guard.all_is_read();
        assert_eq!(guard.judge(&many), Verdict::End, "nothing of the stream was ever read");
    }
}
