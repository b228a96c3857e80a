//! A signal ends the server. In a binary of its own: a signal reaches every server of the process.

mod shell_support;

use std::time::{Duration, Instant};

use shell_support::{Server, close_code, config};
use strait::net::{ExitReason, ShellConfig};

#[test]
fn a_signal_tells_everyone_and_ends_the_server() {
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        let mut server = Server::start(ShellConfig { handle_signals: true, ..config() });
        let mut socket = server.web_socket();
        let started = Instant::now();
        signal_hook::low_level::raise(signal).expect("raised");
        assert_eq!(close_code(&mut socket), Some(1001));
        assert_eq!(server.join(), ExitReason::Signal(signal));
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
