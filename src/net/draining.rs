//! Between the signal and the end: nobody is let in, `/health` says not ready, calls go on.

use std::time::Instant;

use serde_json::json;
use tracing::info;

use super::event_loop::EventLoop;
use super::http::message::Response;
use super::shutdown::Begin;
use crate::core::Input;
use crate::core::input::AdminCommand;

impl EventLoop {
    /// Somebody may have asked for the end.
    pub(super) fn stop_was_asked_for(&mut self, now: Instant) {
        match self.shutdown.begin(now) {
            Some(Begin::Draining(reason)) => {
                let (rooms, participants) = self.sfu.counts();
                info!(?reason, rooms, participants, drain = ?self.config.drain, "draining: nobody is let in");
                self.feed(now, Input::Admin(AdminCommand::Drain));
            }
            Some(Begin::Closing(reason)) => self.begin_shutdown(now, reason),
            None => {}
        }
    }

    /// Goes on to the end when everyone has left, or the time is up.
    pub(super) fn end_draining(&mut self, now: Instant) {
        if !self.shutdown.is_stopping() {
            return;
        }
        let (_, participants) = self.sfu.counts();
        if let Some(reason) = self.shutdown.drained(now, participants) {
            self.begin_shutdown(now, reason);
            self.write_all(now);
        }
    }

    /// `GET /health`: 200 while people may come, 503 once the end was asked for.
    pub(super) fn health(&self, now: Instant) -> Response {
        let ready = !self.shutdown.is_stopping();
        let (rooms, participants) = self.sfu.counts();
        let health = json!({
            "status": if ready { "ok" } else { "draining" },
            "live": true,
            "ready": ready,
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeSeconds": now.saturating_duration_since(self.started).as_secs(),
            "rooms": rooms,
            "participants": participants,
        });
        Response::json(if ready { 200 } else { 503 }, &health)
    }
}
