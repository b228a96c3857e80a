//! Where a client's signalling comes from: what the addresses that it is given depend on.

use std::net::IpAddr;

/// How a client's requests or messages reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOrigin {
    /// The client's address: the connection's other end, or whom a trusted proxy there speaks for.
    pub client: IpAddr,
    /// The server's end of the connection.
    pub local: IpAddr,
    /// The `Host` header field: what the client calls the server.
    pub host: Option<String>,
    /// Whether the connection is TLS.
    pub is_tls: bool,
    /// Whether a reverse proxy stands between, so that `local` and `host` may be of use to the proxy alone.
    pub is_proxied: bool,
}
