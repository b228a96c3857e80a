//! A host with or without a port, as it stands in a `Host` header field and in `turn.host`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// Length of the longest name of a host (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// Where a service is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// A name or an address. IPv6 stands in brackets.
    pub host: String,
    /// The port, if one is given.
    pub port: Option<u16>,
}

impl FromStr for Authority {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self { host: format!("[{address}]"), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (text, None),
        };
        let is_address = |host: &str| {
            let inside = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            inside.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        };
        let is_name = |host: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            (1..=HOST_BYTES_MAX).contains(&host.len()) && host.bytes().all(plain)
        };
        if !is_address(host) && !is_name(host) {
            return Err(());
        }
        let port = port.map(|port| port.parse().ok().filter(|port| *port != 0).ok_or(())).transpose()?;
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_come_with_and_without_port() {
        for (text, host, port) in [
            ("call.example.org", "call.example.org", None),
            ("localhost:7443", "localhost", Some(7443)),
            ("192.0.2.7:80", "192.0.2.7", Some(80)),
            ("[2001:db8::7]:7443", "[2001:db8::7]", Some(7443)),
            ("[::1]", "[::1]", None),
            ("::1", "[::1]", None),
        ] {
            let authority: Authority = text.parse().expect(text);
            assert_eq!((authority.host.as_str(), authority.port), (host, port), "{text}");
        }
    }

    #[test]
    fn what_could_break_out_of_an_address_is_none() {
        for text in
            ["", ":80", "a:0", "a:65536", "a b", "a?transport=udp", "a\"", "[a]", "[::1", "a:b:c", "ä", "a,b"]
        {
            assert!(text.parse::<Authority>().is_err(), "{text}");
        }
        assert!("a".repeat(254).parse::<Authority>().is_err());
    }
}
