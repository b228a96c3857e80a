//! What a forwarded packet costs, in instructions: counted by callgrind, so that the figure is the same on a busy
//! machine. A committed figure guards against creeping costs, and two crowds of different size against costs that grow
//! with how many are there.
//!
//! Counted are our own code and the standard library's as far as it is compiled into ours. Left out are the cipher and
//! libc's memory functions: they choose their instructions by the processor. A test that fails prints where the
//! instructions go.

#[path = "../benches/rig/mod.rs"]
mod rig;

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::process::Command;
use std::time::Duration;

use rig::Crowd;
use strait::core::command::MediaKind;

/// What runs under callgrind, by name: who is there, and what they send.
const WORKLOAD: &str = "STRAIT_TEST_WORKLOAD";

/// The part of the program that is counted: each publisher's packets, turn by turn, and what they lead to.
#[inline(never)]
fn counted_turns(
    crowd: &mut Crowd,
    turns: usize,
    packets: usize,
    payload_bytes: usize,
    publishers: usize,
) -> u64 {
    let mut forwarded = 0;
    for _ in 0..turns {
        for publisher in 0..publishers {
            for _ in 0..packets {
                crowd.send(publisher, 0, payload_bytes);
            }
        }
        forwarded += crowd.drain().packets;
        crowd.now += Duration::from_millis(20);
    }
    forwarded
}

/// Not a test by itself: what the tests below run under callgrind.
#[test]
#[ignore = "the other tests run it under callgrind"]
fn workload() {
    let Ok(workload) = env::var(WORKLOAD) else { return };
    let (mut crowd, turns, packets, payload_bytes, publishers) = match workload.as_str() {
        "audio to 50" => (Crowd::audience(50, MediaKind::Audio), 40, 1, 80, 1),
        "video to 50" => (Crowd::audience(50, MediaKind::Video), 40, 1, 1100, 1),
        "frames to 50" => (Crowd::audience(50, MediaKind::Video), 4, 10, 1100, 1),
        "numbered frames to 50" => (Crowd::numbered_audience(50, MediaKind::Video), 4, 10, 1100, 1),
        // As many packets in either.
        "20 people in 4 rooms" => (Crowd::conference(4, 5, MediaKind::Audio), 200, 1, 80, 20),
        "500 people in 100 rooms" => (Crowd::conference(100, 5, MediaKind::Audio), 8, 1, 80, 500),
        "2000 people in 400 rooms" => (Crowd::conference(400, 5, MediaKind::Audio), 2, 1, 80, 2000),
        other => panic!("there is no workload {other}"),
    };
    // Buffers grow, slots synchronise.
    for _ in 0..3 {
        for publisher in 0..publishers {
            crowd.send(publisher, 0, payload_bytes);
        }
        crowd.drain();
    }
    let forwarded = counted_turns(&mut crowd, turns, packets, payload_bytes, publishers);
    println!("forwarded {forwarded}");
}

/// Instructions of our own code for each forwarded packet.
fn instructions(workload: &str) -> f64 {
    let file = env::temp_dir().join(format!(
        "strait-callgrind-{}-{}",
        std::process::id(),
        workload.replace(' ', "-")
    ));
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted_turns*", "--compress-strings=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe().expect("this program"))
        .args(["--exact", "workload", "--ignored", "--nocapture", "--test-threads=1"])
        .env(WORKLOAD, workload)
        .output()
        .expect("valgrind starts; install it (Debian: apt-get install valgrind)");
    let stdout = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&ran.stderr));
    let forwarded = stdout.lines().find_map(|line| line.rsplit_once("forwarded ")?.1.parse::<f64>().ok());
    let profile = fs::read_to_string(&file).expect("callgrind wrote its profile");
    let _ = fs::remove_file(&file);
    let forwarded = forwarded.expect("the workload says how many packets it forwarded");
    let all = own_instructions(&profile);
    // Shown if the test fails.
    println!("{workload}: {forwarded} packets; instructions of each, by function:");
    for (function, count) in all.iter().take(25) {
        println!("{:8.1}  {function}", *count as f64 / forwarded);
    }
    let own: u64 = all.iter().map(|(_, count)| count).sum();
    (own - checking(&profile)) as f64 / forwarded
}

/// Returns what the room's check of itself cost, with all that it called. It is part of debug builds, which this is one
/// of, and not of the program that people run.
fn checking(profile: &str) -> u64 {
    let (mut cost_of_all, mut is_check) = (0, false);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            is_check = name.ends_with("room::Room>::check");
        } else if is_check && let Some(cost) = cost(line) {
            cost_of_all += cost;
        }
    }
    cost_of_all
}

/// Returns the cost that a line of a profile tells: "line cost", the line perhaps relative to the one before.
fn cost(line: &str) -> Option<u64> {
    if !line.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '-' || c == '*') {
        return None;
    }
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a function's instructions are the same on every processor.
fn is_ours(function: &str, object: &str) -> bool {
    !object.contains("libc.so")
        && !object.contains("ld-linux")
        && !object.contains("libm.so")
        && !is_cipher(function)
}

fn is_cipher(function: &str) -> bool {
    ["aws_lc", "aes_", "aesni", "gcm_", "ghash", "vaes", "sha1_", "OPENSSL", "AES_", "skip_iv", "gcm"]
        .iter()
        .any(|part| function.contains(part))
}

/// Instructions by function, most first. Callgrind's format: `ob=` and `fn=` begin a function's lines, each "line cost";
/// after `calls=` comes one line with what the call cost, which the called function has listed already.
fn own_instructions(profile: &str) -> Vec<(String, u64)> {
    let mut by_function: BTreeMap<String, u64> = BTreeMap::new();
    let (mut object, mut function, mut of_call) = (String::new(), String::new(), false);
    for line in profile.lines() {
        if let Some(name) = line.strip_prefix("ob=") {
            name.clone_into(&mut object);
        } else if let Some(name) = line.strip_prefix("fn=") {
            name.clone_into(&mut function);
        } else if line.starts_with("calls=") {
            of_call = true;
        } else if let Some(cost) = cost(line)
            && !std::mem::take(&mut of_call)
            && is_ours(&function, &object)
        {
            *by_function.entry(function.clone()).or_default() += cost;
        }
    }
    let mut all: Vec<_> = by_function.into_iter().collect();
    all.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
    all
}

/// What a packet cost when this was last looked at, and by how much a compiler may change that. After an improvement put
/// the new figure here, so that it is not lost again. Debug assertions on the way are counted, for this is a debug build.
const COSTS: [(&str, f64); 3] = [("audio to 50", 1683.0), ("video to 50", 1829.0), ("frames to 50", 1350.0)];
const TOLERANCE: f64 = 0.10;

#[test]
fn forwarding_costs_no_more_than_it_did() {
    for (workload, before) in COSTS {
        let each = instructions(workload);
        println!("{workload}: {each:.0} instructions a packet, {before} before");
        assert!(
            each < before * (1.0 + TOLERANCE),
            "{workload}: {each:.0} instructions a packet, {before} before"
        );
    }
}

/// Whether a packet costs the same in a large crowd as in a small one, when as many are forwarded.
fn is_flat(large: &str) {
    let (few, many) = (instructions("20 people in 4 rooms"), instructions(large));
    println!("{few:.1} instructions a packet with 20 people in 4 rooms, {many:.1} with {large}");
    assert!(
        (many / few - 1.0).abs() < 0.05,
        "{few:.0} instructions a packet with 20 people, {many:.0} with {large}"
    );
}

#[test]
fn a_packet_costs_the_same_among_twenty_people_and_among_five_hundred() {
    is_flat("500 people in 100 rooms");
}

#[test]
#[ignore = "a minute under callgrind"]
fn a_packet_costs_the_same_among_twenty_people_and_among_two_thousand() {
    is_flat("2000 people in 400 rooms");
}
