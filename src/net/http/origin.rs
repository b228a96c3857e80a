//! The rules on `Origin` and `Host` that keep the scripts of other sites out.

use std::net::IpAddr;

use super::message::Request;

/// Returns whether the page that asks is our own, is listed, or is no page at all: native clients send no `Origin`.
pub fn allowed(request: &Request, also: &[String]) -> bool {
    let Some(origin) = request.field("origin") else { return true };
    same_host(request, origin)
        || also
            .iter()
            .any(|listed| listed == "*" || listed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// Returns whether an origin is this server as the request itself addresses it. The scheme is not compared, because a
/// proxy in front may speak TLS for us.
pub fn same_host(request: &Request, origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let Some(host) = request.field("host") else { return false };
    let default_port = match scheme {
        "http" => "80",
        "https" => "443",
        _ => return false,
    };
    let (origin_name, origin_port) = split_port(authority);
    let (name, port) = split_port(host);
    // A port that is left out is the one that the scheme implies.
    origin_name.eq_ignore_ascii_case(name)
        && origin_port.unwrap_or(default_port) == port.unwrap_or(default_port)
}

/// Returns whether a request addresses us by a name of ours: one that the operator has listed, an IP address or localhost.
/// Without a list any name will do, except for the pages that a browser on this machine shows (`is_local`): somebody else
/// could have pointed their name here (DNS rebinding), and nobody else's pages are to come in by it.
pub fn host_is_ours(request: &Request, names: &[String], is_local: bool) -> bool {
    let is_page = request.field("origin").is_some();
    if (names.is_empty() && !(is_local && is_page)) || host_is_literal(request) {
        return true;
    }
    let (name, _) = split_port(request.field("host").unwrap_or_default());
    names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Returns whether the request addresses us by an IP address or as localhost. Somebody else could have pointed any
/// other name here (DNS rebinding).
pub fn host_is_literal(request: &Request) -> bool {
    let (name, _) = split_port(request.field("host").unwrap_or_default());
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse};

    fn request(host: &str, origin: &str) -> Request {
        let text = format!("GET /ws HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\n\r\n");
        match parse(text.as_bytes()) {
            Parsed::Request(request, _) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_our_own_pages_and_listed_ones_come_in() {
        let listed = ["https://meet.example.org".to_string()];
        let ours = [
            ("localhost:7443", "http://localhost:7443"),
            ("[::1]:7443", "http://[::1]:7443"),
            ("call.example.org", "https://call.example.org"),
            ("call.example.org:443", "https://call.example.org"),
            ("LOCALHOST:7443", "http://localhost:7443"),
            ("a", "https://meet.example.org"),
        ];
        for (host, origin) in ours {
            assert!(allowed(&request(host, origin), &listed), "{host} {origin}");
        }
        let foreign = [
            ("localhost:7443", "http://localhost:8080"),
            ("localhost:7443", "http://evil.example"),
            ("localhost:7443", "null"),
            ("meet.example.org.evil.example", "https://meet.example.org.evil"),
            ("a", "https://meet.example.org.evil.example"),
            ("a:80", "file://a"),
        ];
        for (host, origin) in foreign {
            assert!(!allowed(&request(host, origin), &listed), "{host} {origin}");
        }
    }

    #[test]
    fn a_page_comes_in_by_a_name_that_is_ours_and_by_no_other() {
        let (none, own) = (Vec::new(), ["call.example.org".to_string()]);
        let rebound = request("rebound.example:7443", "http://rebound.example:7443");
        assert!(!host_is_ours(&rebound, &none, true) && !host_is_ours(&rebound, &own, false));
        assert!(
            host_is_ours(&rebound, &none, false),
            "a server on the internet knows its names only if it is told"
        );
        for host in ["CALL.example.org:7443", "call.example.org", "localhost:7443", "192.0.2.7", "[::1]:7443"]
        {
            assert!(host_is_ours(&request(host, "http://a"), &own, true), "{host}");
        }
    }

    #[test]
    fn names_other_than_localhost_are_no_literals() {
        for host in ["localhost:7443", "127.0.0.1", "[::1]:7443", "10.0.0.7:80"] {
            assert!(host_is_literal(&request(host, "http://a")), "{host}");
        }
        for host in ["rebound.example:7443", "localhost.evil.example", ""] {
            assert!(!host_is_literal(&request(host, "http://a")), "{host}");
        }
    }
}
