//! Gives the fuzz targets access to what the shell decides from bytes alone, in modules that are private. Nothing else
//! uses this file.

use std::net::{IpAddr, Ipv4Addr};

pub use super::address::Candidates;
pub use super::http::message::{BODY_BYTES_MAX, HEAD_BYTES_MAX, Parsed, Request, Response, parse};
pub use super::turn::{Link, LinkKind, ReachedBy, Relayed, TurnServer, Verdict};

use super::front::router::{Route, route};
use super::http::client::Client;
use super::http::{origin, plain_http};
use super::operator::admin;
use super::tcp::web_socket as ws;

/// Returns all answers that a request can get before anything of the server's state is looked at.
pub fn answers(request: &Request) -> Vec<Response> {
    let peers: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(203, 0, 113, 9).into()];
    let trusted: Vec<_> = ["203.0.113.0/24"].iter().filter_map(|text| text.parse().ok()).collect();
    let mut answers = Vec::new();
    for peer in peers {
        let client = Client::of(request, peer, false, &trusted);
        answers.extend(plain_http::answer(request, &client, false));
        answers.extend(admin::authorize(request, peer, Some("token")).err());
    }
    match route(request) {
        Route::Answer(response) => answers.push(response),
        Route::WebSocket if origin::allowed(request, &[]) => {
            answers.push(ws::upgrade(request).unwrap_or_else(|refusal| refusal));
        }
        _ => {}
    }
    answers
}
