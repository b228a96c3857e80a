//! IceServers: STUN and TURN servers of others that clients are told of, behind the embedded one.

use std::fmt;

use super::setting::{Raw, Rule, Setting};
use crate::net::Authority;
use crate::signal::native::IceServer;

/// The servers, in the order given. Their passwords are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IceServers(Vec<IceServer>);

impl IceServers {
    /// As clients are told.
    pub fn reveal(&self) -> &[IceServer] {
        &self.0
    }
}

impl fmt::Debug for IceServers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceServers({})", self.0.len())
    }
}

impl Setting for IceServers {
    const SECRET: bool = true;

    fn read(raw: &Raw, _: &Rule) -> Option<Self> {
        raw.items()?.into_iter().map(server).collect::<Option<_>>().map(Self)
    }

    fn show(&self) -> String {
        if self.0.is_empty() { "not set".to_owned() } else { "set".to_owned() }
    }

    fn expected(_: &Rule) -> String {
        "a list of servers, such as [\"stun:stun.example.org:3478\", \"turn:turn.example.org:3478?transport=tcp \
         username password\"]"
            .to_owned()
    }
}

/// A URL (RFC 7064, RFC 7065), for TURN with a user name and a password behind it.
fn server(text: &str) -> Option<IceServer> {
    let mut words = text.split_whitespace();
    let url = words.next()?;
    let (scheme, rest) = url.split_once(':')?;
    let (place, query) = rest.split_once('?').map_or((rest, None), |(place, query)| (place, Some(query)));
    place.parse::<Authority>().ok()?;
    let (username, credential) = (words.next().map(str::to_owned), words.next().map(str::to_owned));
    let is_complete = match scheme {
        "stun" | "stuns" => query.is_none() && username.is_none(),
        "turn" | "turns" => {
            matches!(query, None | Some("transport=udp" | "transport=tcp")) && credential.is_some()
        }
        _ => false,
    };
    let is_all = words.next().is_none();
    (is_complete && is_all).then(|| IceServer { urls: vec![url.to_owned()], username, credential })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url_and_for_turn_a_user_and_a_password() {
        let stun = server("stun:stun.example.org").expect("STUN");
        assert_eq!((stun.urls, stun.username), (vec!["stun:stun.example.org".to_owned()], None));
        let turn = server(" turns:[2001:db8::1]:5349?transport=tcp  anna secret").expect("TURN");
        assert_eq!(turn.urls, ["turns:[2001:db8::1]:5349?transport=tcp"]);
        assert_eq!((turn.username.as_deref(), turn.credential.as_deref()), (Some("anna"), Some("secret")));
        for wrong in [
            "",
            "stun:",
            "stun.example.org:3478",
            "http://stun.example.org",
            "stun:stun.example.org anna secret",
            "stun:stun.example.org?transport=udp",
            "turn:turn.example.org",
            "turn:turn.example.org anna",
            "turn:turn.example.org anna secret more",
            "turn:turn.example.org?transport=sctp anna secret",
        ] {
            assert_eq!(server(wrong), None, "{wrong}");
        }
    }
}
