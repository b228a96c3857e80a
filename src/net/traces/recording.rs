//! Recording rooms: takes from the core what its recorders wrote, and hands it to the thread that keeps it; and what an
//! operator asks of recordings.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tracing::info;

use super::files::TraceFiles;
use crate::core::Input;
use crate::core::ids::RoomId;
use crate::core::input::AdminCommand;
use crate::core::room_pattern::RoomPattern;
use crate::net::event_loop::EventLoop;
use crate::net::http::message::Response;

/// How often recorders hand out what they have: what a crash can cost at most.
const HAND_OUT: Duration = Duration::from_secs(1);

impl EventLoop {
    /// Carries what was recorded to the thread that keeps it.
    pub(in crate::net) fn keep_records(&mut self, now: Instant) {
        if self.traces.hand_out_at.is_some_and(|at| at <= now) {
            self.sfu.hand_out_records();
            self.traces.hand_out_at = None;
        }
        while let Some(id) = self.traces.given_up() {
            self.sfu.handle_input(now, Input::Admin(AdminCommand::StopRecording(id)));
        }
        while let Some(output) = self.sfu.poll_recording() {
            if let Some(id) = self.traces.keep(output) {
                self.sfu.handle_input(now, Input::Admin(AdminCommand::StopRecording(id)));
            }
        }
        if self.traces.hand_out_at.is_none() && !self.traces.active.is_empty() {
            self.traces.hand_out_at = Some(now + HAND_OUT);
        }
    }

    /// `GET /admin/v1/recordings`.
    pub(in crate::net) fn recordings(&self) -> Response {
        let recordings = self.traces.active.values().filter(|active| active.ending.is_none()).map(|active| {
            json!({
                "room": active.room.as_str(),
                "file": active.file,
                "startedUnix": active.started_unix.as_secs(),
            })
        });
        let config = self.config.record.as_ref();
        let value = json!({
            "directory": config.map(|config| config.directory.display().to_string()),
            "rooms": config.map(|config| config.rooms.iter().map(RoomPattern::as_str).collect::<Vec<_>>()),
            "encrypted": self.traces.is_encrypted,
            "recordings": recordings.collect::<Value>(),
            "next": self.sfu.rooms_to_record().map(RoomId::as_str).collect::<Vec<_>>(),
            "queuedBytes": self.traces.files.as_ref().map_or(0, TraceFiles::queued),
        });
        Response::json(200, &value)
    }

    /// `PUT /admin/v1/recordings/{room}`: the next room of that name is recorded.
    pub(in crate::net) fn record_next(&mut self, now: Instant, room: RoomId) -> Response {
        if self.config.record.is_none() {
            return Response::problem(
                409,
                "the server has no place for traces",
                "start it with --record DIR, or set record.dir in the configuration",
            );
        }
        if self.sfu.room_snapshot(now, &room).is_some() {
            return Response::problem(
                409,
                "the room has begun, and a trace is of use only from a room's first moment on",
                "ask before anybody joins, or close the room with DELETE /admin/v1/rooms/{room} first",
            );
        }
        info!(%room, "the operator asks for a recording of the next room of this name");
        self.feed(now, Input::Admin(AdminCommand::RecordNext(room)));
        Response::empty(204)
    }

    /// `DELETE /admin/v1/recordings/{room}`: its recording ends here, or does not begin.
    pub(in crate::net) fn stop_recording(&mut self, now: Instant, room: &RoomId) -> Response {
        // What was recorded up to here belongs into the trace.
        self.sfu.hand_out_records();
        self.keep_records(now);
        let mut found = self.sfu.rooms_to_record().any(|other| other == room);
        let mut ids = Vec::new();
        for (id, active) in &mut self.traces.active {
            if active.room == *room && active.ending.is_none() {
                active.ending = Some("the operator stopped the recording".to_owned());
                ids.push(*id);
            }
        }
        found |= !ids.is_empty();
        if !found {
            return Response::problem(
                404,
                "no room of this name is recorded, or waits for it",
                "GET /admin/v1/recordings lists them",
            );
        }
        info!(%room, "the operator stops a recording");
        for id in ids {
            self.feed(now, Input::Admin(AdminCommand::StopRecording(id)));
        }
        self.feed(now, Input::Admin(AdminCommand::RecordNextNot(room.clone())));
        Response::empty(204)
    }
}
