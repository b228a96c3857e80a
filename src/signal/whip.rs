//! WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): session descriptions over HTTP, made into the core's commands.
//! [`WhipSession`] is the front end; the rest are pure functions between texts and commands. The shell does HTTP
//! itself.
//!
//! The core only answers whole offers. So an ICE restart, which comes as a fragment (RFC 8840), is turned into the
//! previous offer with other credentials, and its answer into a fragment again.

mod fragment;
mod offer;
mod session;
mod viewer;

use crate::core::event::{Refusal, RefusalCode};
use crate::signal::native::IceServer;

pub use fragment::{Fragment, answer_fragment};
pub use offer::{Problem, WhipOffer};
pub use session::{WhipReaction, WhipReply, WhipSession};
pub use viewer::{Choice, WhepViewer};

/// The side of a session, which says which of the two protocols it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// WHIP: the client publishes.
    Publish,
    /// WHEP: the client views.
    View,
}

impl Side {
    /// Returns the first segment of its URLs.
    pub fn path(self) -> &'static str {
        match self {
            Side::Publish => "whip",
            Side::View => "whep",
        }
    }

    /// Returns its name, which is also the default name of participants.
    pub fn name(self) -> &'static str {
        match self {
            Side::Publish => "WHIP",
            Side::View => "WHEP",
        }
    }
}

/// Returns the HTTP status code of a refusal by the core.
pub fn status(refusal: &Refusal) -> u16 {
    match refusal.code {
        RefusalCode::RoomFull | RefusalCode::TooManyRooms | RefusalCode::ShuttingDown => 503,
        RefusalCode::BadOffer | RefusalCode::TooManyTracks => 422,
        RefusalCode::BadName | RefusalCode::BadRoom => 400,
        RefusalCode::UnknownTrack | RefusalCode::UnknownParticipant | RefusalCode::NoSuchRoom => 404,
        RefusalCode::Unauthorized => 401,
        RefusalCode::NotPermitted => 403,
        RefusalCode::RateLimited | RefusalCode::TooManyParticipants => 429,
        _ => 500,
    }
}

/// Checks a precondition on the ICE session (RFC 9725 §4.3.1.1). Returns the status code of the refusal if it fails.
pub fn precondition(if_match: Option<&str>, etag: &str) -> Result<(), u16> {
    let Some(given) = if_match else { return Err(428) };
    let matches = given.split(',').map(str::trim).any(|tag| tag == "*" || tag == "\"*\"" || tag == etag);
    if matches { Ok(()) } else { Err(412) }
}

/// Returns ICE servers as values of `Link` header fields (RFC 9725 §4.6).
pub fn links(servers: &[IceServer]) -> Vec<String> {
    let mut links = Vec::new();
    for server in servers {
        for url in &server.urls {
            let mut link = format!("<{url}>; rel=\"ice-server\"");
            if let (Some(username), Some(credential)) = (&server.username, &server.credential) {
                link += &format!(
                    "; username=\"{}\"; credential=\"{}\"; credential-type=\"password\"",
                    quotable(username),
                    quotable(credential)
                );
            }
            links.push(link);
        }
    }
    links
}

fn quotable(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Returns the lines of a description, without line ends.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_precondition_is_428_and_a_stale_one_412() {
        assert_eq!(precondition(None, "\"1\""), Err(428));
        assert_eq!(precondition(Some("\"0\""), "\"1\""), Err(412));
        assert_eq!(precondition(Some("W/\"1\""), "\"1\""), Err(412), "a weak tag never matches");
        for good in ["*", "\"*\"", "\"1\"", "\"0\", \"1\""] {
            assert_eq!(precondition(Some(good), "\"1\""), Ok(()), "{good}");
        }
    }

    #[test]
    fn an_ice_server_becomes_a_link() {
        let server = IceServer {
            urls: vec!["turn:a.example:7443?transport=tcp".into()],
            username: Some("17:anna".into()),
            credential: Some("a\"b".into()),
        };
        assert_eq!(
            links(&[server]),
            ["<turn:a.example:7443?transport=tcp>; rel=\"ice-server\"; username=\"17:anna\"; \
              credential=\"a\\\"b\"; credential-type=\"password\""]
        );
    }
}
