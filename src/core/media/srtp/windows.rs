//! The replay windows of all streams that one sender has ever had, in bounded memory.
//!
//! A client may begin a stream with another SSRC at any time, and some encoders do so all day. A stream that has ended
//! cannot be told from one that is silent, and its old packets stay authentic for as long as the keys are in use. So the
//! windows of those that have been silent for longest are reduced to their newest index. Everything up to that index
//! counts as seen: nothing can be replayed, and the stream goes on with its next packet if it was only silent.

use std::collections::BTreeMap;

use super::Opened;
use super::error::OpenError;
use super::replay::ReplayWindow;
use crate::core::fixed_hash::FixedMap;
use crate::limits::{SRTP_STREAMS_EVER_MAX, SRTP_WINDOWS_MAX};

/// The windows of one direction, by SSRC.
#[derive(Default)]
pub(super) struct ReplayWindows {
    /// The streams that have had packets most recently.
    live: FixedMap<u32, Live>,
    /// The newest index of each other stream. The keys are the client's choice, so it is a tree, which no choice of them
    /// makes slow.
    dormant: BTreeMap<u32, u64>,
    /// How many packets have been opened.
    opened: u64,
}

struct Live {
    window: ReplayWindow,
    /// Which of all opened packets was the last of this stream. No two streams have the same number.
    last: u64,
}

impl ReplayWindows {
    /// Opens a packet of a stream, and notes it if it is authentic. `index_of` tells its index from the stream's window,
    /// which a new stream does not have; `decrypt` opens it under that index, and returns its length.
    pub(super) fn open(
        &mut self,
        ssrc: u32,
        index_of: impl FnOnce(Option<&ReplayWindow>) -> Result<u64, OpenError>,
        decrypt: impl FnOnce(u64) -> Result<usize, OpenError>,
    ) -> Result<Opened, OpenError> {
        if let Some(Live { window, last }) = self.live.get_mut(&ssrc) {
            let index = index_of(Some(window))?;
            window.check(index)?;
            let len = decrypt(index)?;
            window.accept(index);
            self.opened += 1;
            *last = self.opened;
            return Ok(Opened { len, index });
        }
        let dormant = self.dormant.get(&ssrc).map(|newest| ReplayWindow::all_seen_up_to(*newest));
        if dormant.is_none() && self.live.len() + self.dormant.len() >= SRTP_STREAMS_EVER_MAX {
            return Err(OpenError::TooManyStreams);
        }
        let index = index_of(dormant.as_ref())?;
        if let Some(window) = &dormant {
            window.check(index)?;
        }
        let len = decrypt(index)?;
        // Only now: a packet that is not authentic must not cost anybody a window.
        self.dormant.remove(&ssrc);
        if self.live.len() >= SRTP_WINDOWS_MAX {
            self.reduce_silent();
        }
        let mut window = dormant.unwrap_or_else(|| ReplayWindow::starting_at(index));
        window.accept(index);
        self.opened += 1;
        self.live.insert(ssrc, Live { window, last: self.opened });
        Ok(Opened { len, index })
    }

    /// Reduces the windows of the half that has been silent for longest. Half of them at once, so that a client with a
    /// new SSRC in each packet does not make us look at all windows for each.
    fn reduce_silent(&mut self) {
        let mut order: Vec<u64> = self.live.values().map(|live| live.last).collect();
        let middle = order.len() / 2;
        let (_, &mut oldest_kept, _) = order.select_nth_unstable(middle);
        let dormant = &mut self.dormant;
        self.live.retain(|ssrc, live| {
            let stays = live.last >= oldest_kept;
            if !stays {
                dormant.insert(*ssrc, live.window.newest());
            }
            stays
        });
    }

    /// Returns how many streams have a whole window.
    pub(super) fn live(&self) -> usize {
        self.live.len()
    }
}
