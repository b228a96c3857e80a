//! `GET /health`, `/livez` and `/readyz`: for load balancers and supervisors.

use serde_json::json;

use crate::net::http::message::Response;
use crate::net::view::ServerView;

/// Answers `GET /health` with 200 while people may come, and with 503 while the server drains.
pub fn answer(view: ServerView<'_>) -> Response {
    // A server that drains is well, but a load balancer must not send it anybody: it only looks at the status.
    let is_ready = !view.is_draining();
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

/// Answers `GET /livez`. That there is an answer shows that the event loop runs.
pub fn live() -> Response {
    probe(true)
}

/// Answers `GET /readyz` with 200 while people may come, and with 503 while the server drains.
pub fn ready(view: ServerView<'_>) -> Response {
    probe(!view.is_draining())
}

fn probe(is_well: bool) -> Response {
    let (status, word) = if is_well { (200, "ok") } else { (503, "draining") };
    Response::json(status, &json!({"status": word})).with("Cache-Control", "no-store")
}
