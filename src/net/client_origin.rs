//! Where a client's signalling comes from. The addresses that the client is given depend on it.

use std::net::IpAddr;

/// How a client's requests or messages reach the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientOrigin {
    /// The client's address: that of the connection's other end or, if a trusted proxy is there, the one that it names.
    pub client: IpAddr,
    /// The server's end of the connection.
    pub local: IpAddr,
    /// The `Host` header field: the name by which the client reaches the server.
    pub host: Option<String>,
    /// Whether the connection is TLS.
    pub is_tls: bool,
    /// Whether there is a reverse proxy between, so that `local` and `host` may only work for the proxy.
    pub is_proxied: bool,
}
