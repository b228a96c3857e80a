//! Clients of WHIP and WHEP: str0m over real UDP, whose offer goes by HTTP.

use std::net::UdpSocket;
use std::time::Instant;

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid};
use str0m::{Candidate, Rtc};

use super::people::Endpoint;
use super::{Answer, Server};

/// An endpoint, and the session that it has been given.
pub struct Client {
    pub endpoint: Endpoint,
    pub offer: String,
    pub location: String,
    pub etag: String,
    pub answer: String,
}

/// An endpoint whose offer has not been answered.
pub struct Unanswered {
    pub endpoint: Endpoint,
    pending: SdpPendingOffer,
    pub offer: String,
}

impl Unanswered {
    /// Sections of these kinds, all of one direction.
    pub fn new(kinds: &[MediaKind], direction: Direction) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = udp.local_addr().expect("an address");
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        let mut changes = rtc.sdp_api();
        let mids: Vec<(MediaKind, Mid)> =
            kinds.iter().map(|kind| (*kind, changes.add_media(*kind, direction, None, None, None))).collect();
        let (offer, pending) = changes.apply().expect("something changed");
        let microphone = mids.iter().find(|(kind, _)| *kind == MediaKind::Audio).map(|(_, mid)| *mid);
        let endpoint = Endpoint { rtc, udp, address, microphone, received: 0, ice_states: Vec::new() };
        Self { endpoint, pending, offer: offer.to_sdp_string() }
    }

    /// Takes the answer to its offer.
    pub fn accept(self, answer: &Answer) -> Client {
        assert_eq!(answer.status, 201, "{}", answer.text());
        let Self { mut endpoint, pending, offer } = self;
        let text = answer.text();
        let parsed = SdpAnswer::from_sdp_string(&text).expect("an answer");
        endpoint.rtc.sdp_api().accept_answer(pending, parsed).expect("accepted");
        let field = |name: &str| answer.field(name).to_owned();
        Client { endpoint, offer, location: field("location"), etag: field("etag"), answer: text }
    }
}

/// Somebody who publishes a microphone by WHIP.
pub fn publisher(server: &Server, path: &str) -> Client {
    let unanswered = Unanswered::new(&[MediaKind::Audio], Direction::SendOnly);
    let answer = post(server, path, &unanswered.offer, "");
    unanswered.accept(&answer)
}

/// Somebody who views by WHEP.
pub fn viewer(server: &Server, path: &str) -> Client {
    let unanswered = Unanswered::new(&[MediaKind::Audio, MediaKind::Video], Direction::RecvOnly);
    let answer = post(server, path, &unanswered.offer, "");
    unanswered.accept(&answer)
}

/// POST of an offer, with header fields more.
pub fn post(server: &Server, path: &str, offer: &str, fields: &str) -> Answer {
    request(server, "POST", path, &format!("Content-Type: application/sdp\r\n{fields}"), offer)
}

/// PATCH of a fragment.
pub fn patch(server: &Server, path: &str, fields: &str, fragment: &str) -> Answer {
    let fields = format!("Content-Type: application/trickle-ice-sdpfrag\r\n{fields}");
    request(server, "PATCH", path, &fields, fragment)
}

/// Any request.
pub fn request(server: &Server, method: &str, path: &str, fields: &str, body: &str) -> Answer {
    server.request(&format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        server.address,
        body.len()
    ))
}
