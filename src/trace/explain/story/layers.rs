//! Facts about simulcasts: what viewers want to see, what they are shown, and what publishers are to send.

use super::Story;
use crate::core::event::LayerReason;
use crate::core::steering::Verdict;
use crate::trace::explain::model::Weight;
use crate::trace::explain::time::Time;
use crate::trace::explain::words;
use crate::trace::facts::TrackNumber;

impl Story {
    pub(super) fn wants(
        &mut self,
        at: Time,
        person: usize,
        track: usize,
        width: Option<u16>,
        height: Option<u16>,
    ) -> Option<()> {
        let size = match (width, height) {
            (Some(width), Some(height)) => format!("in {width}×{height} pixels"),
            (None, Some(height)) => format!("{height} pixels tall"),
            (Some(width), None) => format!("{width} pixels wide"),
            (None, None) => return None,
        };
        let text = format!("shows {} {size}", self.name_of(track)?);
        self.tell(at, person, "wants", Weight::Plain, text);
        Some(())
    }

    /// Somebody is shown another encoding, or up to other layers, the spatial and the temporal one, or all again.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of one fact")]
    pub(super) fn layer(
        &mut self,
        at: Time,
        person: usize,
        track: usize,
        layer: Option<&str>,
        (spatial, temporal): (Option<u8>, Option<u8>),
        height: Option<u16>,
        reason: LayerReason,
    ) -> Option<()> {
        let what = self.name_of(track)?;
        let was_paused = self.paused_video.remove(&(person, track));
        let inner = match (spatial, temporal) {
            (None, None) => String::new(),
            (Some(spatial), None) => format!(" up to spatial layer {spatial}"),
            (None, Some(temporal)) => format!(" up to temporal layer {temporal}"),
            (Some(spatial), Some(temporal)) => {
                format!(" up to spatial layer {spatial} and temporal layer {temporal}")
            }
        };
        if layer.is_none() && inner.is_empty() && was_paused {
            let why = if reason == LayerReason::Load {
                "the server has time again"
            } else {
                "their network carries it"
            };
            let text = format!("is shown {what} again: {why}");
            self.tell(at, person, "layer", Weight::Notable, text);
            return Some(());
        }
        let size = height.map_or_else(String::new, |height| format!(", {height} pixels tall"));
        let (weight, why) = match reason {
            LayerReason::Wanted => (Weight::Plain, "it fits best of those that come"),
            LayerReason::Stopped => (Weight::Notable, "the one before has stopped"),
            LayerReason::Available => (Weight::Plain, "it has begun, and fits better"),
            LayerReason::Bandwidth => (Weight::Plain, "that is what their network carries"),
            LayerReason::Load => (Weight::Notable, "that is what the server has time for"),
        };
        let text = match layer {
            Some(layer) => format!("is shown {what} in the encoding {layer}{inner}{size}: {why}"),
            None if inner.is_empty() => format!("is shown all layers of {what}: {why}"),
            None => format!("is shown {what}{inner}{size}: {why}"),
        };
        self.tell(at, person, "layer", weight, text);
        Some(())
    }

    /// Nothing of a track is shown, for want of bandwidth or time.
    pub(super) fn video_paused(
        &mut self,
        at: Time,
        person: usize,
        track: usize,
        reason: LayerReason,
    ) -> Option<()> {
        let what = self.name_of(track)?;
        self.paused_video.insert((person, track));
        let why = if reason == LayerReason::Load {
            "the server has no time"
        } else {
            "their network carries no more"
        };
        self.tell(at, person, "layer", Weight::Trouble, format!("is shown nothing of {what}: {why}"));
        Some(())
    }

    /// Tells what was decided of what somebody's network lets them be shown.
    pub(super) fn steered(
        &mut self,
        at: Time,
        person: usize,
        estimate: u64,
        verdict: Verdict<TrackNumber>,
    ) -> Option<()> {
        let carries = format!("their network carries {}", words::bit_rate(estimate));
        let name = |track: TrackNumber| self.name_of(track as usize);
        let (kind, weight, text) = match verdict {
            Verdict::Lowered(track) => {
                ("less", Weight::Notable, format!("{} is to be shown smaller: {carries}", name(track)?))
            }
            Verdict::Paused(track) => {
                ("less", Weight::Trouble, format!("{} is not shown any more: {carries}", name(track)?))
            }
            Verdict::Raised(track) => {
                ("more", Weight::Plain, format!("{} is to be shown larger: {carries}", name(track)?))
            }
            Verdict::Resumed(track) => {
                ("more", Weight::Plain, format!("{} is to be shown again: {carries}", name(track)?))
            }
            Verdict::Thinned(track) => {
                let text = format!("fewer pictures of {} are to be shown: {carries}", name(track)?);
                ("less", Weight::Notable, text)
            }
            Verdict::Thickened(track) => {
                let text = format!("more pictures of {} are to be shown: {carries}", name(track)?);
                ("more", Weight::Plain, text)
            }
            Verdict::Trial(rate) => {
                let rate = words::bit_rate(rate);
                ("trial", Weight::Plain, format!("it is tried whether their network carries {rate}"))
            }
            Verdict::Failed(rate, wait) => {
                let (rate, wait) = (words::bit_rate(rate), wait.as_secs());
                let text = format!("their network does not carry {rate}: not tried again for {wait} s");
                ("trial", Weight::Plain, text)
            }
        };
        self.tell(at, person, kind, weight, text);
        Some(())
    }

    pub(super) fn encodings(&mut self, at: Time, track: usize, active: &[String]) -> Option<()> {
        let state = self.tracks.get_mut(track)?;
        let (person, source) = (state.person, words::source(state.source));
        let before = state.active.replace(active.to_vec());
        // Who comes back is told again what they may have missed.
        if before.as_deref() == Some(active) {
            return Some(());
        }
        let is_new = |rid: &&String| before.as_ref().is_some_and(|before| !before.contains(rid));
        let new: Vec<&str> = active.iter().filter(is_new).map(String::as_str).collect();
        let text = if active.is_empty() {
            format!("is to send nothing of the {source}: nobody watches it")
        } else if new.is_empty() {
            let left = active.join(", ");
            format!("is to send only {left} of the {source}: nobody has needed more for some seconds")
        } else {
            format!("is to send {} of the {source} again: somebody needs it", new.join(", "))
        };
        self.tell(at, person, "encodings", Weight::Plain, text);
        Some(())
    }
}
