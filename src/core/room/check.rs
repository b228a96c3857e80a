//! What must be true of a room between two inputs. Debug builds check it after each input; release builds do not
//! contain it.
//!
//! The parts of a room refer to each other: a slot shows a track, and the track lists the slot. If one side is
//! forgotten, it would show later and elsewhere, as media that goes to the wrong person. Here it fails at once and says
//! what was forgotten.

use super::{Owner, Room};
use crate::core::forward::hold::Hold;
use crate::core::forward::publication::Publication;
use crate::core::forward::steps::Allowance;
use crate::core::ids::{Mid, ParticipantKey, PublicationKey, TransportKey};
use crate::core::participant::Participant;
use crate::core::subscriptions::SubscriptionState;
use crate::core::timers::Timer;

/// How many members and publications are checked after one input. A larger room is checked bit by bit, so that a room
/// of two hundred stays fast enough for the simulator.
const AT_ONCE: usize = 4;

impl Room {
    /// Panics if the room contradicts itself. Debug builds call it after each input and each share of media. It is
    /// never inlined, so that counts of instructions can leave it out (`tests/instructions.rs`).
    #[inline(never)]
    pub(super) fn check(&self) {
        let from = self.checked.get();
        self.checked.set(from.wrapping_add(1));
        let turn =
            |places: usize| (0..places.min(AT_ONCE)).map(move |place| (from * AT_ONCE + place) % places);
        for place in turn(self.order.len()) {
            self.check_member(self.order[place]);
        }
        for place in turn(self.publications.capacity()) {
            if let Some(publication) = self.publications.get(place) {
                self.check_publication(PublicationKey(place), publication);
            }
        }
        self.check_lists();
    }

    /// Checks one member: everything that they own exists and names them as its owner.
    fn check_member(&self, key: ParticipantKey) {
        assert!(
            self.participants.contains(key.0),
            "the order of joining names member {}, who is gone",
            key.0
        );
        let participant = &self.participants[key.0];
        assert_eq!(
            self.by_id.get(&participant.id),
            Some(&key),
            "by_id leads from the id of member {} to somebody else",
            key.0
        );
        for transport in &participant.transports {
            self.check_transport(key, *transport, participant);
        }
        for publication in &participant.publications {
            let owner = self.publications.get(publication.0).map(|publication| publication.owner);
            assert_eq!(
                owner,
                Some(key),
                "member {} lists a publication that is gone or somebody else's",
                key.0
            );
        }
        self.check_slots(key, participant);
        self.check_timers(Owner::Member(key));
    }

    /// Checks a member's slots: the track of each lists it as a viewer, and the subscription names it.
    fn check_slots(&self, key: ParticipantKey, participant: &Participant) {
        for (index, slot) in participant.slots.iter().enumerate() {
            assert!(
                participant.transports.contains(&slot.transport),
                "slot {index} of member {} goes out on a transport that is not theirs",
                key.0
            );
            let by_ssrc = self.transports[slot.transport.0].slot_by_ssrc.get(&slot.ssrc);
            if slot.mid == Mid::NONE {
                let is_empty = by_ssrc.is_none() && !slot.open && slot.shown.is_none();
                assert!(is_empty, "slot {index} of member {} outlives its section", key.0);
                continue;
            }
            assert_eq!(
                by_ssrc,
                Some(&index),
                "slot_by_ssrc does not lead to slot {index} of member {}",
                key.0
            );
            let is_for_one = self.transports[slot.transport.0].parametric.is_some();
            assert!(
                !is_for_one || !slot.open || slot.shown.is_some(),
                "slot {index} of member {} is for a track that is gone",
                key.0
            );
            let Some(shown) = slot.shown else { continue };
            let publication = self.publications.get(shown.publication.0);
            let publication = publication.filter(|publication| publication.track == shown.track);
            assert!(publication.is_some(), "slot {index} of member {} shows a track that is gone", key.0);
            let mut viewers = publication.iter().flat_map(|publication| publication.viewers());
            let viewer = viewers.find(|viewer| viewer.participant == key && viewer.slot == index);
            assert!(
                viewer.is_some(),
                "slot {index} of member {} shows {}, which does not list it as a viewer",
                key.0,
                shown.track
            );
            let is_paused = viewer.is_some_and(|viewer| viewer.allowance == Allowance::Nothing);
            assert!(
                !is_paused || slot.holds.has(Hold::Bandwidth),
                "slot {index} of member {} sends what their network does not carry",
                key.0
            );
            let is_shed = viewer.is_some_and(|viewer| viewer.load.is_nothing);
            assert_eq!(
                is_shed,
                slot.holds.has(Hold::Load),
                "slot {index} of member {} sends what there is no time for, or nothing although there is",
                key.0
            );
        }
        for (track, subscription) in participant.subscriptions.iter() {
            let muted = self.by_track.get(&track).map(|publication| self.publications[publication.0].muted);
            assert_eq!(Some(subscription.muted), muted, "member {} takes {track} for muted, or not", key.0);
            let SubscriptionState::Slot(index) = subscription.state else { continue };
            let shown = participant.slots.get(index).and_then(|slot| slot.shown);
            assert_eq!(
                shown.map(|shown| shown.track),
                Some(track),
                "member {} has subscribed to {track} in slot {index}, which shows something else",
                key.0
            );
        }
    }

    /// Checks a transport of a member: it names them as its owner, and everything published on it is theirs.
    fn check_transport(&self, owner: ParticipantKey, key: TransportKey, participant: &Participant) {
        assert!(
            self.transports.contains(key.0),
            "member {} lists transport {}, which is gone",
            owner.0,
            key.0
        );
        let transport = &self.transports[key.0];
        assert_eq!(transport.owner, Some(owner), "transport {} does not know its owner", key.0);
        for section in transport.published.values() {
            assert!(
                participant.publications.contains(&section.publication),
                "a section of transport {} publishes what its owner does not list",
                key.0
            );
        }
        assert_eq!(
            transport.deadlines.get(Timer::Engine),
            transport.session().deadline(),
            "the engine of transport {} has moved its deadline without a word",
            key.0
        );
    }

    /// Checks that a member with deadlines will be woken.
    fn check_timers(&self, owner: Owner) {
        let Owner::Member(key) = owner else { return };
        let participant = &self.participants[key.0];
        let transports = participant.transports.iter().map(|key| &self.transports[key.0].deadlines);
        let waits = transports.chain([&participant.deadlines]).any(|deadlines| !deadlines.is_empty());
        assert!(
            !waits || self.timers.get(owner).is_some(),
            "member {} waits for something, and nobody will wake them",
            key.0
        );
    }

    /// Checks the lists of the whole room: they name nobody and nothing that is gone.
    fn check_lists(&self) {
        assert_eq!(self.order.len(), self.participants.len(), "the order of joining is not complete");
        assert_eq!(self.by_id.len(), self.participants.len(), "by_id is not complete");
        assert_eq!(self.by_track.len(), self.publications.len(), "by_track is not complete");
        for key in self.floor.keys() {
            assert!(self.publications.contains(key.0), "a microphone that is gone is to be spoken into");
        }
        for key in &self.slot_maps {
            assert!(
                self.participants.contains(key.0),
                "member {}, who is gone, is to be told a slot map",
                key.0
            );
        }
        assert!(self.slots_freed.is_empty(), "slots that have become free were not given to those who wait");
        for owner in self.timers.keys() {
            let lives = match owner {
                Owner::Member(key) => self.participants.contains(key.0),
                Owner::Transport(key) => self.transports.contains(key.0),
                Owner::Room => true,
            };
            assert!(lives, "{owner:?} is gone and is still to be woken");
        }
    }

    /// Checks a publication: it can be found by its track, and the viewers that it lists show it.
    fn check_publication(&self, key: PublicationKey, publication: &Publication) {
        let track = publication.track;
        assert_eq!(self.by_track.get(&track), Some(&key), "by_track does not lead to {track}");
        let owner = self.participants.get(publication.owner.0);
        let lists = owner.is_some_and(|owner| owner.publications.contains(&key));
        assert!(lists, "the owner of {track} is gone, or does not list it");
        #[cfg(debug_assertions)]
        publication.check();
        for viewer in publication.viewers() {
            let participant = self.participants.get(viewer.participant.0);
            let slot = participant.and_then(|participant| participant.slots.get(viewer.slot));
            let shown = slot.and_then(|slot| slot.shown);
            assert!(
                shown.is_some_and(|shown| shown.publication == key),
                "slot {} of member {} is a viewer of {track}, and is gone or shows something else",
                viewer.slot,
                viewer.participant.0
            );
        }
        let pending = self.pending_audio.contains(&key) || self.pending_video.contains(&key);
        // A publication may be listed without packets, because muting drops those that wait.
        assert!(
            pending || !publication.has_pending(),
            "{track} has packets to be forwarded, and nobody will do it"
        );
    }
}
