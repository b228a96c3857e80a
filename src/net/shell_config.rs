//! What the operator chose, as far as the shell needs to know it. `cli/serve.rs` makes it from the configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::network::Network;
use super::tls::certificates::TlsFiles;
use super::traces::keeper::RecordConfig;
use super::turn::TurnConfig;
use crate::signal::native::IceServer;

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
