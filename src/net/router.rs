//! Which answer a request's path and method lead to. A pure function: the event loop carries it out.

use super::admin::{self, AdminRequest};
use super::http::{Request, Response};
use super::whip::{self, WhipTarget};

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// The signalling WebSocket.
    WebSocket,
    /// Is the server alive?
    Health,
    /// Figures for Prometheus; who may is still to be asked.
    Metrics,
    /// Administration; who may is still to be asked.
    Admin(AdminRequest),
    /// WHIP or WHEP; who may is still to be asked.
    Whip(WhipTarget),
    /// A file of the browser client, if there is one.
    File,
    /// An answer that needs nothing else.
    Answer(Response),
}

/// The route of a path, as the metrics name it: one of a few, whatever is asked for.
pub fn label(path: &str) -> &'static str {
    match path {
        "/ws" => "/ws",
        "/health" => "/health",
        "/metrics" => "/metrics",
        _ if path.starts_with("/admin/") => "/admin",
        _ if path.starts_with("/whip/") => "/whip",
        _ if path.starts_with("/whep/") => "/whep",
        _ => "file",
    }
}

/// A path as the log may have it: who knows the whole path of a WHIP or WHEP session can end it.
pub fn loggable(path: &str) -> &str {
    let is_session = path.starts_with("/whip/") || path.starts_with("/whep/");
    match path.rmatch_indices('/').next() {
        Some((last, _)) if is_session && path.matches('/').count() > 2 => &path[..=last],
        _ => path,
    }
}

/// Finds the route.
pub fn route(request: &Request) -> Route {
    let read_only = matches!(request.method.as_str(), "GET" | "HEAD");
    match request.path.as_str() {
        "/ws" if request.method == "GET" => Route::WebSocket,
        "/ws" => Route::Answer(method_not_allowed("GET")),
        "/health" if read_only => Route::Health,
        "/metrics" if read_only => Route::Metrics,
        path if path.starts_with("/admin/") => match admin::parse(request) {
            Ok(admin) => Route::Admin(admin),
            Err(response) => Route::Answer(response),
        },
        path if whip::is_ours(path) => match whip::target(path) {
            Ok(target) => Route::Whip(target),
            Err(response) => Route::Answer(response),
        },
        _ if read_only => Route::File,
        _ => Route::Answer(method_not_allowed("GET, HEAD")),
    }
}

/// 405, naming what is allowed.
pub fn method_not_allowed(allow: &'static str) -> Response {
    Response::text(405, &format!("this address answers {allow} only")).with("Allow", allow)
}

/// 404.
pub fn not_found(path: &str) -> Response {
    let shown: String = path.chars().take(200).collect();
    Response::text(404, &format!("there is nothing at {shown}; the page is at /, its socket at /ws"))
}
