//! `strait serve`: log, listen, greet, run.

use std::io::{self, IsTerminal, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::warn;

use super::failure::Failure;
use super::log::{self, LogControl};
use crate::access::{AuthMode, Gate};
use crate::config::{self, Config, Loaded, RedundantAudio};
use crate::core::Settings;
use crate::core::event::SlotCounts;
use crate::core::settings::{BandwidthSettings, PACKETS_AT_ONCE, Sharing};
use crate::core::topology::MeshSettings;
use crate::net::{
    self, AddressFilter, AuditConfig, BoundAddresses, CertificateInfo, CoreSeed, RecordConfig, ShellConfig,
    TlsFiles, TurnConfig, WebhookConfig,
};
use crate::signal::voice;

/// Serves until told to stop. `own_directory` is where data is kept if the configuration does not say.
pub(super) fn serve(loaded: &Loaded, own_directory: Option<PathBuf>) -> Result<(), Failure> {
    let config = &loaded.config;
    let shell = shell_config(config, own_directory)?;
    let log = log::start(&config.log).map_err(|error| Failure::other(format!("cannot log: {error}")))?;
    for note in &loaded.notes {
        warn!("{note}");
    }
    let needs_token = shell.gate.mode == AuthMode::Token;
    run_shell(config, shell, &log, |bound| {
        let stdout = io::stdout();
        let bold = stdout.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let _ = (&stdout).write_all(
            greeting(bound.listen, &bound.reachable, &bound.certificate, (needs_token, bold)).as_bytes(),
        );
    })
}

/// The core's settings, of the operator's choice and of what the shell has made for this run.
pub fn core_settings(
    config: &Config,
    certificate: Vec<u8>,
    epoch: Instant,
    epoch_unix: Duration,
) -> Settings {
    let Config { rooms, signalling, media, mesh, .. } = config;
    Settings {
        rooms_max: rooms.max_rooms,
        known_rooms: rooms.made.rooms().clone(),
        participants_per_room_max: rooms.max_participants,
        participants_per_address_max: match signalling.max_participants_per_address {
            0 => signalling.max_connections_per_address.saturating_mul(2),
            count => count,
        },
        tracks_per_participant_max: rooms.max_tracks_per_participant,
        slots: SlotCounts { audio: media.audio_slots, video: media.video_slots },
        redundancy: media.redundancy == RedundantAudio::Auto,
        data_channels: media.data_channels,
        sharing: Sharing {
            speakers: media.speakers,
            speaker_slots: media.speaker_slots,
            last_n: Some(media.last_n).filter(|last_n| *last_n > 0),
        },
        bandwidth: BandwidthSettings {
            initial: media.initial_outgoing_bitrate as u64,
            minimum: media.min_outgoing_bitrate as u64,
            policy: media.layer_policy,
        },
        mesh: mesh_settings(mesh),
        slots_max: SlotCounts { audio: media.max_audio_slots, video: media.max_video_slots },
        video_start_kbps: u32::try_from(media.video_start_kbps).ok().filter(|kbps| *kbps > 0),
        empty_timeout: rooms.empty_timeout,
        resume_timeout: signalling.resume_timeout,
        media_timeout: media.media_timeout,
        packets_at_once: PACKETS_AT_ONCE,
        certificate,
        epoch,
        epoch_unix,
    }
}

/// Who may come in, by the operator's choice.
pub(super) fn gate(config: &Config) -> Result<Gate, Failure> {
    let keys = config.auth.keys.reveal().to_vec();
    if config.auth.mode == AuthMode::Token && keys.is_empty() {
        return Err(Failure::usage(
            "auth.mode is \"token\", and auth.keys has no key that could have signed one: `strait keys create` makes one",
        ));
    }
    Ok(Gate { mode: config.auth.mode, keys, auto_create: config.rooms.auto_create })
}

/// Who is told of what happens in rooms, by the operator's choice.
fn webhooks(config: &Config) -> Result<Option<WebhookConfig>, Failure> {
    let config::Webhooks { urls, key, ca_file, timeout, retry_for, max_queue } = &config.webhooks;
    if urls.is_empty() {
        return Ok(None);
    }
    let mut keys = config.auth.keys.reveal().iter();
    let found =
        if key.as_str().is_empty() { keys.next() } else { keys.find(|other| other.id == key.as_str()) };
    let key = found.cloned().ok_or_else(|| {
        Failure::usage(
            "webhooks.urls names receivers, and auth.keys has no key to sign what they are told, or not the one of \
             webhooks.key: `strait keys create` makes one",
        )
    })?;
    let (ca_file, timeout, retry_for) = (ca_file.clone(), *timeout, *retry_for);
    Ok(Some(WebhookConfig { urls: urls.clone(), key, ca_file, timeout, retry_for, queue_max: *max_queue }))
}

/// The files of the operator's own certificate, if there are any.
fn tls_files(tls: &config::Tls) -> Result<Option<TlsFiles>, Failure> {
    match (tls.cert.clone(), tls.key.clone()) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Failure::usage("tls.cert needs tls.key: set --tls-key too")),
        (None, Some(_)) => Err(Failure::usage("tls.key needs tls.cert: set --tls-cert too")),
    }
}

/// The shell's settings, of the operator's choice.
fn shell_config(config: &Config, own_directory: Option<PathBuf>) -> Result<ShellConfig, Failure> {
    let Config { server, tls, signalling, media, whip, turn, ice, metrics, record, admin, .. } = config;
    if admin.require_signature && config.auth.keys.reveal().is_empty() {
        return Err(Failure::usage(
            "admin.require_signature is true, and auth.keys has no key to sign with: `strait keys create` makes one",
        ));
    }
    // The ranges of both keys are far below.
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Ok(ShellConfig {
        listen: server.listen,
        public_addresses: server.public_addresses.clone(),
        tls_files: tls_files(tls)?,
        data_dir: server.data_dir.clone().or(own_directory),
        allow_plain_http: tls.allow_plain_http,
        trusted_proxies: server.trusted_proxies.clone(),
        addresses: AddressFilter { allow: server.allow.clone(), deny: server.deny.clone() },
        hosts: server.hosts.iter().map(|host| host.as_str().to_owned()).collect(),
        allowed_origins: signalling.allowed_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
        message_bytes_max: signalling.max_message_bytes,
        send_queue_bytes_max: signalling.max_queue_bytes,
        connections_per_address_max: signalling.max_connections_per_address,
        connections_max: signalling.max_connections,
        handshake_timeout: signalling.handshake_timeout,
        idle_timeout: signalling.idle_timeout,
        websocket_ping_interval: signalling.ping_interval,
        websocket_timeout: signalling.idle_timeout,
        messages_per_second: small(signalling.messages_per_second),
        messages_burst: small(signalling.message_burst),
        offers_per_second: small(signalling.offers_per_second),
        offers_burst: small(signalling.offer_burst),
        joins_per_second: small(signalling.joins_per_second),
        joins_burst: small(signalling.join_burst),
        requests_per_second: small(signalling.requests_per_second),
        requests_burst: small(signalling.request_burst),
        record: record.dir.clone().map(|directory| RecordConfig {
            directory,
            rooms: record.rooms.clone(),
            recipient: record.recipient.clone(),
            trace_bytes_max: record.max_bytes as u64,
            total_bytes_max: record.max_total_bytes as u64,
            queue_bytes_max: record.max_queue_bytes,
        }),
        whip_tokens: whip.tokens.reveal().clone(),
        webhooks: webhooks(config)?,
        gate: gate(config)?,
        mesh: config.mesh.mode,
        voice: voice_settings(config),
        ice_servers: ice.servers.reveal().to_vec(),
        turn: turn_config(turn),
        metrics_public: metrics.public,
        drain: server.drain,
        admin_token: admin.token.as_ref().map(|token| token.reveal().to_owned()),
        admin_listen: admin.listen,
        admin_listen_api: admin.listen_api,
        require_signature: admin.require_signature,
        cors_origins: config.http.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
        audit: config.audit.file.clone().map(|file| AuditConfig {
            file,
            bytes_max: config.audit.max_bytes as u64,
            keep: config.audit.keep,
        }),
        udp_receive_buffer: media.udp_receive_buffer,
        udp_send_buffer: media.udp_send_buffer,
        force_portable_udp: media.portable_udp,
        dscp: media.dscp,
        handle_signals: true,
    })
}

/// What is set for voice channels, by the operator's choice.
fn voice_settings(config: &Config) -> voice::Settings {
    let made = config.rooms.made.rooms().iter();
    voice::Settings {
        mesh: mesh_settings(&config.mesh),
        policies: made.filter_map(|(room, change)| Some((room.clone(), change.mesh?))).collect(),
        channels_max: config.rooms.max_rooms,
        members_max: config.rooms.max_participants,
        sfu_url: config.mesh.sfu_url.as_str().to_owned(),
    }
}

/// When calls go straight, by the operator's choice.
fn mesh_settings(mesh: &config::Mesh) -> MeshSettings {
    MeshSettings {
        policy: mesh.mode,
        up: mesh.up,
        down: mesh.down,
        warm: mesh.warm,
        strategy: mesh.strategy,
        sizing: mesh.policy,
        // Its range ends at 100.
        load_percent: u8::try_from(mesh.load_percent).unwrap_or(100),
        load_max: mesh.load_max,
        timeout: mesh.timeout,
        resend: mesh.resend,
        reset: mesh.reset,
        cooldown: mesh.cooldown,
        max: mesh.max,
        connect: mesh.connect,
    }
}

/// The TURN server's settings, of the operator's choice.
fn turn_config(turn: &config::Turn) -> TurnConfig {
    TurnConfig {
        enabled: turn.enabled,
        host: turn.host.clone(),
        credential_lifetime: turn.credential_lifetime,
        allocations_max: turn.max_allocations,
        allocations_per_participant_max: turn.max_allocations_per_participant,
        permissions_max: turn.max_permissions,
        channels_max: turn.max_channels,
        bits_per_second_max: turn.max_bits_per_second,
        network: None,
        echo_peer: None,
    }
}

/// The product's defaults, as the configuration has them: there is no second list of them.
impl Default for ShellConfig {
    fn default() -> Self {
        shell_config(&Config::default(), None).expect("the defaults name neither half of a certificate")
    }
}

/// The product's defaults, as the configuration has them.
impl Default for TurnConfig {
    fn default() -> Self {
        turn_config(&Config::default().turn)
    }
}

/// Runs the shell, and calls `ready` with what is open once clients can come.
fn run_shell(
    config: &Config,
    shell: ShellConfig,
    log: &LogControl,
    ready: impl FnOnce(&BoundAddresses),
) -> Result<(), Failure> {
    let settings = |seed: CoreSeed| core_settings(config, seed.certificate, seed.epoch, seed.epoch_unix);
    let log = log.clone();
    let set_log_level = Box::new(move |filter: &str| log.set(filter));
    net::serve(shell, settings, set_log_level, ready)
        .map(|_| ())
        .map_err(|error| Failure::of_listening(config.server.listen, &error))
}

/// What is printed when clients can come.
fn greeting(
    listen: SocketAddr,
    reachable: &[SocketAddr],
    certificate: &CertificateInfo,
    (needs_token, bold): (bool, bool),
) -> String {
    let (on, off) = if bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let port = listen.port();
    let ip = listen.ip().to_canonical();
    let mut text = format!("\n  {on}Strait {}{off}\n\n", env!("CARGO_PKG_VERSION"));
    // The name for the addresses that it stands for; other loopback addresses for themselves.
    if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST {
        text += &format!("  Open {on}http://localhost:{port}{off}\n");
    } else if ip.is_loopback() {
        text += &format!("  Open {on}http://{}{off}\n", SocketAddr::new(ip, port));
    }
    if !ip.is_loopback() {
        // The first is the likeliest, and a list of all would hide it.
        if let Some(address) = reachable.iter().find(|address| !address.ip().is_loopback()) {
            text += &format!("  From other devices {on}https://{address}{off}\n");
        }
        text += "\n";
        text += &certificate_lines(certificate);
        text += &if needs_token {
            "  Whoever has a token can join: strait token create makes one.\n".to_owned()
        } else {
            format!("  {on}Anyone who can reach port {port} can join: there is no authentication.{off}\n")
        };
    } else {
        text += "\n";
    }
    text + "  Press Ctrl-C to stop.\n\n"
}

/// What a person must know about the certificate.
fn certificate_lines(certificate: &CertificateInfo) -> String {
    let fingerprint = &certificate.fingerprint;
    if !certificate.is_self_signed {
        return format!("  The certificate's SHA-256 fingerprint is\n  {fingerprint}\n\n");
    }
    format!(
        "  The certificate is self-signed: browsers cannot know that it is this server's, and warn.\n  \
         Compare the SHA-256 fingerprint before going on:\n  {fingerprint}\n  \
         With a certificate that browsers trust (--tls-cert, --tls-key) there is no warning,\n  \
         and calls get through networks that let nothing but TLS pass.\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting_of(local: &str, is_self_signed: bool, bold: bool) -> String {
        let listen: SocketAddr = local.parse().expect("an address");
        let reachable = if listen.ip().is_unspecified() { "192.0.2.7" } else { "" };
        let reachable = SocketAddr::new(reachable.parse().unwrap_or(listen.ip()), listen.port());
        greeting(
            listen,
            &[reachable],
            &CertificateInfo { is_self_signed, fingerprint: "AB:CD".into() },
            (false, bold),
        )
    }

    #[test]
    fn the_greeting_names_addresses_that_can_be_opened() {
        let greeting = greeting_of("[::]:7443", true, false);
        assert!(greeting.contains("http://localhost:7443\n"), "{greeting}");
        assert!(greeting.contains("https://192.0.2.7:7443\n"), "{greeting}");
        assert!(greeting_of("127.0.0.1:80", true, false).contains("http://localhost:80\n"));
        assert!(greeting_of("127.0.0.2:80", true, false).contains("http://127.0.0.2:80\n"));
        assert!(!greeting_of("127.0.0.2:80", true, false).contains("https"));
        let greeting = greeting_of("192.0.2.1:8080", true, false);
        assert!(greeting.contains("https://192.0.2.1:8080\n") && !greeting.contains("http://"), "{greeting}");
        assert!(greeting_of("[2001:db8::1]:8080", true, false).contains("https://[2001:db8::1]:8080\n"));
    }

    #[test]
    fn a_self_signed_certificate_is_said_to_be_one() {
        let own = greeting_of("[::]:7443", true, false);
        assert!(own.contains("self-signed") && own.contains("AB:CD"), "{own}");
        let given = greeting_of("[::]:7443", false, false);
        assert!(!given.contains("self-signed") && given.contains("AB:CD"), "{given}");
        assert!(!greeting_of("127.0.0.1:7443", true, false).contains("AB:CD"));
    }

    #[test]
    fn who_is_reachable_from_elsewhere_is_warned_in_bold() {
        let warning = "Anyone who can reach port 7443 can join";
        assert!(greeting_of("0.0.0.0:7443", true, false).contains(warning));
        assert!(!greeting_of("[::1]:7443", true, false).contains(warning));
        assert!(!greeting_of("127.0.0.2:7443", true, false).contains(warning));
        let bold = greeting_of("[::]:7443", true, true);
        assert!(bold.contains(&format!("\x1b[1m{warning}: there is no authentication.\x1b[0m")));
    }
}
