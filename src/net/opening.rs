//! Opening: makes the parts of a server, from the port that it listens on to the core.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use mio::Poll;
use serde_json::{Value, json};
use tracing::warn;

use super::address::{Candidates, unused_network};
use super::audit::{Actor, Audit};
use super::bind::{Bound, UdpBuffers, bind, bind_tcp};
use super::clock;
use super::dtls::Handshakes;
use super::front::Front;
use super::ledger::Ledger;
use super::process::raise_open_files;
use super::shard::Shard;
use super::shell_config::ShellConfig;
use super::shutdown::{ShutdownWatch, StopHandle};
use super::startup::{BoundAddresses, CertificateInfo, CoreSeed};
use super::tcp::connections::Connections;
use super::tls::certificates::{Certificates, Source};
use super::tls::self_signed::SelfSigned;
use super::traces::keeper::TraceKeeper;
use super::turn::TurnServer;
use super::udp::{Udp, UdpOptions};
use super::webhooks::Webhooks;
use crate::access::AuthMode;
use crate::core::input::AdminCommand;
use crate::core::path::TransportProtocol;
use crate::core::{Input, Settings, Sfu};

/// How many open files are kept for everything but clients' connections: sockets, pipes, traces, files that are read.
const FILES_KEPT: usize = 64;

/// The parts of a server that has just opened its port.
pub struct Opened {
    /// Where readiness comes from; all sockets are registered with it.
    pub poll: Poll,
    /// Clients' connections, and the front ends that serve them.
    pub front: Front,
    /// The core and its sockets.
    pub shard: Shard,
    /// The addresses at which clients can reach the server.
    pub candidates: Candidates,
    /// The traces of recorded rooms.
    pub traces: TraceKeeper,
    /// What is kept of what happens in rooms.
    pub ledger: Ledger,
    /// Everything that can ask the server to stop.
    pub shutdown: ShutdownWatch,
    /// The address of the UDP and the TCP port.
    pub bound: SocketAddr,
    /// The address of the port for management, if it has one of its own.
    pub admin: Option<SocketAddr>,
    /// When it was opened.
    pub now: Instant,
}

/// Opens the port and makes the core.
pub fn open(mut config: ShellConfig, settings: impl FnOnce(CoreSeed) -> Settings) -> io::Result<Opened> {
    config.connections_max = affordable(config.connections_max, raise_open_files());
    let poll = Poll::new()?;
    let buffers = UdpBuffers { receive: config.udp_receive_buffer, send: config.udp_send_buffer };
    let Bound { udp, tcp, address: bound } = bind(config.listen, buffers)?;
    let now = clock::now();
    let relayed = config.turn.network;
    let relayed = relayed.unwrap_or_else(|| unused_network(&config.public_addresses, bound));
    let turn_network = config.turn.enabled.then_some(relayed);
    let mut candidates = Candidates::new(config.public_addresses.clone(), bound, turn_network);
    let local_default = default_local(&mut candidates, now, bound);
    let certificates = certificates(&config, &mut candidates, now)?;
    let options = UdpOptions {
        portable: config.force_portable_udp,
        dscp: config.dscp,
        relayed,
        addresses: config.addresses.clone(),
    };
    let udp = Udp::new(udp, bound, options, local_default)?;
    let handshakes = Handshakes::new()?;
    let certificate = handshakes.certificate().to_vec();
    let (patience, port) = (config.handshake_timeout, bound.port());
    let turn_server = TurnServer::new(config.turn.clone(), relayed, patience, port, now)?;
    let mut sfu = Sfu::new(settings(CoreSeed { certificate, epoch: now, epoch_unix: clock::unix() }));
    sfu.tell_happenings();
    for rooms in config.record.iter().flat_map(|record| &record.rooms) {
        sfu.handle_input(now, Input::Admin(AdminCommand::RecordRooms(rooms.clone())));
    }
    let registry = poll.registry();
    let mut shard = Shard::new(sfu, udp, turn_server, handshakes);
    shard.register(registry)?;
    let mut connections = Connections::new(tcp);
    let managed = config.admin_listen.map(bind_tcp).transpose()?;
    let (management, admin) = managed.unzip();
    connections.manage_at(management);
    connections.register(registry)?;
    let shutdown = ShutdownWatch::new(registry, config.handle_signals, config.drain)?;
    let traces = TraceKeeper::new(config.record.as_ref())?;
    let audit = Audit::start(config.audit.as_ref())?;
    audit.note("server-started", &Actor::Server, start_details(&config, bound, admin));
    let ledger = Ledger::new(Webhooks::start(config.webhooks.as_ref())?)?;
    let front = Front::new(config, connections, certificates, audit);
    Ok(Opened { poll, front, shard, candidates, traces, ledger, shutdown, bound, admin, now })
}

/// Returns what the audit log tells of a start: how the server is reached, and whom it lets in.
fn start_details(config: &ShellConfig, bound: SocketAddr, admin: Option<SocketAddr>) -> Value {
    let keys: Vec<&str> = config.gate.keys.iter().map(|key| key.id.as_str()).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "listen": bound.to_string(),
        "adminListen": admin.map(|address| address.to_string()),
        "needsToken": config.gate.mode == AuthMode::Token,
        "keys": keys,
        "adminToken": config.admin_token.is_some(),
        "requireSignature": config.require_signature,
    })
}

/// Returns the addresses that are open.
pub fn bound_addresses(
    candidates: &mut Candidates,
    (bound, admin): (SocketAddr, Option<SocketAddr>),
    certificates: &Certificates,
    stop: StopHandle,
) -> BoundAddresses {
    let now = clock::now();
    let local = default_local(candidates, now, bound);
    // Asked as if for a client behind a proxy, about which nothing is known except that it is on another machine.
    let reachable = candidates.for_client(now, Ipv4Addr::UNSPECIFIED.into(), local, true);
    BoundAddresses {
        listen: bound,
        admin,
        reachable: reachable
            .into_iter()
            .filter(|candidate| candidate.protocol == TransportProtocol::Udp)
            .map(|candidate| candidate.address)
            .collect(),
        is_public: candidates.is_public(now),
        certificate: CertificateInfo {
            is_self_signed: certificates.is_self_signed(),
            fingerprint: certificates.fingerprint().to_owned(),
        },
        stop,
    }
}

/// Returns how many connections there can be within the limit of open files.
fn affordable(connections_max: usize, open_files: Option<u64>) -> usize {
    let files = open_files.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX));
    let affordable = files.saturating_sub(FILES_KEPT).max(1);
    if affordable < connections_max {
        warn!(
            open_files = files,
            connections = affordable,
            "fewer connections than signalling.max_connections fit in the limit of open files; raise it (ulimit -n, or \
             LimitNOFILE= in the unit)"
        );
    }
    connections_max.min(affordable)
}

/// Takes the certificate that the operator chose, or our own.
fn certificates(config: &ShellConfig, candidates: &mut Candidates, now: Instant) -> io::Result<Certificates> {
    let source = match &config.tls_files {
        Some(files) => Source::Files(files.clone()),
        None => Source::SelfSigned(SelfSigned {
            directory: config.data_dir.clone(),
            addresses: candidates.ips(now),
            required: config.public_addresses.clone(),
        }),
    };
    Certificates::new(source, now, clock::unix())
}

/// Returns an address of ours for packets of which the system does not say where they came to.
fn default_local(candidates: &mut Candidates, now: Instant, bound: SocketAddr) -> IpAddr {
    let ip = bound.ip().to_canonical();
    if !ip.is_unspecified() {
        return ip;
    }
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let first = candidates.for_client(now, Ipv4Addr::UNSPECIFIED.into(), loopback, true);
    first.first().map_or(loopback, |candidate| candidate.address.ip())
}
