//! What a server is given and what it returns when it starts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::shutdown::StopHandle;

/// What the shell adds to the core's [`Settings`](crate::core::Settings).
#[derive(Debug, Clone)]
pub struct CoreSeed {
    /// The process's DTLS certificate, in DER.
    pub certificate: Vec<u8>,
    /// A moment on the monotonic clock.
    pub epoch: Instant,
    /// The wall clock's time at `epoch`, counted from 1970.
    pub epoch_unix: Duration,
}

/// The addresses that the server has opened, and how people reach it.
#[derive(Debug, Clone)]
pub struct BoundAddresses {
    /// The address that UDP and TCP listen on.
    pub listen: SocketAddr,
    /// The address that serves administration alone, if there is one.
    pub admin: Option<SocketAddr>,
    /// The addresses at which clients on other machines reach us.
    pub reachable: Vec<SocketAddr>,
    /// Whether one of them is reachable from the whole internet.
    pub is_public: bool,
    /// The certificate by which clients know us.
    pub certificate: CertificateInfo,
    /// The handle that ends [`serve`](super::serve) from another thread.
    pub stop: StopHandle,
}

/// What a person may want to know about the certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Whether the server has signed it itself.
    pub is_self_signed: bool,
    /// Its SHA-256 fingerprint, as browsers show it.
    pub fingerprint: String,
}

/// Changes what is logged, or says why it cannot.
pub type SetLogLevel = Box<dyn Fn(&str) -> Result<(), String>>;
