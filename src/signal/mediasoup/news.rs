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
        let (of_channel, of_room, mut data) = self.told();
        let kind = match dialect {
            Dialect::Channels => of_channel,
            Dialect::Rooms => of_room,
        };
        if let Some(user) = self.user() {
            data[dialect.names().1] = json!(user);
        }
        json!({"type": kind, "data": data}).to_string()
    }

    /// Returns whom it is about.
    fn user(&self) -> Option<&str> {
        match self {
            Self::UserJoined { user, .. }
            | Self::UserLeft { user }
            | Self::NewProducer { user, .. }
            | Self::ProducerClosed { user, .. }
            | Self::ProducerPaused { user, .. } => Some(user),
            Self::ConsumerClosed(_) | Self::ConsumerPaused(..) | Self::TransportClosed(_) | Self::Over(_) => {
                None
            }
        }
    }

    /// Returns its type in the words of each dialect, for channels and for rooms, and what is told, but for whom it is about.
    fn told(&self) -> (&'static str, &'static str, Value) {
        let producer = |id: &TrackId| json!({"producerId": id.to_string()});
        let consumer = |track: &TrackId| json!({"consumerId": consumer_id(*track)});
        match self {
            Self::UserJoined { name, .. } => {
                ("user_joined_voice", "participant-joined", json!({"name": name}))
            }
            Self::UserLeft { .. } => ("user_left_voice", "participant-left", json!({})),
            Self::NewProducer { info, .. } => ("new_producer", "new-producer", producer_json(info)),
            Self::ProducerClosed { producer: id, .. } => ("producer_closed", "producer-closed", producer(id)),
            Self::ProducerPaused { producer: id, paused: true, .. } => {
                ("producer_paused", "producer-paused", producer(id))
            }
            Self::ProducerPaused { producer: id, paused: false, .. } => {
                ("producer_resumed", "producer-resumed", producer(id))
            }
            Self::ConsumerClosed(track) => ("consumer_closed", "consumer-closed", consumer(track)),
            Self::ConsumerPaused(track, true) => ("consumer_paused", "consumer-paused", consumer(track)),
            Self::ConsumerPaused(track, false) => ("consumer_resumed", "consumer-resumed", consumer(track)),
            Self::TransportClosed(id) => {
                ("transport_closed", "transport-closed", json!({"transportId": id.to_string()}))
            }
            Self::Over(reason) => ("left_voice", "left", json!({"reason": reason})),
        }
    }
}
