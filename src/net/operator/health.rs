//! `GET /health`: for load balancers and supervisors.

use serde_json::json;

use super::view::ServerView;
use crate::net::http::message::Response;

/// Answers with 200 while people may come, and with 503 once the end was asked for.
pub fn answer(view: ServerView<'_>) -> Response {
    let is_ready = !view.is_stopping;
    let (rooms, participants) = view.sfu.counts();
    let health = json!({
        "status": if is_ready { "ok" } else { "draining" },
        "live": true,
        "ready": is_ready,
        "version": env!("CARGO_PKG_VERSION"),
        "uptimeSeconds": view.now.saturating_duration_since(view.started).as_secs(),
        "rooms": rooms,
        "participants": participants,
    });
    Response::json(if is_ready { 200 } else { 503 }, &health)
}
