//! Client: a person in a world, as the server sees them: signalling, connectivity checks, a stand-in for the DTLS
//! handshake, SRTP both ways. One [`Endpoint`] is one life: a person who joins again is a new participant.

mod engine;
mod listening;
mod media;
mod sending;
mod signalling;
mod viewing;
mod watching;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

pub use sending::{Sender, StreamInfo};
pub use viewing::{Smoothness, Viewing};

use engine::Engine;

use super::codec::{CodecName, Stamp};
use super::dice::Dice;
use super::mark::Mark;
use super::network::{Micros, SECOND};
use super::plan::PersonPlan;
use super::sdp::{Numbering, Section};
use crate::core::command::{Command, Join, MediaKind, PublicationRequest, Resume, Source, Wish};
use crate::core::event::{Joined, SlotCounts, SlotMap, TrackInfo};
use crate::core::grants::Sources;
use crate::core::ids::{ParticipantId, TrackId};
use crate::core::input::{DtlsEvent, SrtpProfile};
use crate::core::media::srtp::{SrtpReceiver, SrtpSender, contexts};
use crate::core::media::twcc::TransportFeedbackRecorder;
use crate::wire::stun_check::Credentials;

/// A moment, as virtual time and as an `Instant` for the core and the media code.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// µs since the world began.
    pub micros: Micros,
    /// The same moment, for the core and the media code.
    pub instant: Instant,
}

impl Now {
    /// The moment that `at` is, in virtual time.
    fn until(self, at: Instant) -> Micros {
        self.micros + at.saturating_duration_since(self.instant).as_micros() as Micros
    }
}

/// What the oracle needs to know about a media packet on its way to the server.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// The stamp in its payload, which identifies it.
    pub stamp: Stamp,
    /// Whether it is a retransmission.
    pub recovered: bool,
    /// Its SSRC.
    pub ssrc: u32,
    /// Its transport-wide sequence number.
    pub transport: u16,
    /// How loud it is, in -dBov, if it is audio.
    pub level: Option<u8>,
}

/// What the oracle needs to know about a datagram on its way to the server.
#[derive(Debug, Clone)]
pub enum What {
    /// A connectivity check (RFC 8445 §7.2).
    Check {
        /// The user name fragment that it was made with.
        ufrag: String,
    },
    /// An answer to a check of the server's.
    Answer {
        /// The transaction of the check.
        transaction: [u8; 12],
    },
    /// A flight of the handshake.
    Hello,
    /// A media packet.
    Rtp(Sent),
    /// RTCP, with the packets that its NACKs name, by stream.
    Rtcp(Vec<(u32, Vec<u16>)>),
    /// A datagram that only a whole endpoint and the server can read.
    Sealed,
    /// Bytes that mean nothing.
    Garbage,
}

/// What a client sends over signalling.
#[derive(Debug, Clone)]
pub enum Signal {
    /// They enter the room.
    Join(Join),
    /// They come back after their signalling broke.
    Resume(Resume),
    /// They ask for something.
    Command(Command),
}

/// What a client does.
#[derive(Debug)]
pub enum Out {
    /// Send a datagram to the server.
    Datagram {
        /// The bytes, as the network carries them.
        bytes: Vec<u8>,
        /// What the bytes are.
        what: What,
    },
    /// Send a request, with that number, on the present connection.
    Signal(u64, Signal),
}

/// A frame that a whole endpoint put together.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The MID of the section that it came in.
    pub mid: String,
    /// The mark that the publisher put into it.
    pub mark: Mark,
}

/// What clients want their world to do.
#[derive(Debug, Default)]
pub struct Post {
    /// All streams that were ever sent.
    pub streams: Vec<StreamInfo>,
    /// Datagrams and requests to be sent.
    pub out: Vec<Out>,
    /// Frames that whole endpoints put together.
    pub seen: Vec<Seen>,
    /// Things that must not be.
    pub complaints: Vec<String>,
}

impl Post {
    /// Notes something that must not be.
    pub fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }
}

/// The first bytes of every flight of the stand-in: a DTLS handshake record.
pub const FLIGHT: [u8; 3] = [22, 0xfe, 0xfd];
/// The first byte of a flight to the server, before the person and their life.
const HELLO: u8 = 1;
/// The first byte of a flight back.
const REPLY: u8 = 2;

/// Returns the certificate of an endpoint. It is not a real one; its fingerprint is in the offer.
fn certificate(person: usize, life: u32) -> Vec<u8> {
    let mut bytes = vec![0x30; 40];
    bytes.extend((person as u32).to_be_bytes());
    bytes.extend(life.to_be_bytes());
    bytes
}

/// Returns the keying material that both ends of a handshake derive.
pub fn keying_material(seed: u64, person: usize, life: u32, profile: SrtpProfile) -> Vec<u8> {
    let length = match profile {
        SrtpProfile::Aes128CmSha1_80 => 60,
        SrtpProfile::AeadAes128Gcm => 56,
        SrtpProfile::AeadAes256Gcm => 88,
    };
    Dice::of(seed, "keys", (person as u64) << 32 | u64::from(life)).bytes(length)
}

/// Does the server's half of a handshake that takes no time: returns the flight that answers a hello and, for the first
/// one, the results of the handshake. Returns `None` if the flight is not a hello of this life.
pub fn shake_hands(
    seed: u64,
    (person, life): (usize, u32),
    profile: SrtpProfile,
    flight: &[u8],
) -> Option<(DtlsEvent, [DtlsEvent; 3])> {
    let hello = [FLIGHT[0], FLIGHT[1], FLIGHT[2], HELLO, person as u8];
    if flight.strip_prefix(&hello)?.first_chunk() != Some(&life.to_be_bytes()) {
        return None;
    }
    let mut reply = FLIGHT.to_vec();
    reply.extend([REPLY, person as u8]);
    reply.resize(50, 0);
    let outcome = [
        DtlsEvent::PeerCertificate(certificate(person, life)),
        DtlsEvent::KeyingMaterial { profile, material: keying_material(seed, person, life, profile) },
        DtlsEvent::Connected,
    ];
    Some((DtlsEvent::Packet(reply), outcome))
}

/// A track as the room showed it to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTrack {
    /// What the server told about it.
    pub info: TrackInfo,
    /// The number of its publisher; 999 if they are not known.
    pub person: usize,
}

/// What somebody knows about their room.
#[derive(Debug, Default)]
pub struct RoomView {
    /// The others: their numbers, and whether they are reconnecting.
    pub people: BTreeMap<ParticipantId, (usize, bool)>,
    /// The others' tracks, by id.
    pub tracks: BTreeMap<TrackId, KnownTrack>,
    /// The newest slot map.
    pub slot_map: Option<SlotMap>,
    /// Since when each track has been in the slot that shows it, as they were told.
    pub shown_since: BTreeMap<TrackId, Micros>,
    /// Tracks of which nothing is sent, because their network carries no more, as they were told.
    pub starved: BTreeSet<TrackId>,
    /// Tracks that cannot be received.
    pub cannot: BTreeSet<TrackId>,
}

/// A request that waits for its reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To join or to resume.
    Enter,
    /// To answer an offer.
    Offer,
    /// To carry out another command, of this name.
    Other(&'static str),
}

/// How many bytes somebody has received, with all headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Audio and video.
    pub media: u64,
    /// What was sent again, because it was lost or as padding.
    pub repeats: u64,
}

/// One life of somebody.
pub struct Endpoint {
    /// The number of the person whose life it is.
    pub person: usize,
    /// The number of the life. A person who comes again begins another one.
    pub life: u32,
    /// What they were told on joining.
    pub joined: Option<Joined>,
    /// The room as they know it.
    pub room: RoomView,
    /// Requests without an answer.
    pub asked: BTreeMap<u64, Asked>,
    /// The streams that they send.
    pub senders: Vec<Sender>,
    /// What they receive, by SSRC.
    pub slots: BTreeMap<u32, Viewing>,
    /// Tracks that they do not want, and that they have paused.
    pub unwanted: BTreeSet<TrackId>,
    /// Tracks that they are subscribed to, and have paused.
    pub paused: BTreeSet<TrackId>,
    /// How they want to see tracks, as far as they have said it.
    pub wishes: BTreeMap<TrackId, Wish>,
    /// How much they have received.
    pub received: Received,
    /// Whether they know that the handshake is complete.
    pub connected: bool,
    /// Whether this life has ended.
    pub closed: bool,
    /// Whether they are about to leave.
    pub leaves: bool,
    /// The payload types and extension ids in their offers.
    pub numbering: Numbering,
    seed: u64,
    plan: PersonPlan,
    dice: Dice,
    /// The whole endpoint for their media, if they have one.
    engine: Option<Box<Engine>>,
    requests: u64,
    /// How much they have said to all.
    words: u64,
    sections: Vec<Section>,
    slots_wanted: SlotCounts,
    version: u64,
    offer_again: bool,
    /// The publications in the last offer.
    offered: Vec<PublicationRequest>,
    muted: BTreeSet<Source>,
    /// What they may publish, as they were told.
    granted: Sources,
    /// Whether they go on sending while muted, as a misbehaving client may.
    stubborn: bool,
    own_tracks: BTreeMap<Source, TrackId>,
    rtx: BTreeMap<u32, u32>,
    credentials: (String, String),
    remote: Option<Credentials>,
    transactions: Vec<[u8; 12]>,
    unanswered: u32,
    check_at: Option<Micros>,
    hello_at: Option<Micros>,
    srtp: Option<(SrtpReceiver, SrtpSender)>,
    transport_sequence: u16,
    /// What has come with transport-wide numbers, and when that is to be reported.
    arrivals: Option<TransportFeedbackRecorder>,
    arrivals_at: Option<Micros>,
    rtcp_ssrc: u32,
    report_at: Micros,
    wall_offset: u64,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("person", &self.person)
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Returns an endpoint that has not joined yet.
    pub fn new(seed: u64, person: usize, life: u32, plan: &PersonPlan) -> Self {
        let mut dice = Dice::of(seed, "endpoint", (person as u64) << 32 | u64::from(life));
        let drawn = Numbering((person as u8).wrapping_add(dice.among(0..2) as u8));
        let numbering = plan.numbering.unwrap_or(drawn);
        let muted = plan.sources.iter().filter(|source| source.muted).map(|source| source.source).collect();
        Self {
            person,
            life,
            joined: None,
            room: RoomView::default(),
            asked: BTreeMap::new(),
            senders: Vec::new(),
            slots: BTreeMap::new(),
            unwanted: BTreeSet::new(),
            paused: BTreeSet::new(),
            wishes: BTreeMap::new(),
            received: Received::default(),
            connected: false,
            closed: false,
            granted: Sources::ALL,
            leaves: false,
            numbering,
            seed,
            plan: plan.clone(),
            engine: None,
            requests: 0,
            words: 0,
            sections: Vec::new(),
            slots_wanted: SlotCounts { audio: 1, video: 1 },
            version: 0,
            offer_again: false,
            offered: Vec::new(),
            muted,
            stubborn: dice.percent(30),
            own_tracks: BTreeMap::new(),
            rtx: BTreeMap::new(),
            credentials: (dice.text(8), dice.text(24)),
            remote: None,
            transactions: Vec::new(),
            unanswered: 0,
            check_at: None,
            hello_at: None,
            srtp: None,
            transport_sequence: dice.near_wrap(16) as u16,
            arrivals: None,
            arrivals_at: None,
            rtcp_ssrc: dice.u32(),
            report_at: Micros::MAX,
            wall_offset: dice.u64() >> 2,
            dice,
        }
    }

    /// Adds a whole endpoint for their media, which begins at that moment.
    #[must_use]
    pub fn with_engine(mut self, now: Now) -> Self {
        self.engine = Some(Box::new(Engine::new(now, &self.plan)));
        self
    }

    /// Whether they want one of their sources to be muted.
    pub fn is_muted(&self, source: Source) -> bool {
        self.muted.contains(&source)
    }

    /// Whether they have said that a track cannot be seen.
    pub fn is_unseen(&self, track: TrackId) -> bool {
        self.wishes.get(&track).is_some_and(|wish| wish.paused)
    }

    /// Returns the id of one of their tracks, once they know it.
    pub fn own_track(&self, source: Source) -> Option<TrackId> {
        self.own_tracks.get(&source).copied()
    }

    /// Whether they can receive that codec in any section.
    pub fn receives(&self, codec: CodecName) -> bool {
        codec == CodecName::Opus || self.plan.receives.contains(&codec)
    }

    /// Whether they can receive that codec in every section.
    pub fn receives_everywhere(&self, codec: CodecName) -> bool {
        self.receives(codec) && !self.plan.uneven_sections
    }

    /// Returns when they want to be woken.
    pub fn deadline(&self) -> Option<Micros> {
        if self.closed {
            return None;
        }
        if let Some(engine) = &self.engine {
            let media = self.senders.iter().filter_map(Sender::due).filter(|_| self.connected);
            return media.chain([engine.deadline()]).min();
        }
        let mut at = self.check_at.into_iter().chain(self.hello_at).min();
        if self.connected {
            let media = self.senders.iter().filter_map(Sender::due);
            let asks = self.slots.values().filter_map(Viewing::deadline);
            at =
                at.into_iter().chain(media).chain(asks).chain(self.arrivals_at).chain([self.report_at]).min();
        }
        at
    }

    /// Does what is due.
    pub fn wake(&mut self, now: Now, post: &mut Post) {
        if self.closed {
            return;
        }
        if self.engine.is_some() {
            return self.engine_wakes(now, post);
        }
        if self.check_at.is_some_and(|at| at <= now.micros) {
            self.check(now.micros, post);
        }
        if self.hello_at.is_some_and(|at| at <= now.micros) {
            self.say_hello(now.micros, post);
        }
        if self.connected {
            self.send_media(now, post);
            self.send_feedback(now, post);
        }
    }

    fn start_keys(&mut self) {
        if self.srtp.is_none() {
            let material = keying_material(self.seed, self.person, self.life, self.plan.profile);
            self.srtp = contexts(self.plan.profile, &material, true).ok();
        }
    }

    fn say_hello(&mut self, now: Micros, post: &mut Post) {
        self.start_keys();
        self.hello_at = (!self.connected).then_some(now + 200_000);
        let mut bytes = FLIGHT.to_vec();
        bytes.extend([HELLO, self.person as u8]);
        bytes.extend(self.life.to_be_bytes());
        bytes.resize(60, 0);
        post.out.push(Out::Datagram { bytes, what: What::Hello });
    }

    /// Sends the handshake's first flight again, whatever happened to the first.
    pub fn hello_again(&mut self, now: Micros) {
        if self.srtp.is_some() {
            self.hello_at = Some(now);
        }
    }

    /// Sends a check at once, because they know that their network has changed.
    pub fn check_now(&mut self, now: Micros) {
        if self.check_at.is_some() {
            self.check_at = Some(now);
        }
    }

    fn on_reply(&mut self, now: Micros) {
        self.hello_at = None;
        if !self.connected {
            self.connected = true;
            self.report_at = now + SECOND / 4 + self.dice.among(0..SECOND);
        }
    }

    /// Returns the codecs that a slot offers.
    fn slot_codecs(&self, kind: MediaKind, number: usize) -> Vec<CodecName> {
        if kind == MediaKind::Audio {
            return vec![CodecName::Opus];
        }
        let mut codecs = self.plan.receives.clone();
        if self.plan.uneven_sections && codecs.len() > 1 && number.is_multiple_of(2) {
            codecs.pop();
        }
        codecs
    }
}
