//! Identifies the client of a request, which may have come through a reverse proxy.

use std::net::IpAddr;

use super::message::Request;
use crate::net::network::Network;

/// The client that sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The client's address, as far as the server can know it.
    pub ip: IpAddr,
    /// Whether nobody on the way could read along, because there is TLS here or at a trusted proxy.
    pub is_secure: bool,
    /// Whether the address comes from a trusted proxy.
    pub is_forwarded: bool,
}

impl Client {
    /// Finds the client: the connection's other end or, if that is a trusted proxy, the one that the proxy names.
    pub fn of(request: &Request, peer: IpAddr, is_tls: bool, trusted: &[Network]) -> Self {
        let is_trusted = |ip: IpAddr| Network::any_has(trusted, ip);
        let is_forwarded = is_trusted(peer) && request.is_proxied();
        if !is_forwarded {
            return Self { ip: peer, is_secure: is_tls, is_forwarded };
        }
        // Each proxy appends the address that it heard from, so the client is the last one that is not a proxy of ours.
        let mut ip = peer;
        for hop in request.field_items("x-forwarded-for").rev() {
            let Some(heard) = address_of(hop) else { break };
            ip = heard;
            if !is_trusted(heard) {
                break;
            }
        }
        // The last one comes from the proxy next to us. The client may have written those before it.
        let scheme = request.field_items("x-forwarded-proto").next_back();
        let is_secure = is_tls || scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        Self { ip, is_secure, is_forwarded }
    }
}

/// Reads an address as proxies write it: bare, or with a port.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let ip: Option<IpAddr> = bare.parse().ok();
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    ip.or_else(with_port).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse};

    fn network(text: &str) -> Network {
        text.parse().expect(text)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    fn client(fields: &str, peer: &str, is_tls: bool) -> (String, bool) {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("{text}") };
        let client = Client::of(&request, ip(peer), is_tls, &[network("10.0.0.0/8"), network("127.0.0.1")]);
        (client.ip.to_string(), client.is_secure)
    }

    #[test]
    fn only_a_trusted_proxy_can_speak_for_a_client() {
        let forged = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n";
        assert_eq!(client(forged, "192.0.2.1", false), ("192.0.2.1".into(), false));
        assert_eq!(client(forged, "10.0.0.7", false), ("198.51.100.1".into(), true));
        assert_eq!(client("", "10.0.0.7", false), ("10.0.0.7".into(), false));
        assert_eq!(client("", "192.0.2.1", true), ("192.0.2.1".into(), true));
    }

    #[test]
    fn what_the_client_itself_put_into_the_chain_counts_for_nothing() {
        let chain = "X-Forwarded-For: 127.0.0.1, 198.51.100.1, 10.1.1.1\r\n";
        assert_eq!(client(chain, "127.0.0.1", false), ("198.51.100.1".into(), false));
        let two_fields = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: [2001:db8::1]:5000\r\n";
        assert_eq!(client(two_fields, "127.0.0.1", false), ("2001:db8::1".into(), false));
        let junk = "X-Forwarded-For: 198.51.100.1, unknown\r\nX-Forwarded-Proto: https, http\r\n";
        assert_eq!(client(junk, "127.0.0.1", false), ("127.0.0.1".into(), false));
    }
}
