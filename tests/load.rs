//! The load generator against a real server, both as the real binary. In a binary of its own: it counts what is lost, and
//! other tests at the same time would make it lose something.

#[path = "binary/program.rs"]
#[allow(dead_code, reason = "tests/binary uses the rest")]
mod program;

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use program::{Serving, strait};

/// A server on a free port.
struct Server(Serving);

impl Server {
    fn start() -> Self {
        Self::with(&[])
    }

    /// A server with these settings, as variables.
    fn with(variables: &[(&str, &str)]) -> Self {
        let mut command = strait(&["serve", "--listen", "127.0.0.1:0"]);
        command.envs(variables.iter().copied()).stderr(Stdio::null());
        Self(Serving::start(&mut command))
    }

    fn load(&self, arguments: &[&str]) -> Output {
        let url = format!("ws://{}", self.0.address);
        strait(&["load", "--url", &url]).args(arguments).output().expect("the program starts")
    }
}

struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("strait-load-{}-{name}", std::process::id())))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).expect("it was written")
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn two_rooms_of_four_join_and_lose_nothing() {
    let server = Server::start();
    let (json, log) = (TemporaryFile::new("figures.json"), TemporaryFile::new("latency.hlog"));
    let ran = server.load(&[
        "--rooms",
        "2",
        "--publishers",
        "2",
        "--subscribers",
        "2",
        "--profile",
        "video",
        "--duration",
        "1500ms",
        // Slowly enough that publishers are there before viewers, also on a busy machine.
        "--ramp",
        "20",
        "--json",
        json.path(),
        "--hdr",
        log.path(),
    ]);
    let stdout = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&ran.stderr));
    assert!(stdout.contains("8 of 8 people, 8 subscriptions"), "{stdout}");
    let figures: serde_json::Value = serde_json::from_str(&json.text()).expect("JSON");
    assert_eq!((&figures["ok"], &figures["joined"]), (&true.into(), &8.into()), "{figures}");
    let packets = &figures["packets"];
    assert_eq!(
        (&packets["lost"], &packets["duplicates"], &packets["reordered"]),
        (&0.into(), &0.into(), &0.into())
    );
    // Two publishers a room for 1.5 s at 250 packets/s; each is received twice.
    let sent = packets["sent"].as_u64().expect("a number");
    assert!((1300..=1510).contains(&sent), "{packets}");
    assert_eq!(packets["received"], 2 * sent);
    assert_eq!(figures["latency"]["count"], 2 * sent);
    // The same in tenths of a second, and by kind.
    let tenths = figures["eachTenth"].as_array().expect("a list");
    let sum = |field: &str| tenths.iter().filter_map(|tenth| tenth[field].as_u64()).sum::<u64>();
    assert_eq!((sum("sent"), sum("received")), (sent, 2 * sent), "{tenths:?}");
    assert_eq!(figures["eachSecond"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&packets["video"]["expected"], &packets["audio"]["expected"]),
        (&(2 * sent).into(), &0.into())
    );
    assert!(figures["latency"]["p99.9"].as_f64().expect("a number") > 0.0);
    assert_eq!(figures["joins"]["offerToReady"]["count"], 8);
    assert_eq!(figures["joins"]["readyToFirstPacket"]["count"], 4);
    if cfg!(target_os = "linux") {
        assert_eq!(figures["server"]["pid"], server.0.child.id());
        assert!(figures["server"]["cpuMicrosPerPacket"].as_f64().expect("a number") > 0.0);
    }
    let log = log.text();
    assert!(log.contains("#[StartTime") && log.contains("HIST"), "{log}");

    // What the server says of itself, with the same program.
    let url = format!("http://{}", server.0.address);
    let said = strait(&["stats", "--url", &url]).output().expect("the program starts");
    let stats: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let shell = &stats["shell"];
    assert!(shell["udp"]["sent"].as_u64() >= Some(2 * sent), "{shell}");
    if cfg!(target_os = "linux") {
        assert!(shell["latency"]["total"]["packets"].as_u64() >= Some(sent), "{shell}");
    }
}

#[test]
fn everyone_in_a_conference_hears_and_sees_everyone() {
    let server = Server::start();
    let json = TemporaryFile::new("conference.json");
    let ran = server.load(&[
        "--publishers",
        "3",
        "--subscribers",
        "0",
        "--profile",
        "conference",
        "--duration",
        "1s",
        "--json",
        json.path(),
    ]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let figures: serde_json::Value = serde_json::from_str(&json.text()).expect("JSON");
    assert_eq!(
        (&figures["subscriptions"], &figures["packets"]["lost"]),
        (&12.into(), &0.into()),
        "{figures}"
    );
}

#[test]
fn the_middle_of_three_encodings_reaches_the_subscribers() {
    let server = Server::start();
    let json = TemporaryFile::new("simulcast.json");
    let ran = server.load(&["--profile", "simulcast", "--duration", "1s", "--json", json.path()]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let figures: serde_json::Value = serde_json::from_str(&json.text()).expect("JSON");
    let count = |field: &str| figures["packets"][field].as_u64().expect("a number");
    assert!(count("received") > 0 && count("received") < count("sent"), "{figures}");
    assert_eq!(count("lost"), 0, "{figures}");
}

#[test]
fn subscriptions_that_are_missing_are_a_failure_with_its_reason() {
    // Two viewers want three voices each, and the server allows two.
    let server = Server::with(&[("STRAIT_MEDIA_AUDIO_SLOTS", "2"), ("STRAIT_MEDIA_MAX_AUDIO_SLOTS", "2")]);
    let json = TemporaryFile::new("missing.json");
    let ran =
        server.load(&["--publishers", "3", "--subscribers", "2", "--duration", "1s", "--json", json.path()]);
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(1), "{stdout}\n{stderr}");
    let error = stderr.lines().rfind(|line| line.starts_with("error: ")).expect("an error");
    assert!(error.contains("2 of 6 subscriptions were missing at the end"), "{error}");
    assert!(error.contains("for 2 the server allows no slot"), "{error}");
    assert!(stdout.contains("4 of 6 subscriptions"), "{stdout}");
    let figures: serde_json::Value = serde_json::from_str(&json.text()).expect("JSON");
    assert_eq!(
        (&figures["ok"], &figures["subscriptions"], &figures["subscriptionsWanted"]),
        (&false.into(), &4.into(), &6.into())
    );
}

#[test]
fn no_server_is_a_clear_failure() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let ran = strait(&["load", "--url", &url, "--duration", "1s"]).output().expect("the program starts");
    assert_eq!(ran.status.code(), Some(1));
    let mut errors = String::new();
    ran.stderr.as_slice().read_to_string(&mut errors).expect("UTF-8");
    assert!(errors.contains("error: 2 of 2 failed; the first: cannot connect"), "{errors}");
}
