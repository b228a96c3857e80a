//! What goes into a server and what comes out of it when it starts.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::shutdown::StopHandle;

/// What the shell adds to the core's [`Settings`].
#[derive(Debug, Clone)]
pub struct CoreSeed {
    /// The process's DTLS certificate, DER.
    pub certificate: Vec<u8>,
    /// A point of the monotonic clock …
    pub epoch: Instant,
    /// … and what the wall clock showed then.
    pub epoch_unix: Duration,
}

/// What is open, once it is.
#[derive(Debug, Clone)]
pub struct BoundAddresses {
    /// What is listened on, UDP and TCP alike.
    pub listen: SocketAddr,
    /// Where clients that are not on this machine reach us.
    pub reachable: Vec<SocketAddr>,
    /// Whether the whole internet can.
    pub is_public: bool,
    /// What shows that it is us.
    pub certificate: CertificateInfo,
    /// Ends [`serve`] from another thread.
    pub stop: StopHandle,
}

/// What a person may want to know of the certificate in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Whether nobody but the server itself has signed it.
    pub is_self_signed: bool,
    /// Its SHA-256, as browsers show it.
    pub fingerprint: String,
}

/// Changes what is logged, or says why not.
pub type SetLogLevel = Box<dyn Fn(&str) -> Result<(), String>>;
