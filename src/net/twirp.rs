//! `/twirp/livekit.RoomService/…`: LiveKit's room service, as its server libraries speak it, by Twirp in protocol buffers or
//! JSON. It asks for the same as `/api/v1`; `docs/livekit.md` tells what is served.

mod answers;
mod calls;
mod schema;

use std::time::Instant;

use serde_json::{Value, json};

pub use self::calls::Asked;
use self::calls::{METHODS, Method, NOT_SERVED};
use crate::access::{Authority, Gate};
use crate::core::moderation::Moderation;
use crate::net::clock;
use crate::net::http::message::{Request, Response};
use crate::net::shard::Shard;
use crate::net::view::ServerView;

/// Where the service is.
pub const PREFIX: &str = "/twirp/livekit.RoomService/";

/// The codes of Twirp's errors that are answered here, with their HTTP status (Twirp wire protocol, "Error Codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    BadRoute,
    FailedPrecondition,
    InvalidArgument,
    Malformed,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
}

impl Code {
    fn words(self) -> (&'static str, u16) {
        match self {
            Self::BadRoute => ("bad_route", 404),
            Self::FailedPrecondition => ("failed_precondition", 412),
            Self::InvalidArgument => ("invalid_argument", 400),
            Self::Malformed => ("malformed", 400),
            Self::NotFound => ("not_found", 404),
            Self::PermissionDenied => ("permission_denied", 403),
            Self::ResourceExhausted => ("resource_exhausted", 429),
            Self::Unauthenticated => ("unauthenticated", 401),
            Self::Unavailable => ("unavailable", 503),
            Self::Unimplemented => ("unimplemented", 501),
        }
    }
}

/// Why something is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of reason it is.
    pub code: Code,
    message: String,
}

impl Refused {
    /// Makes one with words for a person.
    pub fn because(code: Code, message: &str) -> Self {
        Self { code, message: message.to_owned() }
    }

    /// Returns the answer that says so; errors are JSON whatever the request is.
    pub fn response(&self) -> Response {
        let (code, status) = self.code.words();
        Response::json(status, &json!({"code": code, "msg": self.message}))
    }
}

/// In which form a request has come, and its answer goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Bytes,
}

/// A request of a back end to the room service.
#[derive(Debug, Clone)]
pub struct Call {
    method: Method,
    form: Form,
    asked: Asked,
    /// Who asks; `None` before their token is checked.
    authority: Option<Authority>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        (self.method.name, self.form, &self.asked) == (other.method.name, other.form, &other.asked)
    }
}

impl Eq for Call {}

/// Returns whether a path is that of a method that changes nothing.
pub fn is_reading(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|name| name.starts_with("List") || name.starts_with("Get"))
}

/// Reads what is asked.
///
/// # Errors
/// The request is refused with this answer.
pub fn parse(request: &Request) -> Result<Call, Response> {
    if request.method == "OPTIONS" {
        return Err(Response::empty(204).with("Allow", "POST, OPTIONS"));
    }
    read(request).map_err(|refused| refused.response())
}

fn read(request: &Request) -> Result<Call, Refused> {
    let name = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let found = METHODS.into_iter().find(|method| method.name == name);
    let Some(method) = found.filter(|_| request.method == "POST") else {
        let is_known = NOT_SERVED.contains(&name);
        let (code, message) = match (found, is_known) {
            (None, true) => (
                Code::Unimplemented,
                "this server does not have this method: docs/livekit.md tells what it has",
            ),
            _ => (
                Code::BadRoute,
                "the room service is at POST /twirp/livekit.RoomService/{method}: docs/livekit.md lists its methods",
            ),
        };
        return Err(Refused::because(code, message));
    };
    let malformed = |message: String| Refused::because(Code::Malformed, &message);
    let (form, read) = match request.content_type().as_str() {
        "application/protobuf" => (Form::Bytes, schema::read_bytes(method.request, &request.body)),
        "application/json" => {
            let value: Result<Value, _> = serde_json::from_slice(&request.body);
            let value = value.map_err(|error| malformed(format!("the body is not JSON: {error}")))?;
            (Form::Json, schema::read_json(method.request, &value))
        }
        _ => {
            let message = "Content-Type must be application/json or application/protobuf";
            return Err(Refused::because(Code::BadRoute, message));
        }
    };
    let asked = (method.reads)(&read.map_err(malformed)?)?;
    Ok(Call { method, form, asked, authority: None })
}

impl Call {
    /// Checks that the token of a request allows what it asks, and remembers whose it is.
    ///
    /// # Errors
    /// There is no token, or it does not; the answer says why.
    pub fn authorize(&mut self, request: &Request, gate: &Gate) -> Result<(), Response> {
        let refuse = |code, message: &str| Refused::because(code, message).response();
        let Some(token) = request.bearer() else {
            let message = "send Authorization: Bearer and a token that a key of auth.keys has signed";
            return Err(refuse(Code::Unauthenticated, message).with("WWW-Authenticate", "Bearer"));
        };
        let authority = gate.authority(token, clock::unix().as_secs()).map_err(|denied| {
            refuse(Code::Unauthenticated, &denied.0)
                .with("WWW-Authenticate", "Bearer error=\"invalid_token\"")
        })?;
        authority.check(&self.asked.need()).map_err(|denied| refuse(Code::PermissionDenied, &denied.0))?;
        self.authority = Some(authority);
        Ok(())
    }

    /// Returns by whose authority it is made.
    pub fn by(&self) -> Option<String> {
        self.authority.as_ref().map(|authority| authority.by.clone())
    }

    /// Returns what an audit log needs to know beside path and method.
    pub fn details(&self) -> Value {
        match &self.asked {
            Asked::MakeRoom(room, _)
            | Asked::EndRoom(room)
            | Asked::Remove(room, _)
            | Asked::Mute(room, ..)
            | Asked::Update(room, ..)
            | Asked::UpdateRoom(room, _)
            | Asked::Do(room, _) => json!({"room": room.as_str()}),
            Asked::Rooms(_) | Asked::Participants(_) | Asked::Participant(..) => Value::Null,
        }
    }

    /// Checks that whom and what it is about is there.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, view: ServerView<'_>) -> Result<(), Refused> {
        match &self.asked {
            Asked::Mute(room, who, track) => answers::track(view, room, who, *track).map(|_| ()),
            Asked::Remove(room, who) | Asked::Update(room, who, _) => {
                answers::participant(view, room, who).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Does what is to be done before it is answered.
    ///
    /// # Errors
    /// The core refuses it.
    pub fn carry_out(&self, now: Instant, shard: &mut Shard) -> Result<(), Refused> {
        let outcome = match &self.asked {
            Asked::MakeRoom(room, change) => shard.make_room(now, room, (**change).clone()),
            Asked::EndRoom(room) => shard.operate(now, room, Moderation::End),
            Asked::Remove(room, who) => shard.operate(now, room, Moderation::Remove(who.clone())),
            Asked::Mute(room, _, track) => shard.operate(now, room, Moderation::Mute(*track)),
            Asked::UpdateRoom(room, moderation) => shard.operate(now, room, moderation.clone()),
            Asked::Do(room, moderation) => shard.operate(now, room, (**moderation).clone()),
            Asked::Update(room, _, moderations) => {
                moderations.iter().try_for_each(|moderation| shard.operate(now, room, moderation.clone()))
            }
            Asked::Rooms(_) | Asked::Participants(_) | Asked::Participant(..) => Ok(()),
        };
        outcome.map_err(|refusal| answers::refused(&refusal))
    }

    /// Answers it, after it was carried out.
    pub fn answer(&self, view: ServerView<'_>, outcome: Result<(), Refused>) -> Response {
        let told = outcome.and_then(|()| match &self.asked {
            Asked::MakeRoom(room, _) | Asked::UpdateRoom(room, _) => answers::room(view, room),
            Asked::Rooms(names) => Ok(answers::rooms(view, names)),
            Asked::Participants(room) => answers::participants(view, room),
            Asked::Participant(room, who) | Asked::Update(room, who, _) => {
                answers::participant(view, room, who)
            }
            Asked::Mute(room, who, track) => answers::track(view, room, who, *track),
            Asked::EndRoom(_) | Asked::Remove(..) | Asked::Do(..) => Ok(json!({})),
        });
        match (told, self.form) {
            (Err(refused), _) => refused.response(),
            (Ok(told), Form::Json) => Response::json(200, &told),
            (Ok(told), Form::Bytes) => {
                Response::new(200, "application/protobuf", schema::write_bytes(self.method.answer, &told))
            }
        }
    }
}
