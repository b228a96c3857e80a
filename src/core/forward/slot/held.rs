//! What of a slot's video waits in the pacer, and what follows if it cannot: then nothing more goes out before the next key
//! frame.

use super::Slot;
use crate::core::forward::encoding::PacketInfo;
use crate::core::forward::munger::Stretch;
use crate::core::media::cache::PacketMeta;

/// What of a slot's video waits in the [pacer](crate::core::media::pacer), or could not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Held {
    /// The stretch of the newest key frame of which the first packet may wait.
    pub(super) keyframe: Option<Stretch>,
    /// Whether too much waited, so that nothing more goes out before the next key frame.
    pub(super) is_cut: bool,
}

impl Slot {
    /// Whether a packet of that stretch would be shown, once all that waits in the pacer has been sent.
    pub fn would_show(&self, stretch: Stretch, meta: &PacketMeta<PacketInfo>) -> bool {
        self.is_going()
            && (meta.keyframe_start
                || (!self.held.is_cut
                    && (self.held.keyframe == Some(stretch) || self.munger.continues(stretch, meta.index))))
    }

    /// Whether nothing goes out before the next key frame, because too much waited.
    pub fn is_cut(&self) -> bool {
        self.held.is_cut
    }

    /// Lets nothing more out before the next key frame.
    pub fn cut(&mut self) {
        self.held.is_cut = true;
        self.held.keyframe = None;
    }

    /// Ends what [`cut`](Self::cut) began, with the first packet of a key frame that goes out or begins to wait.
    pub fn end_cut(&mut self) {
        self.held.is_cut = false;
    }

    /// What goes out next does not continue what was sent: packets before it were dropped.
    pub fn skip(&mut self) {
        self.munger.desynchronise();
    }

    /// Notes that the first packet of a key frame begins to wait.
    pub fn keyframe_waits(&mut self, stretch: Stretch) {
        self.held.keyframe = Some(stretch);
    }

    /// Notes that the first packet of a key frame waits no longer.
    pub fn keyframe_leaves(&mut self) {
        self.held.keyframe = None;
    }
}
