//! Where clients are told to find the TURN server, and by which credentials.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Authority, TurnServer};
use crate::net::address::Candidates;
use crate::net::client_origin::ClientOrigin;
use crate::signal::native::IceServer;

/// How a client's signalling reaches the server.
#[derive(Debug, Clone, Copy)]
pub struct ReachedBy<'a> {
    /// The `Host` header field of the client's request.
    pub host: Option<&'a str>,
    /// Whether the connection is TLS.
    pub is_tls: bool,
    /// Whether a reverse proxy stands between, so that `host` may not name us.
    pub is_proxied: bool,
    /// The best of the client's candidates.
    pub candidate: SocketAddr,
}

impl TurnServer {
    /// Lists what the client of a participant needs whose signalling comes from there. Empty also if no address is known at
    /// which the client could reach us. `unix` is the time since 1970.
    pub fn ice_servers_for(
        &self,
        now: Instant,
        unix: Duration,
        participant: &str,
        origin: &ClientOrigin,
        candidates: &mut Candidates,
    ) -> Vec<IceServer> {
        let relayed = self.network();
        let given = candidates.for_client(now, origin.client, origin.local, origin.is_proxied);
        // The fictitious candidate is nobody's address.
        let real = given.iter().find(|candidate| !relayed.contains(candidate.address.ip()));
        let Some(first) = real else { return Vec::new() };
        let reached = ReachedBy {
            host: origin.host.as_deref(),
            is_tls: origin.is_tls,
            is_proxied: origin.is_proxied,
            candidate: first.address,
        };
        self.ice_servers(participant, reached, unix)
    }

    /// Lists what a participant's client needs, as `RTCPeerConnection` takes it. Empty if TURN is not served. `unix` is
    /// the time since 1970.
    ///
    /// Only TCP and TLS are offered: a browser that is given our own UDP address as a TURN or STUN server cannot use it
    /// as a candidate any more.
    pub fn ice_servers(&self, participant: &str, reached: ReachedBy<'_>, unix: Duration) -> Vec<IceServer> {
        if !self.config.enabled {
            return Vec::new();
        }
        let (host, port) = place(self.config.host.as_ref(), reached, self.port);
        let issued = self.credentials.issue(participant, unix + self.config.credential_lifetime);
        let urls = ["turn", "turns"].map(|scheme| format!("{scheme}:{host}:{port}?transport=tcp"));
        vec![IceServer {
            urls: urls.to_vec(),
            username: Some(issued.username),
            credential: Some(issued.password),
        }]
    }
}

/// Returns host and port: what is configured, or the name by which the client found us (so that the certificate fits),
/// or our address.
fn place(configured: Option<&Authority>, reached: ReachedBy<'_>, port: u16) -> (String, u16) {
    if let Some(authority) = configured {
        return (authority.host.clone(), authority.port.unwrap_or(port));
    }
    let named = reached.host.filter(|_| !reached.is_proxied).and_then(|host| host.parse::<Authority>().ok());
    match named {
        // Without TLS and without a port, somebody may stand between who does not say so.
        Some(Authority { host, port: None }) => (host, if reached.is_tls { 443 } else { port }),
        Some(Authority { host, port: Some(port) }) => (host, port),
        None => {
            let ip = reached.candidate.ip();
            let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
            (host, reached.candidate.port())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(configured: Option<&str>, host: Option<&str>, is_tls: bool, is_proxied: bool) -> String {
        let configured = configured.map(|text| text.parse().expect(text));
        let candidate = "[2001:db8::7]:7443".parse().expect("an address");
        let (host, port) =
            place(configured.as_ref(), ReachedBy { host, is_tls, is_proxied, candidate }, 7443);
        format!("{host}:{port}")
    }

    #[test]
    fn the_server_is_where_the_client_found_us() {
        assert_eq!(placed(None, Some("call.example.org:7443"), true, false), "call.example.org:7443");
        assert_eq!(placed(None, Some("localhost:7443"), false, false), "localhost:7443");
        assert_eq!(placed(None, Some("[::1]:8443"), true, false), "[::1]:8443");
        assert_eq!(placed(None, Some("call.example.org"), true, false), "call.example.org:443");
        assert_eq!(placed(None, Some("call.example.org"), false, false), "call.example.org:7443");
    }

    #[test]
    fn behind_a_proxy_or_without_a_usable_name_it_is_our_address() {
        assert_eq!(placed(None, Some("call.example.org"), true, true), "[2001:db8::7]:7443");
        assert_eq!(placed(None, None, true, false), "[2001:db8::7]:7443");
        assert_eq!(placed(None, Some("a?x=\""), true, false), "[2001:db8::7]:7443");
    }

    #[test]
    fn what_is_configured_goes_before_all() {
        assert_eq!(placed(Some("turn.example.org"), Some("a"), true, true), "turn.example.org:7443");
        assert_eq!(placed(Some("turn.example.org:443"), None, false, false), "turn.example.org:443");
    }
}
