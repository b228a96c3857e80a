//! `/admin/v1/recordings`: what is recorded, and what an operator asks of recordings.

use std::time::Instant;

use serde_json::{Value, json};
use tracing::info;

use super::admin::AdminAnswer;
use crate::core::Sfu;
use crate::core::ids::RoomId;
use crate::core::input::AdminCommand;
use crate::core::room_pattern::RoomPattern;
use crate::net::http::message::Response;
use crate::net::traces::keeper::{RecordConfig, TraceKeeper};
use crate::net::view::ServerView;

/// Answers `GET /admin/v1/recordings`: what is recorded, and where it is kept.
pub fn list(view: ServerView<'_>, config: Option<&RecordConfig>) -> Response {
    let recordings = view.traces.active().map(|active| {
        json!({
            "room": active.room.as_str(),
            "file": active.file,
            "startedUnix": active.started_unix.as_secs(),
        })
    });
    let value = json!({
        "directory": config.map(|config| config.directory.display().to_string()),
        "rooms": config.map(|config| config.rooms.iter().map(RoomPattern::as_str).collect::<Vec<_>>()),
        "encrypted": view.traces.is_encrypted(),
        "recordings": recordings.collect::<Value>(),
        "next": view.sfu.rooms_to_record().map(RoomId::as_str).collect::<Vec<_>>(),
        "queuedBytes": view.traces.figures().queued_bytes,
    });
    Response::json(200, &value)
}

/// Refuses to record on a server without a directory for traces.
pub fn no_place_for_traces() -> Response {
    Response::problem(
        409,
        "the server has no place for traces",
        "start it with --record DIR, or set record.dir in the configuration",
    )
}

/// Answers `PUT /admin/v1/recordings/{room}`: the next room of that name is recorded.
pub fn record_next(view: ServerView<'_>, config: Option<&RecordConfig>, room: RoomId) -> AdminAnswer {
    if config.is_none() {
        return AdminAnswer::of(no_place_for_traces());
    }
    if view.sfu.room_snapshot(view.now, &room).is_some() {
        return AdminAnswer::of(Response::problem(
            409,
            "the room has begun, and a trace is of use only from a room's first moment on",
            "ask before anybody joins, or close the room with DELETE /admin/v1/rooms/{room} first",
        ));
    }
    info!(%room, "the operator asks for a recording of the next room of this name");
    AdminAnswer { response: Response::empty(204), commands: vec![AdminCommand::RecordNext(room)] }
}

/// Answers `DELETE /admin/v1/recordings/{room}`: its recording ends here, or does not begin.
pub fn stop(now: Instant, room: &RoomId, traces: &mut TraceKeeper, sfu: &mut Sfu) -> AdminAnswer {
    let ids = traces.end_recordings_of(now, room, sfu);
    let is_found = !ids.is_empty() || sfu.rooms_to_record().any(|other| other == room);
    if !is_found {
        return AdminAnswer::of(Response::problem(
            404,
            "no room of this name is recorded, or waits for it",
            "GET /admin/v1/recordings lists them",
        ));
    }
    info!(%room, "the operator stops a recording");
    // Also a recording that has not begun: the room may be made between the request and the command.
    let mut commands: Vec<_> = ids.into_iter().map(AdminCommand::StopRecording).collect();
    commands.push(AdminCommand::RecordNextNot(room.clone()));
    AdminAnswer { response: Response::empty(204), commands }
}
