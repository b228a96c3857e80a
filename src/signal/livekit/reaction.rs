//! What a LiveKit front end wants done, and the messages of which it is mostly made.

use prost::Message as _;

use super::super::whip::lines;
use super::messages::{
    LeaveRequest, ParticipantInfo, ParticipantUpdate, RequestResponse, SignalResponse,
    TrackUnpublishedResponse, TrickleRequest, numbers,
};
use super::trials::Trial;
use crate::core::command::Command;
use crate::core::event::Refusal;
use crate::core::ids::{RequestId, TrackId};
use crate::core::msid::track_sid;
use crate::signal::Demand;
use crate::signal::native::Close;

/// What to do after a client's message or one of the core's events.
#[derive(Debug, Default, PartialEq)]
pub struct LiveKitReaction {
    /// Hand these to the core, in this order.
    pub demands: Vec<Demand>,
    /// Send these messages to the client.
    pub say: Vec<Vec<u8>>,
    /// Close the connection for this reason, after the messages.
    pub close: Option<Close>,
    /// Why the client's message was refused, for the log: most refusals cannot be told in this protocol.
    pub refused: Option<Refusal>,
    /// Whether the message broke the rules.
    pub is_fault: bool,
    /// What the client wants to have happen when it comes back.
    pub trial: Option<Trial>,
}

impl LiveKitReaction {
    /// Adds what else is to be asked and said.
    pub fn and(&mut self, other: Self) {
        self.demands.extend(other.demands);
        self.say.extend(other.say);
        self.close = self.close.take().or(other.close);
        self.refused = self.refused.take().or(other.refused);
        self.is_fault |= other.is_fault;
        self.trial = self.trial.or(other.trial);
    }
}

pub fn encoded(message: &SignalResponse) -> Vec<u8> {
    message.encode_to_vec()
}

pub fn say(message: &SignalResponse) -> LiveKitReaction {
    LiveKitReaction { say: vec![encoded(message)], ..LiveKitReaction::default() }
}

pub fn command(request: Option<RequestId>, command: Command) -> Demand {
    Demand::Command { request, command }
}

pub fn ask(asked: Command) -> LiveKitReaction {
    LiveKitReaction { demands: vec![command(None, asked)], ..LiveKitReaction::default() }
}

/// A request's correlation value: a letter for what it is about, and which one.
pub fn request_id(letter: char, which: impl std::fmt::Display) -> Option<RequestId> {
    Some(RequestId(format!("{letter}{which}").into()))
}

pub fn update(participants: Vec<ParticipantInfo>) -> SignalResponse {
    SignalResponse { update: Some(ParticipantUpdate { participants }), ..SignalResponse::default() }
}

pub fn leave(reason: i32, action: i32) -> SignalResponse {
    let can_reconnect = action != numbers::DISCONNECT;
    SignalResponse {
        leave: Some(LeaveRequest { can_reconnect, reason, action }),
        ..SignalResponse::default()
    }
}

pub fn ended(track: TrackId) -> SignalResponse {
    let unpublished = TrackUnpublishedResponse { track_sid: track_sid(track) };
    SignalResponse { track_unpublished: Some(unpublished), ..SignalResponse::default() }
}

pub fn response_to(request_id: u32, reason: i32, message: &str) -> SignalResponse {
    let response =
        RequestResponse { request_id, reason, message: message.to_owned(), ..RequestResponse::default() };
    SignalResponse { request_response: Some(response), ..SignalResponse::default() }
}

pub fn letter_and_rest(request: &RequestId) -> Option<(char, &str)> {
    let mut chars = request.0.chars();
    Some((chars.next()?, chars.as_str()))
}

/// Returns the messages that tell a client once more the addresses which stand in an answer: LiveKit's connection check counts
/// those alone that come by themselves.
pub fn trickled(answer: &str) -> Vec<Vec<u8>> {
    let mid = lines(answer).find_map(|line| line.strip_prefix("a=mid:")).unwrap_or_default();
    let message = |candidate: &str| {
        let init = serde_json::json!({ "candidate": candidate, "sdpMid": mid, "sdpMLineIndex": 0 });
        let trickle = TrickleRequest { candidate_init: init.to_string(), target: 0, is_final: false };
        encoded(&SignalResponse { trickle: Some(trickle), ..SignalResponse::default() })
    };
    let attributes = lines(answer).filter_map(|line| line.strip_prefix("a="));
    attributes.filter(|attribute| attribute.starts_with("candidate:")).map(message).collect()
}
