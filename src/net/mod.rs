//! The impure shell: sockets, clock, entropy. It moves bytes and time, and decides nothing about media or rooms.
//!
//! One thread, one `mio::Poll`, one UDP socket and one TCP listener on the same port number. [`serve`] runs it; what
//! happens in a turn is in `event_loop`. Whatever came from the network can at worst cost the peer its connection:
//! nothing in here unwraps, and every buffer, queue and table has a cap in [`ShellConfig`] or beside it.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "clocks, sockets and entropy live here"
)]

mod address;
mod admin;
mod assets;
mod bind;
mod clock;
mod connection;
mod deadlines;
mod draining;
pub(crate) mod dtls;
mod egress;
mod entropy;
mod event_loop;
mod frame_queue;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod http_connection;
mod ice_tcp;
mod latency;
mod metrics;
mod metrics_page;
mod network;
mod origin;
mod overload;
mod pipe;
mod plain_http;
mod process;
mod recording;
mod relaying;
mod requests;
mod router;
mod self_signed;
mod shell_counters;
mod shutdown;
mod signalling;
mod stream;
mod tcp;
mod tls;
mod token;
mod trace_files;
mod trace_keeper;
mod turn;
mod turn_tcp;
pub mod udp;
pub mod udp_batch;
mod udp_send;
mod whip;
mod whip_sessions;
mod ws;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::signal::native::IceServer;

pub use network::Network;
pub use shutdown::{ExitReason, StopHandle};
pub use tls::TlsFiles;
pub use trace_keeper::RecordConfig;
pub use turn::relayed::RelayedNetwork;
pub use turn::{Authority, TurnConfig};

use crate::core::Settings;

/// What the operator chose, as far as the shell needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellConfig {
    /// Where to listen, UDP and TCP. `[::]` is dual stack, and `0.0.0.0` where there is no IPv6.
    pub listen: SocketAddr,
    /// The addresses under which clients reach us; empty: those of the machine's interfaces.
    pub public_addresses: Vec<IpAddr>,
    /// The certificate and its key; `None`: one that is signed by itself.
    pub tls_files: Option<TlsFiles>,
    /// Where a self-signed certificate is kept; `None`: nowhere.
    pub data_dir: Option<PathBuf>,
    /// Whether clients of other machines are served without TLS.
    pub allow_plain_http: bool,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Pages of other origins that may open the WebSocket, like `https://meet.example.org`; `*`: all.
    pub allowed_origins: Vec<String>,
    /// Largest WebSocket message.
    pub message_bytes_max: usize,
    /// What may wait for a client that does not read.
    pub send_queue_bytes_max: usize,
    /// Most connections of one IPv4 address or IPv6 /64.
    pub connections_per_address_max: usize,
    /// Most connections in all.
    pub connections_max: usize,
    /// How long a connection may take to say what it is, and a request to arrive.
    pub handshake_timeout: Duration,
    /// How long an HTTP connection may be idle, and a WebSocket without anybody joining.
    pub idle_timeout: Duration,
    /// How often a WebSocket is pinged.
    pub websocket_ping_interval: Duration,
    /// After how long without any byte a WebSocket is given up.
    pub websocket_timeout: Duration,
    /// Messages that a client may send in the long run …
    pub messages_per_second: u32,
    /// … and at once.
    pub messages_burst: u32,
    /// Which rooms are recorded, and where; `None`: none.
    pub record: Option<RecordConfig>,
    /// Who may publish and view by WHIP and WHEP: tokens by room, `*` for all that are not listed. A room that has
    /// none is open, as joining is.
    pub whip_tokens: BTreeMap<String, Vec<String>>,
    /// Servers of others that clients are told of, behind our own TURN.
    pub ice_servers: Vec<IceServer>,
    /// The embedded TURN server.
    pub turn: TurnConfig,
    /// Whether everyone may read `/metrics`, or this machine and the holder of the admin token alone.
    pub metrics_public: bool,
    /// How long to go on after the signal, without letting anybody in.
    pub drain: Duration,
    /// What opens `/admin/v1` from elsewhere; `None`: nothing does.
    pub admin_token: Option<String>,
    /// Receive buffer to ask of the kernel.
    pub udp_receive_buffer: usize,
    /// Send buffer to ask of the kernel.
    pub udp_send_buffer: usize,
    /// Plain `recv_from` and `send_to`, one packet per system call.
    pub force_portable_udp: bool,
    /// Whether UDP packets are marked by what they carry (DSCP).
    pub dscp: bool,
    /// Whether SIGINT and SIGTERM end [`serve`]; a test that runs several servers says no.
    pub handle_signals: bool,
}

impl Default for ShellConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 7443)),
            public_addresses: Vec::new(),
            tls_files: None,
            data_dir: None,
            allow_plain_http: false,
            trusted_proxies: Vec::new(),
            allowed_origins: Vec::new(),
            message_bytes_max: 256 * 1024,
            send_queue_bytes_max: 1024 * 1024,
            connections_per_address_max: 64,
            connections_max: 10_000,
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            websocket_ping_interval: Duration::from_secs(10),
            websocket_timeout: Duration::from_secs(30),
            messages_per_second: 50,
            messages_burst: 200,
            record: None,
            whip_tokens: BTreeMap::new(),
            ice_servers: Vec::new(),
            turn: TurnConfig::default(),
            metrics_public: false,
            drain: Duration::ZERO,
            admin_token: None,
            udp_receive_buffer: 4 * 1024 * 1024,
            udp_send_buffer: 4 * 1024 * 1024,
            force_portable_udp: false,
            dscp: true,
            handle_signals: true,
        }
    }
}

/// What the shell adds to the core's [`Settings`].
#[derive(Debug, Clone)]
pub struct CoreSeed {
    /// The process's DTLS certificate, DER.
    pub certificate: Vec<u8>,
    /// A point of the monotonic clock …
    pub epoch: Instant,
    /// … and what the wall clock showed then.
    pub epoch_unix: Duration,
}

/// What is open, once it is.
#[derive(Debug, Clone)]
pub struct BoundAddresses {
    /// What is listened on, UDP and TCP alike.
    pub listen: SocketAddr,
    /// Where clients that are not on this machine reach us.
    pub reachable: Vec<SocketAddr>,
    /// Whether the whole internet can.
    pub is_public: bool,
    /// What shows that it is us.
    pub certificate: CertificateInfo,
    /// Ends [`serve`] from another thread.
    pub stop: StopHandle,
}

/// What a person may want to know of the certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Whether nobody but the server itself has signed it.
    pub is_self_signed: bool,
    /// Its SHA-256, as browsers show it.
    pub fingerprint: String,
}

/// Changes what is logged, or says why not.
pub type SetLogLevel = Box<dyn Fn(&str) -> Result<(), String>>;

/// Listens and serves until a signal or a [`StopHandle`] ends it. Fails only while starting.
pub fn serve(
    config: ShellConfig,
    settings: impl FnOnce(CoreSeed) -> Settings,
    set_log_level: SetLogLevel,
    on_ready: impl FnOnce(&BoundAddresses),
) -> io::Result<ExitReason> {
    let mut event_loop = event_loop::EventLoop::new(config, settings, set_log_level)?;
    on_ready(&event_loop.bound_addresses()?);
    event_loop.run()
}
