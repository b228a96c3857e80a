//! Why the program ends early, in one line with what to do.

use std::io;
use std::net::SocketAddr;

use crate::config::ConfigError;

/// A line for standard error, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) message: String,
}

impl Failure {
    /// Returns the failure for what the person who started the program has to change: exit code 2.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// Returns a failure that is nobody's mistake: exit code 1.
    pub(super) fn other(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// Returns the failure for a port that could not be opened, with what to do about it.
    pub(super) fn of_listening(listen: SocketAddr, error: &io::Error) -> Self {
        let port = listen.port();
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::usage(format!(
                "port {port} is in use by another program (perhaps another strait); use --listen to choose another, \
                 such as --listen '[::]:{}'",
                if port == u16::MAX { port - 1 } else { port + 1 }
            )),
            io::ErrorKind::AddrNotAvailable => Self::usage(format!(
                "{} is not an address of this machine; use --listen with one that is, or '[::]:{port}' for all",
                listen.ip()
            )),
            io::ErrorKind::PermissionDenied => Self::usage(format!(
                "no permission to listen on port {port}; use --listen with a port above 1023, or grant \
                 CAP_NET_BIND_SERVICE"
            )),
            // This is a certificate that cannot be used; the message says which and why.
            io::ErrorKind::InvalidData => Self::usage(error.to_string().replace('\n', " ")),
            _ => Self::other(format!("cannot listen on {listen}: {error}")),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.0)
    }
}
