//! Explain: tells what happened in a recorded call and why, participant by participant, for readers who do not know the
//! code.
//!
//! A `Story` takes [facts](super::facts), from a replay or from a stripped trace, and makes an [`Explanation`], which
//! [`text`], [`json`] and [`html`] show. Code in the core that decides something gets a fact of its own, and here an
//! [`Entry`](model::Entry) of somebody's timeline that says what the fact means.

mod blame;
pub mod html;
mod incoming;
pub mod json;
mod keyframes;
pub mod model;
mod outgoing;
mod someone;
mod story;
pub mod text;
pub mod time;
mod timeline;
mod tracks;
mod words;

use std::time::Instant;

use super::reader::{BadTrace, Trace};
use super::replay::Parted;
use super::strip::tell_facts;
pub use model::Explanation;

/// Explains a trace, stripped or not. If its replay does something else than was recorded, also returns where; the
/// explanation ends there. `epoch` may be any point of the clock.
///
/// # Errors
/// [`BadTrace`] if the trace cannot be used.
pub fn explain(trace: &mut Trace<'_>, epoch: Instant) -> Result<(Explanation, Option<Parted>), BadTrace> {
    let mut story = story::Story::default();
    let told = tell_facts(trace, epoch, &mut story)?;
    let ending = match (&told.parted, &told.ending) {
        (Some(parted), _) => format!("the replay parts from what was recorded at step {}", parted.step),
        (None, Some(ending)) => ending.to_string(),
        (None, None) => "it was not read to its end".to_owned(),
    };
    let explanation = story.finish(trace.header(), told.call_time, ending);
    Ok((explanation, told.parted))
}
