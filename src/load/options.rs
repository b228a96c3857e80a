//! The options of a run (how many rooms, who publishes what, for how long), and the plan that follows from them.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use super::frames::PACKETS_PER_FRAME_MAX;
use super::packet::PAYLOAD_BYTES_MIN;
use crate::core::command::MediaKind;

/// The profiles that `--profile` takes: what publishers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// 50 packets a second of 80 bytes.
    Audio,
    /// 250 packets a second of 1100 bytes, evenly spaced; every ten are a frame.
    Video,
    /// The same frames, with the ten packets of each sent at once.
    Frames,
    /// Three encodings of one video.
    Simulcast,
    /// Everyone publishes audio and video, and receives all others.
    Conference,
    /// The same with the video in three encodings.
    ConferenceSimulcast,
    /// Everyone publishes audio, and receives all others.
    ConferenceAudio,
}

impl Profile {
    /// All profiles, with their names.
    pub const ALL: [(&'static str, Profile); 7] = [
        ("audio", Profile::Audio),
        ("video", Profile::Video),
        ("frames", Profile::Frames),
        ("simulcast", Profile::Simulcast),
        ("conference", Profile::Conference),
        ("conference-simulcast", Profile::ConferenceSimulcast),
        ("conference-audio", Profile::ConferenceAudio),
    ];

    /// Returns the profile's name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, profile)| *profile == self).map_or("", |(name, _)| name)
    }

    /// Whether everybody both publishes and receives.
    pub fn is_mesh(self) -> bool {
        matches!(self, Profile::Conference | Profile::ConferenceSimulcast | Profile::ConferenceAudio)
    }
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, profile)| *profile).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("the profiles are {}", names.join(", "))
        })
    }
}

/// The kind of server, by its signalling protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// Strait, with its native protocol.
    Strait,
    /// Janus, with its VideoRoom plugin.
    Janus,
}

impl FromStr for ServerKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "strait" => Ok(ServerKind::Strait),
            "janus" => Ok(ServerKind::Janus),
            _ => Err("the servers are strait and janus".into()),
        }
    }
}

/// The options of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOptions {
    /// The address of the server's signalling.
    pub address: SocketAddr,
    /// Which server's signalling is spoken there.
    pub server_kind: ServerKind,
    /// The value of the Host field.
    pub host: String,
    /// How many rooms there are.
    pub rooms: usize,
    /// How many publishers each room has.
    pub publishers: usize,
    /// How many subscribers each room has.
    pub subscribers: usize,
    /// What each publisher publishes.
    pub profile: Profile,
    /// How long to measure, once everyone is there.
    pub duration: Duration,
    /// The server's process id; with `None` it is searched for on this machine.
    pub server_pid: Option<u32>,
    /// The seed of phases and identifiers, which makes them repeatable.
    pub seed: u64,
    /// How many people join in a second.
    pub ramp: u32,
    /// Whether never to sleep between packets, which takes a whole core.
    pub spin: bool,
    /// Of each stream, one packet in this many is decrypted.
    pub decrypt_every: u32,
    /// How many tracks of video each receiver is shown, where the server chooses which, as it chooses whose audio they hear;
    /// with `None` everybody is to receive everything.
    pub shown: Option<usize>,
    /// Packets per second of a stream, instead of the profile's.
    pub rate: Option<u32>,
    /// Payload bytes, instead of the profile's.
    pub payload: Option<usize>,
    /// Whether to negotiate transport-wide congestion control.
    pub transport_cc: bool,
    /// How long to wait until everyone is ready, after the last one has begun to join.
    pub patience: Duration,
    /// Whether to keep a histogram for each second.
    pub intervals: bool,
}

/// One encoding of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Its name in a simulcast.
    pub rid: Option<&'static str>,
    /// Packets of a frame.
    pub packets: u8,
    /// Bytes of each payload.
    pub payload: usize,
}

/// One track of each publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    pub kind: MediaKind,
    /// Whether the packets of a frame leave at once.
    pub at_once: bool,
    /// The time between frames, in nanoseconds.
    pub interval: u64,
    /// The time between frames, in ticks of the RTP clock.
    pub ticks: u32,
    /// Its encodings, one unless it is a simulcast.
    pub encodings: Vec<Encoding>,
}

const NANOS: u64 = 1_000_000_000;
const AUDIO_RATE: u32 = 50;
const AUDIO_PAYLOAD: usize = 80;
const VIDEO_RATE: u32 = 250;
const VIDEO_PAYLOAD: usize = 1100;
/// Into how many frames per second a rate is divided, until frames have as many packets as they may.
const FRAME_RATE: u32 = 25;
const FRAME_PACKETS_MAX: u32 = 10;

impl LoadOptions {
    /// Returns the tracks of each publisher.
    pub(super) fn tracks(&self) -> Vec<Track> {
        match self.profile {
            Profile::Audio | Profile::ConferenceAudio => vec![self.audio()],
            Profile::Video => vec![self.video(false)],
            Profile::Frames => vec![self.video(true)],
            Profile::Conference => vec![self.audio(), self.video(false)],
            Profile::Simulcast => vec![self.simulcast()],
            Profile::ConferenceSimulcast => vec![self.audio(), self.simulcast()],
        }
    }

    fn simulcast(&self) -> Track {
        let full = self.video(false);
        let payload = full.encodings[0].payload;
        let layer = |rid, packets| Encoding { rid: Some(rid), packets, payload };
        let encodings = vec![layer("low", 2), layer("medium", 4), layer("high", full.encodings[0].packets)];
        Track { encodings, ..full }
    }

    fn payload_or(&self, default: usize) -> usize {
        self.payload.unwrap_or(default).max(PAYLOAD_BYTES_MIN)
    }

    fn audio(&self) -> Track {
        let rate = self.rate.unwrap_or(AUDIO_RATE).max(1);
        Track {
            kind: MediaKind::Audio,
            at_once: false,
            interval: NANOS / u64::from(rate),
            ticks: 48_000 / rate,
            encodings: vec![Encoding { rid: None, packets: 1, payload: self.payload_or(AUDIO_PAYLOAD) }],
        }
    }

    fn video(&self, at_once: bool) -> Track {
        let rate = self.rate.unwrap_or(VIDEO_RATE).max(1);
        let packets = (rate / FRAME_RATE).clamp(1, FRAME_PACKETS_MAX);
        let encoding = Encoding {
            rid: None,
            packets: (packets as u8).min(PACKETS_PER_FRAME_MAX),
            payload: self.payload_or(VIDEO_PAYLOAD),
        };
        Track {
            kind: MediaKind::Video,
            at_once,
            interval: NANOS * u64::from(packets) / u64::from(rate),
            ticks: 90_000 * packets / rate,
            encodings: vec![encoding],
        }
    }

    /// Returns all people in the order of joining: publishers first, so that those who only receive find media. With
    /// Janus each entry is a PeerConnection, so a person who publishes and receives has two.
    pub(super) fn people(&self) -> Vec<PersonPlan> {
        let everywhere = |members: std::ops::Range<usize>, publishes: bool, receives: bool, named: bool| {
            let of_room = move |room| {
                members.clone().map(move |member| PersonPlan {
                    room,
                    publishes,
                    receives,
                    publishes_as: named.then_some(member),
                })
            };
            (0..self.rooms).flat_map(of_room)
        };
        let (publishing, all) = (self.publishers_in_room(), self.publishers + self.subscribers);
        match (self.profile.is_mesh(), self.server_kind) {
            (true, ServerKind::Strait) => everywhere(0..all, true, true, true).collect(),
            (true, ServerKind::Janus) => {
                everywhere(0..all, true, false, true).chain(everywhere(0..all, false, true, true)).collect()
            }
            (false, _) => everywhere(0..publishing, true, false, true)
                .chain(everywhere(publishing..all, false, true, false))
                .collect(),
        }
    }

    /// Returns how many entries of [`people`](Self::people) are one person.
    pub(super) fn connections_of_each(&self) -> usize {
        if self.server_kind == ServerKind::Janus && self.profile.is_mesh() { 2 } else { 1 }
    }

    /// Returns how many people publish in each room.
    pub(super) fn publishers_in_room(&self) -> usize {
        if self.profile.is_mesh() { self.publishers + self.subscribers } else { self.publishers }
    }

    /// Returns how many tracks of a kind there are for each receiver.
    pub(super) fn tracks_of_others(&self, kind: MediaKind) -> usize {
        let publishers = self.publishers_in_room().saturating_sub(usize::from(self.profile.is_mesh()));
        publishers * self.tracks().iter().filter(|track| track.kind == kind).count()
    }

    /// Returns how many tracks each receiver has to receive. Where the server chooses, they have to hear somebody.
    pub(super) fn received_tracks(&self) -> usize {
        let [audio, video] = [MediaKind::Audio, MediaKind::Video].map(|kind| self.tracks_of_others(kind));
        self.shown.map_or(audio + video, |shown| audio.min(1) + video.min(shown))
    }
}

/// What one person does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PersonPlan {
    pub room: usize,
    /// Whether they publish the profile's tracks.
    pub publishes: bool,
    pub receives: bool,
    /// The number, in the room, of what they publish; or of what they do not want to hear, because it is their own.
    pub publishes_as: Option<usize>,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::load) fn options(profile: Profile) -> LoadOptions {
        LoadOptions {
            address: ([127, 0, 0, 1], 7443).into(),
            server_kind: ServerKind::Strait,
            host: "127.0.0.1:7443".into(),
            rooms: 3,
            publishers: 2,
            subscribers: 4,
            profile,
            duration: Duration::from_secs(1),
            server_pid: None,
            seed: 1,
            ramp: 100,
            spin: false,
            decrypt_every: 1,
            shown: None,
            rate: None,
            payload: None,
            transport_cc: false,
            patience: Duration::from_secs(10),
            intervals: false,
        }
    }

    fn packets_per_second(track: &Track) -> u64 {
        let per_frame: u64 = track.encodings.iter().map(|encoding| u64::from(encoding.packets)).sum();
        NANOS * per_frame / track.interval
    }

    #[test]
    fn profiles_are_what_their_names_promise() {
        for (profile, expected) in
            [(Profile::Audio, 50), (Profile::Video, 250), (Profile::Frames, 250), (Profile::Simulcast, 400)]
        {
            let tracks = options(profile).tracks();
            assert_eq!(tracks.len(), 1);
            assert_eq!(packets_per_second(&tracks[0]), expected, "{profile:?}");
        }
        assert_eq!(options(Profile::Conference).tracks().len(), 2);
        assert_eq!(options(Profile::ConferenceSimulcast).tracks()[1].encodings.len(), 3);
        for (name, profile) in Profile::ALL {
            assert_eq!((name.parse(), profile.name()), (Ok(profile), name));
        }
        assert!("opera".parse::<Profile>().expect_err("none").contains("simulcast"));
    }

    #[test]
    fn any_rate_is_kept() {
        for rate in [1, 10, 30, 100, 250, 500, 1000] {
            let track = LoadOptions { rate: Some(rate), ..options(Profile::Video) }.tracks().remove(0);
            assert_eq!(packets_per_second(&track), u64::from(rate));
        }
    }

    #[test]
    fn publishers_come_first_and_in_a_conference_all_do_all() {
        let people = options(Profile::Video).people();
        assert_eq!(people.len(), 18);
        assert!(people[..6].iter().all(|person| person.publishes && !person.receives));
        assert!(people[6..].iter().all(|person| !person.publishes && person.receives));
        assert!((0..3).all(|room| people.iter().filter(|person| person.room == room).count() == 6));
        assert!(
            options(Profile::Conference).people().iter().all(|person| person.publishes && person.receives)
        );
        assert_eq!(options(Profile::Conference).received_tracks(), 10);
        let shown = |shown, profile| LoadOptions { shown: Some(shown), ..options(profile) }.received_tracks();
        assert_eq!(
            (shown(3, Profile::ConferenceSimulcast), shown(9, Profile::Conference), shown(9, Profile::Audio)),
            (4, 6, 1)
        );
        assert_eq!(options(Profile::Video).received_tracks(), 2);
        let janus = LoadOptions { server_kind: ServerKind::Janus, ..options(Profile::Conference) }.people();
        assert_eq!(janus.len(), 36, "18 people, of whom each is two");
        assert!(janus[..18].iter().all(|one| one.publishes && !one.receives && one.publishes_as.is_some()));
        assert!(janus[18..].iter().all(|one| !one.publishes && one.receives && one.publishes_as.is_some()));
    }
}
