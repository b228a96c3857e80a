//! Reads the server's address from the command line.

use std::net::{SocketAddr, ToSocketAddrs};

/// A server's address, and the host name for requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The address and port to connect to.
    pub address: SocketAddr,
    /// The value of the Host field.
    pub host: String,
}

/// Reads `ws://host:port` or `http://host:port`, with or without `/` or `/ws` behind it; names are looked up.
pub fn parse(text: &str) -> Result<Target, String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("{text:?} is not a URL; write it like ws://127.0.0.1:7443"));
    };
    match scheme {
        "ws" | "http" => {}
        "wss" | "https" => {
            return Err(
                "the load generator does not speak TLS; use the ws:// address of the server itself".into()
            );
        }
        other => return Err(format!("{other}:// is not a scheme of signalling; use ws://")),
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !matches!(path, "" | "ws") {
        return Err(format!("signalling is at /ws, not at /{path}"));
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
    let mut found = with_port.to_socket_addrs().map_err(|error| format!("cannot find {host}: {error}"))?;
    let address = found.next().ok_or_else(|| format!("{host} has no address"))?;
    Ok(Target { address, host: host.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers_are_read() {
        for (text, address) in [
            ("ws://127.0.0.1:7443", "127.0.0.1:7443"),
            ("ws://127.0.0.1:7443/ws", "127.0.0.1:7443"),
            ("http://[::1]:8080/", "[::1]:8080"),
            ("ws://192.0.2.1", "192.0.2.1:80"),
        ] {
            assert_eq!(parse(text).expect(text).address, address.parse().expect("an address"), "{text}");
        }
        assert_eq!(parse("ws://127.0.0.1:1/ws").expect("good").host, "127.0.0.1:1");
    }

    #[test]
    fn what_cannot_be_a_server_is_explained() {
        for (text, word) in [
            ("127.0.0.1:7443", "not a URL"),
            ("wss://127.0.0.1:7443", "TLS"),
            ("ftp://127.0.0.1", "scheme"),
            ("ws://127.0.0.1:1/other", "/ws"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(word), "{error}");
        }
    }
}
