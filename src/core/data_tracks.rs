//! Data tracks: streams of small frames that members publish under a name, and others subscribe to one by one, as they do to
//! audio and video. Frames go by data channels on which what is late is lost.
//!
//! The form is that of LiveKit, whose clients alone know them. A packet has a header of 12 bytes, in which the third and the
//! fourth name the track: on the way to the server by a handle that its owner has chosen, on the way to a subscriber by one that
//! was chosen for them. Everything else of it is the business of the clients.

use serde::{Deserialize, Serialize};

use super::ids::{ParticipantKey, TrackId};

/// The label of the data channels on which packets go.
pub const LABEL: &str = "_data_track";
/// Most data tracks that a member publishes.
pub const PUBLISHED_MAX: usize = 32;
/// Most data tracks that a member subscribes to.
pub const SUBSCRIBED_MAX: usize = 256;
/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 256;
/// Most that a client says of a data track beside its name, in bytes.
pub const DETAILS_BYTES_MAX: usize = 1024;
/// The largest packet, in bytes. Clients make them no larger than 16,000.
const PACKET_BYTES_MAX: usize = 16 * 1024;
/// The length of the header, in bytes.
const HEADER_BYTES: usize = 12;

/// A data track, as others are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataTrack {
    /// Its id, the same for everybody in the room.
    pub track: TrackId,
    /// By what its owner names it in packets; never 0.
    pub handle: u16,
    /// Its name, which no other of its owner's has.
    pub name: String,
    /// What else its owner's client says of it, in a form of its own.
    pub details: Vec<u8>,
}

/// What a member asks for who knows data tracks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataTrackCommand {
    /// Publish one.
    Publish {
        /// By what packets will name it.
        handle: u16,
        /// Its name.
        name: String,
        /// What else is said of it.
        details: Vec<u8>,
    },
    /// Publish it no longer.
    Unpublish {
        /// The handle with which it was published.
        handle: u16,
    },
    /// Receive somebody else's.
    Subscribe(TrackId),
    /// Receive it no longer.
    Unsubscribe(TrackId),
}

/// A published data track, and who receives it.
#[derive(Debug)]
pub struct Published {
    /// What others are told of it.
    pub info: DataTrack,
    /// Who receives it, and by what packets name it to them.
    pub subscribers: Vec<(ParticipantKey, u16)>,
}

/// The data tracks of one member: those that they publish, and those that they receive.
#[derive(Debug, Default)]
pub struct DataTracks {
    /// In the order of publishing.
    pub published: Vec<Published>,
    /// By the handles that were given out, which rise.
    subscribed: Vec<(u16, TrackId)>,
    last_handle: u16,
}

impl DataTracks {
    /// Returns what others are told of those that are published.
    pub fn infos(&self) -> Vec<DataTrack> {
        self.published.iter().map(|published| published.info.clone()).collect()
    }

    /// Returns the published one of that handle.
    pub fn by_handle(&self, handle: u16) -> Option<&Published> {
        self.published.iter().find(|published| published.info.handle == handle)
    }

    /// Returns by what packets name a track to this member, who receives it from now on; `None` if they receive too many.
    pub fn subscribe(&mut self, track: TrackId) -> Option<u16> {
        if let Some((handle, _)) = self.subscribed.iter().find(|(_, other)| *other == track) {
            return Some(*handle);
        }
        if self.subscribed.len() >= SUBSCRIBED_MAX {
            return None;
        }
        // There are fewer of them than handles.
        let is_free = |handle: u16| handle != 0 && !self.subscribed.iter().any(|(other, _)| *other == handle);
        let mut handle = self.last_handle.wrapping_add(1);
        while !is_free(handle) {
            handle = handle.wrapping_add(1);
        }
        self.last_handle = handle;
        self.subscribed.push((handle, track));
        Some(handle)
    }

    /// Notes that a track is received no longer. Returns whether it was.
    pub fn unsubscribe(&mut self, track: TrackId) -> bool {
        let before = self.subscribed.len();
        self.subscribed.retain(|(_, other)| *other != track);
        self.subscribed.len() < before
    }
}

/// Returns the handle by which a packet names its track; `None` if it is no packet.
pub fn handle_of(packet: &[u8]) -> Option<u16> {
    let is_whole = (HEADER_BYTES..=PACKET_BYTES_MAX).contains(&packet.len());
    let [first, _, high, low, ..] = *packet else { return None };
    let version = first >> 5;
    Some(u16::from_be_bytes([high, low])).filter(|handle| is_whole && version == 0 && *handle != 0)
}

/// Returns a packet of [`handle_of`] that names its track by another handle.
pub fn with_handle(packet: &[u8], handle: u16) -> Vec<u8> {
    let mut renamed = packet.to_vec();
    if let Some(place) = renamed.get_mut(2..4) {
        place.copy_from_slice(&handle.to_be_bytes());
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_names_its_track_in_its_third_and_fourth_byte() {
        let packet = [0x18, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, b'x'];
        assert_eq!(handle_of(&packet), Some(0x0102));
        let renamed = with_handle(&packet, 0xfffe);
        assert_eq!((handle_of(&renamed), renamed[12], renamed.len()), (Some(0xfffe), b'x', 13));
        assert_eq!(handle_of(&packet[..11]), None, "it is no whole header");
        assert_eq!(handle_of(&[0x20, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0]), None, "another version");
        assert_eq!(handle_of(&[0; 12]), None, "0 is no handle");
        assert_eq!(handle_of(&vec![1; PACKET_BYTES_MAX + 1]), None);
    }

    #[test]
    fn each_track_that_is_received_has_a_handle_of_its_own() {
        let mut tracks = DataTracks { last_handle: u16::MAX - 1, ..DataTracks::default() };
        assert_eq!(tracks.subscribe(TrackId(1)), Some(u16::MAX));
        assert_eq!(tracks.subscribe(TrackId(2)), Some(1), "0 is no handle");
        assert_eq!(tracks.subscribe(TrackId(1)), Some(u16::MAX), "it has one already");
        assert!(tracks.unsubscribe(TrackId(1)) && !tracks.unsubscribe(TrackId(1)));
        for track in 3..1000 {
            tracks.subscribe(TrackId(track));
        }
        assert_eq!(tracks.subscribed.len(), SUBSCRIBED_MAX);
    }
}
