//! Ids of consumers: of each track a session receives at most one.

use crate::core::ids::TrackId;

/// Returns the id of the consumer of a track.
pub fn consumer_id(track: TrackId) -> String {
    format!("c-{track}")
}

/// Returns the track that a consumer receives; `None` if the text is no consumer's id.
pub fn consumer_of(id: &str) -> Option<TrackId> {
    id.strip_prefix("c-")?.parse().ok()
}
