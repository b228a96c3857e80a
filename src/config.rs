//! What the operator chose: every section and key of the configuration, its type, default and allowed range, in
//! one table. Reading files, variables and flags ([`load()`]), `strait config` ([`show`](Loaded::show)) and the
//! test of `docs/configuration.md` all walk that table.
//!
//! Values are checked here once; whoever receives a [`Config`] need not doubt them.

mod auth_keys;
mod ice_servers;
mod livekit;
mod load;
mod loaded;
mod made_rooms;
mod record;
mod setting;
mod show;
#[cfg(test)]
mod tests;
mod tokens;
mod webhooks;
mod yaml;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use auth_keys::AuthKeys;
pub use ice_servers::IceServers;
pub use load::{Flag, Sources, is_meant_for_us, load};
pub use loaded::{ConfigError, Loaded, Origin};
pub use made_rooms::MadeRooms;
pub use setting::{HostName, LogFilter, LogFormat, RedundantAudio, Secret, ServerUrl, WebOrigin};
use setting::{Raw, Rule, Setting};
pub use tokens::RoomTokens;
pub use webhooks::KeyId;

use crate::access::AuthMode;
use crate::core::room_pattern::RoomPattern;
use crate::core::settings::LayerPolicy;
use crate::core::topology::{MeshPolicy, Sizing, Strategy};
use crate::net::{Authority, Network, WebhookUrl};
use crate::trace::Recipient;

/// One line of the table.
#[derive(Debug)]
pub struct Key {
    /// The section that the key stands in.
    pub section: &'static str,
    /// The key's name within its section.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub help: &'static str,
    rule: Rule,
    secret: bool,
    expected: fn(&Rule) -> String,
    read: fn(&mut Config, &Raw, &Rule) -> Option<()>,
    show: fn(&Config) -> String,
}

impl Key {
    /// `section.key`, as messages name it.
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("STRAIT_{}_{}", self.section.to_uppercase(), self.name.to_uppercase())
    }

    /// The values that it takes, in words.
    pub fn expected(&self) -> String {
        (self.expected)(&self.rule)
    }

    /// Its value in `config`, as TOML; a secret's is hidden.
    pub fn value(&self, config: &Config) -> String {
        (self.show)(config)
    }
}

/// Declares the sections as structs, the defaults, and the table, from one list. A line is
/// `key: type = default, rule;` with its help as doc comment.
macro_rules! sections {
    ($($(#[doc = $section_help:literal])+ $section:ident: $Section:ident {
        $($(#[doc = $help:literal])+ $key:ident: $type:ty = $default:expr, $rule:expr;)+
    })+) => {
        $(
            $(#[doc = $section_help])+
            #[derive(Debug, Clone, PartialEq, Eq)]
            pub struct $Section {
                $($(#[doc = $help])+ pub $key: $type,)+
            }
        )+

        /// What the operator chose, checked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            $($(#[doc = $section_help])+ pub $section: $Section,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($section: $Section { $($key: $default,)+ },)+ }
            }
        }

        /// Every key, in the order of `docs/configuration.md`.
        pub static KEYS: &[Key] = &[$($(Key {
            section: stringify!($section),
            name: stringify!($key),
            help: concat!($($help),+),
            rule: $rule,
            secret: <$type as Setting>::SECRET,
            expected: <$type as Setting>::expected,
            read: |config, raw, rule| {
                config.$section.$key = Setting::read(raw, rule)?;
                Some(())
            },
            show: |config| config.$section.$key.show(),
        },)+)+];
    };
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const DAY: f64 = 86_400.0;

sections! {
    /// Where the server is reached.
    server: Server {
        /// The address and port to listen on, UDP and TCP alike.
        listen: SocketAddr = SocketAddr::from(([0_u16; 8], 7443)), Rule::Any;
        /// The addresses at which clients reach this machine, if they are not those of its own interfaces.
        public_addresses: Vec<IpAddr> = Vec::new(), Rule::Any;
        /// Reverse proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        trusted_proxies: Vec<Network> = Vec::new(), Rule::Any;
        /// Networks from which clients are let in, besides this machine. Empty: all.
        allow: Vec<Network> = Vec::new(), Rule::Any;
        /// Networks from which nobody is let in.
        deny: Vec<Network> = Vec::new(), Rule::Any;
        /// The names under which clients reach the server. Web pages that come by another name are refused; IP addresses and
        /// `localhost` always do. Empty: any name will do, except from this machine without a proxy.
        hosts: Vec<HostName> = Vec::new(), Rule::Any;
        /// The directory for what outlives a run. Empty: `$XDG_DATA_HOME/strait`, or else `~/.local/share/strait`.
        data_dir: Option<PathBuf> = None, Rule::Any;
        /// How long the server goes on after it was told to stop, without letting anybody in.
        drain: Duration = Duration::ZERO, Rule::Seconds(0.0, DAY);
    }
    /// The certificate, and what is served without one.
    tls: Tls {
        /// The certificate chain, a PEM file, read again when it changes. Empty: the server makes its own.
        cert: Option<PathBuf> = None, Rule::Any;
        /// The private key to it, a PEM file.
        key: Option<PathBuf> = None, Rule::Any;
        /// Serve other machines without TLS too. Browsers give camera and microphone to HTTPS pages alone.
        allow_plain_http: bool = false, Rule::Any;
    }
    /// How large rooms grow and how long they live.
    rooms: Rooms {
        /// Most rooms at a time.
        max_rooms: usize = 1000, Rule::Count(1, 1_000_000);
        /// Most participants in a room.
        max_participants: usize = 200, Rule::Count(1, 10_000);
        /// Most tracks that one participant publishes.
        max_tracks_per_participant: usize = 16, Rule::Count(1, 32);
        /// How long a room outlives its last participant. 0: not at all.
        empty_timeout: Duration = Duration::from_secs(300), Rule::Seconds(0.0, 7.0 * DAY);
        /// Whether whoever joins a room that is not there makes it. Otherwise only tokens with `roomCreate` do.
        auto_create: bool = true, Rule::Any;
        /// Rooms that can be joined whatever auto_create says, and what is set for each, whoever comes first.
        made: MadeRooms = MadeRooms::default(), Rule::Any;
    }
    /// Who may come in.
    auth: Auth {
        /// Everybody (`open`), or whoever has a token (`token`) that one of the keys has signed.
        mode: AuthMode = AuthMode::Open, Rule::Any;
        /// The keys that sign tokens: an id and a secret each, which `strait keys create` makes. The one that is written
        /// first signs the tokens by which the server replaces those that run out.
        keys: AuthKeys = AuthKeys::default(), Rule::Any;
    }
    /// WebSocket connections: who may open them, and how much each may cost.
    signalling: Signalling {
        /// Web pages of other hosts that may connect, besides the server's own page. `*`: all.
        allowed_origins: Vec<WebOrigin> = Vec::new(), Rule::Any;
        /// Largest message of a client, in bytes.
        max_message_bytes: usize = 256 * KIB, Rule::Count(64 * KIB, 4 * MIB);
        /// How much may wait for a client that does not read before it is dropped, in bytes.
        max_queue_bytes: usize = MIB, Rule::Count(64 * KIB, 64 * MIB);
        /// Most TCP connections at a time.
        max_connections: usize = 10_000, Rule::Count(1, 1_000_000);
        /// Most TCP connections from one IPv4 address or IPv6 /64 network, loopback included.
        max_connections_per_address: usize = 64, Rule::Count(1, 1_000_000);
        /// Most participants from one IPv4 address or IPv6 /64 network, over all rooms, with those who may still come back.
        /// 0: twice max_connections_per_address.
        max_participants_per_address: usize = 0, Rule::Count(0, 1_000_000);
        /// How long a connection may take until it is known for what it is, and each request to arrive.
        handshake_timeout: Duration = Duration::from_secs(10), Rule::Seconds(0.1, 300.0);
        /// After how long in silence a connection is closed, and a WebSocket counts as lost.
        idle_timeout: Duration = Duration::from_secs(30), Rule::Seconds(0.2, DAY);
        /// How often a quiet WebSocket is pinged. Less than idle_timeout.
        ping_interval: Duration = Duration::from_secs(10), Rule::Seconds(0.1, DAY);
        /// For how long a participant whose WebSocket broke can come back.
        resume_timeout: Duration = Duration::from_secs(30), Rule::Seconds(0.0, 3600.0);
        /// How many messages a second a client may send, over a longer time.
        messages_per_second: usize = 50, Rule::Count(1, 10_000);
        /// How many it may send at once.
        message_burst: usize = 200, Rule::Count(1, 100_000);
        /// How many offers a second a client may send, over a longer time; by WHIP and WHEP, an address.
        offers_per_second: usize = 5, Rule::Count(1, 10_000);
        /// How many offers it may send at once.
        offer_burst: usize = 50, Rule::Count(1, 100_000);
        /// How many joins a second may come from one IPv4 address or IPv6 /64 network, or by one identity, over a longer
        /// time, and how many resumes from one address.
        joins_per_second: usize = 10, Rule::Count(1, 10_000);
        /// How many joins may come from one address, or by one identity, at once, and how many resumes.
        join_burst: usize = 200, Rule::Count(1, 100_000);
        /// How many HTTP requests a second may come from one IPv4 address or IPv6 /64 network, over a longer time.
        requests_per_second: usize = 500, Rule::Count(1, 1_000_000);
        /// How many requests may come from one address at once.
        request_burst: usize = 10_000, Rule::Count(1, 1_000_000);
    }
    /// Audio and video: slots, timeouts and sockets.
    media: Media {
        /// Receiving audio sections that a client offers at first. Not more than max_audio_slots.
        audio_slots: usize = 4, Rule::Count(1, 64);
        /// Receiving video sections that a client offers at first. Not more than max_video_slots.
        video_slots: usize = 4, Rule::Count(0, 64);
        /// Most receiving audio sections of a client. Further ones in its offers are answered inactive.
        max_audio_slots: usize = 32, Rule::Count(1, 64);
        /// Most receiving video sections of a client. Further ones in its offers are answered inactive.
        max_video_slots: usize = 32, Rule::Count(0, 64);
        /// In rooms with more microphones than max_audio_slots: how many of those who speak at once are heard.
        speakers: usize = 5, Rule::Count(1, 64);
        /// How many slots they share there with those who spoke last. Not less than speakers.
        speaker_slots: usize = 8, Rule::Count(1, 64);
        /// Most cameras that a client is shown, of those who spoke last. 0: as many as it has slots.
        last_n: usize = 0, Rule::Count(0, 64);
        /// Audio with copies of what was sent before it (RED) for clients who lose much and take it: `auto`, or `off`.
        redundancy: RedundantAudio = RedundantAudio::Auto, Rule::Any;
        /// Whether clients may have data channels. Without them messages go by signalling, and may have 16 KiB.
        data_channels: bool = true, Rule::Any;
        /// What a viewer's network is believed to carry before anything is known of it, in bit/s.
        initial_outgoing_bitrate: usize = 1_000_000, Rule::Count(10_000, 100_000_000);
        /// What it is believed to carry at least, in bit/s, until delay or loss shows that it carries less. 0: nothing.
        min_outgoing_bitrate: usize = 600_000, Rule::Count(0, 100_000_000);
        /// How layers of video are chosen: the estimate is divided by what they cost (`allocation`), or decides by two
        /// thresholds, alone (`thresholds`) or with the loss (`loss-thresholds`), or viewers' wishes alone do (`wishes`).
        layer_policy: LayerPolicy = LayerPolicy::Allocation, Rule::Any;
        /// The rate in kbit/s at which publishers are asked to begin sending video. 0: they decide.
        video_start_kbps: usize = 0, Rule::Count(0, 100_000);
        /// Who has lost the signalling connection and sent nothing for this long is removed before `resume_timeout`.
        media_timeout: Duration = Duration::from_secs(15), Rule::Seconds(1.0, 3600.0);
        /// The UDP socket's receive buffer, in bytes; the system may grant less.
        udp_receive_buffer: usize = 4 * MIB, Rule::Count(64 * KIB, 1024 * MIB);
        /// The UDP socket's send buffer, in bytes; the system may grant less.
        udp_send_buffer: usize = 4 * MIB, Rule::Count(64 * KIB, 1024 * MIB);
        /// Send and receive one datagram per system call, for systems where batching misbehaves.
        portable_udp: bool = false, Rule::Any;
        /// Mark UDP packets for routers that prefer calls (DSCP): audio as EF, video as AF41. Linux only.
        dscp: bool = true, Rule::Any;
    }
    /// Calls whose media goes straight from one person to the other while they are small. People are shown each other's IP
    /// addresses then.
    mesh: Mesh {
        /// Whether calls go straight: never (`off`), while they are small (`auto`), or always if all clients can (`always`).
        /// A room's own options come before it.
        mode: MeshPolicy = MeshPolicy::Off, Rule::Any;
        /// With so many people a call moves to the server.
        up: usize = 8, Rule::Count(2, 25);
        /// With so many it moves back; with the strategy `opportunistic`, with fewer. Less than up.
        down: usize = 5, Rule::Count(0, 24);
        /// With so many people in a call that goes straight, clients may get their connections to the server ready. Where nothing
        /// is set, 5 by the policy `load`.
        warm: usize = 6, Rule::Count(1, 25);
        /// How clients move: they break the old path and make the new one (`hard`), make the new one beside the old one
        /// (`gradual`), or keep a connection to the server all the time (`opportunistic`).
        strategy: Strategy = Strategy::Gradual, Rule::Any;
        /// What a move to the server is decided by: how many are there (`count`), or, from up to load_max people, how much
        /// a client has to do (`load`).
        policy: Sizing = Sizing::Count, Rule::Any;
        /// By `load`: a client that uses more of its processor or uplink than that makes the call move, in percent.
        load_percent: usize = 70, Rule::Count(1, 100);
        /// By `load`: with more people a call moves to the server in any case.
        load_max: usize = 10, Rule::Count(2, 25);
        /// How long a move may take before it is undone. On bad networks 10 are better.
        timeout: Duration = Duration::from_secs(5), Rule::Seconds(0.5, 30.0);
        /// After how long a client is told again that has not said that it has moved.
        resend: Duration = Duration::from_secs(3), Rule::Seconds(0.1, 30.0);
        /// After how long a move ends with whatever strategy.
        reset: Duration = Duration::from_secs(30), Rule::Seconds(1.0, 300.0);
        /// How long it is after a move until the next one for the size of the call; after failures, longer and longer.
        cooldown: Duration = Duration::from_secs(5), Rule::Seconds(0.0, 3600.0);
        /// Most people in a room whose mode is `always`.
        max: usize = 25, Rule::Count(2, 25);
        /// How long two clients may take to find a direct path before the call moves to the server.
        connect: Duration = Duration::from_secs(5), Rule::Seconds(0.5, 60.0);
        /// The address that members of voice channels are given for the server. Empty: the one by which they came.
        sfu_url: ServerUrl = ServerUrl::default(), Rule::Any;
    }
    /// Publishing and viewing over plain HTTP requests, by WHIP and WHEP.
    whip: Whip {
        /// Which bearer tokens open which rooms. A room without any is open, as joining is.
        tokens: RoomTokens = RoomTokens::default(), Rule::Any;
    }
    /// The embedded TURN server, for clients that get through by nothing else.
    turn: Turn {
        /// Whether there is one, and clients are told of it.
        enabled: bool = true, Rule::Any;
        /// The name or address at which clients find it, if it is not the one by which they found the server. With a port
        /// where that differs too.
        host: Option<Authority> = None, Rule::Any;
        /// How long credentials open new allocations. Running ones go on.
        credential_lifetime: Duration = Duration::from_secs(12 * 3600), Rule::Seconds(1.0, 30.0 * DAY);
        /// Most allocations at a time.
        max_allocations: usize = 10_000, Rule::Count(1, 500_000);
        /// Most allocations of one participant. A browser makes several: per network interface, and again when ICE restarts.
        max_allocations_per_participant: usize = 16, Rule::Count(1, 10_000);
        /// Most addresses to which one allocation may relay. All are the server's own.
        max_permissions: usize = 16, Rule::Count(1, 1000);
        /// Most channels of one allocation.
        max_channels: usize = 16, Rule::Count(1, 1000);
        /// Most bits a second of one participant, each way, over all of their allocations.
        max_bits_per_second: usize = 100_000_000, Rule::Count(64_000, 100_000_000_000);
    }
    /// STUN and TURN servers of others, for clients that need them.
    ice: Ice {
        /// Servers that clients are told of, behind the embedded one: a `stun:` or `turn:` URL each, and for TURN a user
        /// name and a password behind it.
        servers: IceServers = IceServers::default(), Rule::Any;
    }
    /// Figures for Prometheus, at `/metrics`.
    metrics: Metrics {
        /// Whether everyone may read them. Otherwise only this machine, and whoever has the admin token.
        public: bool = false, Rule::Any;
    }
    /// Traces of rooms, which can be replayed. They contain media and keys.
    record: Record {
        /// The directory for traces, which is made if needed. Empty: nothing is recorded.
        dir: Option<PathBuf> = None, Rule::Any;
        /// The rooms that are recorded, from their first moment on.
        rooms: Vec<RoomPattern> = "*".parse().into_iter().collect(), Rule::Any;
        /// The public key that traces are encrypted to. Empty: they are not encrypted.
        recipient: Option<Recipient> = None, Rule::Any;
        /// Largest trace, in bytes. It ends there, and the call goes on.
        max_bytes: usize = 1024 * MIB, Rule::Count(64 * KIB, 1024 * 1024 * MIB);
        /// Most bytes of all traces in the directory together. Traces that would go beyond end, or are not begun.
        max_total_bytes: usize = 64 * 1024 * MIB, Rule::Count(64 * KIB, 1024 * 1024 * MIB);
        /// How much may wait for the disk before traces end early, in bytes.
        max_queue_bytes: usize = 64 * MIB, Rule::Count(64 * KIB, 16 * 1024 * MIB);
    }
    /// Who is told by HTTP requests of what happens in rooms.
    webhooks: Webhooks {
        /// The addresses that are told, each of everything.
        urls: Vec<WebhookUrl> = Vec::new(), Rule::Any;
        /// The key that signs what they are told. Empty: the first of auth.keys.
        key: KeyId = KeyId::default(), Rule::Any;
        /// The certificate authorities of receivers with https, a PEM file. Empty: the system's.
        ca_file: Option<PathBuf> = None, Rule::Any;
        /// How long a receiver may take to answer.
        timeout: Duration = Duration::from_secs(5), Rule::Seconds(0.1, 60.0);
        /// For how long what a receiver does not take is tried again, less and less often. 0: not at all.
        retry_for: Duration = Duration::from_secs(300), Rule::Seconds(0.0, DAY);
        /// How many events may wait for one receiver. What comes then is dropped.
        max_queue: usize = 1000, Rule::Count(1, 1_000_000);
    }
    /// The administration interface under `/admin/v1`.
    admin: Admin {
        /// What `Authorization: Bearer` must carry for administration from elsewhere than this machine. Empty: only
        /// from this machine.
        token: Option<Secret> = None, Rule::Any;
        /// An address and a port of their own for `/admin/v1`, `/metrics`, `/dashboard` and the probes, over TCP. They are not
        /// served at server.listen then, but for the probes. Empty: none.
        listen: Option<SocketAddr> = None, Rule::Any;
        /// Whether `/api/v1` is served there, too, and no longer at server.listen.
        listen_api: bool = false, Rule::Any;
        /// Whether requests of `/admin/v1` and `/api/v1` that change something must be signed by a key of auth.keys.
        require_signature: bool = false, Rule::Any;
    }
    /// What web pages may use.
    http: Http {
        /// Web pages of other hosts that may use `/api/v1`, the calls of apps on mediasoup, WHIP and WHEP. Empty: WHIP and WHEP
        /// all, the others none.
        cors_origins: Vec<WebOrigin> = Vec::new(), Rule::Any;
    }
    /// Who did what to the server and the people on it, in a file of its own.
    audit: Audit {
        /// The file, one JSON object a line. Empty: none.
        file: Option<PathBuf> = None, Rule::Any;
        /// The size at which the file makes way for a new one, in bytes.
        max_bytes: usize = 10 * MIB, Rule::Count(64 * KIB, 1024 * MIB);
        /// How many old files are kept.
        keep: usize = 10, Rule::Count(1, 1000);
    }
    /// What is logged, to standard error.
    log: Log {
        /// How much: a level, then, if wanted, levels for single modules. Of str0m, is and dimpl, errors only unless named.
        level: LogFilter = LogFilter::info(), Rule::Any;
        /// Lines for people, or JSON for machines.
        format: LogFormat = LogFormat::Text, Rule::Any;
    }
}

// The largest offer that the configuration can make necessary must pass.
const _: () = assert!(64 + 64 + 32 <= crate::limits::SDP_SECTIONS_MAX);
