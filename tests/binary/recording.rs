//! Recording by the whole program: a call of whole endpoints over real sockets, and `strait replay` on what was kept.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::call::Call;
use super::program::strait;
use super::server::{Server, eventually, http};

/// A folder for one test's traces, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("traces-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn text(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    /// The traces of a room.
    fn traces(&self, room: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(&self.0).into_iter().flatten().flatten().map(|entry| entry.path());
        let of_room = |path: &PathBuf| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{room}-2")))
        };
        files.filter(of_room).collect()
    }

    /// The only trace of a room.
    fn trace(&self, room: &str) -> PathBuf {
        let mut traces = self.traces(room);
        assert_eq!(traces.len(), 1, "{traces:?}");
        traces.remove(0)
    }

    /// A file of one's own.
    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What `strait replay` said, and its exit code.
fn replay(trace: &Path, more: &[&str]) -> (Option<i32>, String) {
    run("replay", trace, more)
}

fn run(command: &str, trace: &Path, more: &[&str]) -> (Option<i32>, String) {
    let output = strait(&[command]).arg(trace).args(more).output().expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The trace is the room, to the byte.
fn assert_exact(trace: &Path, more: &[&str]) -> String {
    let (code, said) = replay(trace, more);
    assert!(code == Some(0) && said.contains("bit-exact"), "{code:?} {said}");
    said
}

/// Two people come into a room, and hear and see each other.
fn two_talk(call: &mut Call, room: &str) -> (usize, usize) {
    let people = ["Anna", "Ben"].map(|name| {
        let who = call.join(room, name);
        call.publish(who, 1, &["microphone", "camera"]);
        who
    });
    call.until_connected();
    for (from, to) in [(0, 1), (1, 0)] {
        for source in ["microphone", "camera"] {
            call.until_heard(people[from], source, people[to]);
        }
    }
    (people[0], people[1])
}

fn stop(server: &mut Server) {
    server.signal("TERM");
    let status = eventually("the server ends", || server.ended());
    assert_eq!(status.code(), Some(0));
}

/// Ends a server that records a call, and gives the call's trace.
fn recorded(folder: &Folder, more: &[(&str, &str)]) -> PathBuf {
    let settings = [&[("RECORD_DIR", folder.text())], more].concat();
    let mut server = Server::start(&settings);
    let mut call = Call::new(server.address);
    two_talk(&mut call, "standup");
    stop(&mut server);
    folder.trace("standup")
}

fn admin(server: &Server, request: &str) -> (u16, Value) {
    let answer = http(server.address, format!("{request} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn each_room_of_a_server_is_a_trace_that_replays_bit_for_bit() {
    let folder = Folder::new();
    let mut server = Server::start(&[("RECORD_DIR", folder.text()), ("RECORD_ROOMS", "team-*,standup")]);
    let mut call = Call::new(server.address);
    let rooms = ["standup", "lobby", "team-a", "team-b"].map(|room| (room, two_talk(&mut call, room)));
    let (_, (anna, ben)) = rooms[0];
    let track = call.clients[ben].track("microphone");
    call.ask(ben, "mute", json!({"trackId": track, "muted": true}));
    call.clients[anna].cut();
    call.resume(anna);
    call.until_heard(anna, "camera", ben);
    call.ask(ben, "leave", json!({}));
    let (status, recordings) = admin(&server, "GET /admin/v1/recordings");
    assert_eq!((status, recordings["recordings"].as_array().map(Vec::len)), (200, Some(3)), "{recordings}");
    stop(&mut server);

    assert!(folder.traces("lobby").is_empty(), "nobody asked for it");
    for room in ["standup", "team-a", "team-b"] {
        let trace = folder.trace(room);
        let mode = fs::metadata(&trace).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else may read it");
        let said = assert_exact(&trace, &[]);
        assert!(said.contains("the room ended"), "nothing is lost when a server ends: {said}");
    }
    let (code, said) = run("explain", &folder.trace("standup"), &[]);
    assert_eq!(code, Some(0), "{said}");
    for told in [
        "connected by UDP, 127.0.0.1",
        "publishes the camera",
        "muted the microphone",
        "signalling broke; media goes on",
        "signalling is back",
        "sees Anna's camera",
        "left",
    ] {
        assert!(said.contains(told), "no '{told}' in {said}");
    }
}

/// A key pair: its file, and its public half.
fn keygen(folder: &Folder, name: &str) -> (PathBuf, String) {
    let path = Path::new(folder.text()).join(name);
    let made = strait(&["trace", "keygen"]).arg(&path).output().expect("the program runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (path, String::from_utf8(made.stdout).expect("UTF-8").trim().to_owned())
}

#[test]
fn a_trace_can_be_encrypted_to_somebody_and_is_opened_by_their_key_alone() {
    let folder = Folder::new();
    let (own, public) = keygen(&folder, "own.key");
    let (other, _) = keygen(&folder, "other.key");
    let trace = recorded(&folder, &[("RECORD_RECIPIENT", &public)]);
    let identity = ["--identity", own.to_str().expect("UTF-8")];
    let said = assert_exact(&trace, &identity);
    assert!(said.contains("the room ended"), "{said}");
    let (code, said) = replay(&trace, &[]);
    assert!(code == Some(2) && said.contains("--identity KEYFILE"), "{code:?} {said}");
    let (code, said) = replay(&trace, &["--identity", other.to_str().expect("UTF-8")]);
    assert!(code == Some(2) && said.contains("does not open it"), "{code:?} {said}");
    let no_key = folder.file("no.key", b"hello\n");
    let (code, said) = replay(&trace, &["--identity", no_key.to_str().expect("UTF-8")]);
    assert!(code == Some(2) && said.contains("AGE-SECRET-KEY-1"), "{code:?} {said}");
    // A disk that was full cuts encrypted files too.
    let bytes = fs::read(&trace).expect("read");
    let cut = folder.file("cut", &bytes[..bytes.len() - 10]);
    let (code, said) = replay(&cut, &identity);
    assert!(
        (code == Some(0) && said.contains("the last piece of the file"))
            || said.contains("nothing of it can be read"),
        "{code:?} {said}"
    );
}

#[test]
fn a_key_is_for_its_owner_alone_and_no_file_is_overwritten() {
    let folder = Folder::new();
    let (own, public) = keygen(&folder, "own.key");
    let text = fs::read_to_string(&own).expect("read");
    assert!(text.contains(&public) && text.contains("\nAGE-SECRET-KEY-1"), "the public half is beside it");
    assert_eq!(fs::metadata(&own).expect("a file").permissions().mode() & 0o777, 0o600);
    let again = strait(&["trace", "keygen"]).arg(&own).output().expect("the program runs");
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(again.status.code() == Some(2) && said.contains("exists"), "{said}");
    assert_eq!(fs::read_to_string(&own).expect("read"), text);
}

/// Whoever has `age` can do without Strait's own keys, and can open a trace with it.
#[test]
fn keys_and_files_of_age_itself_fit() {
    let folder = Folder::new();
    let path = |name: &str| format!("{}/{name}", folder.text());
    let run = |program: &str, arguments: &[&str]| {
        let ran = Command::new(program).args(arguments).output();
        let ran = ran.unwrap_or_else(|error| panic!("{program} (Debian: age) cannot be run: {error}"));
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("UTF-8").trim().to_owned()
    };
    let theirs = path("theirs.key");
    run("age-keygen", &["-o", &theirs]);
    let public = run("age-keygen", &["-y", &theirs]);
    let trace = recorded(&folder, &[("RECORD_RECIPIENT", &public)]);
    assert_exact(&trace, &["--identity", &theirs]);
    let plain = path("plain.trace");
    run("age", &["-d", "-i", &theirs, "-o", &plain, trace.to_str().expect("UTF-8")]);
    assert_exact(Path::new(&plain), &[]);
    let (ours, public) = keygen(&folder, "ours.key");
    assert_eq!(run("age-keygen", &["-y", ours.to_str().expect("UTF-8")]), public);
    let again = path("again.age");
    run("age", &["-r", &public, "-o", &again, &plain]);
    assert_exact(Path::new(&again), &["--identity", ours.to_str().expect("UTF-8")]);
}

#[test]
fn a_trace_that_was_cut_or_damaged_replays_as_far_as_it_is_good() {
    let folder = Folder::new();
    let trace = recorded(&folder, &[]);
    let bytes = fs::read(&trace).expect("read");
    let cut = folder.file("cut", &bytes[..bytes.len() * 4 / 5]);
    let said = assert_exact(&cut, &[]);
    assert!(said.contains("ends in the middle"), "{said}");
    let mut flipped = bytes.clone();
    let place = flipped.len() * 3 / 5;
    flipped[place] ^= 0x40;
    let said = assert_exact(&folder.file("flipped", &flipped), &[]);
    assert!(said.contains("is damaged behind byte"), "{said}");
    let mut newer = bytes.clone();
    newer[8] = 99;
    for (content, why) in
        [(newer.as_slice(), "format 99"), (b"hello", "not a trace"), (&bytes[..40], "first block")]
    {
        let (code, said) = replay(&folder.file("bad", content), &[]);
        assert!(code == Some(2) && said.contains(why), "{code:?} {said}");
    }
    let (code, said) = replay(Path::new("/nowhere"), &[]);
    assert!(code == Some(2) && said.contains("/nowhere cannot be read"), "{code:?} {said}");
}

#[test]
fn what_a_killed_server_has_written_replays() {
    let folder = Folder::new();
    let mut server = Server::start(&[("RECORD_DIR", folder.text())]);
    let mut call = Call::new(server.address);
    let (anna, ben) = two_talk(&mut call, "standup");
    let is_long =
        || folder.traces("standup").iter().any(|path| fs::metadata(path).is_ok_and(|m| m.len() > 20_000));
    call.until("some of it is on the disk", |call| {
        call.clients[anna].send("camera");
        call.clients[ben].take_received("");
        is_long()
    });
    server.signal("KILL");
    eventually("the server is dead", || server.ended());
    let said = assert_exact(&folder.trace("standup"), &[]);
    assert!(said.contains("the server was killed"), "{said}");
}

/// Anna films until the recording has ended early, and is heard as before then.
fn film_until_the_recording_ends_early(server: &Server, call: &mut Call) {
    let (anna, ben) = two_talk(call, "standup");
    call.until("the recording ends early", |call| {
        for _ in 0..20 {
            call.clients[anna].send("camera");
        }
        let answer =
            http(server.address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        answer.contains("strait_recordings_ended_total{how=\"early\"} 1")
    });
    call.until_heard(anna, "microphone", ben);
}

#[test]
fn a_trace_that_is_large_enough_ends_and_the_call_goes_on() {
    let folder = Folder::new();
    let mut server = Server::start(&[("RECORD_DIR", folder.text()), ("RECORD_MAX_BYTES", "65536")]);
    film_until_the_recording_ends_early(&server, &mut Call::new(server.address));
    stop(&mut server);
    let said = assert_exact(&folder.trace("standup"), &[]);
    assert!(said.contains("record.max_bytes"), "{said}");
}

/// A limit on the size of files stands for the end of a disk: the system takes a part of a write, and refuses the next.
#[test]
fn a_full_disk_ends_the_trace_and_not_the_call() {
    let folder = Folder::new();
    let limited = "trap '' XFSZ && ulimit -f 128 && exec \"$0\" \"$@\"";
    let mut server = Server::start_within(&["sh", "-c", limited], &[("RECORD_DIR", folder.text())]);
    film_until_the_recording_ends_early(&server, &mut Call::new(server.address));
    stop(&mut server);
    let trace = folder.trace("standup");
    assert_eq!(fs::metadata(&trace).expect("it is there").len(), 128 * 512, "as much as there was space for");
    let said = assert_exact(&trace, &[]);
    assert!(said.contains("ends in the middle"), "{said}");
}

#[test]
fn the_operator_asks_for_the_next_room_of_a_name() {
    let folder = Folder::new();
    let mut server =
        Server::start(&[("RECORD_DIR", folder.text()), ("RECORD_ROOMS", ""), ("ROOMS_EMPTY_TIMEOUT", "0")]);
    assert_eq!(admin(&server, "PUT /admin/v1/recordings/standup").0, 204);
    assert_eq!(admin(&server, "PUT /admin/v1/recordings/lobby").0, 204);
    assert_eq!(admin(&server, "DELETE /admin/v1/recordings/lobby").0, 204);
    assert_eq!(admin(&server, "DELETE /admin/v1/recordings/lobby").0, 404);
    assert_eq!(admin(&server, "GET /admin/v1/recordings").1["next"], json!(["standup"]));
    let mut call = Call::new(server.address);
    let (anna, ben) = two_talk(&mut call, "standup");
    assert_eq!(admin(&server, "PUT /admin/v1/recordings/standup").0, 409, "it has begun");
    assert_eq!(admin(&server, "DELETE /admin/v1/recordings/standup").0, 204);
    call.until_heard(anna, "microphone", ben);
    two_talk(&mut call, "lobby");
    stop(&mut server);
    let said = assert_exact(&folder.trace("standup"), &[]);
    assert!(said.contains("the operator stopped the recording"), "{said}");
    assert!(folder.traces("lobby").is_empty());

    let server = Server::start(&[]);
    let (status, answer) = admin(&server, "PUT /admin/v1/recordings/standup");
    assert!(status == 409 && answer.to_string().contains("--record DIR"), "{status} {answer}");
}
