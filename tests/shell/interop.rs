//! Clients that we did not write: aiortc and GStreamer publish by WHIP and view by WHEP, LiveKit's client for Python speaks its
//! own protocol, and what they decode is what was sent, as is what players read from the call's trace; coturn's
//! `turnutils_uclient` uses the TURN server.
//!
//! `tests/run` makes the Python environment under `target/aiortc`; the others are packages of Debian, listed in
//! `tests/browser/debian-packages`. What is missing is not checked, unless `CI` is set.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use strait::access::{AuthMode, Gate, Key, Pass};
use strait::net::{RecordConfig, RelayedNetwork, ShellConfig, TurnConfig};

use crate::program::strait;
use crate::support::back_end;
use crate::support::people::{Endpoint, Person};
use crate::support::turn::Login;
use crate::support::{PATIENCE, Server, config};
use crate::webhooks;

/// The Python with aiortc.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/aiortc/bin/python");
    let there = python.exists();
    assert!(there || std::env::var_os("CI").is_none(), "{} is missing: tests/run makes it", python.display());
    if !there {
        eprintln!("{} is missing, so that nothing is checked: tests/run makes it", python.display());
    }
    there.then_some(python)
}

/// Debian's Python, if it has GStreamer with the elements that are needed.
fn gstreamer() -> Option<PathBuf> {
    let python = Path::new("/usr/bin/python3");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/gstreamer_peer.py");
    let elements = ["webrtcbin", "nicesrc", "dtlsdec", "vp8enc", "opusenc"];
    let asked = Command::new(python).arg(script).args(elements).stderr(Stdio::null()).status();
    let there = asked.is_ok_and(|status| status.success());
    let missing = "GStreamer is missing: apt-get install $(grep -v '^#' tests/browser/debian-packages)";
    assert!(there || std::env::var_os("CI").is_none(), "{missing}");
    if !there {
        eprintln!("{missing}");
    }
    there.then(|| python.to_owned())
}

/// A script that is ended with the test.
struct Script {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Script {
    fn start(python: &Path, name: &str, url: &str) -> Self {
        Self::start_with(python, name, url, &[])
    }

    fn start_with(python: &Path, name: &str, url: &str, options: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name);
        let mut command = Command::new(python);
        command.arg(script).arg(url).args(options).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, output }
    }

    /// The next line that it prints.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Ends its input, and waits until it has ended well.
    fn finish(mut self) {
        drop(self.child.stdin.take());
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it is our child") {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "it never ends");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// aiortc's camera is red, and its microphone plays a tone.
fn assert_is_the_camera(seen: &Value) {
    assert_eq!((&seen["width"], &seen["height"]), (&320.into(), &240.into()), "{seen}");
    let rgb: Vec<i64> = seen["rgb"].as_array().expect("three").iter().filter_map(Value::as_i64).collect();
    let is_red = matches!(rgb[..], [r, g, b] if (r - 200).abs() < 40 && g < 50 && b < 50);
    assert!(is_red, "{seen}");
}

fn assert_is_the_tone(heard: &Value) {
    let hz = heard["hz"].as_i64().expect("a frequency");
    assert!((hz - 440).abs() <= 10 && heard["loudest"].as_f64() > Some(1000.0), "{heard}");
}

#[test]
fn aiortc_publishes_by_whip_and_decodes_by_whep_and_players_open_the_tracks_of_the_trace() {
    let Some(python) = python() else { return };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("interop-{}", std::process::id()));
    let record = RecordConfig {
        directory: folder.clone(),
        rooms: vec!["studio".parse().expect("a pattern")],
        recipient: None,
        trace_bytes_max: u64::MAX,
        total_bytes_max: u64::MAX,
        queue_bytes_max: usize::MAX,
    };
    let mut server = Server::start(ShellConfig { record: Some(record), ..config() });
    let url = |side: &str| format!("http://{}/{side}/studio", server.address);
    let mut publisher = Script::start(&python, "aiortc_publish.py", &url("whip"));
    publisher.line();
    let mut viewer = Script::start(&python, "aiortc_view.py", &url("whep"));
    let seen = viewer.line();
    assert_is_the_camera(&seen["picture"]);
    assert_is_the_tone(&seen["sound"]);
    viewer.finish();
    publisher.finish();
    assert_eq!(server.get("/admin/v1/rooms").json()["rooms"], Value::Array(Vec::new()), "both have left");
    server.stop.stop();
    server.join();

    let files = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect()
    };
    let [trace] = &files(&folder)[..] else { panic!("{:?}", files(&folder)) };
    let media = folder.join("media");
    let replay = strait(&["replay"]).arg(trace).arg("--media").arg(&media).output();
    let replay = replay.expect("it runs");
    assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
    let tracks = files(&media);
    assert_eq!(tracks.len(), 2, "{tracks:?}");
    for track in tracks {
        let mut decoder = Script::start(&python, "decode.py", track.to_str().expect("UTF-8"));
        let decoded = decoder.line();
        decoder.finish();
        assert!(
            decoded["frames"].as_u64() > Some(20) && decoded["seconds"].as_f64() > Some(0.5),
            "{decoded}"
        );
        match track.extension().and_then(|extension| extension.to_str()) {
            Some("ogg") => assert_is_the_tone(&decoded),
            _ => assert_is_the_camera(&decoded),
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}

#[test]
fn aiortc_exchanges_messages_on_data_channels_by_whip_and_whep() {
    let Some(python) = python() else { return };
    let server = Server::start(config());
    let url = |side: &str| format!("http://{}/{side}/studio", server.address);
    let mut script = Script::start_with(&python, "aiortc_data.py", &url("whip"), &[&url("whep")]);
    assert_eq!(script.line(), serde_json::json!({"text": "a line", "large": true, "empty": ""}));
    script.finish();
}

/// Whatever the publisher is, aiortc sees it.
fn assert_is_seen_by_aiortc(server: &Server, room: &str, mut publisher: Script) {
    let Some(python) = python() else { return };
    publisher.line();
    let mut viewer =
        Script::start(&python, "aiortc_view.py", &format!("http://{}/whep/{room}", server.address));
    let seen = viewer.line();
    assert_is_the_camera(&seen["picture"]);
    assert_is_the_tone(&seen["sound"]);
    viewer.finish();
    publisher.finish();
}

#[test]
fn livekits_receiver_of_webhooks_takes_what_it_is_told() {
    let Some(python) = python() else { return };
    let Key { id, secret } = back_end::key();
    let mut receiver = Script::start_with(&python, "livekit_webhooks.py", &id, &[&secret]);
    let port = receiver.line()["port"].clone();
    let server = webhooks::server(webhooks::telling(&[format!("http://127.0.0.1:{port}/")]));
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let _microphone = Endpoint::connect(&mut anna, true);
    anna.ask("leave", json!({}));
    for name in [
        "room_started",
        "participant_joined",
        "track_published",
        "track_unpublished",
        "participant_left",
        "room_finished",
    ] {
        let told = receiver.line();
        assert_eq!((&told["event"], &told["room"]["name"]), (&name.into(), &"standup".into()), "{told}");
        assert_eq!(told["contentType"], "application/webhook+json");
        if name == "track_published" {
            assert_eq!(told["track"]["source"], "MICROPHONE", "{told}");
            assert_eq!(told["participant"]["name"], "Anna", "{told}");
        }
    }
    receiver.finish();
}

#[test]
fn livekits_client_for_python_publishes_and_gets_what_another_publishes() {
    let Some(python) = python() else { return };
    let key = Key { id: "team".into(), secret: "a secret that only the back end has".into() };
    let gate = Gate { mode: AuthMode::Token, keys: vec![key], auto_create: true };
    let server = Server::start(ShellConfig { gate: gate.clone(), ..config() });
    let claims = |who: &str| {
        let video = json!({"roomJoin": true, "room": "standup"});
        let claims = json!({"sub": who, "exp": 4_000_000_000_u64, "video": video}).to_string();
        gate.sign(&Pass::of_text(&claims).expect("good claims")).expect("there is a key")
    };
    let url = format!("ws://{}", server.address);
    let tokens = ["anna", "ben"].map(claims);
    let mut call = Script::start_with(&python, "livekit_call.py", &url, &[&tokens[0], &tokens[1]]);
    let seen = call.line();
    assert_eq!(seen["identity"], "anna");
    assert_is_the_camera(&seen);
    let heard = call.line();
    assert_eq!(heard["identity"], "anna");
    assert_is_the_tone(&heard);
    let said = call.line();
    assert_eq!(said["told"], json!(["anna", "chat", "good morning"]));
    assert_eq!(said["answer"], "hello, anna");
    assert_eq!(call.line()["left"], true);
}

#[test]
fn mediasoups_client_for_python_produces_and_consumes_by_rest_and_by_websocket() {
    let Some(python) = python() else { return };
    let server = Server::start(config());
    let url = format!("http://{}", server.address);
    let mut call = Script::start_with(&python, "mediasoup_call.py", &url, &["standup"]);
    assert_is_the_camera(&call.line());
    assert_is_the_tone(&call.line());
    assert_eq!(call.line()["left"], "Anna");
    call.finish();
}

#[test]
fn livekits_library_for_back_ends_asks_the_room_service() {
    let Some(python) = python() else { return };
    let server = back_end::open_server();
    let mut ben = Person::join(&server, Some("standup"), "B.");
    let _microphone = Endpoint::connect(&mut ben, true);
    let (url, Key { id, secret }) = (format!("http://{}", server.address), back_end::key());
    let who = ben.id().to_string();
    let mut library = Script::start_with(&python, "livekit_rooms.py", &url, &[&id, &secret, "standup", &who]);
    let read = library.line();
    assert_eq!(read["made"], json!(["channel_7", "RM_", 60, "m"]));
    assert_eq!(read["isDated"], true);
    assert_eq!(read["rooms"], json!(["channel_7", "standup"]));
    assert_eq!(read["there"], json!([who]));
    // An audio track, of a microphone.
    assert_eq!((&read["track"], &read["muted"]), (&json!(["TR_", 0, 2, false]), &json!(true)));
    let (changed, active) = (&read["changed"], 2);
    assert!([json!(active), json!(1)].contains(&changed[2]), "{changed}");
    assert_eq!((&changed[0], &changed[1]), (&json!("Ben"), &json!({"hand": "up"})));
    assert_eq!((&read["gone"][0], &read["gone"][2]), (&json!("not_found"), &json!(404)));
    assert_eq!(ben.news("data"), json!({"from": null, "topic": "chat", "bytes": "aGVsbG8="}));
    library.finish();
}

#[test]
fn gstreamer_publishes_by_whip() {
    let Some(gstreamer) = gstreamer() else { return };
    let server = Server::start(config());
    let url = format!("http://{}/whip/studio", server.address);
    let publisher = Script::start(&gstreamer, "gstreamer_publish.py", &url);
    assert_is_seen_by_aiortc(&server, "studio", publisher);
}

#[test]
fn gstreamer_views_by_whep() {
    let (Some(gstreamer), Some(python)) = (gstreamer(), python()) else { return };
    let server = Server::start(config());
    let url = |side: &str| format!("http://{}/{side}/studio", server.address);
    let mut publisher = Script::start(&python, "aiortc_publish.py", &url("whip"));
    publisher.line();
    let mut viewer = Script::start(&gstreamer, "gstreamer_view.py", &url("whep"));
    let seen = viewer.line();
    assert_is_the_camera(&seen["picture"]);
    assert_is_the_tone(&seen["sound"]);
    viewer.finish();
    publisher.finish();
}

#[test]
fn openssl_connects_with_an_rsa_key_a_chain_of_certificates_and_the_oldest_srtp_profile() {
    let Some(python) = python() else { return };
    let server = Server::start(config());
    let url = format!("http://{}/whip/studio", server.address);
    for options in [["rsa2048", "0"], ["rsa4096", "3"]] {
        let publisher = Script::start_with(&python, "aiortc_publish.py", &url, &options);
        assert_is_seen_by_aiortc(&server, "studio", publisher);
    }
}

/// What coturn's client prints, for messages of 20 packets; `None` if it is not there.
fn uclient(server: &Server, login: &Login, arguments: &[&str]) -> Option<String> {
    let port = server.address.port().to_string();
    let mut command = Command::new("turnutils_uclient");
    command.args(["-u", &login.username, "-w", &login.password, "-p", &port, "-n", "20", "-z", "5"]);
    match command.args(arguments).arg(server.address.ip().to_string()).output() {
        Ok(output) => Some(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )),
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "turnutils_uclient is missing ({error}): apt-get install coturn"
            );
            eprintln!("turnutils_uclient is missing, so that this is not checked: apt-get install coturn");
            None
        }
    }
}

/// A server with a peer that sends everything back, and somebody's credentials for it.
fn turn_server() -> (Server, Login) {
    let network = Some(RelayedNetwork::FIRST);
    let turn = TurnConfig { network, echo_peer: Some([192, 0, 2, 9].into()), ..TurnConfig::default() };
    let server = Server::start(ShellConfig { turn, ..config() });
    let login = Login::of(&Person::join(&server, None, "Anna"));
    (server, login)
}

#[test]
fn coturns_client_loses_nothing() {
    let (server, login) = turn_server();
    for way in ["-c", "-c -t", "-c -t -S", "-c -s", "-c -t -s", "-c -t -l 101", "-c -l 101", "-t", "-c -x"] {
        let mut arguments: Vec<&str> = way.split(' ').collect();
        arguments.extend(["-e", "192.0.2.9"]);
        let Some(said) = uclient(&server, &login, &arguments) else { return };
        assert!(said.contains("Total lost packets 0 "), "{way}: {said}");
    }
}

#[test]
fn coturns_client_gets_nowhere_with_a_wrong_password_nor_to_another_client() {
    let (server, login) = turn_server();
    let wrong = Login { password: "wrong".to_owned(), ..login.clone() };
    let Some(said) = uclient(&server, &wrong, &["-c", "-t", "-e", "192.0.2.9"]) else { return };
    assert!(said.contains("Cannot complete Allocation"), "{said}");
    let said = uclient(&server, &login, &["-c", "-t", "-y"]).expect("it is there");
    assert!(said.contains("error 403 (Forbidden)"), "{said}");
}
