//! The data tracks that a LiveKit client publishes: under which numbers and names, and what is told of them.

use std::collections::BTreeMap;

use super::messages::{DataTrackInfo, PublishDataTrackRequest, numbers};
use crate::core::data_tracks::{NAME_BYTES_MAX, PUBLISHED_MAX};

/// The data tracks that the client publishes, by its numbers of them.
#[derive(Debug, Default)]
pub struct OwnDataTracks {
    /// Those that the core has not confirmed yet, as they were announced.
    pub(super) asked: BTreeMap<u16, PublishDataTrackRequest>,
    /// Those that it has confirmed, as others are told of them.
    pub(super) published: BTreeMap<u16, DataTrackInfo>,
}

impl OwnDataTracks {
    /// Returns what is told of those that are published.
    pub fn infos(&self) -> Vec<DataTrackInfo> {
        self.published.values().cloned().collect()
    }

    /// Returns the number by which packets will name a track.
    ///
    /// # Errors
    /// It cannot be published. The number is LiveKit's for why (`RequestResponse.Reason`).
    pub fn check(&self, request: &PublishDataTrackRequest) -> Result<u16, i32> {
        let handle = u16::try_from(request.pub_handle).ok().filter(|handle| *handle != 0);
        let handle = handle.ok_or(numbers::INVALID_HANDLE)?;
        if !(1..=NAME_BYTES_MAX).contains(&request.name.len()) {
            return Err(numbers::INVALID_NAME);
        }
        if self.asked.contains_key(&handle) || self.published.contains_key(&handle) {
            return Err(numbers::DUPLICATE_HANDLE);
        }
        let names = self.asked.values().map(|other| &other.name);
        if names.chain(self.published.values().map(|other| &other.name)).any(|name| *name == request.name) {
            return Err(numbers::DUPLICATE_NAME);
        }
        let count = self.asked.len() + self.published.len();
        if count < PUBLISHED_MAX { Ok(handle) } else { Err(numbers::LIMIT_EXCEEDED) }
    }
}
