//! Answering HTTP requests: carries out what `router` found.

use std::time::Instant;

use serde_json::{Value, json};
use tracing::{debug, info};

use super::router::{self, Route};
use crate::core::Input;
use crate::core::input::AdminCommand;
use crate::net::egress::path_name;
use crate::net::event_loop::EventLoop;
use crate::net::http::client::Client;
use crate::net::http::message::{Request, Response};
use crate::net::http::{origin, plain_http};
use crate::net::operator::admin::{self, AdminRequest};
use crate::net::tcp::web_socket as ws;

impl EventLoop {
    /// Answers a request of the connection at a place.
    pub(in crate::net) fn answer(&mut self, now: Instant, place: usize, request: &Request) {
        let Some(connection) = self.connections.at(place) else { return };
        let (id, peer) = (connection.id.0, connection.peer);
        let client = Client::of(request, peer.ip(), connection.is_tls(), &self.config.trusted_proxies);
        let response = match self.route(place, request, &client) {
            Route::WebSocket => match self.open_web_socket(now, place, request) {
                Ok(()) => {
                    self.counters.note_request(router::label(&request.path), 101);
                    return;
                }
                Err(response) => response,
            },
            Route::Health => self.health(now),
            Route::Metrics => self.metrics(now, request, peer.ip()),
            Route::Admin(asked) => {
                match admin::authorize(request, peer.ip(), self.config.admin_token.as_deref()) {
                    Ok(()) => self.administer(now, asked),
                    Err(response) => response,
                }
            }
            Route::Whip(target) => self.answer_whip(now, place, &target, request),
            Route::File => self.assets.response(request).unwrap_or_else(|| router::not_found(&request.path)),
            Route::Answer(response) => response,
        };
        debug!(
            connection = id,
            %peer,
            client = %client.ip,
            method = request.method,
            path = router::loggable(&request.path),
            status = response.status,
            "request"
        );
        self.counters.note_request(router::label(&request.path), response.status);
        if let Some(connection) = self.connections.at(place) {
            connection.respond(request, &response);
        }
    }

    /// What a request leads to, unless its client may not ask for it in this way.
    fn route(&mut self, place: usize, request: &Request, client: &Client) -> Route {
        if client.is_forwarded && !self.connections.count_for(place, client.ip, &self.config) {
            return Route::Answer(Response::too_many_connections());
        }
        plain_http::answer(request, client, self.config.allow_plain_http)
            .map_or_else(|| router::route(request), Route::Answer)
    }

    fn open_web_socket(&mut self, now: Instant, place: usize, request: &Request) -> Result<(), Response> {
        if !origin::allowed(request, &self.config.allowed_origins) {
            let origin = request.field("origin").unwrap_or_default();
            info!(origin, "a page of a foreign origin was refused; signalling.allowed_origins can let it in");
            return Err(Response::problem(
                403,
                "pages of this origin may not connect",
                "open the server's own page, or let the operator add the origin to signalling.allowed_origins",
            ));
        }
        let response = ws::upgrade(request)?;
        if let Some(connection) = self.connections.at(place) {
            debug!(connection = connection.id.0, peer = %connection.peer, client = %connection.client, "WebSocket opened");
            connection.upgrade(request, &response, &self.config, now);
        }
        Ok(())
    }

    fn administer(&mut self, now: Instant, asked: AdminRequest) -> Response {
        match asked {
            AdminRequest::Rooms => Response::json(200, &admin::rooms(&self.sfu.snapshot(now))),
            AdminRequest::Room(room) => {
                let snapshot = self.sfu.snapshot(now);
                match snapshot.rooms.iter().find(|candidate| candidate.room == room) {
                    Some(room) => Response::json(200, &admin::room(room, |path| path_name(path, &self.turn))),
                    None => admin::no_such_room(),
                }
            }
            AdminRequest::CloseRoom(room) => {
                let snapshot = self.sfu.snapshot(now);
                if !snapshot.rooms.iter().any(|candidate| candidate.room == room) {
                    return admin::no_such_room();
                }
                info!(%room, "the operator closes a room");
                self.feed(now, Input::Admin(AdminCommand::CloseRoom(room)));
                Response::empty(204)
            }
            AdminRequest::Remove(room, participant) => {
                let snapshot = self.sfu.snapshot(now);
                let Some(found) = snapshot.rooms.iter().find(|candidate| candidate.room == room) else {
                    return admin::no_such_room();
                };
                if !found.participants.iter().any(|member| member.participant == participant) {
                    return admin::no_such_participant();
                }
                info!(%room, %participant, "the operator removes a participant");
                self.feed(now, Input::Admin(AdminCommand::Remove(room, participant)));
                Response::empty(204)
            }
            AdminRequest::Recordings => self.recordings(),
            AdminRequest::RecordNext(room) => self.record_next(now, room),
            AdminRequest::StopRecording(room) => self.stop_recording(now, &room),
            AdminRequest::Stats => Response::json(200, &self.stats(now, true)),
            AdminRequest::Summary => Response::json(200, &self.stats(now, false)),
            AdminRequest::LogLevel(level) => match (self.set_log_level)(&level) {
                Ok(()) => {
                    info!(level, "the operator changed the log level");
                    Response::empty(204)
                }
                Err(error) => Response::problem(
                    400,
                    &error,
                    "send a level (error, warn, info, debug, trace) or a filter like strait=debug,str0m=info",
                ),
            },
        }
    }

    fn stats(&mut self, now: Instant, with_rooms: bool) -> Value {
        let snapshot = self.sfu.snapshot(now);
        let udp = self.udp.counters();
        let latency = self.udp.latency(now);
        let frames = self.connections.frames;
        let mut stats = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeSeconds": now.saturating_duration_since(self.started).as_secs(),
            "participants": snapshot.rooms.iter().map(|room| room.participants.len()).sum::<usize>(),
            "roomCount": snapshot.rooms.len(),
            "core": {
                "datagramsUnknown": snapshot.datagrams_unknown,
                "demuxEntries": snapshot.demux_entries,
                "deadlines": snapshot.deadlines,
            },
            "shell": {
                "turns": self.turns,
                "picturesWithheld": self.overload.withheld().share(),
                "connections": self.connections.len(),
                "connectionsRefused": self.connections.refused(),
                "dtlsSessions": self.handshakes.len(),
                "iceTcp": {
                    "received": frames.received,
                    "sent": frames.sent,
                    "droppedFull": frames.dropped_full,
                    "undeliverable": frames.undeliverable,
                },
                "turn": {
                    "clients": self.turn.clients(),
                    "allocations": self.turn.allocations().map(|(_, count)| count).iter().sum::<usize>(),
                },
                "udp": {
                    "received": udp.received,
                    "receivedBytes": udp.received_bytes,
                    "receiveCalls": udp.receive_calls,
                    "sent": udp.sent,
                    "sentBytes": udp.sent_bytes,
                    "runs": udp.runs,
                    "sendCalls": udp.send_calls,
                    "droppedFull": udp.dropped_full,
                    "droppedRefused": udp.dropped_refused,
                    "receiveErrors": udp.receive_errors,
                },
                "latency": latency,
            },
        });
        if with_rooms {
            stats["rooms"] = snapshot
                .rooms
                .iter()
                .map(|room| admin::room(room, |path| path_name(path, &self.turn)))
                .collect();
        }
        stats
    }
}
