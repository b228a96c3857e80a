//! Thousands of connections that never say anything useful cost little, end in time, and disturb no call. It counts this
//! process's memory, and needs most of the descriptors that a process may have.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use strait::net::ShellConfig;

use crate::support::ice_tcp::{TcpEndpoint, heard};
use crate::support::people::Person;
use crate::support::{PATIENCE, Server, config, connect};
use crate::{allocator, alone};

/// How many files this process may have open once a server has raised the limit.
fn open_files() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").expect("Linux");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("it is listed");
    let hard = line.split_whitespace().nth(4).expect("a limit");
    hard.parse().unwrap_or(usize::MAX)
}

#[test]
fn hostile_openings_cost_little_end_in_time_and_disturb_no_call() {
    let _alone = alone();
    // Both ends are in this process: twice as many descriptors.
    let idle = ((open_files() - 1000) / 2).min(9000);
    let server = Server::start(ShellConfig {
        handshake_timeout: Duration::from_secs(8),
        connections_per_address_max: 20_000,
        ..config()
    });
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut ben = Person::join(&server, Some("r"), "Ben");
    let mut speaker = TcpEndpoint::connect(&server, &mut anna, true, usize::MAX);
    let mut listener = TcpEndpoint::connect(&server, &mut ben, false, usize::MAX);
    let mut sequence = 1000;
    heard(&mut speaker, &mut listener, &mut sequence, 20);

    let before = allocator::allocated();
    let mut most = before;
    // Nothing at all; half a TLS hello; half a request; the beginning of a frame; and one that goes on too slowly.
    let openings: [&[u8]; 5] =
        [b"", &[0x16, 3, 1, 0x7f, 0xff, 1], b"GET / HT", &[0, 0x6c, 0, 1], b"\xff\xfe nonsense"];
    let mut strangers: Vec<TcpStream> = Vec::with_capacity(idle);
    for index in 0..idle {
        let mut stranger = connect(server.address);
        stranger.write_all(openings[index % openings.len()]).expect("written");
        strangers.push(stranger);
        if index % 50 == 0 {
            heard(&mut speaker, &mut listener, &mut sequence, 1);
            most = most.max(allocator::allocated());
        }
    }
    most = most.max(allocator::allocated());
    let mut slow = connect(server.address);
    slow.set_nonblocking(true).expect("set");
    let started = Instant::now();
    let mut head = b"GET /slow HTTP/1.1\r\nHost: a\r\nX: ".iter().cycle();
    let mut gone = false;
    let mut last_byte = Instant::now();
    while !gone {
        heard(&mut speaker, &mut listener, &mut sequence, 5);
        if last_byte.elapsed() > Duration::from_millis(500) {
            last_byte = Instant::now();
            let _ = slow.write(&[*head.next().expect("endless")]);
        }
        let mut answer = [0; 16];
        gone =
            matches!(slow.read(&mut answer), Ok(count) if count == 0 || answer.starts_with(b"HTTP/1.1 408"));
        assert!(started.elapsed() < PATIENCE, "the slow one is never closed");
    }
    let grown = most - before;
    println!("{idle} idle connections: {} bytes each, both ends' user space", grown / idle as u64);
    assert!(grown < 2 * 1024 * idle as u64, "{grown} bytes for {idle} connections");
    let started = Instant::now();
    // The two of signalling, the two of media, and the slow one's goodbye.
    while server.connections() > 5 {
        assert!(started.elapsed() < PATIENCE, "{} are never closed", server.connections());
        heard(&mut speaker, &mut listener, &mut sequence, 1);
    }
    drop(strangers);
    heard(&mut speaker, &mut listener, &mut sequence, 50);
}
