//! The operator's settings, as far as the shell needs them. `cli/serve.rs` makes them from the configuration.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::address_filter::AddressFilter;
use super::audit::AuditConfig;
use super::network::Network;
use super::tls::certificates::TlsFiles;
use super::traces::keeper::RecordConfig;
use super::turn::TurnConfig;
use super::webhooks::WebhookConfig;
use crate::access::Gate;
use crate::core::topology::MeshPolicy;
use crate::signal::native::IceServer;
use crate::signal::voice;

/// The operator's settings, as far as the shell needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellConfig {
    /// The address to listen on, UDP and TCP. `[::]` is dual stack, and becomes `0.0.0.0` where there is no IPv6.
    pub listen: SocketAddr,
    /// The addresses under which clients reach us. If empty, the addresses of the machine's interfaces are used.
    pub public_addresses: Vec<IpAddr>,
    /// The certificate and its key. `None` asks for a certificate that the server makes and signs itself.
    pub tls_files: Option<TlsFiles>,
    /// The directory in which a self-signed certificate is kept. `None` means that every start makes a new one.
    pub data_dir: Option<PathBuf>,
    /// Whether clients on other machines are served without TLS.
    pub allow_plain_http: bool,
    /// The reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Vec<Network>,
    /// Which addresses are let in.
    pub addresses: AddressFilter,
    /// The names under which clients reach us, in lower case. If there are none, any will do.
    pub hosts: Vec<String>,
    /// Origins of other sites whose pages may open the WebSocket, such as `https://meet.example.org`. `*` stands for
    /// all.
    pub allowed_origins: Vec<String>,
    /// Size of the largest WebSocket message that is accepted, bytes.
    pub message_bytes_max: usize,
    /// How much may wait for a client that does not read before it is dropped, bytes.
    pub send_queue_bytes_max: usize,
    /// How many connections one IPv4 address or IPv6 /64 may have.
    pub connections_per_address_max: usize,
    /// How many connections there may be in all.
    pub connections_max: usize,
    /// How long a connection may take to say what it is, and a request to arrive.
    pub handshake_timeout: Duration,
    /// How long an HTTP connection may be idle, and a WebSocket may be open without anybody joining.
    pub idle_timeout: Duration,
    /// How often a WebSocket is pinged.
    pub websocket_ping_interval: Duration,
    /// How long a WebSocket may be silent before it is given up.
    pub websocket_timeout: Duration,
    /// How many messages a client may send a second in the long run.
    pub messages_per_second: u32,
    /// How many messages a client may send at once.
    pub messages_burst: u32,
    /// How many offers a second a client may send in the long run; by WHIP and WHEP, an address.
    pub offers_per_second: u32,
    /// How many offers it may send at once.
    pub offers_burst: u32,
    /// How many joins may come from one IPv4 address or IPv6 /64 a second in the long run.
    pub joins_per_second: u32,
    /// How many joins may come from one address at once.
    pub joins_burst: u32,
    /// How many HTTP requests may come from one IPv4 address or IPv6 /64 a second in the long run.
    pub requests_per_second: u32,
    /// How many requests may come from one address at once.
    pub requests_burst: u32,
    /// Which rooms are recorded, and the directory for traces. `None` turns recording off.
    pub record: Option<RecordConfig>,
    /// Who may publish and view by WHIP and WHEP: tokens by room, with `*` for all rooms that are not listed. A room
    /// without a token is open, as joining is.
    pub whip_tokens: BTreeMap<String, Vec<String>>,
    /// Who is told of what happens in rooms; `None` if nobody is.
    pub webhooks: Option<WebhookConfig>,
    /// Who may come in, and what they may do.
    pub gate: Gate,
    /// Whether calls may go straight from person to person, who then see each other's addresses, where a room says nothing else.
    pub mesh: MeshPolicy,
    /// Voice channels that are a mesh while they are small.
    pub voice: voice::Settings,
    /// STUN and TURN servers of others. Clients are told of them after our own TURN server.
    pub ice_servers: Vec<IceServer>,
    /// The embedded TURN server.
    pub turn: TurnConfig,
    /// Whether everyone may read `/metrics`. If not, only this machine and the holder of the admin token may.
    pub metrics_public: bool,
    /// How long calls go on after the signal to stop, while nobody is let in.
    pub drain: Duration,
    /// The token that opens `/admin/v1` to other machines. `None` means that nothing does.
    pub admin_token: Option<String>,
    /// An address of its own for `/admin/v1`, `/metrics` and the probes. `None` serves them where everything is served.
    pub admin_listen: Option<SocketAddr>,
    /// Whether `/api/v1` is served there and nowhere else, if there is such an address.
    pub admin_listen_api: bool,
    /// Whether requests that change something must be signed by one of the gate's keys.
    pub require_signature: bool,
    /// Origins of other sites whose pages may use `/api/v1`, WHIP and WHEP. If there are none, all may use WHIP and WHEP.
    pub cors_origins: Vec<String>,
    /// Where it is written down who did what; `None` if nowhere.
    pub audit: Option<AuditConfig>,
    /// Size of the UDP receive buffer to ask of the kernel, bytes.
    pub udp_receive_buffer: usize,
    /// Size of the UDP send buffer to ask of the kernel, bytes.
    pub udp_send_buffer: usize,
    /// Whether to use plain `recv_from` and `send_to`, with one packet for each system call.
    pub force_portable_udp: bool,
    /// Whether UDP packets are marked by what they carry (DSCP, RFC 8837).
    pub dscp: bool,
    /// Whether SIGINT, SIGTERM and SIGHUP end [`serve`](super::serve). A test that runs several servers says no.
    pub handle_signals: bool,
}
