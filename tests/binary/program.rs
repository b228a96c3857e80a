//! The program as a child process, away from the user's own settings and files.

use std::io::{BufRead, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Returns the program with these arguments. It sees none of this process's `STRAIT_` variables.
pub fn strait(arguments: &[&str]) -> Command {
    strait_within(&[], arguments)
}

/// Returns the program, started through another one which takes a command as its last arguments.
pub fn strait_within(wrapper: &[&str], arguments: &[&str]) -> Command {
    let words = [wrapper, &[env!("CARGO_BIN_EXE_strait")], arguments].concat();
    let mut command = Command::new(words[0]);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("STRAIT_") {
            command.env_remove(name);
        }
    }
    // What it keeps, it keeps away from the user's own.
    command.env("XDG_DATA_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(&words[1..]).stdin(Stdio::null());
    command
}

/// A running `strait serve` on 127.0.0.1, killed when dropped.
#[derive(Debug)]
pub struct Serving {
    /// Its process.
    pub child: Child,
    /// Where it listens, UDP and TCP.
    pub address: SocketAddr,
}

impl Serving {
    /// Starts `command`, which serves, and waits until it greets.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut greeting = BufReader::new(child.stdout.take().expect("piped"));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port(&mut greeting)));
        // Whoever goes on greeting must not find the pipe closed.
        std::thread::spawn(move || greeting.lines().for_each(drop));
        Self { child, address }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port that a greeting names.
fn port(greeting: &mut BufReader<ChildStdout>) -> u16 {
    let port = greeting.by_ref().lines().map_while(Result::ok).find_map(|line| {
        line.trim().strip_prefix("Open http://localhost:").map(|port| port.parse().expect("a port"))
    });
    port.expect("a greeting that says where to go")
}
