//! WebhookUrl: the address of a receiver of webhooks.

use std::fmt;
use std::str::FromStr;

/// An `http` or `https` address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    /// Whether it is `https`.
    pub is_secure: bool,
    /// The name or address of the host, an IPv6 address without brackets.
    pub host: String,
    /// The port, given or implied by the scheme.
    pub port: u16,
    /// The path with the query, which begins with `/`.
    pub target: String,
}

impl WebhookUrl {
    /// Returns the host as the field `Host` has it: with the port unless the scheme implies it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let implied = if self.is_secure { 443 } else { 80 };
        if self.port == implied { host } else { format!("{host}:{}", self.port) }
    }

    /// Returns the address as a log may show it: without the query, which may hold a secret.
    pub fn loggable(&self) -> String {
        let scheme = if self.is_secure { "https" } else { "http" };
        let path = self.target.split('?').next().unwrap_or_default();
        format!("{scheme}://{}{path}", self.authority())
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

/// The text is not an address to which webhooks can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadWebhookUrl;

impl FromStr for WebhookUrl {
    type Err = BadWebhookUrl;

    fn from_str(text: &str) -> Result<Self, BadWebhookUrl> {
        // What a request line can carry. A user name or a password in an address would end up in logs.
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
        let (scheme, rest) = text.split_once("://").filter(|_| plain).ok_or(BadWebhookUrl)?;
        let is_secure = match scheme {
            "http" => false,
            "https" => true,
            _ => return Err(BadWebhookUrl),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().ok().filter(|port| *port > 0).ok_or(BadWebhookUrl)?)
            }
            _ => (authority, if is_secure { 443 } else { 80 }),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bare {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().map_err(|_| BadWebhookUrl)?.to_string(),
            None => host.to_ascii_lowercase(),
        };
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if bare.is_none() && (host.is_empty() || !host.bytes().all(named)) {
            return Err(BadWebhookUrl);
        }
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { is_secure, host, port, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_receivers_are_taken_apart() {
        for (text, authority, target, secure) in [
            ("https://hooks.example.org/strait?key=1", "hooks.example.org", "/strait?key=1", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", "/", false),
            ("http://[::1]:8080/a", "[::1]:8080", "/a", false),
            ("https://Hooks.example.org:443?x", "hooks.example.org", "/?x", true),
        ] {
            let url: WebhookUrl = text.parse().expect(text);
            assert_eq!((url.authority().as_str(), url.target.as_str()), (authority, target), "{text}");
            assert_eq!((url.is_secure, url.to_string().parse()), (secure, Ok(url.clone())), "{text}");
        }
        let url: WebhookUrl = "https://hooks.example.org/strait?key=1".parse().expect("an address");
        assert_eq!(url.loggable(), "https://hooks.example.org/strait");
    }

    #[test]
    fn what_is_no_address_of_a_receiver_is_refused() {
        for text in [
            "",
            "hooks.example.org",
            "ftp://a",
            "http://",
            "http://user:secret@a/",
            "http://a:0/",
            "http://a:x/",
            "http://a/\r\nHost: b",
            "http://[::1/",
            "http://a b/",
        ] {
            assert_eq!(text.parse::<WebhookUrl>(), Err(BadWebhookUrl), "{text:?}");
        }
    }
}
