//! A read-only view of the whole server, from which the pages for operators are made.

use std::time::Instant;

use crate::core::Sfu;
use crate::core::stats::Calls;
use crate::net::audit::Audit;
use crate::net::dtls::Handshakes;
use crate::net::ledger::Ledger;
use crate::net::mediasoup_sessions::MediasoupSessions;
use crate::net::shell_counters::ShellCounters;
use crate::net::tcp::connections::Connections;
use crate::net::traces::keeper::TraceKeeper;
use crate::net::turn::TurnServer;
use crate::net::udp::Udp;
use crate::net::whip_sessions::WhipSessions;
use crate::signal::voice::Channels;

/// The server at one moment.
#[derive(Clone, Copy)]
pub struct ServerView<'a> {
    /// The time of this pass of the loop.
    pub now: Instant,
    /// When the server started.
    pub started: Instant,
    /// How many passes the loop has made since then.
    pub passes: u64,
    /// Whether the server was told to stop.
    pub is_stopping: bool,
    /// Which share of the video is not forwarded because there is no time, from 0 to 1.
    pub shed_ratio: f64,
    /// Which share of the video is forwarded in smaller pictures, or not at all, because there is no time, from 0 to 1.
    pub lowered_ratio: f64,
    /// The core, with all rooms.
    pub sfu: &'a Sfu,
    /// The UDP socket, for its counters and times.
    pub udp: &'a Udp,
    /// The DTLS handshakes and associations.
    pub handshakes: &'a Handshakes,
    /// The embedded TURN server, for its clients and counters.
    pub turn_server: &'a TurnServer,
    /// The TCP connections, for their kinds and counters.
    pub connections: &'a Connections,
    /// The sessions of WHIP and WHEP.
    pub whip: &'a WhipSessions,
    /// The sessions of mediasoup's clients.
    pub mediasoup: &'a MediasoupSessions,
    /// The voice channels of messengers.
    pub voice: &'a Channels,
    /// The traces of recorded rooms.
    pub traces: &'a TraceKeeper,
    /// The audit log.
    pub audit: &'a Audit,
    /// What is kept of what happens in rooms.
    pub ledger: &'a Ledger,
    /// What was counted of requests and messages.
    pub counters: &'a ShellCounters,
}

impl ServerView<'_> {
    /// Returns all calls by where their media goes, those of voice channels among them.
    pub fn calls(&self) -> Calls {
        let mut calls = self.sfu.calls();
        self.voice.count(&mut calls);
        calls
    }

    /// Whether nobody is let in, because the server was told to stop or the operator has ordered it to drain.
    pub fn is_draining(&self) -> bool {
        self.is_stopping || self.sfu.is_draining()
    }
}
