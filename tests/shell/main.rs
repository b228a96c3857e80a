//! The whole shell on loopback sockets, in this process: people, WHIP clients, TURN clients, and those that mean no good.
//!
//! Each test runs a server of its own on a free port of 127.0.0.1, beside those of other tests. Nothing sleeps to
//! synchronise: tests wait for the bytes, or the end of the stream, that they expect. What a test measures belongs to its
//! own server; a test that measures the process, or sends it a signal, stands in `tests/alone`.

mod access;
mod admin_reference;
mod api;
mod call;
mod guarded;
mod guarding;
mod interop;
mod livekit;
mod mediasoup;
mod mesh;
mod metrics;
mod one_port;
#[path = "../binary/program.rs"]
#[allow(dead_code, reason = "tests/binary uses the rest")]
mod program;
mod room_service;
mod serving;
mod support;
mod turn;
mod webhooks;
mod whip;
