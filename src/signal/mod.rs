//! Adapters between a client's protocol and the core's commands and events. No media logic, no I/O, no state:
//! what has to be remembered about a connection is the shell's, what has to be remembered about a participant
//! is the core's.

pub mod native;
