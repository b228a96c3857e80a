//! What is served without TLS, and to whom. Browsers allow camera and microphone on secure pages only, and tokens and
//! room names should not cross a network unencrypted. These rules are checked before all others.

use super::client::Client;
use super::message::{Request, Response};

/// Paths that tools ask for over plain HTTP everywhere.
const OPEN_PATHS: [&str; 4] = ["/health", "/livez", "/readyz", "/metrics"];

/// The first parts of paths that programs use. Programs get an explanation rather than a redirect.
const PROGRAM_PATHS: [&str; 7] = ["ws", "rtc", "whip", "whep", "api", "admin", "twirp"];

/// Returns the answer to a request that needs TLS and came without. `None` lets the request go on.
pub fn answer(request: &Request, client: &Client, is_allowed: bool) -> Option<Response> {
    if is_allowed || client.is_secure || client.ip.is_loopback() {
        return None;
    }
    if OPEN_PATHS.contains(&request.path.as_str()) {
        return None;
    }
    if client.is_forwarded && request.field("x-forwarded-proto").is_none() {
        // A redirect would send the browser back to the same address for ever.
        return Some(Response::problem(
            400,
            "the reverse proxy does not say by which scheme it was asked",
            "let the proxy set X-Forwarded-Proto (nginx: proxy_set_header X-Forwarded-Proto $scheme)",
        ));
    }
    let Some(authority) = authority(request, client.is_forwarded) else {
        return Some(Response::problem(
            400,
            "the Host header field is none",
            "send a host and, if needed, a port",
        ));
    };
    let first = request.path.split('/').nth(1).unwrap_or_default();
    if PROGRAM_PATHS.contains(&first) {
        let scheme = if matches!(first, "ws" | "rtc") { "wss" } else { "https" };
        let action = format!(
            "use {scheme}://{authority}{}; or let the operator set tls.allow_plain_http, or list the reverse proxy \
             that speaks TLS in server.trusted_proxies",
            request.path
        );
        let response = Response::problem(426, "this address is served over TLS only", &action);
        return Some(response.with("Upgrade", "TLS/1.2, HTTP/1.1"));
    }
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return None;
    }
    let location = format!("https://{authority}{}", request.target());
    Some(
        Response::text(308, "this page is served over TLS: see the Location header field")
            .with("Location", location)
            // A browser that cached it could not come back to plain HTTP if the operator allows that later.
            .with("Cache-Control", "no-store"),
    )
}

/// Returns the host and port to redirect to. Plain HTTP and TLS have the same port here, so port 80 must be named,
/// although browsers leave it out of `Host`. A proxy has ports of its own.
fn authority(request: &Request, is_forwarded: bool) -> Option<String> {
    let host = request.field("host")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(plain) {
        return None;
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
    Some(if has_port || is_forwarded { host.to_owned() } else { format!("{host}:80") })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::net::http::message::{Parsed, parse};

    const AWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn request(line: &str, host: &str) -> Request {
        let text = format!("{line} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        match parse(text.as_bytes()) {
            Parsed::Request(request, _) => *request,
            other => panic!("{other:?}"),
        }
    }

    /// Status and, if there is one, where to.
    fn told(line: &str, host: &str, ip: IpAddr, is_secure: bool) -> Option<(u16, Option<String>)> {
        let client = Client { ip, is_secure, is_forwarded: false };
        let response = answer(&request(line, host), &client, false)?;
        Some((response.status, response.field("Location").map(str::to_owned)))
    }

    #[test]
    fn pages_are_sent_to_https_on_the_same_host_and_port() {
        for (line, host, location) in [
            ("GET /", "10.0.0.7:7443", "https://10.0.0.7:7443/"),
            ("GET /?room=a%20b&x", "host.example:7443", "https://host.example:7443/?room=a%20b&x"),
            ("HEAD /app/main.js", "[2001:db8::1]:7443", "https://[2001:db8::1]:7443/app/main.js"),
            ("GET //evil.example/", "[2001:db8::1]", "https://[2001:db8::1]:80//evil.example/"),
            ("GET /whiplash", "a", "https://a:80/whiplash"),
        ] {
            assert_eq!(told(line, host, AWAY, false), Some((308, Some(location.to_owned()))), "{line}");
        }
    }

    #[test]
    fn programs_are_told_what_to_do() {
        for line in [
            "GET /ws",
            "GET /rtc/v1",
            "POST /whip/room",
            "OPTIONS /whep/room",
            "GET /api",
            "POST /twirp/livekit.RoomService/ListRooms",
            "PUT /admin/v1/log-level",
        ] {
            assert_eq!(told(line, "a:1", AWAY, false), Some((426, None)), "{line}");
        }
        let client = Client { ip: AWAY, is_secure: false, is_forwarded: false };
        let response = answer(&request("GET /ws", "a:1"), &client, false).expect("refused");
        let text = String::from_utf8(response.encode(true, true)).expect("text");
        assert!(text.contains("wss://a:1/ws") && text.contains("tls.allow_plain_http"), "{text}");
    }

    #[test]
    fn health_and_metrics_never_move_and_this_machine_is_served_everything() {
        for line in ["GET /health", "GET /metrics"] {
            assert_eq!(told(line, "a", AWAY, false), None, "{line}");
        }
        for line in ["GET /", "GET /ws", "POST /whip/room"] {
            assert_eq!(told(line, "a", HERE, false), None, "{line}");
            assert_eq!(told(line, "a", AWAY, true), None, "{line}");
            let client = Client { ip: AWAY, is_secure: false, is_forwarded: false };
            assert!(answer(&request(line, "a"), &client, true).is_none(), "{line}");
        }
        assert_eq!(told("POST /", "a", AWAY, false), None, "the router refuses it better");
    }

    #[test]
    fn a_host_that_is_none_is_not_repeated() {
        for host in ["", "a b", "a/b", "a\"", "user@a", "a\u{e9}"] {
            assert_eq!(told("GET /", host, AWAY, false), Some((400, None)), "{host}");
        }
    }

    #[test]
    fn behind_a_proxy_the_port_is_the_proxys() {
        let client = Client { ip: AWAY, is_secure: false, is_forwarded: true };
        let asked = request("GET /", "meet.example\r\nX-Forwarded-Proto: http");
        let response = answer(&asked, &client, false).expect("redirected");
        assert_eq!(response.field("Location"), Some("https://meet.example/"));
    }

    #[test]
    fn a_proxy_that_keeps_the_scheme_to_itself_is_not_sent_in_circles() {
        let client = Client { ip: AWAY, is_secure: false, is_forwarded: true };
        let response = answer(&request("GET /", "meet.example"), &client, false).expect("refused");
        assert_eq!(response.status, 400);
    }
}
