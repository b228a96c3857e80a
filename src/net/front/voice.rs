//! Voice channels that are a mesh while they are small: `/api/voice/channels/…`, and the WebSockets of their members. What
//! happens in a channel is [`signal::voice`](crate::signal::voice)'s; here tokens and addresses are added.

use std::time::Instant;

use serde_json::{Value, json};

use super::Front;
use crate::access::{AuthMode, Need, Pass};
use crate::core::Sfu;
use crate::core::grants::Grants;
use crate::core::ids::ConnectionId;
use crate::core::topology::Mode;
use crate::net::address_rates::host_of;
use crate::net::client_origin::ClientOrigin;
use crate::net::clock;
use crate::net::http::body::must_be_json;
use crate::net::http::message::{Request, Response};
use crate::net::http::routes::{self, Routed};
use crate::net::tcp::web_socket::{Client, Incoming, limits_of};
use crate::signal::native::Close;
use crate::signal::voice::{self, ChannelId, JoinReply, Said, Told, UserId, VoiceFrontEnd, VoiceMessage};

/// How long a token for the server is valid, in seconds: long enough to move.
const TOKEN_SECONDS: u64 = 300;
/// How long the end of a move takes that somebody has to wait for, as they are told, in seconds.
const WAIT_SECONDS: u64 = 3;
/// Longest description of a channel, bytes of JSON.
const DESCRIPTION_BYTES_MAX: usize = 4096;

/// What is asked of a voice channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoiceRequest {
    /// To list the channels that were made.
    List,
    /// To make one.
    Make(Option<ChannelId>),
    /// To see one.
    Show(ChannelId),
    /// To end one.
    End(ChannelId),
    /// To come in.
    Join(ChannelId),
    /// To go.
    Leave(ChannelId),
    /// To tell that the server does not work.
    ServerFailed(ChannelId),
}

const ROUTES: [Routed<VoiceRequest>; 8] = [
    ("/api/voice/channels", "GET", |_, _| Ok(VoiceRequest::List)),
    ("/api/voice/channels", "POST", |_, _| Ok(VoiceRequest::Make(None))),
    ("/api/voice/channels/{channel}", "GET", |names, _| Ok(VoiceRequest::Show(channel(names)?))),
    ("/api/voice/channels/{channel}", "PUT", |names, _| Ok(VoiceRequest::Make(Some(channel(names)?)))),
    ("/api/voice/channels/{channel}", "DELETE", |names, _| Ok(VoiceRequest::End(channel(names)?))),
    ("/api/voice/channels/{channel}/join", "POST", |names, _| Ok(VoiceRequest::Join(channel(names)?))),
    ("/api/voice/channels/{channel}/leave", "POST", |names, _| Ok(VoiceRequest::Leave(channel(names)?))),
    ("/api/voice/channels/{channel}/sfu-failed", "POST", |names, _| {
        Ok(VoiceRequest::ServerFailed(channel(names)?))
    }),
];

fn channel(names: &[&str]) -> Result<ChannelId, Response> {
    names.first().and_then(|name| ChannelId::named(name)).ok_or_else(|| {
        let action = "use the application's number, or 1–56 characters of A–Z a–z 0–9 _ - .";
        Response::problem(400, "that is no id of a channel", action)
    })
}

/// Returns whether a path is one of these.
pub fn is_voice(path: &str) -> bool {
    path == "/api/voice/channels" || path.starts_with("/api/voice/channels/")
}

/// Reads what is asked.
///
/// # Errors
/// The request is refused with this answer.
pub fn parse(request: &Request) -> Result<VoiceRequest, Response> {
    if request.method == "OPTIONS" {
        return Err(Response::empty(204).with("Allow", "GET, HEAD, POST, PUT, DELETE, OPTIONS"));
    }
    routes::find(&ROUTES, request, || {
        Response::problem(404, "there is no such endpoint", "docs/mesh.md lists those of voice channels")
    })
}

/// The JSON object of a request, of which what is not known is left alone: it is another's protocol.
fn fields(request: &Request) -> Result<Value, Response> {
    let action = "send {\"user_id\": …} with Content-Type: application/json";
    must_be_json(request, action)?;
    let value: Option<Value> = serde_json::from_slice(&request.body).ok();
    value.filter(Value::is_object).ok_or_else(|| Response::problem(400, "the body is no JSON object", action))
}

fn user(fields: &Value) -> Result<UserId, Response> {
    UserId::of(&fields["user_id"]).ok_or_else(|| {
        Response::problem(400, "`user_id` is missing", "send the user's number, or a text of 1–64 characters")
    })
}

fn refused(status: u16, error: &str) -> Response {
    let response = Response::problem(
        status,
        error,
        "show a token for this channel and user: docs/mesh.md says how it is made",
    );
    if status == 401 { response.with("WWW-Authenticate", "Bearer") } else { response }
}

fn too_many() -> Response {
    Response::problem(409, "the channel is not there, and cannot be made", "let the back end make it first")
}

impl Front {
    /// Answers a request about a voice channel.
    pub fn answer_voice(
        &mut self,
        now: Instant,
        (place, request): (usize, &Request),
        asked: VoiceRequest,
        sfu: &Sfu,
    ) -> Response {
        let answered = match asked {
            VoiceRequest::List => self.may_look(request).map(|()| {
                let kind = request.parameters("type").next();
                Response::json(200, &json!({"channels": self.voice.list(kind.as_deref())}))
            }),
            VoiceRequest::Show(id) => self
                .may_look(request)
                .map(|()| self.voice.show(&id).map_or_else(not_found, |shown| Response::json(200, &shown))),
            VoiceRequest::Make(id) => self.make_channel(request, id),
            VoiceRequest::End(id) => self
                .may_manage(request, &id)
                .map(|()| if self.voice.end(now, &id) { Response::empty(204) } else { not_found() }),
            VoiceRequest::Join(id) => self.join_channel(now, (place, request), &id, sfu),
            VoiceRequest::Leave(id) => self.leave_channel(now, request, &id),
            VoiceRequest::ServerFailed(id) => self.server_failed(now, request, &id),
        };
        answered.unwrap_or_else(|refused| refused)
    }

    fn make_channel(&mut self, request: &Request, id: Option<ChannelId>) -> Result<Response, Response> {
        let description = fields(request)?;
        let id = id.or_else(|| ChannelId::of(&description["id"])).ok_or_else(|| {
            Response::problem(
                400,
                "`id` is missing, or is no id of a channel",
                "send the application's number of it",
            )
        })?;
        self.may_manage(request, &id)?;
        if request.body.len() > DESCRIPTION_BYTES_MAX {
            return Err(Response::problem(400, "the description has more than 4096 bytes", "say less"));
        }
        if !self.voice.make(&id, description) {
            return Err(Response::problem(503, "there are too many channels", "delete some"));
        }
        Ok(self.voice.show(&id).map_or_else(not_found, |shown| Response::json(201, &shown)))
    }

    fn join_channel(
        &mut self,
        now: Instant,
        (place, request): (usize, &Request),
        id: &ChannelId,
        sfu: &Sfu,
    ) -> Result<Response, Response> {
        let user = user(&fields(request)?)?;
        let grants = self.let_in(request, id, &user)?;
        if sfu.is_draining() {
            return Err(Response::problem(
                503,
                "the server lets nobody in: it is about to stop",
                "join again shortly",
            ));
        }
        let Some(connection) = self.connections.at(place) else { return Err(not_found()) };
        let (origin, host) = (connection.origin(request), host_of(connection.client));
        if !self.joins.take(now, host, 1.0) {
            return Err(Response::too_many_requests());
        }
        let reply = self.voice.join(now, id, &user, (grants, grants.create)).ok_or_else(too_many)?;
        self.voice.watch(now);
        Ok(match reply {
            JoinReply::Joined { mode, count } => {
                Response::json(200, &self.joined(id, &user, (mode, count, grants), &origin))
            }
            JoinReply::Queued => Response::json(200, &queued()),
            JoinReply::Full => Response::problem(409, "the channel is full", "wait until somebody leaves"),
        })
    }

    fn leave_channel(
        &mut self,
        now: Instant,
        request: &Request,
        id: &ChannelId,
    ) -> Result<Response, Response> {
        let user = user(&fields(request)?)?;
        self.let_in(request, id, &user)?;
        Ok(match self.voice.leave(now, id, &user) {
            Some(left) => Response::json(200, &json!({"success": true, "remaining_participants": left})),
            None => Response::json(200, &json!({"success": false, "error": "Channel not found"})),
        })
    }

    fn server_failed(
        &mut self,
        now: Instant,
        request: &Request,
        id: &ChannelId,
    ) -> Result<Response, Response> {
        let fields = fields(request)?;
        let error: String = fields["error"].as_str().unwrap_or_default().chars().take(200).collect();
        if self.config.gate.mode == AuthMode::Token {
            // Who says so has to be in the channel.
            let unix = clock::unix().as_secs();
            let pass = request.bearer().and_then(|token| self.config.gate.read(token, unix).ok());
            let own = pass.and_then(|pass| UserId::of(&Value::from(pass.identity)));
            if !own.is_some_and(|user| self.voice.has(id, &user)) {
                self.may_manage(request, id)?;
            }
        }
        tracing::warn!(channel = %id, error, "a client of a voice channel cannot use the server");
        if !self.voice.server_failed(now, id) {
            return Ok(Response::json(404, &json!({"success": false, "error": "Channel not found"})));
        }
        Ok(Response::json(200, &json!({"success": true, "mode": "p2p", "channel_id": id.json()})))
    }

    /// Returns what a user may do in a channel, by the token that is shown.
    fn let_in(&self, request: &Request, id: &ChannelId, user: &UserId) -> Result<Grants, Response> {
        let gate = &self.config.gate;
        let Some(token) = super::bearer(request) else {
            let entered = gate.enter(None, id.room()).map_err(|denied| refused(401, &denied.0))?;
            return Ok(entered.1);
        };
        let unix = clock::unix().as_secs();
        // A back end may speak for all users of its channels.
        if let (Ok(authority), Some(room)) = (gate.authority(&token, unix), id.room())
            && authority.check(&Need::Admin(room)).is_ok()
        {
            return Ok(Grants { create: true, ..Grants::OPEN });
        }
        let pass = gate.read(&token, unix).map_err(|denied| refused(401, &denied.0))?;
        let (_, grants) = gate.enter(Some(&pass), id.room()).map_err(|denied| refused(403, &denied.0))?;
        if pass.identity != user.as_str() {
            return Err(refused(403, "the token is somebody else's"));
        }
        Ok(grants)
    }

    /// Checks that whoever asks may see which channels there are: everybody whom any token lets in.
    fn may_look(&self, request: &Request) -> Result<(), Response> {
        let gate = &self.config.gate;
        let token = super::bearer(request);
        let unix = clock::unix().as_secs();
        let is_ours = token
            .is_some_and(|token| gate.read(&token, unix).is_ok() || gate.authority(&token, unix).is_ok());
        if gate.mode == AuthMode::Open || is_ours { Ok(()) } else { Err(refused(401, "this needs a token")) }
    }

    /// Checks that whoever asks may make and end a channel.
    fn may_manage(&self, request: &Request, id: &ChannelId) -> Result<(), Response> {
        let token = request.bearer().ok_or_else(|| refused(401, "this needs a token of a back end"))?;
        let authority = self.config.gate.authority(token, clock::unix().as_secs());
        let authority = authority.map_err(|denied| refused(401, &denied.0))?;
        let room = id.room().ok_or_else(not_found)?;
        authority.check(&Need::End(room)).map_err(|denied| refused(403, &denied.0))
    }

    /// Returns what somebody is told who is in.
    fn joined(
        &self,
        id: &ChannelId,
        user: &UserId,
        (mode, count, grants): (Mode, usize, Grants),
        origin: &ClientOrigin,
    ) -> Value {
        json!({
            "mode": mode.as_str(),
            "participant_count": count,
            "sfu_token": self.token(id, user, mode, grants),
            "channel_id": id.json(),
            "sfu_url": self.sfu_url(origin),
        })
    }

    /// Makes a user's token for the server; empty where media goes straight.
    fn token(&self, id: &ChannelId, user: &UserId, mode: Mode, grants: Grants) -> String {
        if mode == Mode::P2p {
            return String::new();
        }
        let now = clock::unix().as_secs();
        let pass = Pass {
            room: id.room(),
            identity: user.as_str().to_owned(),
            name: None,
            metadata: String::new(),
            attributes: std::collections::BTreeMap::new(),
            // The room is made for them, whoever of the channel comes first.
            grants: Grants { create: true, moderate: false, ..grants },
            not_before: now,
            expires: now + TOKEN_SECONDS,
        };
        self.config.gate.sign_for_all(&pass)
    }

    /// Returns the address of the server, as the client reaches it.
    fn sfu_url(&self, origin: &ClientOrigin) -> String {
        let own = &self.voice.settings().sfu_url;
        if !own.is_empty() {
            return own.clone();
        }
        let scheme = if origin.is_tls { "wss" } else { "ws" };
        format!("{scheme}://{}", origin.host.as_deref().unwrap_or("localhost"))
    }

    /// Makes the WebSocket of a client that speaks of voice channels theirs.
    pub(super) fn begin_voice(&mut self, now: Instant, place: usize, text: &str) {
        let socket = self.connections.at(place).and_then(|connection| connection.web_socket());
        let Some(socket) = socket else { return };
        let is_fresh = matches!(&socket.client, Client::Native(front_end) if !front_end.has_spoken());
        if is_fresh && VoiceFrontEnd::is_spoken(text) {
            socket.client = Client::Voice(Box::new(VoiceFrontEnd::new(limits_of(&self.config), now)));
        }
    }

    /// Takes something that came on the WebSocket of a voice channel's member.
    pub(super) fn receive_of_voice(&mut self, now: Instant, place: usize, incoming: &Incoming) {
        let Some(connection) = self.connections.at(place) else { return };
        let (id, host) = (connection.id, host_of(connection.client));
        let Some(socket) = connection.web_socket() else { return };
        let Client::Voice(front_end) = &mut socket.client else { return };
        let refused = match incoming {
            Incoming::Text(text) => {
                self.counters.websocket_messages_in += 1;
                match front_end.receive(now, text.as_str()) {
                    Ok(said) => self.take_voice(now, (id, place), &said).err(),
                    Err(refused) => Some(refused.say),
                }
            }
            Incoming::Binary(_) => {
                Some(voice::error("bad-message", "a binary message came", "send JSON as text"))
            }
            Incoming::Control => None,
            Incoming::TooLarge => return self.cut_voice(now, place, Close::TooLarge),
            Incoming::Violation(close) => return self.cut_voice(now, place, *close),
            Incoming::Closing(_) | Incoming::Done => {
                self.voice.lost(now, id);
                self.finish_web_socket(now, place);
                return;
            }
        };
        let Some(say) = refused else { return };
        let Some(socket) = self.connections.at(place).and_then(|connection| connection.web_socket()) else {
            return;
        };
        let Client::Voice(front_end) = &mut socket.client else { return };
        let refused = front_end.refuse(now, say);
        self.counters.websocket_messages_out += 1;
        socket.send(refused.say);
        if refused.is_cut {
            self.connections.pauses.note_cut(now, host);
            self.cut_voice(now, place, Close::Refused);
        }
    }

    fn cut_voice(&mut self, now: Instant, place: usize, close: Close) {
        if let Some(socket) = self.connections.at(place).and_then(|connection| connection.web_socket()) {
            socket.close(now, close);
        }
        self.finish_web_socket(now, place);
    }

    fn take_voice(
        &mut self,
        now: Instant,
        (connection, place): (ConnectionId, usize),
        said: &VoiceMessage,
    ) -> Result<(), String> {
        if said.said != Said::Join {
            return self.voice.take(now, connection, said);
        }
        let (Some(id), Some(user)) = (&said.channel, &said.user) else {
            let action = "send {\"type\":\"voice:join\",\"payload\":{\"channel_id\":…,\"user_id\":…}}";
            return Err(voice::error("bad-message", "channel_id or user_id is missing", action));
        };
        let grants = self.let_in_by_socket(place, id, user)?;
        if !self.voice.attach(now, id, user, connection) {
            let host = self.connections.at(place).map(|connection| host_of(connection.client));
            if !host.is_some_and(|host| self.joins.take(now, host, 1.0)) {
                return Err(voice::error(
                    "rate-limited",
                    "too many joins came from this address",
                    "wait a few seconds",
                ));
            }
            let reply = self.voice.join(now, id, user, (grants, grants.create));
            let known = match reply {
                Some(JoinReply::Joined { .. } | JoinReply::Queued) => {
                    self.voice.attach(now, id, user, connection)
                }
                Some(JoinReply::Full) | None => false,
            };
            if !known {
                return Err(voice::error(
                    "room-full",
                    "the channel is full, or cannot be made",
                    "try again later",
                ));
            }
            if reply == Some(JoinReply::Queued) {
                self.say(connection, voice::message("voice:queued", &queued()));
            } else {
                self.say_joined(connection, id, user);
            }
        }
        self.voice.watch(now);
        if let Some(socket) = self.connections.at(place).and_then(|connection| connection.web_socket())
            && let Client::Voice(front_end) = &mut socket.client
        {
            front_end.has_joined = true;
        }
        Ok(())
    }

    /// Checks by the token with which the WebSocket was opened that its client is that user.
    fn let_in_by_socket(&mut self, place: usize, id: &ChannelId, user: &UserId) -> Result<Grants, String> {
        let pass = self.connections.at(place).and_then(|connection| connection.web_socket());
        let pass = pass.and_then(|socket| socket.pass.clone());
        let action = "open the WebSocket with a token for this channel and user";
        let entered = self.config.gate.enter(pass.as_ref(), id.room());
        let (_, grants) = entered.map_err(|denied| voice::error("unauthorized", &denied.0, action))?;
        if pass.is_some_and(|pass| pass.identity != user.as_str()) {
            return Err(voice::error("not-permitted", "the token is somebody else's", action));
        }
        Ok(grants)
    }

    /// Does what is due in voice channels, and says what is to be said.
    pub fn run_voice(&mut self, now: Instant, sfu: &Sfu) {
        self.voice.handle_timeout(now, |room, is_member| sfu.has_strangers(room, is_member));
        for (connection, told) in self.voice.take_told() {
            match told {
                Told::Text(text) => self.say(connection, text),
                Told::Mode(id, user, mode) => {
                    let Some(origin) = self.origin_of(connection) else { continue };
                    let grants = self.voice.grants_of(&id, &user).unwrap_or_else(|| self.config.gate.open());
                    let payload = json!({
                        "channel_id": id.json(),
                        "new_mode": mode.as_str(),
                        "sfu_token": self.token(&id, &user, mode, grants),
                        "sfu_url": self.sfu_url(&origin),
                    });
                    self.say(connection, voice::message("voice:mode-change", &payload));
                }
                Told::Ready(id, user) => self.say_joined(connection, &id, &user),
            }
        }
    }

    /// Tells somebody that they are in, with all that the answer to a request would say.
    fn say_joined(&mut self, connection: ConnectionId, id: &ChannelId, user: &UserId) {
        let Some(origin) = self.origin_of(connection) else { return };
        let Some((mode, count)) = self.voice.standing(id, user) else { return };
        let grants = self.voice.grants_of(id, user).unwrap_or_else(|| self.config.gate.open());
        let payload = self.joined(id, user, (mode, count, grants), &origin);
        self.say(connection, voice::message("voice:joined", &payload));
    }
}

fn not_found() -> Response {
    Response::problem(404, "there is no such channel", "GET /api/voice/channels lists those that were made")
}

fn queued() -> Value {
    json!({
        "status": "queued",
        "message": "the call is moving; you are let in when that is over",
        "estimated_wait": WAIT_SECONDS,
    })
}
