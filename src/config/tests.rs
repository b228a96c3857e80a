//! The configuration: every key by every way, every mistake, and `docs/configuration.md` against the table.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A file that is gone after the test.
#[derive(Debug)]
pub(super) struct TemporaryFile(pub PathBuf);

impl TemporaryFile {
    fn new(text: &str) -> Self {
        Self::named("toml", text)
    }

    /// Makes a file whose name ends in that way.
    pub(super) fn named(extension: &str, text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("strait-config-{}-{count}.{extension}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("a temporary file");
        Self(path)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn from_file(text: &str) -> Result<Loaded, String> {
    let file = TemporaryFile::new(text);
    let loaded = load(&Sources { file: Some(file.0.clone()), ..Sources::default() });
    loaded.map_err(|error| error.0.replace(&file.0.display().to_string(), "FILE"))
}

fn from_variable(name: &str, value: &str) -> Result<Loaded, String> {
    let variables = vec![(name.to_owned(), value.to_owned())];
    load(&Sources { variables, ..Sources::default() }).map_err(|error| error.0)
}

#[test]
fn nothing_given_means_the_defaults() {
    let loaded = load(&Sources::default()).expect("the defaults are valid");
    assert_eq!(loaded.config, Config::default());
    assert!(KEYS.iter().all(|key| *loaded.origin(&key.path()) == Origin::Default));
}

#[test]
fn the_key_that_is_written_first_signs() {
    let secret = "0123456789abcdef0123456789abcdef";
    let listed = |text: &str| {
        let loaded = from_file(text).expect("keys");
        loaded.config.auth.keys.reveal().iter().map(|key| key.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        listed(&format!("[auth.keys]\nzeta = \"{secret}\"\nalpha = \"{secret}\"\n")),
        ["zeta", "alpha"]
    );
    let inline = format!("[auth]\nkeys = {{ team = \"{secret}\", new = \"{secret}\" }}\n");
    assert_eq!(listed(&inline), ["team", "new"]);
}

#[test]
fn every_default_is_allowed_by_its_own_key() {
    for key in KEYS.iter().filter(|key| !key.secret) {
        let text = format!("[{}]\n{} = {}\n", key.section, key.name, key.value(&Config::default()));
        let loaded = from_file(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(loaded.config, Config::default(), "{}", key.path());
        assert!(matches!(loaded.origin(&key.path()), Origin::File(_, 2)));
    }
}

/// Somebody's public key.
const RECIPIENT: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

#[test]
fn every_key_can_be_set_by_file_and_by_variable() {
    for (path, toml, text) in [
        ("server.listen", "\"127.0.0.1:1\"", "127.0.0.1:1"),
        ("server.public_addresses", "[\"192.0.2.1\", \"2001:db8::1\"]", "192.0.2.1, 2001:db8::1"),
        ("server.data_dir", "\"/var/lib/strait\"", "/var/lib/strait"),
        ("server.trusted_proxies", "[\"127.0.0.1\", \"10.0.0.0/8\"]", "127.0.0.1,10.0.0.0/8"),
        ("server.allow", "[\"10.0.0.0/8\", \"2001:db8::/32\"]", "10.0.0.0/8,2001:db8::/32"),
        ("server.deny", "[\"192.0.2.1\"]", "192.0.2.1"),
        ("server.hosts", "[\"Call.example.org\"]", "call.example.org"),
        ("tls.cert", "\"/etc/strait/cert.pem\"", "/etc/strait/cert.pem"),
        ("tls.key", "\"/etc/strait/key.pem\"", "/etc/strait/key.pem"),
        ("tls.allow_plain_http", "true", "true"),
        ("server.drain", "2.5", "2.5"),
        ("rooms.max_rooms", "1_0", "10"),
        ("rooms.max_participants", "0x10", "16"),
        ("rooms.max_tracks_per_participant", "2", "2"),
        ("rooms.empty_timeout", "0", "0"),
        ("rooms.auto_create", "false", "false"),
        ("rooms.made", "{ standup = {}, \"team.1\" = {} }", "standup, team.1"),
        (
            "webhooks.urls",
            "[\"https://a.example/x\", \"http://127.0.0.1:1/\"]",
            "https://a.example/x,http://127.0.0.1:1/",
        ),
        ("admin.listen", "\"127.0.0.1:1\"", "127.0.0.1:1"),
        ("admin.listen_api", "true", "true"),
        ("admin.require_signature", "true", "true"),
        ("http.cors_origins", "[\"https://a.example\"]", "https://a.example"),
        ("audit.file", "\"/var/log/strait/audit.log\"", "/var/log/strait/audit.log"),
        ("audit.max_bytes", "65536", "65536"),
        ("audit.keep", "3", "3"),
        ("webhooks.key", "\"team\"", "team"),
        ("webhooks.ca_file", "\"/etc/ssl/own.pem\"", "/etc/ssl/own.pem"),
        ("webhooks.timeout", "2", "2"),
        ("webhooks.retry_for", "60.5", "60.5"),
        ("webhooks.max_queue", "10", "10"),
        ("auth.mode", "\"token\"", "token"),
        (
            "auth.keys",
            "{ team = \"0123456789abcdef0123456789abcdef\" }",
            "team: 0123456789abcdef0123456789abcdef",
        ),
        ("signalling.allowed_origins", "[\"https://Example.org\"]", "https://example.org"),
        ("signalling.max_message_bytes", "65536", "65536"),
        ("signalling.max_queue_bytes", "2097152", "2097152"),
        ("signalling.max_connections", "7", "7"),
        ("signalling.max_connections_per_address", "7", "7"),
        ("signalling.max_participants_per_address", "7", "7"),
        ("signalling.handshake_timeout", "0.5", "0.5"),
        ("signalling.idle_timeout", "60", "60"),
        ("signalling.ping_interval", "1.25", "1.25"),
        ("signalling.resume_timeout", "5", "5"),
        ("signalling.messages_per_second", "5", "5"),
        ("signalling.message_burst", "5", "5"),
        ("signalling.offers_per_second", "7", "7"),
        ("signalling.offer_burst", "5", "5"),
        ("signalling.joins_per_second", "5", "5"),
        ("signalling.join_burst", "5", "5"),
        ("signalling.requests_per_second", "5", "5"),
        ("signalling.request_burst", "5", "5"),
        ("mesh.mode", "\"auto\"", "auto"),
        ("mesh.up", "7", "7"),
        ("mesh.down", "3", "3"),
        ("mesh.warm", "5", "5"),
        ("mesh.strategy", "\"hard\"", "hard"),
        ("mesh.policy", "\"load\"", "load"),
        ("mesh.load_percent", "80", "80"),
        ("mesh.load_max", "12", "12"),
        ("mesh.timeout", "10", "10"),
        ("mesh.resend", "2.5", "2.5"),
        ("mesh.reset", "20", "20"),
        ("mesh.cooldown", "0", "0"),
        ("mesh.max", "10", "10"),
        ("mesh.connect", "8", "8"),
        ("mesh.sfu_url", "\"wss://sfu.example.org\"", "wss://sfu.example.org"),
        ("media.audio_slots", "1", "1"),
        ("media.video_slots", "0", "0"),
        ("media.max_audio_slots", "8", "8"),
        ("media.max_video_slots", "8", "8"),
        ("media.speakers", "3", "3"),
        ("media.speaker_slots", "6", "6"),
        ("media.last_n", "9", "9"),
        ("media.redundancy", "\"off\"", "off"),
        ("media.initial_outgoing_bitrate", "300000", "300000"),
        ("media.min_outgoing_bitrate", "0", "0"),
        ("media.layer_policy", "\"loss-thresholds\"", "loss-thresholds"),
        ("media.video_start_kbps", "800", "800"),
        ("media.media_timeout", "5", "5"),
        ("media.udp_receive_buffer", "65536", "65536"),
        ("media.udp_send_buffer", "65536", "65536"),
        ("media.portable_udp", "true", "true"),
        ("media.dscp", "false", "false"),
        ("media.data_channels", "false", "false"),
        (
            "whip.tokens",
            "{ studio = [\"0123456789abcdef\", \"fedcba9876543210\"], \"*\" = [\"0123456789ABCDEF\"] }",
            "studio=0123456789abcdef,studio=fedcba9876543210, *=0123456789ABCDEF",
        ),
        (
            "ice.servers",
            "[\"stun:stun.example.org\", \"turn:turn.example.org:3478?transport=tcp anna secret\"]",
            "stun:stun.example.org, turn:turn.example.org:3478?transport=tcp anna secret",
        ),
        ("turn.enabled", "false", "false"),
        ("turn.host", "\"[2001:db8::7]:443\"", "[2001:db8::7]:443"),
        ("turn.credential_lifetime", "3600", "3600"),
        ("turn.max_allocations", "5", "5"),
        ("turn.max_allocations_per_participant", "5", "5"),
        ("turn.max_permissions", "5", "5"),
        ("turn.max_channels", "5", "5"),
        ("turn.max_bits_per_second", "1000000", "1000000"),
        ("metrics.public", "true", "true"),
        ("record.dir", "\"/var/traces\"", "/var/traces"),
        ("record.rooms", "[\"team-*\", \"standup\"]", "team-*, standup"),
        ("record.recipient", &format!("\"{RECIPIENT}\""), RECIPIENT),
        ("record.max_bytes", "65536", "65536"),
        ("record.max_total_bytes", "65536", "65536"),
        ("record.max_queue_bytes", "65536", "65536"),
        ("admin.token", "\"0123456789abcdef\"", "0123456789abcdef"),
        ("log.level", "\"warn,strait=debug\"", "warn,strait=debug"),
        ("log.format", "\"json\"", "json"),
    ] {
        let key = KEYS.iter().find(|key| key.path() == path).expect(path);
        let filed = from_file(&format!("[{}]\n{} = {toml}\n", key.section, key.name)).expect(path);
        let set = from_variable(&key.variable(), text).expect(path);
        assert_eq!(filed.config, set.config, "{path}");
        assert_ne!(filed.config, Config::default(), "{path}");
        assert_eq!(*set.origin(path), Origin::Variable(key.variable()));
        let others = KEYS.iter().filter(|other| other.path() != path);
        assert!(others.into_iter().all(|other| *set.origin(&other.path()) == Origin::Default), "{path}");
    }
    assert_eq!(KEYS.len(), 103, "a new key needs a line above");
}

#[test]
fn a_flag_goes_before_a_variable_before_the_file() {
    let file =
        TemporaryFile::new("[server]\nlisten = \"[::]:1\"\n[rooms]\nmax_rooms = 1\nmax_participants = 1\n");
    let variables = [("STRAIT_SERVER_LISTEN", "[::]:2"), ("STRAIT_ROOMS_MAX_ROOMS", "2"), ("PATH", "x")];
    let sources = Sources {
        file: Some(file.0.clone()),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        flags: vec![Flag { flag: "--listen", key: "server.listen", value: "[::]:3".to_owned() }],
    };
    let loaded = load(&sources).expect("valid sources");
    assert_eq!(loaded.config.server.listen.port(), 3);
    assert_eq!(*loaded.origin("server.listen"), Origin::Flag("--listen"));
    assert_eq!(loaded.config.rooms.max_rooms, 2);
    assert_eq!(*loaded.origin("rooms.max_rooms"), Origin::Variable("STRAIT_ROOMS_MAX_ROOMS".to_owned()));
    assert_eq!(loaded.config.rooms.max_participants, 1);
    assert_eq!(*loaded.origin("rooms.max_participants"), Origin::File(file.0.clone(), 5));
}

#[test]
fn every_mistake_in_a_file_is_one_line_that_names_it() {
    for (text, words) in [
        ("[rooms]\nmax_room = 1", "FILE:2: there is no key max_room in [rooms]; did you mean max_rooms?"),
        ("[rooms]\ncolour = 1", "FILE:2: there is no key colour in [rooms]; known are max_rooms, "),
        ("[rooms]\nlisten = 1", "FILE:2: there is no key listen in [rooms]; it belongs under [server]"),
        ("[room]\n", "FILE:1: there is no section [room]; did you mean rooms?"),
        ("[network]\n", "FILE:1: there is no section [network]; known are server, tls, rooms, "),
        ("max_rooms = 1", "FILE:1: max_rooms belongs under [rooms]"),
        ("rooms = 1", "FILE:1: rooms is a section; write [rooms]"),
        (
            "[rooms]\n\nmax_rooms = 0",
            "FILE:3: rooms.max_rooms must be a whole number from 1 to 1000000, not 0",
        ),
        ("[rooms]\nmax_rooms = \"10\"", "a whole number from 1 to 1000000, not \"10\""),
        ("[rooms]\nmax_rooms = 1.0", "a whole number"),
        ("[rooms]\nmax_rooms = 99999999999999999999", "FILE:2: "),
        ("[rooms]\nempty_timeout = nan", "rooms.empty_timeout must be seconds, from 0 to 604800, not NaN"),
        ("[rooms]\nempty_timeout = -1", "not -1"),
        (
            "[rooms.made.standup]\nmax_participant = 5",
            "rooms.made must be a table of rooms, each with any of max_p",
        ),
        ("[rooms.made]\nstandup = { codecs = [\"theora\"] }", "rooms.made must be a table of rooms"),
        ("[rooms.made]\nstandup = { codecs = [] }", "rooms.made must be a table of rooms"),
        ("[rooms.made]\n\"a room\" = {}", "rooms.made must be a table of rooms"),
        (
            "[rooms.made.standup]\nrecord = \"always\"",
            "rooms.made.standup.record is \"always\", and there is no place for traces; set record.dir",
        ),
        ("[rooms]\nempty_timeout = true", "not true"),
        ("[rooms]\nempty_timeout = 1979-05-27", "not a date"),
        ("[server]\nlisten = \"7443\"", "server.listen must be an IP address and a port"),
        ("[server]\nlisten = 7443", "such as \"[::]:7443\""),
        ("[server]\npublic_addresses = \"192.0.2.1\"", "must be a list of IP addresses"),
        ("[server]\npublic_addresses = [\"example.org\"]", "not [\"example.org\"]"),
        ("[server]\npublic_addresses = [\"0.0.0.0\"]", "must be a list of IP addresses"),
        ("[server]\ntrusted_proxies = [\"10.0.0.0/33\"]", "must be a list of IP addresses and networks"),
        ("[signalling]\nallowed_origins = [\"https://a.org/\"]", "origins without a path"),
        ("[signalling]\nallowed_origins = [\"a.org\"]", "origins without a path"),
        ("[media]\nportable_udp = 1", "true or false, not 1"),
        ("[log]\nlevel = \"inof\"", "log.level must be off, error, warn"),
        ("[log]\nlevel = \"info,strait=loud\"", "log.level must be off, error, warn"),
        ("[log]\nformat = \"xml\"", "\"text\" or \"json\", not \"xml\""),
        ("[admin]\ntoken = \"hunter2\"", "admin.token must be at least 16 letters"),
        ("[whip]\ntokens = { studio = [\"hunter2\"] }", "whip.tokens must be a table of rooms"),
        ("[whip]\ntokens = { \"a room\" = [\"0123456789abcdef\"] }", "whip.tokens must be a table of rooms"),
        ("[whip]\ntokens = { studio = [] }", "whip.tokens must be a table of rooms"),
        ("[whip]\ntokens = [\"hunter2\"]", "not what was given"),
        ("[ice]\nservers = [\"turn:turn.example.org\"]", "ice.servers must be a list of servers"),
        ("[rooms\n", "FILE:1: this is not TOML"),
        ("[rooms]\nmax_rooms = 1\nmax_rooms = 2", "FILE:3: this is not TOML: duplicate key"),
        (
            "[media]\naudio_slots = 33",
            "media.audio_slots (33, FILE:2) is too large for media.max_audio_slots (32, default)",
        ),
        ("[media]\nvideo_slots = 33", "media.video_slots (33"),
        ("[signalling]\nping_interval = 30", "signalling.ping_interval (30"),
        (
            "[signalling]\nmax_queue_bytes = 65536",
            "signalling.max_message_bytes (262144, default) is too large",
        ),
    ] {
        let error = from_file(text).expect_err(text);
        assert!(error.contains(words), "{text:?}: {error}");
        assert!(!error.contains('\n'), "{text:?}: {error}");
        assert!(!error.contains("hunter2"), "a secret was shown");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let sources = Sources { file: Some("/nowhere/strait.toml".into()), ..Sources::default() };
    let error = load(&sources).expect_err("no such file").0;
    assert!(error.starts_with("cannot read the configuration file /nowhere/strait.toml: "), "{error}");
}

#[test]
fn a_variable_that_sets_nothing_is_refused_if_it_was_meant_for_us() {
    for (name, words) in [
        ("STRAIT_ROOMS_MAX_ROOM", "did you mean STRAIT_ROOMS_MAX_ROOMS?"),
        ("STRAIT_ROOM_MAX_ROOMS", "did you mean STRAIT_ROOMS_MAX_ROOMS?"),
        ("STRAIT_LOG_COLOUR_OF_LINES", "known are STRAIT_LOG_LEVEL, STRAIT_LOG_FORMAT"),
    ] {
        let error = from_variable(name, "1").expect_err(name);
        assert!(error.contains(name) && error.contains(words), "{error}");
    }
    for name in ["STRAIT_PORT", "STRAIT_SERVICE_HOST", "STRAIT_PORT_7443_TCP", "STRAITS_ROOMS_MAX_ROOMS"] {
        assert!(from_variable(name, "1").is_ok(), "{name}");
    }
    let error = from_variable("STRAIT_LOG_FORMAT", "xml").expect_err("no such format");
    assert_eq!(error, "STRAIT_LOG_FORMAT must be \"text\" or \"json\", not \"xml\"");
}

#[test]
fn what_is_shown_is_a_file_with_the_same_meaning() {
    let made = "[rooms.made.standup]\nmax_participants = 20\nempty_timeout = 60\nmetadata = \"a \\\"talk\\\"\"\nlocked = true\n\
                waiting_room = false\nprivate = true\nrecord = \"never\"\ncodecs = [\"opus\", \"VP8\"]\n[rooms.made.team]\n";
    let text = "[server]\nlisten = \"127.0.0.1:9\"\npublic_addresses = [\"192.0.2.1\"]\n[rooms]\nempty_timeout = 1.5\n\
                [signalling]\nallowed_origins = [\"*\"]\n[log]\nlevel = \"warn,strait::net=debug\"\nformat = \"json\"\n";
    let loaded = from_file(&format!("{text}{made}")).expect("a valid file");
    let again = from_file(&loaded.show()).expect("what is shown is valid");
    assert_eq!(again.config, loaded.config);
}

#[test]
fn a_secret_is_never_shown() {
    let secret = "correct-horse-battery";
    let loaded = from_variable("STRAIT_ADMIN_TOKEN", secret).expect("a valid token");
    assert_eq!(loaded.config.admin.token.as_ref().map(Secret::reveal), Some(secret));
    assert!(!loaded.show().contains(secret) && !format!("{loaded:?}").contains(secret));
    assert!(loaded.show().contains("# token is set  "));
    assert!(load(&Sources::default()).expect("defaults").show().contains("# token is not set  "));
}

#[test]
fn an_origin_is_kept_as_browsers_write_it() {
    let given = "https://Example.org:443, http://a.b:80, https://a.b:8443, http://[2001:db8::1]:80, *";
    let loaded = from_variable("STRAIT_SIGNALLING_ALLOWED_ORIGINS", given).expect("valid origins");
    let kept: Vec<_> = loaded.config.signalling.allowed_origins.iter().map(WebOrigin::as_str).collect();
    assert_eq!(kept, ["https://example.org", "http://a.b", "https://a.b:8443", "http://[2001:db8::1]", "*"]);
}

#[test]
fn the_document_lists_every_key_as_the_table_has_it() {
    let document = include_str!("../../docs/configuration.md");
    let mut rest = document;
    let mut section = "";
    for key in KEYS {
        if key.section != section {
            section = key.section;
            let heading = format!("\n## [{section}]\n");
            rest = rest
                .split_once(&heading)
                .unwrap_or_else(|| panic!("no section {heading:?}, or not in order"))
                .1;
        }
        let default = if key.secret { "\"\"".to_owned() } else { key.value(&Config::default()) };
        let row = format!("| `{}` | `{default}` | {} | {} |\n", key.name, key.expected(), key.help.trim());
        rest = rest.split_once(&row).unwrap_or_else(|| panic!("missing, or not in order:\n{row}")).1;
    }
    let rows = document.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, KEYS.len(), "the document has rows for keys that do not exist");
}

#[test]
fn by_load_the_server_stands_by_from_five_on_unless_something_else_is_set() {
    let warm = |set: &[(&str, &str)]| {
        let variables = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Sources { variables, ..Sources::default() }).expect("a configuration").config.mesh.warm
    };
    let by_load = ("STRAIT_MESH_POLICY", "load");
    assert_eq!(warm(&[]), 6);
    assert_eq!(warm(&[by_load]), 5);
    assert_eq!(warm(&[by_load, ("STRAIT_MESH_WARM", "6")]), 6);
}

#[test]
fn names_of_other_software_count_where_ours_are_not_set() {
    let variables = |set: &[(&str, &str)]| {
        let variables = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Sources { variables, ..Sources::default() })
    };
    let theirs =
        [("SFU_DISABLE_THRESHOLD", "3"), ("SFU_ENABLE_THRESHOLD", "6"), ("TRANSITION_STRATEGY", "hard")];
    let loaded = variables(&theirs).expect("a configuration");
    assert_eq!((loaded.config.mesh.up, loaded.config.mesh.down), (6, 3));
    assert_eq!(loaded.config.mesh.strategy, Strategy::Hard);
    assert_eq!(loaded.origin("mesh.up").to_string(), "variable SFU_ENABLE_THRESHOLD");
    let both = variables(&[theirs[1], ("STRAIT_MESH_UP", "9")]).expect("a configuration");
    assert_eq!(both.config.mesh.up, 9, "ours come first");
    let wrong = variables(&[("SFU_ENABLE_THRESHOLD", "many")]).expect_err("no number");
    assert!(wrong.0.starts_with("SFU_ENABLE_THRESHOLD must be a whole number"), "{wrong}");
    let inverted = variables(&[("SFU_ENABLE_THRESHOLD", "4")]).expect_err("5 is not less than 4");
    assert!(inverted.0.contains("mesh.down") && inverted.0.contains("mesh.up"), "{inverted}");
}
