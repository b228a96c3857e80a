//! Requests to the TURN server: which are refused with a signed answer before the library sees them, and which are
//! handed on.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use tracing::debug;
use turn_server_proto::api::{Transmit, TurnServerApi};
use turn_server_proto::types::TransportType;
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, REFRESH};
use turn_server_proto::types::stun::attribute::{ErrorCode, Username};
use turn_server_proto::types::stun::message::{BINDING, Message};

use super::TurnServer;
use super::client::{Client, Link, User};
use super::counters::Refused;
use super::credentials::Unfit;
use super::messages::{answers, binding_success, error_code, peers, refusal, stripped};
use crate::net::address::Candidates;
use crate::net::clock;

/// What becomes of a request.
enum Decision {
    /// The library answers it.
    HandOn,
    /// The client has to authenticate first.
    Challenge,
    /// This is the answer.
    Answer(Option<Vec<u8>>),
}

impl TurnServer {
    /// Answers a request of a client.
    pub(super) fn answer_request(
        &mut self,
        now: Instant,
        key: usize,
        bytes: &[u8],
        candidates: &mut Candidates,
    ) {
        let Ok(request) = Message::from_bytes(bytes) else { return };
        let Some(client) = self.clients.get(key) else { return };
        let (link, remote) = (client.link, client.remote);
        let decision = match request.method() {
            _ if request.is_response() => return,
            BINDING => return self.answer_binding(link, remote, bytes),
            ALLOCATE => self.decide_allocate(key, &request),
            CREATE_PERMISSION | CHANNEL_BIND => self.decide_peers(now, key, &request, candidates),
            REFRESH => Decision::HandOn,
            // Among them Connect (RFC 6062): there are no TCP connections to peers.
            _ => Decision::Answer(refusal(&request, ErrorCode::BAD_REQUEST, None)),
        };
        let answer = match decision {
            Decision::Answer(answer) => answer,
            Decision::HandOn => self.hand_on(now, key, bytes),
            Decision::Challenge => stripped(bytes).and_then(|bytes| self.hand_on(now, key, &bytes)),
        };
        let Some(answer) = answer else { return };
        if let Some(code) = error_code(&answer) {
            self.count_refusal(code);
            debug!(client = %remote, method = ?request.method(), code, "TURN request refused");
        }
        self.answer(link, answer);
    }

    /// Tells somebody which address they come from.
    pub(super) fn answer_binding(&mut self, link: Link, remote: SocketAddr, bytes: &[u8]) {
        if let Some(answer) = binding_success(bytes, remote) {
            self.answer(link, answer);
        }
    }

    /// Answers a request about an allocation from a client that has none and is not known (RFC 8656 §5).
    pub(super) fn refuse_stranger(&mut self, link: Link, bytes: &[u8]) {
        let Ok(request) = Message::from_bytes(bytes) else { return };
        self.counters.note_refused(Refused::Other);
        if let Some(answer) = refusal(&request, ErrorCode::ALLOCATION_MISMATCH, None) {
            self.answer(link, answer);
        }
    }

    fn hand_on(&mut self, now: Instant, key: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let time = self.time(now);
        let client = self.clients.get_mut(key)?;
        let transmit = Transmit::new(bytes, TransportType::Udp, client.remote, client.local);
        client.server.recv(transmit, time).map(|answer| answer.build().data)
    }

    /// Counts a refusal of the library. A 401 is not counted, because every client learns the nonce by one; wrong
    /// credentials are counted where they are read.
    fn count_refusal(&mut self, code: u16) {
        let why = match code {
            ErrorCode::UNAUTHORIZED | ErrorCode::STALE_NONCE => return,
            ErrorCode::FORBIDDEN => Refused::Peer,
            ErrorCode::ALLOCATION_QUOTA_REACHED => Refused::Quota,
            ErrorCode::INSUFFICIENT_CAPACITY => Refused::Capacity,
            _ => Refused::Other,
        };
        self.counters.note_refused(why);
    }

    fn decide_allocate(&mut self, key: usize, request: &Message<'_>) -> Decision {
        let Ok(username) = request.attribute::<Username>() else { return Decision::HandOn };
        let username = username.username();
        let (participant, password) = match self.credentials.check(username, clock::unix()) {
            Ok(found) => found,
            Err(unfit) => {
                self.counters.note_refused(match unfit {
                    Unfit::Expired => Refused::Expired,
                    Unfit::Foreign => Refused::Credentials,
                });
                return Decision::Challenge;
            }
        };
        let user = User::new(username, password);
        let Some(algorithm) = user.has_signed(request) else {
            self.counters.note_refused(Refused::Credentials);
            return Decision::Challenge;
        };
        let refuse = |code| Decision::Answer(refusal(request, code, Some((&user.credentials, algorithm))));
        let Some(client) = self.clients.get_mut(key) else { return Decision::HandOn };
        // An allocation stays with the user who made it (441 in RFC 8656 §19).
        if client.user.as_ref().is_some_and(|known| known.username != username) {
            return refuse(ErrorCode::WRONG_CREDENTIALS);
        }
        if let Some(allocation) = &client.allocation
            && answers(&allocation.granted, request)
        {
            // The first answer was lost (RFC 8656 §7.2).
            return Decision::Answer(Some(allocation.granted.clone()));
        }
        if client.allocation.is_none() {
            if self.quotas.allocations(participant) >= self.config.allocations_per_participant_max {
                return refuse(ErrorCode::ALLOCATION_QUOTA_REACHED);
            }
            if self.by_relayed.len() >= self.config.allocations_max {
                return refuse(ErrorCode::INSUFFICIENT_CAPACITY);
            }
        }
        if client.user.is_none() {
            client.set_user(user);
        }
        Decision::HandOn
    }

    /// Decides about permissions and channels, which are only granted for Strait itself.
    fn decide_peers(
        &mut self,
        now: Instant,
        key: usize,
        request: &Message<'_>,
        candidates: &mut Candidates,
    ) -> Decision {
        let Some(client) = self.clients.get_mut(key) else { return Decision::HandOn };
        let (local, remote) = (client.local.ip(), client.remote.ip());
        let Client { user: Some(user), allocation: Some(allocation), .. } = client else {
            return Decision::HandOn;
        };
        let Some(algorithm) = user.has_signed(request) else { return Decision::Challenge };
        let refuse = |code| Decision::Answer(refusal(request, code, Some((&user.credentials, algorithm))));
        let is_channel = request.method() == CHANNEL_BIND;
        let (port, echo_peer, fictitious) =
            (self.port, self.config.echo_peer, self.addresses.network().fictitious_peer());
        let mut is_ours = |peer: &SocketAddr| {
            // The port of a permission has no meaning (RFC 8656 §9.2); data to another port than ours is dropped.
            if peer.ip() == fictitious.ip() {
                return !is_channel || *peer == fictitious;
            }
            echo_peer == Some(peer.ip())
                || (!is_channel || peer.port() == port)
                    && is_candidate(now, peer.ip(), local, remote, candidates)
        };
        let peers = peers(request);
        if !peers.iter().all(&mut is_ours) {
            return refuse(ErrorCode::FORBIDDEN);
        }
        let fits = allocation.permit(&peers, self.config.permissions_max)
            && (!is_channel || allocation.bind(&peers, self.config.channels_max));
        if fits { Decision::HandOn } else { refuse(ErrorCode::INSUFFICIENT_CAPACITY) }
    }
}

/// Returns whether an address is one that this client may have been given as a candidate.
fn is_candidate(
    now: Instant,
    ip: IpAddr,
    local: IpAddr,
    remote: IpAddr,
    candidates: &mut Candidates,
) -> bool {
    let given = candidates.for_client(now, remote, local, false);
    given.iter().any(|candidate| candidate.address.ip() == ip) || candidates.ips(now).contains(&ip)
}
