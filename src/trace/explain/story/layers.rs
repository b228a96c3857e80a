//! Facts about simulcasts: what viewers want to see, what they are shown, and what publishers are to send.

use super::Story;
use crate::core::event::LayerReason;
use crate::trace::explain::model::Weight;
use crate::trace::explain::time::Time;
use crate::trace::explain::words;

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

    pub(super) fn layer(
        &mut self,
        at: Time,
        person: usize,
        track: usize,
        layer: &str,
        height: Option<u16>,
        reason: LayerReason,
    ) -> Option<()> {
        let size = height.map_or_else(String::new, |height| format!(", {height} pixels tall"));
        let (weight, why) = match reason {
            LayerReason::Wanted => (Weight::Plain, "it fits best of those that come"),
            LayerReason::Stopped => (Weight::Notable, "the one before has stopped"),
            LayerReason::Available => (Weight::Plain, "it has begun, and fits better"),
        };
        let what = self.name_of(track)?;
        let text = format!("is shown {what} in the encoding {layer}{size}: {why}");
        self.tell(at, person, "layer", weight, text);
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
