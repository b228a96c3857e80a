//! LiveKit's clients: the requests that open their WebSockets, and what comes and goes by these. The token decides who may
//! come in; pages of any origin may, because none without a token can.

use std::time::Instant;

use tracing::{debug, warn};

use super::router::{self, LiveKitTarget};
use super::{Front, bearer, may_be_read, unauthorized};
use crate::access::{AuthMode, Denied, Pass};
use crate::core::command::Join;
use crate::core::ids::{ConnectionId, RoomId};
use crate::limits::NAME_CHARS_MAX;
use crate::net::address_rates::host_of;
use crate::net::clock;
use crate::net::http::message::{Request, Response};
use crate::net::tcp::web_socket::{self, Client, Incoming, limits_of};
use crate::signal::livekit::{JoinAsked, LiveKitFrontEnd, LiveKitReaction, Trial};
use crate::signal::native::Close;
use crate::signal::{Demand, Ticket};

/// What becomes of a request of a LiveKit client.
pub enum LiveKitOutcome {
    /// The response, at once.
    Answer(Response),
    /// The connection is a WebSocket now; its client may ask something of the core.
    Upgraded(Option<(ConnectionId, Demand)>),
}

/// By what a LiveKit client comes in.
struct Bearer {
    room: RoomId,
    name: String,
    ticket: Ticket,
    /// What its token says, if one of our keys has signed it.
    pass: Option<Pass>,
}

impl Front {
    /// Answers a request of a LiveKit client, or opens its WebSocket.
    pub fn answer_livekit(
        &mut self,
        now: Instant,
        place: usize,
        request: &Request,
        target: LiveKitTarget,
    ) -> LiveKitOutcome {
        if request.method == "OPTIONS" {
            return LiveKitOutcome::Answer(with_cors(Response::empty(204)));
        }
        let asked = self.bearer_of_livekit(request).and_then(|bearer| {
            let parameter = |name: &str| request.parameters(name).next();
            let asked = match target {
                LiveKitTarget::SplitSocket => JoinAsked::read_words(
                    parameter("auto_subscribe").as_deref(),
                    parameter("reconnect").as_deref(),
                    parameter("sid").as_deref(),
                ),
                LiveKitTarget::Socket | LiveKitTarget::Validate => {
                    JoinAsked::read(parameter("join_request").as_deref()).map_err(bad_request)?
                }
            };
            Ok((bearer, asked))
        });
        let (bearer, asked) = match asked {
            Ok(asked) => asked,
            Err(refused) => return LiveKitOutcome::Answer(with_cors(refused)),
        };
        if target == LiveKitTarget::Validate {
            let success = Response::new(200, "text/plain; charset=utf-8", b"success".to_vec());
            return LiveKitOutcome::Answer(with_cors(success));
        }
        match web_socket::upgrade(request) {
            Ok(response) => {
                LiveKitOutcome::Upgraded(self.open_livekit(now, place, request, (bearer, asked), &response))
            }
            Err(refused) => LiveKitOutcome::Answer(with_cors(refused)),
        }
    }

    /// Turns a connection into the WebSocket of a LiveKit client. Returns what it asks of the core.
    fn open_livekit(
        &mut self,
        now: Instant,
        place: usize,
        request: &Request,
        (bearer, asked): (Bearer, JoinAsked),
        response: &Response,
    ) -> Option<(ConnectionId, Demand)> {
        let connection = self.connections.at(place)?;
        let id = connection.id;
        debug!(connection = id.0, peer = %connection.peer, client = %connection.client, "LiveKit's WebSocket opened");
        connection.upgrade(request, response, &self.config, now);
        let resumes = asked.resumes.is_some();
        let mut front_end = LiveKitFrontEnd::new(limits_of(&self.config), now, asked);
        let Bearer { room, name, ticket, pass } = bearer;
        let identity = identity_of(&ticket);
        let trial = identity.and_then(|identity| self.trials.take(now, &room, identity, resumes));
        front_end.try_out(trial);
        let is_to_break = trial == Some(Trial::BreakBeforeResumed);
        let demand = match &pass {
            _ if is_to_break => None,
            _ if !resumes => Some(front_end.join(room, name, ticket)),
            Some(pass) => front_end.resume(room, pass.identity.clone()),
            // Whoever nobody vouches for could be anybody.
            None => None,
        };
        let cannot_resume = demand.is_none();
        let socket = connection.web_socket()?;
        socket.pass = pass;
        socket.client = Client::LiveKit(Box::new(front_end));
        self.counters.note_request(router::label(&request.path), 101);
        self.connections.touch(place);
        if is_to_break {
            let close = Some(Close::GoingAway);
            self.react_to_livekit(now, place, LiveKitReaction { close, ..LiveKitReaction::default() });
        } else if cannot_resume {
            self.react_to_livekit(now, place, LiveKitFrontEnd::cannot_resume());
        }
        Some((id, demand?))
    }

    /// Returns by which way alone the media of a client is to go that is about to join, because it wants to try that.
    pub fn forced_way(&mut self, connection: ConnectionId) -> Option<Trial> {
        let place = self.connections.place_of(connection)?;
        match &self.connections.at(place)?.web_socket()?.client {
            Client::LiveKit(front_end) => front_end.forced_way(),
            _ => None,
        }
    }

    /// Reads by what a LiveKit client comes in. Without a token there is neither a room nor a name, so that one is needed even
    /// where everybody may come in. There its signature does not count, and it allows no more than everybody may do.
    fn bearer_of_livekit(&self, request: &Request) -> Result<Bearer, Response> {
        let gate = &self.config.gate;
        let refuse = |denied: Denied| unauthorized(&denied, "docs/livekit.md");
        let denied = |what: &str| refuse(Denied(what.to_owned()));
        let token =
            bearer(request).ok_or_else(|| denied("a token is needed: it names the room and who you are"))?;
        let unix = clock::unix().as_secs();
        let (pass, is_signed) = match gate.read(&token, unix) {
            Ok(pass) => (pass, true),
            Err(_) if gate.mode == AuthMode::Open => {
                let pass = gate.read_unsigned(&token, unix).map_err(refuse)?;
                warn!(
                    "a LiveKit client comes in by a token that none of our keys has signed: auth.mode is open"
                );
                (pass, false)
            }
            Err(denied) => return Err(refuse(denied)),
        };
        let entered = gate.enter(Some(&pass), pass.room.clone()).map_err(refuse)?;
        let (Some(room), grants) = entered else {
            return Err(denied("the token names no room (video.room)"));
        };
        let name = name_of(&pass);
        let profile = Some(Box::new(pass.profile(&name)));
        // Anybody could have written what is not signed: it is no invitation, and no proof of who somebody is.
        let ticket = Ticket::Granted { grants, profile, is_invited: is_signed, is_vouched_for: is_signed };
        Ok(Bearer { room, name, ticket, pass: is_signed.then_some(pass) })
    }

    /// Takes something that came on the WebSocket of a LiveKit client.
    pub(super) fn receive_of_livekit(
        &mut self,
        now: Instant,
        place: usize,
        incoming: Incoming,
    ) -> Option<Demand> {
        let socket = self.connections.at(place)?.web_socket()?;
        let Client::LiveKit(front_end) = &mut socket.client else { return None };
        let reaction = match incoming {
            Incoming::Binary(bytes) => {
                self.counters.websocket_messages_in += 1;
                if !may_be_read(&mut self.offered_bytes, now, socket.origin.client, bytes.len()) {
                    front_end.refuse_long(now)
                } else {
                    // An identity that nobody vouches for could be anybody's.
                    let pass = socket.pass.as_ref();
                    let all = pass.map(|pass| self.identities.sent_by(now, &pass.identity));
                    front_end.receive(now, &bytes, all)
                }
            }
            Incoming::Text(_) => front_end.refuse_text(now),
            Incoming::Control => front_end.receive_control(now),
            Incoming::TooLarge => {
                let reaction = front_end.refuse_too_large();
                return self.react_to_livekit(now, place, reaction);
            }
            Incoming::Violation(close) => {
                socket.close(now, close);
                return self.finish_web_socket(now, place);
            }
            Incoming::Closing(code) => return self.goodbye(now, place, code),
            Incoming::Done => return self.finish_web_socket(now, place),
        };
        self.react_to_livekit(now, place, reaction)
    }

    /// Notes that the client of a WebSocket is gone. Returns what the core must hear, if it knows it.
    pub(super) fn lose_client(&mut self, now: Instant, place: usize) -> Option<Demand> {
        let socket = self.connections.at(place)?.web_socket()?;
        let demand = socket.client.lost()?;
        // Whoever nobody vouches for cannot come back.
        if socket.pass.is_some()
            && let Client::LiveKit(front_end) = &mut socket.client
            && let Some(left) = front_end.part()
        {
            self.parted.keep(now, left);
        }
        Some(demand)
    }

    /// Carries out what a LiveKit front end wants after an event of the core's.
    pub(super) fn deliver_to_livekit(
        &mut self,
        now: Instant,
        (id, place): (ConnectionId, usize),
        reaction: LiveKitReaction,
    ) {
        let demand = self.react_to_livekit(now, place, reaction);
        // Ahead of what else it has asked for.
        let before = self.demands.iter().position(|(other, _)| *other == id).unwrap_or(self.demands.len());
        self.demands.splice(before..before, demand.map(|demand| (id, demand)));
        self.connections.touch(place);
    }

    /// Carries out what a LiveKit front end wants. Returns the first thing that it wants from the core; the others are kept
    /// for [`take_demands`](Front::take_demands).
    pub(super) fn react_to_livekit(
        &mut self,
        now: Instant,
        place: usize,
        reaction: LiveKitReaction,
    ) -> Option<Demand> {
        let LiveKitReaction { demands, say, close, refused, is_fault, trial } = reaction;
        let connection = self.connections.at(place)?;
        let (id, host) = (connection.id, host_of(connection.client));
        if let Some(refusal) = refused {
            debug!(connection = id.0, code = ?refusal.code, message = refusal.message, "refused");
        }
        let socket = connection.web_socket()?;
        if let (Some(trial), Client::LiveKit(front_end)) = (trial, &socket.client)
            && let Some((room, identity)) = front_end.who()
        {
            self.trials.note(now, room, identity, trial);
        }
        self.counters.websocket_messages_out += say.len() as u64;
        for message in say {
            socket.send_binary(message);
        }
        let mut demands = demands.into_iter();
        let mut first = demands.next();
        self.demands.extend(demands.map(|demand| (id, demand)));
        if let Some(close) = close {
            socket.close(now, close);
            if is_fault {
                self.connections.pauses.note_cut(now, host);
            }
            // Nothing that it has sent after this is read.
            let last = self.finish_web_socket(now, place);
            if first.is_none() {
                first = last;
            } else {
                self.demands.extend(last.map(|demand| (id, demand)));
            }
        }
        first
    }
}

/// Returns the identity of somebody whose token has been read.
fn identity_of(ticket: &Ticket) -> Option<&str> {
    match ticket {
        Ticket::Granted { profile, .. } => profile.as_ref()?.identity.as_deref(),
        Ticket::Token(_) => None,
    }
}

/// Returns the name of somebody whose token does not say how they are called.
fn name_of(pass: &Pass) -> String {
    let short: String = pass.identity.chars().take(NAME_CHARS_MAX).collect();
    Join::display_name(&short).unwrap_or("LiveKit").to_owned()
}

fn bad_request(what: &str) -> Response {
    Response::problem(400, what, "use a client of LiveKit that speaks version 1 of its signalling")
}

/// Lets pages of every origin read an answer.
fn with_cors(response: Response) -> Response {
    response
        .with("Access-Control-Allow-Origin", "*")
        .with("Access-Control-Allow-Headers", "*")
        .with("Access-Control-Allow-Methods", "GET, OPTIONS")
}
