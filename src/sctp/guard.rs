//! What keeps a peer from filling our memory by SCTP. The library counts the user data that waits, and nothing else: a byte
//! that waits may hold a whole packet, or a place in a table. So no DATA is let in that is far ahead of what has come in
//! whole, on a stream that we do not have, or cut into pieces that no sender makes; and while messages wait to be read,
//! only so many more.

use crate::limits::CHANNEL_STREAMS_MAX;
use crate::wire::sctp::{Chunk, chunks};

/// How far ahead of the last DATA that came without a gap another one may be: more than fit into the receive window if
/// they are as large as they may be.
const AHEAD_MAX: u32 = 1024;
/// How many DATA chunks may come while messages wait to be read.
const UNREAD_MAX: usize = 1024;
/// The least user data in a chunk whose message goes on in another one, in bytes. Senders fill their packets.
const PIECE_BYTES_MIN: usize = 256;

/// What is known of one peer.
#[derive(Debug, Default)]
pub struct Guard {
    /// The last sequence number up to which everything has come, as we last told the peer.
    cumulative: Option<u32>,
    /// How many DATA chunks were let in since all messages were read.
    unread: usize,
}

impl Guard {
    /// Returns whether the association may take a packet.
    pub fn lets_in(&mut self, packet: &[u8]) -> bool {
        let mut unread = self.unread;
        for chunk in chunks(packet) {
            match chunk {
                Err(_) => return false,
                Ok(Chunk::Init { first_tsn }) => {
                    self.cumulative.get_or_insert(first_tsn.wrapping_sub(1));
                }
                Ok(Chunk::Data { tsn, stream, is_continued, length }) => {
                    let Some(cumulative) = self.cumulative else { return false };
                    let ahead = tsn.wrapping_sub(cumulative);
                    // What was received before is ahead by nearly all numbers there are, and only confirmed again.
                    let is_far = ahead > AHEAD_MAX && ahead < u32::MAX / 2;
                    let is_scrap = is_continued && length < PIECE_BYTES_MIN;
                    unread += 1;
                    if is_far || is_scrap || stream >= CHANNEL_STREAMS_MAX || unread > UNREAD_MAX {
                        return false;
                    }
                }
                Ok(Chunk::Sack { .. } | Chunk::Other(_)) => {}
            }
        }
        self.unread = unread;
        true
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
