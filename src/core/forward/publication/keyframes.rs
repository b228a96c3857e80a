//! Key frames of a track: whose viewers need one, and when its owner is asked. Each encoding is asked by its own SSRC: some
//! encoders answer one request with a key frame in every encoding, and others in that one alone.

use std::time::{Duration, Instant};

use super::viewers::select_encoding;
use super::{Publication, at};
use crate::core::command::MediaKind;
use crate::core::forward::encoding::Encoding;
use crate::core::ids::{EncodingIndex, ParticipantKey, Ssrc};
use crate::core::mutation::mutated;
use crate::core::timers::earliest;

impl Publication {
    /// Asks for a key frame of one encoding.
    pub fn want_keyframe(&mut self, index: EncodingIndex) {
        let is_video = self.kind() == MediaKind::Video;
        if let Some(encoding) = self.encodings.get_mut(at(index))
            && is_video
            && !mutated!(KeyframeRequestForgotten)
        {
            encoding.keyframes.want();
        }
    }

    /// Asks for a key frame of every encoding that somebody is shown.
    pub fn want_keyframes(&mut self) {
        for number in 0..self.encodings.len() {
            if self.encodings[number].is_followed() {
                self.want_keyframe(EncodingIndex(number as u8));
            }
        }
    }

    /// Asks for a key frame for one viewer: of the encoding that they are to be shown. If they still wait for it, its key
    /// frame repairs what is broken in the one before, too.
    pub fn want_keyframe_for(&mut self, participant: ParticipantKey, slot: usize) {
        let find = |encoding: &Encoding| {
            let mut viewers = encoding.backlog.viewers().iter();
            viewers.find(|viewer| viewer.is(participant, slot)).copied()
        };
        let Some(viewer) = self.encodings.iter().find_map(find) else { return };
        self.want_keyframe(select_encoding(&viewer, self.chosen));
    }

    /// Returns whether somebody waits for a key frame of any encoding.
    pub fn wants_keyframes(&self) -> bool {
        self.encodings.iter().any(|encoding| encoding.keyframes.is_wanted())
    }

    /// Something of the stream `ssrc` is lost for good: if anybody is shown it, a key frame must make up for it.
    pub fn on_loss(&mut self, ssrc: Ssrc) {
        let of_ssrc = self.encodings.iter().position(|encoding| encoding.ssrc() == Some(ssrc));
        let number = of_ssrc.unwrap_or(at(self.chosen));
        if self.encodings[number].is_followed() {
            self.encodings[number].keyframes.want();
        }
    }

    /// When [`due_keyframes`](Self::due_keyframes) will name an encoding; `None` while the track is muted: it is asked when
    /// that ends.
    pub fn keyframe_deadline(&self, now: Instant, round_trip: Duration) -> Option<Instant> {
        if self.muted && !mutated!(MuteIgnored) {
            return None;
        }
        let deadlines = self.encodings.iter().map(|encoding| encoding.keyframes.deadline(now, round_trip));
        deadlines.fold(None, earliest)
    }

    /// Calls `ask` with the SSRC of each encoding of which a key frame is to be asked for now, and counts the requests.
    pub fn due_keyframes(&mut self, now: Instant, round_trip: Duration, mut ask: impl FnMut(Ssrc)) {
        if self.keyframe_deadline(now, round_trip).is_none_or(|at| at > now) {
            return;
        }
        for encoding in &mut self.encodings {
            if let Some(ssrc) = encoding.ssrc()
                && encoding.keyframes.due(now, round_trip)
            {
                encoding.counters.keyframe_requests += 1;
                ask(ssrc);
            }
        }
    }
}
