//! The references of the HTTP interfaces (OpenAPI), held against the routes in both directions: what they describe is served,
//! and nothing else.

use std::collections::BTreeSet;

use serde_json::Value;

use super::front::router::{Route, route};
use super::http::message::{Parsed, parse};
use super::http::routes::Routed;
use super::{api, operator};
use crate::signal::mediasoup::CallName;

/// The routes for monitoring, which are outside of the administration interface.
const MONITORED: [(&str, &str); 4] =
    [("/health", "GET"), ("/livez", "GET"), ("/readyz", "GET"), ("/metrics", "GET")];

const ADMIN: &str = include_str!("../../docs/admin-v1.openapi.json");
const API: &str = include_str!("../../docs/api-v1.openapi.json");
const MEDIASOUP: &str = include_str!("../../docs/mediasoup.openapi.json");

type Described = BTreeSet<(String, String)>;

/// Every path and method of a reference.
fn described(text: &str) -> Described {
    let reference: Value = serde_json::from_str(text).expect("JSON");
    let paths = reference["paths"].as_object().expect("paths");
    let described = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").keys().filter(|key| *key != "parameters");
        methods.map(|method| (path.clone(), method.to_uppercase()))
    });
    described.collect()
}

fn served<T>(routes: &[Routed<T>]) -> Described {
    routes.iter().map(|(path, method, _)| ((*path).to_owned(), (*method).to_owned())).collect()
}

#[test]
fn the_references_describe_what_is_served_and_nothing_else() {
    let mut administration = served(&operator::admin::ROUTES);
    administration.extend(MONITORED.map(|(path, method)| (path.to_owned(), method.to_owned())));
    assert_eq!(described(ADMIN), administration, "docs/admin-v1.openapi.json on the left");
    assert_eq!(described(API), served(&api::ROUTES), "docs/api-v1.openapi.json on the left");
    let calls = described(MEDIASOUP).iter().filter(|(_, method)| method == "POST").count();
    // One of them has two addresses.
    assert_eq!(calls, CallName::ALL.len() + 1, "calls in docs/mediasoup.openapi.json on the left");
}

#[test]
fn what_a_reference_describes_is_answered_and_other_methods_are_not() {
    let methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"];
    for described in [described(ADMIN), described(API), described(MEDIASOUP)] {
        for (path, _) in &described {
            let real = path.replace("{room}", "standup").replace("{participant}", "p-0000000000000");
            let real = real.replace("{track}", "t-0000000000000").replace("{identity}", "anna");
            let real = real.replace("{channelId}", "standup").replace("{roomId}", "standup");
            let real = real.replace("{userId}", "anna");
            for method in methods {
                let text = format!("{method} {real} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                let Parsed::Request(request, _) = parse(text.as_bytes()) else { panic!("{text}") };
                let is_socket = ["/mediasoup", "/api/voice/events"].contains(&path.as_str());
                let as_get = if method == "HEAD" && !is_socket { "GET" } else { method };
                let is_described = described.contains(&(path.clone(), as_get.to_owned()));
                match route(&request) {
                    Route::Admin(_)
                    | Route::Api(_)
                    | Route::Health
                    | Route::Live
                    | Route::Ready
                    | Route::Mediasoup(_)
                    | Route::Metrics => assert!(is_described, "{method} {real}"),
                    // A WebSocket has no head.
                    Route::Answer(response) if method == "HEAD" && response.status == 405 => {}
                    // What needs a body is refused without one.
                    Route::Answer(response) if is_described => {
                        assert_eq!(response.status, 400, "{method} {real}");
                    }
                    Route::Answer(response) => {
                        assert_eq!(response.status, 405, "{method} {real}: {response:?}");
                    }
                    other => panic!("{method} {real}: {other:?}"),
                }
            }
        }
    }
}
