//! Strait: a WebRTC SFU. One binary, one port, every bug replayable.
//!
//! # A packet's walk, socket to socket
//!
//! | # | file | step |
//! |---|---|---|
//! | 1 | [`net`]`/event_loop.rs` | `EventLoop::pass`: the UDP socket is readable; one time for the whole pass |
//! | 2 | [`net`]`/shard.rs` | `Shard::read_udp`: until the socket is empty or the pass's budget is spent; called by step 1 |
//! | 3 | [`net`]`/udp.rs` | `Udp::receive`: one batch of datagrams from the kernel; called by step 2 |
//! | 4 | [`core::sfu`] | `Sfu::handle_input`, `Sfu::handle_datagram`: one datagram; called by step 2 |
//! | 5 | [`wire::classify`] | `classify`: STUN, DTLS, RTP or RTCP; called by step 4 |
//! | 6 | [`core::demux`] | `Demux::by_path`: one look-up finds the room and the transport; called by step 4 |
//! | 7 | [`core::room`] | `Room::handle`: runs a step of the member whose transport it is; called by `Sfu::handle_room` |
//! | 8 | [`core::room`]`/media.rs` | `Room::handle_rtp` takes the next two steps; called by `Room::handle_datagram` |
//! | 9 | [`core::media::ingress`] | `receive`: decrypt in place, find the stream, count, note what is missing; called by step 8 |
//! | 10 | [`core::forward::publication`] | `arrive`: find the encoding; keep the packet once for all viewers; called by step 8 |
//! | 11 | [`core::sfu`] | `Sfu::forward_share`: once everything is read, room after room; called by `Shard::forward_media` |
//! | 12 | [`core::room`]`/fanout.rs` | `Room::forward_share`, `forward_to`: viewer after viewer; called by `Sfu::forward_room` |
//! | 13 | [`core::forward::slot`] | `Slot::prepare`: whether the slot shows the packet, and its new numbers; called by step 12 |
//! | 14 | [`core::forward::slot`] | `Slot::write`: into the send buffer, a [`core::output::MediaSink`]; called by step 12 |
//! | 15 | [`core::media::srtp`] | `SrtpSender::seal_rtp`: encrypt in place; called by `Slot::write_packet` |
//! | 16 | [`net`]`/udp/batch.rs` | `SendBatch::sent`: one system call for each run to one peer; called by `Udp::sent` |
//! | 17 | [`core::sfu`] | `Sfu::poll_output` until `Output::Timeout`; called by `Shard::next_event` |
//!
//! Feedback goes the other way: requests for key frames and lost packets, and reports, reach the room as RTCP.
//! Dependencies point one way: `cli` → `net` → `signal` → `core` → `wire`. [`load`] is a client, beside `net`.

// What makes the core deterministic, by the list in `.clippy.toml`; and what the network influences must not be able to end
// the process. Tests may use sockets, clocks and panics.
#![cfg_attr(
    not(test),
    deny(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::needless_pass_by_value,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod access;
pub mod cli;
pub mod config;
pub mod core;
pub mod dtls;
pub mod limits;
pub mod load;
pub mod net;
pub mod sctp;
pub mod signal;
pub mod sim;
pub mod trace;
pub mod wire;
