//! Strait: a WebRTC SFU. One binary, one port, every bug replayable.
//!
//! # A packet's walk, socket to socket
//!
//! | # | file | step |
//! |---|---|---|
//! | 1 | [`net`]`/event_loop.rs` | the UDP socket is readable; one `now` for the whole turn |
//! | 2 | [`net`]`/udp.rs` | read a batch |
//! | 3 | [`core::sfu`] | `handle_input(now, Input::Datagram)`, once for each datagram |
//! | 4 | [`wire::classify`] | what kind of bytes |
//! | 5 | [`core::demux`] | whose: room and participant, by one look-up |
//! | 6 | [`core::room`] | `Room::handle` sequences what follows |
//! | 7 | [`core::media::ingress`] | open in place, find the stream, count, note what is missing |
//! | 8 | [`core::forward::publication`] | `arrive`: which track; keep the packet once for all |
//! | 9 | [`core::sfu`] | `forward`, when the batch has been read; [`core::room`]`/fanout.rs`, `flush`: who shows this track |
//! | 10 | [`core::forward::slot`] | `forward`: for this slot? rewritten how? |
//! | 11 | [`core::media::srtp`] | write the header, seal, where the packet is sent from: a [`core::output::MediaSink`] |
//! | 12 | [`net`]`/udp_batch.rs` | runs to one peer together, one system call each |
//! | 13 | [`core::sfu`] | `poll_output` until `Output::Timeout` |
//!
//! What goes the other way (key frames wanted, packets lost, reports) comes to the room as RTCP and is dispatched there.
//! Dependencies point one way: `cli` → `net` → `signal` → `core` → `wire`. [`load`] is a client, beside `net`.

pub mod cli;
pub mod config;
pub mod core;
pub mod dtls;
pub mod limits;
pub mod load;
pub mod net;
pub mod signal;
pub mod sim;
pub mod trace;
pub mod wire;
