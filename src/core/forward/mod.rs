//! The media path inside a room, in the order in which a packet meets it:
//!
//! ```text
//! IngressHalf::receive → Publication::arrive → (end of the batch) → Slot::prepare → Slot::write → SrtpSender::seal_rtp
//! ```
//!
//! A packet is opened in its receive buffer and kept once, in its encoding's cache. When the shell takes the media out
//! of the core, each slot that shows the encoding writes its own header and the encrypted payload straight into the
//! send buffer, which the shell lends as a [`MediaSink`](crate::core::output::MediaSink).

pub mod audio_rate;
pub mod backlog;
pub mod bitrate;
pub mod copies;
pub mod descriptor;
pub mod encoding;
pub mod frame_clock;
pub mod hold;
pub mod keyframes;
pub mod ladder;
pub mod munger;
pub mod parameter_sets;
pub mod publication;
pub mod scalability;
pub mod selector;
pub mod slot;
pub mod steps;

#[cfg(test)]
mod tests;
