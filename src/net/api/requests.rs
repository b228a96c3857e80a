//! The routes of what a back end can ask, and what is read from a request. What it can change in a room is read in `changes`.

use super::asked::{ApiRequest, Issue};
use super::changes::{self, room, sources, target};
use crate::access::Pass;
use crate::core::command::Join;
use crate::core::grants::{Grants, Sources};
use crate::core::profile::Profile;
use crate::net::http::body::Body;
use crate::net::http::message::{Request, Response};
use crate::net::http::routes::{self, Routed};

/// How long a token is valid that is issued without saying it, in seconds.
const TOKEN_SECONDS: u64 = 300;
/// The longest time that can be asked for, in seconds.
const TOKEN_SECONDS_MAX: u64 = 24 * 3600;

/// All routes. A test compares them with `docs/api-v1.openapi.json`.
pub const ROUTES: [Routed<ApiRequest>; 23] = [
    ("/api/v1/rooms", "GET", |_, _| Ok(ApiRequest::Rooms)),
    ("/api/v1/rooms", "POST", changes::make_room),
    ("/api/v1/rooms/{room}", "GET", |names, _| Ok(ApiRequest::Room(room(names)?))),
    ("/api/v1/rooms/{room}", "PATCH", changes::configure),
    ("/api/v1/rooms/{room}", "DELETE", changes::end),
    ("/api/v1/rooms/{room}/stats", "GET", |names, _| Ok(ApiRequest::RoomStats(room(names)?))),
    ("/api/v1/rooms/{room}/participants", "GET", |names, _| Ok(ApiRequest::Participants(room(names)?))),
    ("/api/v1/rooms/{room}/participants/{participant}", "GET", |names, _| {
        Ok(ApiRequest::Participant(room(names)?, target(names)?))
    }),
    ("/api/v1/rooms/{room}/participants/{participant}", "PATCH", changes::update),
    ("/api/v1/rooms/{room}/participants/{participant}", "DELETE", changes::remove),
    ("/api/v1/rooms/{room}/participants/{participant}/stats", "GET", |names, _| {
        Ok(ApiRequest::ParticipantStats(room(names)?, target(names)?))
    }),
    ("/api/v1/rooms/{room}/tracks/{track}", "PATCH", changes::mute),
    ("/api/v1/rooms/{room}/tracks/{track}", "DELETE", changes::stop),
    ("/api/v1/rooms/{room}/bans", "GET", bans),
    ("/api/v1/rooms/{room}/bans", "POST", changes::ban),
    ("/api/v1/rooms/{room}/bans", "DELETE", changes::lift_bans),
    ("/api/v1/rooms/{room}/bans/{identity}", "DELETE", changes::lift_ban),
    ("/api/v1/rooms/{room}/waiting", "GET", waiting),
    ("/api/v1/rooms/{room}/waiting/{participant}", "POST", changes::admit),
    ("/api/v1/rooms/{room}/waiting/{participant}", "DELETE", changes::turn_away),
    ("/api/v1/rooms/{room}/topology", "PUT", changes::reset_topology),
    ("/api/v1/tokens", "POST", |_, request| Ok(ApiRequest::IssueToken(Box::new(issue(request)?)))),
    ("/api/v1/usage", "GET", |_, _| Ok(ApiRequest::Usage)),
];

/// Reads that those are to be listed who stay out.
pub fn bans(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    Ok(ApiRequest::Bans(room(names)?))
}

/// Reads that those are to be listed who wait.
pub fn waiting(names: &[&str], _: &Request) -> Result<ApiRequest, Response> {
    Ok(ApiRequest::Waiting(room(names)?))
}

/// Reads what is asked.
///
/// # Errors
/// The request is refused with this answer.
pub fn parse(request: &Request) -> Result<ApiRequest, Response> {
    // A browser asks so whether a page of another site may go on.
    if request.method == "OPTIONS" {
        return Err(Response::empty(204).with("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    routes::find(&ROUTES, request, || {
        Response::problem(
            404,
            "there is no such endpoint",
            "docs/api.md and docs/api-v1.openapi.json list them",
        )
    })
}

/// Reads what a token is to allow.
fn issue(request: &Request) -> Result<Issue, Response> {
    let mut body = Body::of(request)?;
    let room = body
        .must("room", "a room id: 1–64 characters of A–Z a–z 0–9 _ - .", |text| text.parse().ok())?;
    let identity = body.must("identity", "1–256 characters without control characters", |text| {
        Profile::is_identity(text).then(|| text.to_owned())
    })?;
    let name = body.text("name")?.map(|name| {
        let fits = Join::display_name(&name).map(str::to_owned);
        fits.ok_or_else(|| {
            Response::problem(400, "`name` must have 1–64 characters", "shorten it, or leave it out")
        })
    });
    let publish = match body.texts("publish")? {
        None => Sources::ALL,
        Some(listed) => sources(&listed)?,
    };
    let grants = Grants {
        publish,
        subscribe: body.flag("subscribe")?.unwrap_or(true),
        send_data: body.flag("sendData")?.unwrap_or(!publish.is_empty()),
        moderate: body.flag("moderate")?.unwrap_or(false),
        create: body.flag("createRoom")?.unwrap_or(false),
        list: false,
        update_own_profile: body.flag("updateProfile")?.unwrap_or(false),
        hidden: body.flag("hidden")?.unwrap_or(false),
    };
    let metadata = body.text("metadata")?.unwrap_or_default();
    let attributes = body.pairs("attributes")?.unwrap_or_default();
    let seconds = body.count("validSeconds", 1, TOKEN_SECONDS_MAX)?.unwrap_or(TOKEN_SECONDS);
    body.end()?;
    let (room, name) = (Some(room), name.transpose()?);
    let pass = Pass { room, identity, name, metadata, attributes, grants, not_before: 0, expires: 0 };
    if let Some(rule) = pass.profile("").excess() {
        return Err(Response::problem(400, &rule, "say less about the participant"));
    }
    Ok(Issue { pass, seconds })
}
