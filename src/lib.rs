//! Strait: a WebRTC SFU. One binary, one port, every bug replayable.

pub mod cli;
pub mod config;
pub mod core;
pub mod limits;
pub mod net;
pub mod signal;
pub mod wire;
