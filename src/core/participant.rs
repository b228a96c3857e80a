//! Participant: one member of a room: a [`Session`] that negotiates, a [`MediaHalf`] that carries media once the
//! handshake is done, slots that they receive by, and where to send.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::command::{Kind, Lifeline};
use super::event::{SlotCounts, SlotInfo, SlotMap, WaitingReason};
use super::fixed_hash::FixedMap;
use super::forward::slot::Slot;
use super::ids::{ParticipantId, PublicationKey, Ssrc, TrackId};
use super::media::halves::MediaHalves;
use super::media::ingress::PublishedSections;
use super::mutation::mutated;
use super::negotiated::Negotiated;
use super::outbox::Outbox;
use super::path::{LocalCandidate, Path, TrafficClass};
use super::rng::Rng;
use super::session::Session;
use crate::limits::{CHECKED_ADDRESSES_MAX, PATHS_PER_PARTICIPANT_MAX};

/// Whether a participant can be told anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signalling {
    /// Yes.
    Connected,
    /// Their connection broke.
    Lost {
        /// When.
        since: Instant,
    },
}

/// What becomes of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// In that slot.
    Slot(usize),
    /// No slot is free.
    Waiting,
    /// The client cannot decode it, and has been told.
    CannotReceive,
}

/// What somebody wants of one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Earlier ones get their slots first.
    pub order: u64,
    /// Stopped for now.
    pub paused: bool,
    /// What became of it.
    pub state: SubscriptionState,
}

/// How many checks are remembered: minutes of them.
const TRANSACTIONS: usize = 128;
/// One member of a room.
#[derive(Debug)]
pub struct Participant {
    /// Their public id.
    pub id: ParticipantId,
    /// What others see.
    pub name: String,
    /// Whoever knows it can resume them.
    pub secret: String,
    /// Their randomness.
    pub rng: Rng,
    /// Since when they are here.
    pub joined_at: Instant,
    /// Whether they can be told anything.
    pub signalling: Signalling,
    /// Where they can reach us.
    pub candidates: Vec<LocalCandidate>,
    /// SDP, ICE, DTLS.
    pub session: Session,
    /// Ufrags that lead here.
    pub ufrags: Vec<String>,
    /// Media, once there are keys.
    pub media: Option<MediaHalves>,
    /// Where media goes: the newest authenticated packet's way, or the newest nomination's.
    pub path: Option<Path>,
    /// Ways by which a connectivity check came, oldest first.
    pub paths: Vec<Path>,
    /// How many addresses have passed a check since ICE (re)started.
    pub addresses_checked: usize,
    /// Transactions of the last checks, and from where they came.
    transactions: VecDeque<([u8; 12], SocketAddr)>,
    /// When the last check came.
    pub last_check: Option<Instant>,
    /// What was agreed.
    pub negotiated: Negotiated,
    /// Sections that publish.
    pub published: PublishedSections,
    /// What they publish, in the order of publishing.
    pub publications: Vec<PublicationKey>,
    /// What they receive by. A slot whose section is gone leaves its place to the next new one.
    pub slots: Vec<Slot>,
    /// Slots by their streams.
    pub slot_by_ssrc: FixedMap<Ssrc, usize>,
    /// Whether they receive every track without asking.
    pub auto_subscribe: bool,
    /// What keeps them in the room.
    pub lifeline: Lifeline,
    /// What they want.
    pub subscriptions: BTreeMap<TrackId, Subscription>,
    /// What they said that they do not want.
    pub unsubscribed: BTreeSet<TrackId>,
    /// How many slots they were asked for.
    pub asked: SlotCounts,
    /// What moves their wall clock, NTP format, to ours: one offset for all their tracks keeps these in sync.
    pub clock_offset: Option<u64>,
    /// When the next reports go out.
    pub report_at: Option<Instant>,
    subscriptions_made: u64,
    revision: u64,
}

impl Participant {
    /// Somebody who has just joined.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a different type; they are what a join consists of"
    )]
    pub fn new(
        now: Instant,
        id: ParticipantId,
        name: String,
        secret: String,
        rng: Rng,
        candidates: Vec<LocalCandidate>,
        session: Session,
        auto_subscribe: bool,
        lifeline: Lifeline,
    ) -> Self {
        Self {
            id,
            name,
            secret,
            rng,
            joined_at: now,
            signalling: Signalling::Connected,
            candidates,
            session,
            ufrags: Vec::new(),
            media: None,
            path: None,
            paths: Vec::new(),
            addresses_checked: 0,
            transactions: VecDeque::new(),
            last_check: None,
            negotiated: Negotiated::none(),
            published: PublishedSections::new(),
            publications: Vec::new(),
            slots: Vec::new(),
            slot_by_ssrc: FixedMap::default(),
            auto_subscribe,
            lifeline,
            subscriptions: BTreeMap::new(),
            unsubscribed: BTreeSet::new(),
            asked: SlotCounts { audio: 0, video: 0 },
            clock_offset: None,
            report_at: None,
            subscriptions_made: 0,
            revision: 0,
        }
    }

    /// Whether they can be told anything.
    pub fn is_connected(&self) -> bool {
        self.signalling == Signalling::Connected
    }

    /// How many slots of a kind are open.
    pub fn open_slots(&self, kind: Kind) -> usize {
        self.slots.iter().filter(|slot| slot.kind == kind && slot.open).count()
    }

    /// When we may send no longer: so long after the last connectivity check (RFC 7675 §5.1).
    pub fn consent_ends(&self, media_timeout: Duration) -> Option<Instant> {
        self.path.and(self.last_check).map(|at| at + media_timeout)
    }

    /// Whether the engine may see a check that came by that path. The same check from elsewhere is somebody's who saw it
    /// pass and would have our media.
    pub fn may_check(&self, path: Path, transaction: [u8; 12]) -> bool {
        let replayed = |(seen, from): &([u8; 12], SocketAddr)| *seen == transaction && *from != path.remote;
        if self.transactions.iter().any(replayed) && !mutated!(ReplayedCheckBelieved) {
            return false;
        }
        self.addresses_checked < CHECKED_ADDRESSES_MAX
            || self.paths.iter().any(|known| same_remote(known, &path))
    }

    /// Whether that check came before.
    pub fn has_checked(&self, transaction: [u8; 12]) -> bool {
        self.transactions.iter().any(|(seen, _)| *seen == transaction) && !mutated!(ReplayedCheckBelieved)
    }

    /// Nothing is sent any more until a check comes; then every slot begins anew.
    pub fn lose_path(&mut self) {
        if mutated!(ConsentIgnored) {
            self.last_check = self.last_check.map(|at| at + Duration::from_secs(60));
            return;
        }
        self.path = None;
        for slot in &mut self.slots {
            slot.interrupt();
        }
    }

    /// A check with the right credentials came by that path. Gives a path that is forgotten for it.
    pub fn on_check(
        &mut self,
        now: Instant,
        path: Path,
        nominated: bool,
        transaction: [u8; 12],
    ) -> Option<Path> {
        self.last_check = Some(now);
        self.transactions.truncate(TRANSACTIONS - 1);
        self.transactions.push_front((transaction, path.remote));
        if nominated || self.path.is_none() {
            self.path = Some(path);
        }
        let known = self.paths.iter_mut().find(|known| same_remote(known, &path));
        if let Some(known) = known {
            known.local = path.local;
            return None;
        }
        self.addresses_checked += 1;
        self.paths.push(path);
        if self.paths.len() > PATHS_PER_PARTICIPANT_MAX {
            let unused = self.paths.iter().position(|path| Some(*path) != self.path)?;
            return Some(self.paths.remove(unused));
        }
        None
    }

    /// Adds a subscription, if there is none.
    pub fn subscribe(&mut self, track: TrackId) {
        self.unsubscribed.remove(&track);
        self.subscriptions_made += 1;
        let order = self.subscriptions_made;
        self.subscriptions.entry(track).or_insert(Subscription {
            order,
            paused: false,
            state: SubscriptionState::Waiting,
        });
    }

    /// Subscribed tracks without a slot that still hope for one, oldest first.
    pub fn waiting(&self) -> Vec<TrackId> {
        let mut waiting: Vec<(u64, TrackId)> = self
            .subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.state == SubscriptionState::Waiting)
            .map(|(track, subscription)| (subscription.order, *track))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, track)| track).collect()
    }

    /// The next slot map.
    pub fn next_slot_map(&mut self, reason: impl Fn(TrackId) -> WaitingReason) -> SlotMap {
        self.revision += 1;
        for slot in &mut self.slots {
            slot.announced = true;
        }
        self.slot_map(reason)
    }

    /// The slot map as it is.
    pub fn slot_map(&self, reason: impl Fn(TrackId) -> WaitingReason) -> SlotMap {
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
            waiting: self.waiting().into_iter().map(|track| (track, reason(track))).collect(),
        }
    }

    /// Seals and sends an RTCP compound. Nothing happens before there are keys and a way.
    pub fn send_rtcp(&mut self, outbox: &mut Outbox, compound: &[u8]) {
        let (Some(media), Some(path)) = (&mut self.media, self.path) else { return };
        if compound.is_empty() {
            return;
        }
        outbox.transmit(path, TrafficClass::Control, |buffer| {
            buffer.get_mut(..compound.len())?.copy_from_slice(compound);
            media.egress.sender.seal_rtcp(buffer, compound.len())
        });
    }

    /// The next reports go out no later than then, once any go out.
    pub fn report_by(&mut self, at: Instant) {
        self.report_at = self.report_at.map(|planned| planned.min(at));
    }
}

fn same_remote(a: &Path, b: &Path) -> bool {
    a.remote == b.remote && a.transport == b.transport
}
