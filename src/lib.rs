//! Strait: a WebRTC SFU. One binary, one port, every bug replayable.
//!
//! # A packet's walk, socket to socket
//!
//! | # | file | step |
//! |---|---|---|
//! | 1 | [`net`]`/event_loop.rs` | `EventLoop::pass`: the UDP socket is readable; one time for the whole pass |
//! | 2 | [`net`]`/shard.rs` | `Shard::read_udp`, until all is read or the pass has read enough; called by step 1 |
//! | 3 | [`net`]`/udp.rs` | `Udp::receive`: a batch of the kernel's; called by step 2 |
//! | 4 | [`core::sfu`] | `Sfu::handle_input`, `Sfu::handle_datagram`: one datagram; called by step 2 |
//! | 5 | [`wire::classify`] | `classify`: what kind of bytes; called by step 4 |
//! | 6 | [`core::demux`] | `Demux::by_path`: which room and transport, by one look-up; called by step 4 |
//! | 7 | [`core::room`] | `Room::handle`: whose step it is; called by `Sfu::handle_room` |
//! | 8 | [`core::room`]`/media.rs` | `Room::handle_rtp` sequences the next two; called by `Room::handle_datagram` |
//! | 9 | [`core::media::ingress`] | `receive`: open in place, find the stream, count, note what is missing; called by step 8 |
//! | 10 | [`core::forward::publication`] | `arrive`: which encoding; keep the packet once for all; called by step 8 |
//! | 11 | [`core::sfu`] | `Sfu::forward_share`, when all is read: which rooms; called by `Shard::forward_media` |
//! | 12 | [`core::room`]`/fanout.rs` | `Room::forward_share`, `forward_to`: who sees it; called by `Sfu::forward_room` |
//! | 13 | [`core::forward::slot`] | `Slot::prepare`: for this slot? rewritten how? Called by step 12 |
//! | 14 | [`core::forward::slot`] | `Slot::write`, to where it is sent from, a [`core::output::MediaSink`]; called by step 12 |
//! | 15 | [`core::media::srtp`] | `SrtpSender::seal_rtp`: encrypt in place; called by `Slot::write_packet` |
//! | 16 | [`net`]`/udp/batch.rs` | `SendBatch::sent`: runs to one peer, one system call each; called by `Udp::sent` |
//! | 17 | [`core::sfu`] | `Sfu::poll_output` until `Output::Timeout`; called by `Shard::next_event` |
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
