//! `/api/v1/…`: the API for an app's back end, which shows a token that one of the server's keys has signed. `docs/api.md`
//! tells how it is used.

pub mod answers;
mod asked;
pub mod changes;
mod requests;

pub use self::asked::ApiRequest;
#[cfg(test)]
pub use self::requests::ROUTES;
pub use self::requests::{bans, parse, waiting};

use serde_json::{Value, json};

use crate::access::{Authority, Gate};
use crate::core::ids::RoomId;
use crate::core::moderation::Moderation;
use crate::net::clock;
use crate::net::http::message::{Request, Response};

/// A request of a back end, and by what authority it is made, once that is known.
#[derive(Debug, PartialEq, Eq)]
pub struct ApiCall {
    /// What is asked.
    pub asked: ApiRequest,
    /// Who asks; `None` before their token is checked.
    pub authority: Option<Authority>,
}

impl ApiRequest {
    /// Returns what an audit log needs to know beside path and method.
    pub fn details(&self) -> Value {
        match self {
            Self::IssueToken(issue) => json!({
                "room": issue.pass.room.as_ref().map(RoomId::as_str),
                "identity": issue.pass.identity,
                "moderate": issue.pass.grants.moderate,
                "validSeconds": issue.seconds,
            }),
            Self::Operate(_, moderations) => {
                let names: Vec<&str> = moderations.iter().map(Moderation::as_str).collect();
                json!({"operations": names})
            }
            Self::MakeRoom(room, _) => json!({"room": room.as_ref().map(RoomId::as_str)}),
            _ => Value::Null,
        }
    }
}

/// Checks that the token of a request allows what it asks.
///
/// # Errors
/// There is no token, or it does not; the answer says why.
pub fn authorize(request: &Request, gate: &Gate, asked: &ApiRequest) -> Result<Authority, Response> {
    let unauthorized = |error: &str, challenge: &'static str| {
        let action =
            "send Authorization: Bearer and a token that your back end has signed with a key of auth.keys";
        Response::problem(401, error, action).with("WWW-Authenticate", challenge)
    };
    let Some(token) = request.bearer() else { return Err(unauthorized("the API needs a token", "Bearer")) };
    let authority = gate
        .authority(token, clock::unix().as_secs())
        .map_err(|denied| unauthorized(&denied.0, "Bearer error=\"invalid_token\""))?;
    authority.check(&asked.need()).map_err(|denied| {
        Response::problem(403, &denied.0, "ask with a token that has it in `video`")
            .with("WWW-Authenticate", "Bearer error=\"insufficient_scope\"")
    })?;
    Ok(authority)
}
