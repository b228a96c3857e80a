//! News: what a client is told that it has not asked for, as JSON text in the words of each dialect.

use serde_json::{Value, json};

use super::ids::consumer_id;
use crate::core::event::TrackInfo;
use crate::core::ids::{TrackId, TransportId};

/// What apps call things, and what comes by which way. Both are in use among apps on mediasoup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Channels and users; calls by REST, and news on a WebSocket.
    Channels,
    /// Rooms and participants; calls and news on one WebSocket.
    Rooms,
}

impl Dialect {
    /// Returns what the fields for a room and for somebody in it are called.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Channels => ("channelId", "userId"),
            Self::Rooms => ("roomId", "participantId"),
        }
    }
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Somebody has come in.
    UserJoined {
        /// Who it is.
        user: String,
        /// How they are called.
        name: String,
    },
    /// Somebody has left.
    UserLeft {
        /// Who it was.
        user: String,
    },
    /// Somebody publishes a track.
    NewProducer {
        /// Who it is.
        user: String,
        /// The track.
        info: TrackInfo,
    },
    /// A track is no longer published. The client's own one, if somebody else has stopped it.
    ProducerClosed {
        /// Whose it was.
        user: String,
        /// The track.
        producer: TrackId,
    },
    /// A track was muted or unmuted.
    ProducerPaused {
        /// Whose it is.
        user: String,
        /// The track.
        producer: TrackId,
        /// Whether it is muted now.
        paused: bool,
    },
    /// The client receives a track no longer.
    ConsumerClosed(TrackId),
    /// A track that the client receives was muted or unmuted.
    ConsumerPaused(TrackId, bool),
    /// A transport of the client's has ended by itself, with what was produced and consumed on it.
    TransportClosed(TransportId),
    /// The client is no longer in the room, for this reason.
    Over(&'static str),
}

/// Returns what is told of a track.
pub fn producer_json(info: &TrackInfo) -> Value {
    json!({
        "producerId": info.track.to_string(),
        "kind": info.kind().as_str(),
        "source": info.source.as_str(),
        "paused": info.muted,
    })
}

impl News {
    /// Returns the message that tells it.
    pub fn encode(&self, dialect: Dialect) -> String {
        let (kind, data) = match dialect {
            Dialect::Channels => self.of_channel(),
            Dialect::Rooms => self.of_room(),
        };
        json!({"type": kind, "data": data}).to_string()
    }

    fn of_channel(&self) -> (&'static str, Value) {
        match self {
            Self::UserJoined { user, name } => ("user_joined_voice", json!({"userId": user, "name": name})),
            Self::UserLeft { user } => ("user_left_voice", json!({"userId": user})),
            Self::NewProducer { user, info } => ("new_producer", with("userId", user, producer_json(info))),
            Self::ProducerClosed { user, producer } => {
                ("producer_closed", json!({"producerId": producer.to_string(), "userId": user}))
            }
            Self::ProducerPaused { user, producer, paused } => {
                let kind = if *paused { "producer_paused" } else { "producer_resumed" };
                (kind, json!({"producerId": producer.to_string(), "userId": user}))
            }
            Self::ConsumerClosed(track) => ("consumer_closed", json!({"consumerId": consumer_id(*track)})),
            Self::ConsumerPaused(track, paused) => {
                let kind = if *paused { "consumer_paused" } else { "consumer_resumed" };
                (kind, json!({"consumerId": consumer_id(*track)}))
            }
            Self::TransportClosed(id) => ("transport_closed", json!({"transportId": id.to_string()})),
            Self::Over(reason) => ("left_voice", json!({"reason": reason})),
        }
    }

    fn of_room(&self) -> (&'static str, Value) {
        match self {
            Self::UserJoined { user, name } => {
                ("participant-joined", json!({"participantId": user, "name": name}))
            }
            Self::UserLeft { user } => ("participant-left", json!({"participantId": user})),
            Self::NewProducer { user, info } => {
                ("new-producer", with("participantId", user, producer_json(info)))
            }
            Self::ProducerClosed { user, producer } => {
                ("producer-closed", json!({"producerId": producer.to_string(), "participantId": user}))
            }
            Self::ProducerPaused { user, producer, paused } => {
                let kind = if *paused { "producer-paused" } else { "producer-resumed" };
                (kind, json!({"producerId": producer.to_string(), "participantId": user}))
            }
            Self::ConsumerClosed(track) => ("consumer-closed", json!({"consumerId": consumer_id(*track)})),
            Self::ConsumerPaused(track, paused) => {
                let kind = if *paused { "consumer-paused" } else { "consumer-resumed" };
                (kind, json!({"consumerId": consumer_id(*track)}))
            }
            Self::TransportClosed(id) => ("transport-closed", json!({"transportId": id.to_string()})),
            Self::Over(reason) => ("left", json!({"reason": reason})),
        }
    }
}

fn with(name: &str, value: &str, mut object: Value) -> Value {
    object[name] = json!(value);
    object
}
