//! CORS: which other sites' web pages may read the answers of `/api/v1`, LiveKit's room service, WHIP and WHEP (Fetch
//! standard, "CORS protocol").
//!
//! Credentials of the browser's own, such as cookies, are never allowed: whoever asks shows a token.

use std::borrow::Cow;

use super::message::{Request, Response};

/// How long a browser may remember what it was allowed, in seconds.
const MAX_AGE: &str = "7200";

/// Returns the answer as a page of the request's origin may have it. `origins` are those that the operator has listed. Only
/// they may use the API; if there are none, any page may use WHIP and WHEP, whose answers say so themselves.
pub fn limited<'r>(response: &'r Response, request: &Request, origins: &[String]) -> Cow<'r, Response> {
    let Some(origin) = request.field("origin") else { return Cow::Borrowed(response) };
    let is_any = origins.iter().any(|listed| listed == "*");
    let is_listed = is_any || origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin));
    let is_under = |folder: &str| request.path.starts_with(folder);
    if is_under("/whip/") || is_under("/whep/") {
        if origins.is_empty() || is_listed {
            return Cow::Borrowed(response);
        }
        return Cow::Owned(response.clone().without("Access-Control-"));
    }
    if !(is_under("/api/") || is_under("/twirp/")) || !is_listed {
        return Cow::Borrowed(response);
    }
    let shown = if is_any { "*".to_owned() } else { origin.to_owned() };
    let response = response
        .clone()
        .with("Vary", "Origin")
        .with("Access-Control-Allow-Origin", shown)
        .with("Access-Control-Expose-Headers", "Allow, WWW-Authenticate");
    if request.method != "OPTIONS" {
        return Cow::Owned(response);
    }
    Cow::Owned(
        response
            .with("Access-Control-Allow-Methods", "GET, POST, PUT, PATCH, DELETE")
            .with("Access-Control-Allow-Headers", "Authorization, Content-Type, Strait-Signature")
            .with("Access-Control-Max-Age", MAX_AGE),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::http::message::{Parsed, parse};

    /// The origin that an answer allows.
    fn allowed(path: &str, origin: &str, origins: &[&str]) -> Option<String> {
        let text = format!("OPTIONS {path} HTTP/1.1\r\nHost: a\r\nOrigin: {origin}\r\n\r\n");
        let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("{text}") };
        let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let answer = if path.starts_with("/whip/") {
            Response::empty(200).with("Access-Control-Allow-Origin", origin.to_owned())
        } else {
            Response::empty(204)
        };
        let limited = limited(&answer, &request, &origins);
        assert_eq!(limited.field("Access-Control-Allow-Credentials"), None);
        limited.field("Access-Control-Allow-Origin").map(str::to_owned)
    }

    #[test]
    fn pages_of_listed_sites_may_use_the_api_and_no_others() {
        let (ours, theirs) = ("https://app.example", "https://evil.example");
        assert_eq!(allowed("/api/v1/rooms", ours, &[ours]).as_deref(), Some(ours));
        assert_eq!(allowed("/api/v1/rooms", theirs, &[ours]), None);
        assert_eq!(allowed("/api/v1/rooms", ours, &[]), None);
        assert_eq!(allowed("/api/v1/rooms", theirs, &["*"]).as_deref(), Some("*"));
        assert_eq!(allowed("/admin/v1/rooms", ours, &[ours]), None, "administration is for no page");
        assert_eq!(allowed("/whip/a", theirs, &[]).as_deref(), Some(theirs));
        assert_eq!(allowed("/whip/a", theirs, &[ours]), None);
        assert_eq!(allowed("/whip/a", ours, &[ours]).as_deref(), Some(ours));
    }
}
