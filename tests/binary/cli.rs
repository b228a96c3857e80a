//! The binary as a person meets it: help, configuration, start-up, mistakes and exit codes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::{Value, json};
use tungstenite::Message;

use super::program::{Serving, strait};
use super::server::connect;

/// What a run of the program left behind.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let output = strait(arguments).envs(variables.iter().copied()).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs it, and expects one line of error and exit code 2.
fn refused(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let ran = run(arguments, variables);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}: {ran:?}");
    assert!(ran.stderr.starts_with("error: "), "{arguments:?}: {ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{arguments:?}: {ran:?}");
    ran.stderr
}

/// A file that is gone after the test.
#[derive(Debug)]
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("strait-cli-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).expect("a temporary file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a UTF-8 path")
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Asks for help, and expects nothing but help that fits a screen of a hundred characters.
fn help(arguments: &[&str]) -> String {
    let ran = run(arguments, &[]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 100), "{}", ran.stdout);
    ran.stdout
}

/// The flags that a text of help lists at the beginning of a line.
fn flags(help: &str) -> Vec<String> {
    let lines = help
        .lines()
        .map(str::trim_start)
        .map(|line| line.trim_start_matches("-h, ").trim_start_matches("-V, "));
    let flags = lines.filter(|line| line.starts_with("--"));
    flags.filter_map(|line| line.split([' ', ',']).next().map(str::to_owned)).collect()
}

const SERVE_FLAGS: [&str; 9] = [
    "--listen",
    "--public-address",
    "--tls-cert",
    "--tls-key",
    "--record",
    "--record-rooms",
    "--record-to",
    "--drain",
    "--config",
];

#[test]
fn help_and_version_are_fine() {
    for arguments in [&["--help"][..], &["-h"], &["serve", "--help"], &["serve", "-h"], &["config", "--help"]]
    {
        let help = help(arguments);
        let flags = flags(&help);
        let of_serve: Vec<&String> =
            flags.iter().filter(|flag| !["--help", "--version"].contains(&flag.as_str())).collect();
        assert_eq!(of_serve, SERVE_FLAGS, "{arguments:?}: {help}");
        for words in [
            "--listen <ADDR:PORT>",
            "--public-address <IP>",
            "Network:",
            "Certificate:",
            "Recording:",
            "Operation:",
        ] {
            assert!(help.contains(words), "{arguments:?}: {help}");
        }
    }
    let overview = help(&["--help"]);
    assert!(overview.contains("Examples:") && overview.contains("STRAIT_<SECTION>_<KEY>"), "{overview}");
    let version = run(&["--version"], &[]);
    assert_eq!(version.stdout, format!("strait {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_program_carries_the_licences_of_what_is_in_it() {
    let said = run(&["licences"], &[]).stdout;
    assert_eq!(said, include_str!("../../docs/NOTICE"));
    assert!(said.contains("rustls ") && said.contains("Permission is hereby granted"));
}

#[test]
fn the_help_of_serve_tells_every_setting() {
    for command in ["serve", "config"] {
        let help = help(&[command, "--help"]);
        for setting in [
            "STRAIT_SERVER_LISTEN [default: \"[::]:7443\"]",
            "STRAIT_ROOMS_MAX_ROOMS [default: 1000]",
            "STRAIT_LOG_FORMAT [default: \"text\"]",
        ] {
            assert!(help.contains(setting), "{command}: no {setting} in {help}");
        }
        assert!(!run(&[command, "-h"], &[]).stdout.contains("STRAIT_ROOMS_MAX_ROOMS"));
    }
    assert!(help(&["serve", "--help"]).contains("Exit codes:"));
}

#[test]
fn every_subcommand_lists_what_it_takes_and_nothing_else() {
    for (arguments, own, headings) in [
        (
            &["load"][..],
            &["--url", "--rooms", "--profile", "--duration", "--json"][..],
            &["People:", "Media:"][..],
        ),
        (&["sim"], &["--seeds", "--seed", "--cut", "--jobs", "--shrink"], &["Worlds:", "Playing:"]),
        (&["replay"], &["--until", "--pcap", "--media", "--log"], &["What to replay:", "What to write:"]),
        (&["explain"], &["--participant", "--at", "--json", "--html"], &["What to tell:", "Form:"]),
        (&["stats"], &["--url", "--watch", "--token-file"], &[]),
        (&["trace", "strip"], &["--anonymous", "--identity"], &[]),
        (&["trace", "keygen"], &[], &[]),
        (&["trace"], &[], &[]),
    ] {
        for how in ["-h", "--help"] {
            let help = help(&[arguments, &[how]].concat());
            let flags = flags(&help);
            for flag in own {
                assert!(flags.iter().any(|listed| listed == flag), "{arguments:?}: no {flag} in {help}");
            }
            let foreign = flags.iter().find(|listed| SERVE_FLAGS.contains(&listed.as_str()));
            assert_eq!(foreign, None, "{arguments:?}: {help}");
            for heading in headings {
                assert!(help.contains(heading), "{arguments:?}: no {heading} in {help}");
            }
        }
    }
}

#[test]
fn a_flag_in_the_wrong_place_is_one_line_that_says_where_it_belongs() {
    for (arguments, words) in [
        (
            &["--listen", "127.0.0.1:1", "serve"][..],
            "--listen stands before the subcommand; write it behind: strait serve --listen",
        ),
        (&["--config", "/nowhere.toml", "config"], "write it behind: strait config --config"),
        (&["--listen", "127.0.0.1:1", "sim"], "--listen is a flag of strait serve; leave it out"),
        (
            &["sim", "--listen", "127.0.0.1:1"],
            "--listen is a flag of strait serve and strait config, which strait sim does not take",
        ),
        (&["load", "--record", "/traces"], "strait load --help lists what it takes"),
        (&["trace", "strip", "A", "B", "--tls-key", "x"], "which strait trace does not take"),
        (&["serve", "--rooms", "2"], "--rooms is a flag of strait load, which strait serve does not take"),
        (&["--seeds", "0..5"], "--seeds is a flag of strait sim, which strait does not take"),
    ] {
        let error = refused(arguments, &[]);
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[test]
fn config_says_where_each_value_comes_from() {
    let file = TemporaryFile::new(
        "origins",
        "[rooms]\nmax_rooms = 5\nmax_participants = 6\n[log]\nlevel = \"warn\"\n",
    );
    let variables = [
        ("STRAIT_ROOMS_MAX_ROOMS", "7"),
        ("STRAIT_SERVER_LISTEN", "[::]:1"),
        ("STRAIT_ADMIN_TOKEN", "0123456789abcdef"),
    ];
    let ran = run(&["config", "--config", file.path(), "--listen", "127.0.0.1:2"], &variables);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let line = |key: &str| {
        let line =
            ran.stdout.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("no {key}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("listen"), "listen = \"127.0.0.1:2\" # flag --listen");
    assert_eq!(line("max_rooms"), "max_rooms = 7 # variable STRAIT_ROOMS_MAX_ROOMS");
    assert_eq!(line("max_participants"), format!("max_participants = 6 # {}:3", file.path()));
    assert_eq!(line("level"), format!("level = \"warn\" # {}:5", file.path()));
    assert_eq!(line("empty_timeout"), "empty_timeout = 300 # default");
    assert_eq!(line("# token "), "# token is set # variable STRAIT_ADMIN_TOKEN");
    assert!(!ran.stdout.contains("0123456789abcdef"));
}

#[test]
fn a_flag_that_may_be_repeated_makes_a_list() {
    let said =
        run(&["config", "--public-address", "192.0.2.1", "--public-address", "2001:db8::1"], &[]).stdout;
    assert!(said.contains("public_addresses = [\"192.0.2.1\", \"2001:db8::1\"]"), "{said}");
}

#[test]
fn what_is_recorded_and_for_whom_is_set_by_flags() {
    let key = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let rooms = ["--record-rooms", "team-*", "--record-rooms", "demo"];
    let words = [&["config", "--record", "/var/traces"], &rooms[..], &["--record-to", key]].concat();
    let said = run(&words, &[]).stdout;
    for (flag, line) in [
        ("--record", "dir = \"/var/traces\"".to_owned()),
        ("--record-rooms", "rooms = [\"team-*\", \"demo\"]".to_owned()),
        ("--record-to", format!("recipient = \"{key}\"")),
    ] {
        let is_it = |found: &str| found.starts_with(&line) && found.ends_with(&format!("# flag {flag}"));
        assert!(said.lines().any(is_it), "no {line} in {said}");
    }
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let file = TemporaryFile::new("named", "[rooms]\nmax_rooms = 5\n");
    let ran = run(&["config"], &[("STRAIT_CONFIG", file.path())]);
    assert!(ran.stdout.contains("max_rooms = 5"), "{}", ran.stdout);
    let other = TemporaryFile::new("other", "[rooms]\nmax_rooms = 6\n");
    let ran = run(&["config", "--config", other.path()], &[("STRAIT_CONFIG", file.path())]);
    assert!(ran.stdout.contains("max_rooms = 6"), "{}", ran.stdout);
}

#[test]
fn what_config_prints_can_be_used_as_a_file() {
    let printed = run(&["config", "--listen", "127.0.0.1:2"], &[]).stdout;
    let file = TemporaryFile::new("printed", &printed);
    let again = run(&["config", "--config", file.path()], &[]).stdout;
    let values = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split("  #").next().unwrap_or_default().trim_end().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&printed));
}

#[test]
fn every_mistake_is_one_line_and_exit_code_2() {
    let unknown = TemporaryFile::new("unknown", "[rooms]\nmax_room = 5\n");
    let broken = TemporaryFile::new("broken", "[rooms\n");
    for command in ["serve", "config"] {
        let error = refused(&[command, "--config", unknown.path()], &[]);
        assert!(
            error.contains(&format!("{}:2: ", unknown.path())) && error.contains("did you mean max_rooms?")
        );
        assert!(refused(&[command, "--config", broken.path()], &[]).contains("this is not TOML"));
        assert!(refused(&[command, "--config", "/nowhere.toml"], &[]).contains("/nowhere.toml"));
        assert!(
            refused(&[command, "--listen", "7443"], &[])
                .contains("--listen must be an IP address and a port")
        );
        assert!(refused(&[command, "--public-address", "here"], &[]).contains("--public-address must be"));
        let error = refused(&[command], &[("STRAIT_ROOMS_MAX_ROOM", "5")]);
        assert!(
            error.contains("STRAIT_ROOMS_MAX_ROOM ")
                && error.contains("did you mean STRAIT_ROOMS_MAX_ROOMS?")
        );
        assert!(refused(&[command], &[("STRAIT_ADMIN_TOKEN", "short")]).contains("at least 16"));
    }
}

#[test]
fn a_wrong_flag_or_subcommand_is_exit_code_2_with_a_hint() {
    for (arguments, words) in
        [(&["--lisen", "x"][..], "'--listen'"), (&["serv"], "'serve'"), (&["serve", "x"], "Usage")]
    {
        let ran = run(arguments, &[]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(
            ran.stderr.starts_with("error: ") && ran.stderr.contains(words),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn a_port_in_use_is_said_so() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listen = taken.local_addr().expect("its address").to_string();
    let error = refused(&["serve", "--listen", &listen], &[]);
    let port = taken.local_addr().expect("its address").port();
    assert!(error.contains(&format!("port {port} is in use")) && error.contains("--listen"), "{error}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_one_line_that_names_it() {
    let junk = TemporaryFile::new("certificate", "no PEM");
    let error = refused(&["--tls-cert", junk.path(), "--tls-key", "/nowhere.pem"], &[]);
    assert!(error.contains("tls.key (/nowhere.pem)"), "{error}");
    let error = refused(&["--tls-cert", junk.path(), "--tls-key", junk.path()], &[]);
    assert!(error.contains(junk.path()) && error.contains("cannot be used"), "{error}");
    assert!(refused(&["--tls-cert", junk.path()], &[]).contains("--tls-key"));
}

#[test]
fn start_up_prints_the_address_to_open_and_who_can_join() {
    for arguments in [&["--listen", "0.0.0.0:0"][..], &["serve", "--listen", "0.0.0.0:0"]] {
        let mut child = strait(arguments).stdout(Stdio::piped()).spawn().expect("the program starts");
        let greeting: Vec<String> = BufReader::new(child.stdout.take().expect("its output"))
            .lines()
            .map_while(Result::ok)
            .take_while(|line| !line.contains("Ctrl-C"))
            .collect();
        child.kill().expect("killed");
        child.wait().expect("ended");
        let greeting = greeting.join("\n");
        assert!(greeting.contains(&format!("Strait {}", env!("CARGO_PKG_VERSION"))), "{greeting}");
        assert!(greeting.contains("http://localhost:") && !greeting.contains("localhost:0"), "{greeting}");
        assert!(
            greeting.contains("self-signed") && greeting.contains("Anyone who can reach port"),
            "{greeting}"
        );
        assert!(!greeting.contains('\x1b'), "escape codes in a pipe");
    }
}

#[test]
fn a_key_and_a_token_are_made_and_let_somebody_in() {
    let made = run(&["keys", "create"], &[]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let file = TemporaryFile::new("keys", &made.stdout);
    let secret = made.stdout.split('"').rfind(|text| text.len() == 43).expect("a secret").to_owned();
    assert!(!made.stderr.contains(&secret), "the advice does not repeat the secret");
    let config = run(&["config", "--config", file.path()], &[]);
    assert!(config.stdout.contains("mode = \"token\"") && !config.stdout.contains(&secret), "{config:?}");

    let token = |extra: &[&str]| {
        let asked = ["token", "create", "--config", file.path(), "--identity", "anna", "--room", "standup"];
        let ran = run(&[&asked, extra].concat(), &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{extra:?}: {ran:?}");
        ran.stdout.trim().to_owned()
    };
    let server = Serving::start(&mut strait(&["--listen", "127.0.0.1:0", "--config", file.path()]));
    let join = |room: &str, token: Option<&str>| {
        let (mut socket, _) =
            tungstenite::client(format!("ws://{}/ws", server.address), connect(server.address))
                .expect("the upgrade is accepted");
        let data = json!({"version": 1, "name": "Somebody", "room": room, "token": token});
        let request = json!({"type": "join", "id": 1, "data": data}).to_string();
        socket.send(Message::text(request)).expect("sent");
        let Message::Text(reply) = socket.read().expect("an answer") else { panic!("no text") };
        serde_json::from_str::<Value>(reply.as_str()).expect("JSON")
    };
    let joined = join("standup", Some(&token(&["--name", "Anna", "--can-publish", "microphone, screen"])));
    assert_eq!((&joined["type"], &joined["data"]["name"]), (&json!("joined"), &json!("Anna")), "{joined}");
    assert_eq!(joined["data"]["permissions"]["publish"], json!(["microphone", "screen"]));
    let moderator = join("standup", Some(&token(&["--moderator", "--can-publish", "none", "--for", "1h"])));
    assert_eq!(moderator["data"]["permissions"]["moderate"], true, "{moderator}");
    for refused in [join("standup", None), join("retro", Some(&token(&[])))] {
        assert_eq!(refused["data"]["code"], "unauthorized", "{refused}");
    }
}

#[test]
fn what_cannot_make_a_token_says_what_to_do() {
    let ask = ["token", "create", "--identity", "anna"];
    assert!(refused(&ask, &[]).contains("strait keys create"));
    let short = ("STRAIT_AUTH_KEYS", "team=short");
    assert!(refused(&ask, &[short]).contains("at least 32"));
    assert!(refused(&["serve"], &[("STRAIT_AUTH_MODE", "token")]).contains("strait keys create"));
    let wrong = run(&[&ask[..], &["--can-publish", "nose"]].concat(), &[]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.stderr.contains("screen-audio"), "{wrong:?}");
}

#[test]
fn a_request_is_signed_for_a_server_that_asks_for_it() {
    let keys = ("STRAIT_AUTH_KEYS", "team=0123456789abcdef0123456789abcdef");
    let sign = |path: &str| {
        let ran = run(&["sign", "delete", path], &[keys]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        ran.stdout
    };
    let signed = ("STRAIT_ADMIN_REQUIRE_SIGNATURE", "true");
    let mut command = strait(&["--listen", "127.0.0.1:0"]);
    let server = Serving::start(command.envs([keys, signed]));
    let ask = |field: &str| {
        let mut stream = connect(server.address);
        let request = format!("DELETE /admin/v1/rooms/standup HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
        let mut head = [0; 12];
        std::io::Read::read_exact(&mut stream, &mut head).expect("an answer");
        String::from_utf8_lossy(&head[9..]).into_owned()
    };
    assert_eq!(ask(""), "401");
    let field = sign("/admin/v1/rooms/standup").replace('\n', "\r\n");
    assert_eq!(ask(&field), "404", "it is signed, and there is no such room");
    assert_eq!(ask(&field), "401", "once only");
    assert!(refused(&["sign", "DELETE", "/x"], &[]).contains("--config"));
    assert!(refused(&["sign", "DELETE", "http://localhost/x"], &[keys]).contains("begins with /"));
    assert!(refused(&["serve"], &[signed]).contains("strait keys create"));
}
