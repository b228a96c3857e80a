//! `strait serve`: log, listen, greet, run.

use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::failure::Failure;
use super::log::{self, LogControl};
use crate::config::Config;
use crate::core::Settings;
use crate::core::event::SlotCounts;
use crate::net::{self, CoreSeed, ShellConfig};

/// Serves until told to stop.
pub(super) fn serve(config: &Config) -> Result<(), Failure> {
    let log = log::start(&config.log).map_err(|error| Failure::other(format!("cannot log: {error}")))?;
    run_shell(config, &log, |local| {
        let stdout = io::stdout();
        let bold = stdout.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let _ = (&stdout).write_all(greeting(local, bold).as_bytes());
    })
}

/// The core's settings, of the operator's choice and of what the shell has made for this run.
pub fn core_settings(
    config: &Config,
    certificate: Vec<u8>,
    epoch: Instant,
    epoch_unix: Duration,
) -> Settings {
    let Config { rooms, signalling, media, .. } = config;
    Settings {
        rooms_max: rooms.max_rooms,
        participants_per_room_max: rooms.max_participants,
        tracks_per_participant_max: rooms.max_tracks_per_participant,
        slots: SlotCounts { audio: media.audio_slots, video: media.video_slots },
        slots_max: SlotCounts { audio: media.max_audio_slots, video: media.max_video_slots },
        empty_timeout: rooms.empty_timeout,
        resume_timeout: signalling.resume_timeout,
        media_timeout: media.media_timeout,
        certificate,
        epoch,
        epoch_unix,
    }
}

/// The shell's settings, of the operator's choice.
fn shell_config(config: &Config) -> ShellConfig {
    let Config { server, signalling, media, whip, metrics, admin, .. } = config;
    // The ranges of both keys are far below.
    let small = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    ShellConfig {
        listen: server.listen,
        public_addresses: server.public_addresses.clone(),
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
        whip_tokens: whip.tokens.reveal().clone(),
        metrics_public: metrics.public,
        drain: server.drain,
        admin_token: admin.token.as_ref().map(|token| token.reveal().to_owned()),
        udp_receive_buffer: media.udp_receive_buffer,
        udp_send_buffer: media.udp_send_buffer,
        force_portable_udp: media.portable_udp,
        handle_signals: true,
    }
}

/// Runs the shell, and calls `ready` with the address in use once clients can come.
fn run_shell(config: &Config, log: &LogControl, ready: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
    let settings = |seed: CoreSeed| core_settings(config, seed.certificate, seed.epoch, seed.epoch_unix);
    let log = log.clone();
    let set_log_level = Box::new(move |filter: &str| log.set(filter));
    net::serve(shell_config(config), settings, set_log_level, |bound| ready(bound.listen))
        .map(|_| ())
        .map_err(|error| Failure::of_listening(config.server.listen, &error))
}

/// What is printed when clients can come.
fn greeting(local: SocketAddr, bold: bool) -> String {
    let (on, off) = if bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let port = local.port();
    let ip = local.ip().to_canonical();
    // The name for the addresses that it stands for; every other address for itself.
    let localhost = ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST || ip == Ipv6Addr::LOCALHOST;
    let host = match ip {
        _ if localhost => "localhost".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let mut text = format!("\n  {on}Strait {}{off}\n\n", env!("CARGO_PKG_VERSION"));
    text += &format!("  Open {on}http://{host}:{port}{off}\n\n");
    if ip.is_unspecified() {
        text += "  On this computer camera and microphone work at once. Browsers on other devices\n  \
                 allow them over HTTPS only.\n";
    } else if !ip.is_loopback() {
        text += "  Browsers allow camera and microphone on this address over HTTPS only.\n";
    }
    if !ip.is_loopback() {
        text +=
            &format!("  {on}Anyone who can reach port {port} can join: there is no authentication.{off}\n");
    }
    text + "  Press Ctrl-C to stop.\n\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting_of(local: &str) -> String {
        greeting(local.parse().expect("an address"), false)
    }

    #[test]
    fn the_greeting_names_an_address_that_can_be_opened() {
        assert!(greeting_of("[::]:7443").contains("http://localhost:7443\n"));
        assert!(greeting_of("127.0.0.1:80").contains("http://localhost:80\n"));
        assert!(greeting_of("127.0.0.2:80").contains("http://127.0.0.2:80\n"));
        assert!(greeting_of("192.0.2.1:8080").contains("http://192.0.2.1:8080\n"));
        assert!(greeting_of("[2001:db8::1]:8080").contains("http://[2001:db8::1]:8080\n"));
    }

    #[test]
    fn who_is_reachable_from_elsewhere_is_warned_in_bold() {
        let warning = "Anyone who can reach port 7443 can join";
        assert!(greeting_of("0.0.0.0:7443").contains(warning));
        assert!(!greeting_of("[::1]:7443").contains(warning));
        assert!(!greeting_of("127.0.0.2:7443").contains(warning));
        let bold = greeting("[::]:7443".parse().expect("an address"), true);
        assert!(bold.contains(&format!("\x1b[1m{warning}: there is no authentication.\x1b[0m")));
    }
}
