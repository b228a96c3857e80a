//! The media path inside a room, in the order a packet meets it:
//!
//! ```text
//! IngressHalf::receive → Publication::arrive → (end of the batch) → Slot::forward → SrtpSender::seal_rtp
//! ```
//!
//! A packet is opened in its receive buffer and kept once, in its track's cache. When the shell drains the core, each
//! slot that shows the track writes its own header and seals the payload into the transmit arena.

pub mod descriptor;
pub mod keyframes;
pub mod munger;
pub mod publication;
pub mod slot;
