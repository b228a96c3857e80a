//! The real binary on a free port, seen from outside: its answers, its descriptors, its memory, its end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use super::program::{Serving, strait_within};

/// A running `strait serve`, killed when dropped.
pub struct Server {
    /// Where it listens, UDP and TCP.
    pub address: SocketAddr,
    serving: Serving,
}

impl Server {
    /// Starts one with these settings (`ROOMS_MAX_ROOMS` and so on) and waits until it greets.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_within(&[], settings)
    }

    /// The same through another program, which takes the command as its last arguments.
    pub fn start_within(wrapper: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut command = strait_within(wrapper, &["serve", "--listen", "127.0.0.1:0"]);
        command.env("STRAIT_LOG_LEVEL", "warn");
        command.envs(settings.iter().map(|(name, value)| (format!("STRAIT_{name}"), *value)));
        let serving = Serving::start(&mut command);
        Self { address: serving.address, serving }
    }

    /// What the administration interface says about everything.
    pub fn stats(&self) -> Value {
        stats(self.address)
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.serving.child.id())).expect("it runs").count()
    }

    /// Its resident memory, bytes.
    pub fn resident(&self) -> usize {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.serving.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
        let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kilobytes * 1024
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.serving.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.serving.child.try_wait().expect("it is our child")
    }
}

/// What a server's administration interface says about everything.
pub fn stats(server: SocketAddr) -> Value {
    let answer =
        http(server, b"GET /admin/v1/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    serde_json::from_str(body.unwrap_or_default()).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// Sends these bytes on a connection of their own, and reads until the server closes.
pub fn http(server: SocketAddr, request: &[u8]) -> String {
    let mut stream = connect(server);
    // Whoever refuses before reading all may be gone before all is written.
    let _ = stream.write_all(request);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A TCP connection whose reads do not hang forever.
pub fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Asks again and again until the answer is there; panics with `what` if it never is.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "it never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
