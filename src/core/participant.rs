//! Participant: one member of a room: who they are, what they publish and want to see, and the slots that show it to
//! them. Their [transports](super::transport) carry the packets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::audience::Audience;
use super::command::{Layout, Lifeline, MediaKind, Proof, TrackLabel};
use super::data_tracks::DataTracks;
use super::event::{SlotCounts, SlotInfo, SlotMap, WaitingReason};
use super::forward::slot::Slot;
use super::grants::Grants;
use super::ids::{Mid, ParticipantId, PublicationKey, TrackId, TransportKey};
use super::member_channels::Channels;
use super::mesh::MeshTrack;
use super::mutation::mutated;
use super::pace::Pace;
use super::path::LocalCandidate;
use super::profile::Profile;
use super::quality::{Judge, Score};
use super::rng::Rng;
use super::steering::Steering;
use super::subscriptions::Subscriptions;
use super::timers::{Deadlines, Timer};

/// Somebody may come back once in this time in the long run: each time is news for everybody in the room.
const RESUME_INTERVAL: Duration = Duration::from_secs(2);
/// How often they may come back at once: for a minute on the edge of a network.
const RESUMES_AT_ONCE: u32 = 20;

/// Slot maps that a member is told in the long run: one each time that this has passed.
const SLOT_MAP_INTERVAL: Duration = Duration::from_millis(100);
/// Slot maps that a member is told at once after a time of quiet: what a few people do who come together.
const SLOT_MAPS_AT_ONCE: u32 = 8;
/// News of what a member is shown that they are told in the long run: once each time that this has passed, of all their tracks.
const LAYER_NEWS_INTERVAL: Duration = Duration::from_millis(500);
/// How often they are told at once after a time of quiet.
const LAYER_NEWS_AT_ONCE: u32 = 4;
/// How often somebody may report others in the long run: once each time that this has passed.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// And at once.
const REPORTS_AT_ONCE: u32 = 5;
/// For so long an interruption counts.
const INTERRUPTION_COUNTS: Duration = Duration::from_secs(60);

/// Whether a participant can be told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalling {
    /// They have a signalling connection.
    Connected,
    /// Their connection broke, and they may come back.
    Lost {
        /// When the connection broke.
        since: Instant,
    },
}

/// One member of a room.
#[derive(Debug)]
pub struct Participant {
    /// The participant's id, the same for everybody in the room.
    pub id: ParticipantId,
    /// Who they are, as others see them.
    pub profile: Profile,
    /// A client that knows it can resume them.
    pub secret: String,
    /// The source of everything random about them.
    pub rng: Rng,
    /// When they joined the room.
    pub joined_at: Instant,
    /// Whether they can be told anything.
    pub signalling: Signalling,
    /// Whether everybody was told that nothing arrives on any of their media paths.
    pub media_lost: bool,
    /// Whether media could ever flow to or from them: a transport of theirs has completed its handshake.
    pub has_had_media: bool,
    /// Their transports, in the order in which they were made. The first one answers their offers.
    pub transports: Vec<TransportKey>,
    /// What they publish, in the order of publishing.
    pub publications: Vec<PublicationKey>,
    /// The slots in which they receive tracks. A new slot takes the place of one whose section is gone.
    pub slots: Vec<Slot>,
    /// Whether they receive every track without asking.
    pub auto_subscribe: bool,
    /// What keeps them in the room.
    pub lifeline: Lifeline,
    /// How answers to them are laid out.
    pub layout: Layout,
    /// Tracks that they are about to publish, by the ids that were reserved for them, the oldest first.
    pub reserved: Vec<(TrackId, Box<TrackLabel>)>,
    /// Our addresses, for transports that they open later; empty for those who make offers.
    pub candidates: Vec<LocalCandidate>,
    /// How many sections on their transports were named by us.
    sections_named: u32,
    /// When they last asked for something.
    pub asked_at: Instant,
    /// What they may do.
    pub grants: Grants,
    /// Who may receive their tracks; `None`: everybody.
    pub audience: Option<Box<Audience>>,
    /// They are shown no more than fits into that, bits per second, if they have asked for it.
    pub bandwidth_max: Option<u64>,
    /// Their data channels, if they have, or have had, any.
    pub channels: Option<Box<Channels>>,
    /// Their data tracks: those that they publish, and those that they receive.
    pub data_tracks: DataTracks,
    /// Whether they publish without signalling and nothing is heard from them.
    pub is_unheard: bool,
    /// What they want to receive.
    pub subscriptions: Subscriptions,
    /// What of it their network lets them be shown.
    pub steering: Steering,
    /// Tracks that they have unsubscribed from, although they receive every track without asking.
    pub unsubscribed: BTreeSet<TrackId>,
    /// Whether the next slot map must not wait: a slot went to somebody who speaks already, or was taken from a track
    /// that could be heard or seen.
    pub slot_map_is_urgent: bool,
    /// Whether there are more microphones than they can have audio slots, so that those who speak share a few.
    pub is_crowded: bool,
    /// When they were last among those who are heard in a crowd.
    pub heard_at: Option<Instant>,
    /// When they last spoke most in the room.
    pub led_at: Option<Instant>,
    /// How many slots they were asked to offer last, so that they are not asked for the same again.
    pub asked: SlotCounts,
    /// What to add to their wall clock, in NTP format, to get our time. All their tracks use the same offset, which
    /// keeps these in sync.
    pub clock_offset: Option<u64>,
    /// What their call is taken for.
    pub judge: Judge,
    /// Their last score, in parts.
    pub score: Option<Score>,
    /// How many key frames they had asked for when it was made.
    pub keyframe_requests_before: u64,
    /// Their last two interruptions, the newest first.
    interruptions: [Option<Instant>; 2],
    was_interrupted: bool,
    /// When they are given up, if nothing is heard from them.
    pub deadlines: Deadlines,
    revision: u64,
    /// How often they may come back.
    pub resumes: Pace,
    /// Whether somebody vouches for their identity.
    pub is_vouched_for: bool,
    /// The address that a ban could keep out.
    pub host: Option<IpAddr>,
    /// How often they report others.
    pub reports: Pace,
    /// Whether they have spoken to others to find direct paths, so that they are in a call without media here.
    pub has_meshed: bool,
    /// Whether their client can send straight to the others.
    pub can_mesh: bool,
    /// What they send straight to the others.
    pub mesh_tracks: Vec<MeshTrack>,
    /// How often they are told of changes.
    slot_maps: Pace,
    /// How often they are told of what they are shown, and when that was last, of which track.
    layer_news: (Pace, Option<(Instant, TrackId)>),
}

impl Participant {
    /// Makes a member who has just joined and has no transport. Their id and their secret are the first values drawn
    /// from `rng`.
    pub fn new(
        now: Instant,
        epoch: Instant,
        mut rng: Rng,
        profile: Profile,
        auto_subscribe: bool,
        lifeline: Lifeline,
    ) -> Self {
        let id = ParticipantId(rng.u64());
        let secret = rng.secret();
        Self {
            id,
            profile,
            secret,
            rng,
            joined_at: now,
            signalling: Signalling::Connected,
            media_lost: false,
            has_had_media: false,
            transports: Vec::new(),
            publications: Vec::new(),
            slots: Vec::new(),
            auto_subscribe,
            lifeline,
            layout: Layout::Slots,
            reserved: Vec::new(),
            candidates: Vec::new(),
            sections_named: 0,
            asked_at: now,
            grants: Grants::OPEN,
            audience: None,
            bandwidth_max: None,
            channels: None,
            data_tracks: DataTracks::default(),
            is_unheard: false,
            subscriptions: Subscriptions::default(),
            steering: Steering::default(),
            unsubscribed: BTreeSet::new(),
            slot_map_is_urgent: false,
            is_crowded: false,
            heard_at: None,
            led_at: None,
            asked: SlotCounts { audio: 0, video: 0 },
            clock_offset: None,
            judge: Judge::default(),
            score: None,
            keyframe_requests_before: 0,
            interruptions: [None; 2],
            was_interrupted: false,
            deadlines: Deadlines::new(epoch),
            revision: 0,
            resumes: Pace::new(now, RESUME_INTERVAL, RESUMES_AT_ONCE),
            is_vouched_for: false,
            host: None,
            reports: Pace::new(now, REPORT_INTERVAL, REPORTS_AT_ONCE),
            has_meshed: false,
            can_mesh: false,
            mesh_tracks: Vec::new(),
            slot_maps: Pace::new(now, SLOT_MAP_INTERVAL, SLOT_MAPS_AT_ONCE),
            layer_news: (Pace::new(now, LAYER_NEWS_INTERVAL, LAYER_NEWS_AT_ONCE), None),
        }
    }

    /// Returns whether a client that shows this is theirs.
    pub fn is_proven_by(&self, proof: &Proof) -> bool {
        match proof {
            Proof::Secret(secret) => same_secret(&self.secret, secret),
            Proof::Identity(identity) => {
                let is_livekit = matches!(self.layout, Layout::Tracks | Layout::Split);
                is_livekit && self.profile.identity.as_ref() == Some(identity)
            }
        }
    }

    /// Whether they make offers on the transport with which they have joined.
    pub fn makes_offers(&self) -> bool {
        self.layout != Layout::Parameters
    }

    /// Whether they receive by parameters: each of their slots is for one track alone, which they have asked for.
    pub fn is_parametric(&self) -> bool {
        matches!(self.layout, Layout::Parameters | Layout::Split)
    }

    /// Returns the mid of a section that they have not named themselves: none that we have named has had it, on any of their
    /// transports.
    pub fn next_mid(&mut self) -> Mid {
        let number = self.sections_named;
        self.sections_named = number.wrapping_add(1);
        Mid::from(number.to_string().as_str())
    }

    /// Returns what those who come are told that they send straight.
    pub fn straight_tracks(&self) -> Vec<MeshTrack> {
        if mutated!(StraightTracksNotTold) { Vec::new() } else { self.mesh_tracks.clone() }
    }

    /// Whether they can be told anything.
    pub fn is_connected(&self) -> bool {
        self.signalling == Signalling::Connected
    }

    /// Returns how often they were interrupted in the last minute: their signalling was lost, or nothing came from them. It is
    /// to be called often, because it notices when that begins.
    pub fn interruptions(&mut self, now: Instant) -> u32 {
        let is_interrupted = !self.is_connected() || self.media_lost;
        if is_interrupted && !self.was_interrupted {
            self.interruptions = [Some(now), self.interruptions[0]];
        }
        self.was_interrupted = is_interrupted;
        let is_recent = |at: &&Instant| now.saturating_duration_since(**at) <= INTERRUPTION_COUNTS;
        self.interruptions.iter().flatten().filter(is_recent).count() as u32
    }

    /// Returns since when their signalling has been lost, if they have never been in a call: nobody would miss them,
    /// because they may be nothing but a join. `None` if they are connected or media has flowed.
    pub fn idle_since(&self) -> Option<Instant> {
        match self.signalling {
            Signalling::Lost { since } if !self.has_had_media && !self.has_meshed => Some(since),
            Signalling::Lost { .. } | Signalling::Connected => None,
        }
    }

    /// Returns how many slots of a kind the client has open.
    pub fn open_slots(&self, kind: MediaKind) -> usize {
        self.slots.iter().filter(|slot| slot.kind == kind && slot.open).count()
    }

    /// Returns how many slots of a kind are open and show nothing.
    pub fn free_slots(&self, kind: MediaKind) -> usize {
        self.slots.iter().filter(|slot| slot.kind == kind && slot.is_free()).count()
    }

    /// Adds a subscription to a track, if there is none.
    pub fn subscribe(&mut self, track: TrackId, kind: MediaKind, muted: bool) {
        self.unsubscribed.remove(&track);
        self.subscriptions.add(track, kind, muted);
    }

    /// Returns whether a slot map may be told now. If not, the timer is set for when it may: a client whose slots change
    /// again and again is told of several changes at once, because each map is whole.
    pub fn may_tell_slot_map(&mut self, now: Instant) -> bool {
        let is_urgent = std::mem::take(&mut self.slot_map_is_urgent);
        let wait = if is_urgent { Duration::ZERO } else { self.slot_maps.wait(now) };
        if wait.is_zero() {
            self.slot_maps.note(now);
        } else {
            self.deadlines.set(Timer::SlotMap, Some(now + wait));
        }
        wait.is_zero()
    }

    /// Returns whether what they are shown of their tracks may be told now. If not, the timer is set for when it may: of several
    /// changes of a track they are told the last one.
    pub fn may_tell_layers(&mut self, now: Instant, track: TrackId) -> bool {
        let (pace, told) = &mut self.layer_news;
        // What changes of other tracks at the same moment is one piece of news with it.
        if told.is_some_and(|(at, of)| at == now && of != track) {
            *told = Some((now, track));
            return true;
        }
        let wait = pace.wait(now);
        if wait.is_zero() {
            pace.note(now);
            *told = Some((now, track));
        } else {
            self.deadlines.set(Timer::LayerNews, Some(now + wait));
        }
        wait.is_zero()
    }

    /// Returns the next slot map, which lists those tracks as waiting. From then on media of what it names may flow, unless
    /// answers name tracks: then media waits for one.
    pub fn next_slot_map(&mut self, waiting: Vec<(TrackId, WaitingReason)>) -> SlotMap {
        self.revision += 1;
        self.deadlines.set(Timer::SlotMap, None);
        // Media of a new source waits for this, so that nobody is seen under another's name.
        if self.layout == Layout::Slots {
            for slot in &mut self.slots {
                slot.announced = true;
            }
        }
        self.slot_map(waiting)
    }

    /// Returns what the slots on a transport show that an answer has named. From then on media of it may flow.
    pub fn announce_in_answer(&mut self, on: TransportKey) -> Vec<SlotInfo> {
        let named = self.slots.iter_mut().filter(|slot| slot.transport == on && slot.open);
        let named = named.filter_map(|slot| {
            let shown = slot.shown?;
            slot.announced = true;
            Some(SlotInfo { mid: slot.mid, track: Some((shown.track, shown.from_timestamp)) })
        });
        named.collect()
    }

    fn slot_map(&self, waiting: Vec<(TrackId, WaitingReason)>) -> SlotMap {
        let other_of = |slot: &Slot| {
            let is_other = |other: &&Slot| other.kind == slot.kind && other.mid != slot.mid;
            self.slots.iter().filter(is_other).find_map(|other| other.shown)
        };
        let mut open: Vec<&Slot> = self.slots.iter().filter(|slot| slot.open).collect();
        open.sort_by_key(|slot| slot.order);
        let slots = open.into_iter().map(|slot| SlotInfo {
            mid: slot.mid,
            track: if mutated!(WrongTrackInSlotMap) { other_of(slot).or(slot.shown) } else { slot.shown }
                .map(|shown| (shown.track, shown.from_timestamp)),
        });
        SlotMap {
            revision: self.revision,
            slots: slots.collect(),
            waiting,
            waiting_count: MediaKind::ALL
                .into_iter()
                .map(|kind| self.subscriptions.waiting_count(kind))
                .sum(),
        }
    }
}

/// Compares two secrets in constant time, so that an answer's delay does not tell how much of a guess was right.
fn same_secret(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
