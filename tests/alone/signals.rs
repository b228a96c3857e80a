//! A signal ends the server. It reaches every server of the process.

use std::time::{Duration, Instant};

use strait::net::{ExitReason, ShellConfig};

use crate::alone;
use crate::support::{Server, close_code, config};

#[test]
fn a_signal_tells_everyone_and_ends_the_server() {
    let _alone = alone();
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
