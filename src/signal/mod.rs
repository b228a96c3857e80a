//! Adapters between a client's protocol and the core's commands and events. No media logic, no I/O, no state
//! of their own: what has to be remembered about a connection is the shell's (a WHEP [`Viewer`](whip::Viewer) too),
//! what has to be remembered about a participant is the core's.

pub mod native;
pub mod whip;
