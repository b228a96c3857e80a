//! What clients are told of where their call's media goes, as parts of messages.

use std::time::Duration;

use serde::Serialize;

use crate::core::mesh::MeshTrack;
use crate::core::topology::{Mode, View};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TopologyData {
    mode: &'static str,
    migration: u32,
    moving_to: Option<&'static str>,
    strategy: &'static str,
    deadline_ms: Option<u64>,
    warm: bool,
    reason: &'static str,
    connect_ms: u64,
}

impl TopologyData {
    pub(super) fn new(view: &View) -> Self {
        let View { mode, migration, moving_to, strategy, left, warm, reason, connect } = *view;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            mode: mode.as_str(),
            migration,
            moving_to: moving_to.map(Mode::as_str),
            strategy: strategy.as_str(),
            deadline_ms: left.map(ms),
            warm,
            reason: reason.as_str(),
            connect_ms: ms(connect),
        }
    }
}

#[derive(Serialize)]
pub(super) struct MeshTrackData<'a> {
    id: &'a str,
    source: &'static str,
    muted: bool,
}

pub(super) fn mesh_tracks(tracks: &[MeshTrack]) -> Vec<MeshTrackData<'_>> {
    let tracks = tracks.iter();
    tracks
        .map(|track| MeshTrackData { id: &track.id, source: track.source.as_str(), muted: track.muted })
        .collect()
}
