//! Steering: what members' networks let them be shown. Here is gathered what [`Steering`] decides by, and carried out what it
//! has decided. It is decided at the end of an input that has changed something, once for each member.

use std::cmp::Reverse;
use std::time::Instant;

use super::shedding::load_of;
use super::{Owner, Room};
use crate::core::bandwidth::estimator::Reason;
use crate::core::command::{MediaKind, Priority, Source};
use crate::core::event::Refusal;
use crate::core::forward::hold::Hold;
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId, TransportKey};
use crate::core::outbox::Outbox;
use crate::core::participant::Participant;
use crate::core::settings::LayerPolicy;
use crate::core::steering::allocate::Class;
use crate::core::steering::budget::Link;
use crate::core::steering::{Verdict, View, Wanted};
use crate::core::timers::Timer;

/// A camera that is shown no taller than this is a thumbnail, in pixels.
const THUMBNAIL_HEIGHT: u16 = 240;
/// The same by its width, if nothing is said of its height.
const THUMBNAIL_WIDTH: u16 = 426;
/// Whoever hears anybody may soon hear somebody speak: as much is kept for that at least, bits per second.
const AUDIO_MIN: u64 = 40_000;
/// How much a pixel of a track counts whose viewer has said nothing of its priority.
const WEIGHT: u64 = 4;
/// The dominant speaker's count so many times as much.
const SPEAKER_TIMES: u64 = 2;

/// What tracks of one class are sorted by for a member: whoever speaks first, then what is preferred, then who led last.
type Order = (bool, Reverse<Priority>, Reverse<Option<Instant>>);

/// Something that was decided of what a member's network lets them be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whose network it is.
    pub participant: ParticipantKey,
    /// What it carries, by the estimate, bits per second.
    pub estimate: u64,
    /// What was decided.
    pub verdict: Verdict<TrackId>,
}

/// Of whom it is to be decided, and what was.
#[derive(Debug, Default)]
pub(super) struct Steered {
    /// Members of whom it is to be decided again, at the end of the input.
    due: Vec<ParticipantKey>,
    /// What the last input led to.
    decisions: Vec<Decision>,
}

impl Steered {
    /// Makes sure that it is decided again of a member at the end of the input.
    pub(super) fn later(&mut self, key: ParticipantKey) {
        self.due.push(key);
    }

    /// Forgets what was decided: another input begins.
    pub(super) fn forget_decisions(&mut self) {
        self.decisions.clear();
    }
}

impl Room {
    /// Returns what the last input led to be decided of members' networks. Replays use it to explain.
    pub fn decisions(&self) -> &[Decision] {
        &self.steered.decisions
    }

    /// Lets a member be shown no more than fits into that many bits per second; with `None`, as much as their network carries.
    pub(super) fn limit_bandwidth(&mut self, key: ParticipantKey, most: Option<u64>) -> Result<(), Refusal> {
        self.participants[key.0].bandwidth_max = most;
        self.steer_later(key);
        Ok(())
    }

    /// Makes sure that it is decided again, at the end of this input, what a member's network lets them be shown.
    pub(super) fn steer_later(&mut self, key: ParticipantKey) {
        self.steered.later(key);
    }

    /// The same for all who watch or hear a track.
    pub(super) fn steer_viewers(&mut self, key: PublicationKey) {
        let Self { publications, steered, .. } = self;
        steered.due.extend(publications[key.0].viewers().map(|viewer| viewer.participant));
    }

    /// The same for all who are shown less than they want: somebody else may come first for them now.
    pub(super) fn steer_limited(&mut self) {
        let Self { participants, steered, order, .. } = self;
        steered.due.extend(order.iter().filter(|key| participants[key.0].steering.is_busy()));
    }

    /// The same for whoever receives on a transport, if its estimate has changed.
    pub(super) fn review_estimate(&mut self, on: TransportKey) {
        let transport = &self.transports[on.0];
        let Some(owner) = transport.owner else { return };
        let Some(participant) = self.participants.get(owner.0) else { return };
        let known = transport.media.as_ref().and_then(|media| media.egress.bandwidth());
        if known.is_some_and(|known| participant.steering.is_news(known.estimate)) {
            self.steer_later(owner);
        }
    }

    /// Decides again, for those of whom something has changed, what their networks let them be shown.
    pub(super) fn steer_members(&mut self, now: Instant, outbox: &mut Outbox) {
        let mut keys = std::mem::take(&mut self.steered.due);
        // Once each, because one input can change many things.
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            self.step(now, Owner::Member(key), outbox, |room, _| room.steer_member(now, key));
        }
    }

    fn steer_member(&mut self, now: Instant, key: ParticipantKey) {
        if self.settings.bandwidth.policy == LayerPolicy::Wishes {
            return;
        }
        let Some(on) = self.transport_of_slots(key) else { return };
        let link = self.link_of(now, key, on);
        if link.is_none() && !self.participants[key.0].steering.is_busy() {
            // Nothing is known of their network, and nothing was.
            return;
        }
        let view = self.view_of(now, key, on, link);
        let settings = self.settings.bandwidth;
        let outcome = self.participants[key.0].steering.decide(now, &settings, &view);
        for index in 0..self.participants[key.0].slots.len() {
            self.steer_slot(now, key, index);
        }
        let estimate = view.link.map_or(0, |link| link.estimate);
        self.set_padding_target(now, on, outcome.padding);
        self.set_wants_more(now, on, outcome.demand.saturating_sub(estimate));
        self.participants[key.0].deadlines.set(Timer::Steering, outcome.next);
        for verdict in &outcome.verdicts {
            self.totals.steering[verdict.kind()] += 1;
        }
        let decisions = outcome.verdicts.into_iter();
        self.steered.decisions.extend(decisions.map(|verdict| Decision {
            participant: key,
            estimate,
            verdict,
        }));
        self.arm(now, Owner::Member(key));
    }

    /// Lets what was decided of a track take effect in the slot that shows it.
    fn steer_slot(&mut self, now: Instant, key: ParticipantKey, index: usize) {
        let participant = &mut self.participants[key.0];
        let slot = &mut participant.slots[index];
        let Some(shown) = slot.shown.filter(|_| slot.kind == MediaKind::Video) else { return };
        let (allowance, sought) = participant.steering.allowance(shown.track);
        let Some(publication) = self.publications.get_mut(shown.publication.0) else { return };
        if publication.set_allowance(key, index, allowance, sought) {
            publication.review(now);
            self.layer_reviews.push(shown.publication);
        }
        // Also as long as nothing comes that they may be shown.
        let is_held = !publication.may_show(key, index);
        if slot.set_held(Hold::Bandwidth, is_held) && !is_held {
            publication.bring_over(key, index);
            self.want_keyframe_for(now, shown.publication, (key, index));
        }
    }

    /// Returns the transport that carries a member's video.
    fn transport_of_slots(&self, key: ParticipantKey) -> Option<TransportKey> {
        let participant = &self.participants[key.0];
        let mut video = participant.slots.iter().filter(|slot| slot.kind == MediaKind::Video);
        let shown = video.clone().find(|slot| slot.shown.is_some()).or_else(|| video.next());
        // Of whoever is shown no video any more it may have to be noted that nothing is tried any more.
        shown.map(|slot| slot.transport).or_else(|| participant.transports.first().copied())
    }

    /// Gathers what is wanted, and what is known of the network.
    fn view_of(&self, now: Instant, key: ParticipantKey, on: TransportKey, link: Option<Link>) -> View {
        let participant = &self.participants[key.0];
        let mut wanted = Vec::new();
        let mut ranks = Vec::new();
        let (mut audio, mut hears) = (0, false);
        for slot in &participant.slots {
            let Some(shown) = slot.shown.filter(|_| slot.transport == on) else { continue };
            let Some(publication) = self.publications.get(shown.publication.0) else { continue };
            if slot.kind == MediaKind::Audio {
                hears |= !publication.muted;
                audio += publication.audio_rate(now);
            } else if !slot.holds.has(Hold::Wish) {
                let (rank, track) = self.wanted(now, participant, publication, slot);
                ranks.push(rank);
                wanted.push(track);
            }
        }
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by_key(|place| (ranks[*place], *place));
        for (rank, place) in order.into_iter().enumerate() {
            wanted[place].rank = rank as u32;
        }
        View { link, audio: if hears { audio.max(AUDIO_MIN) } else { audio }, wanted }
    }

    /// Returns how a member wants to see a track, and what it is sorted by among those of its class: whoever speaks first,
    /// then what is preferred, then who led last.
    fn wanted(
        &self,
        now: Instant,
        participant: &Participant,
        publication: &Publication,
        slot: &Slot,
    ) -> (Order, Wanted) {
        let subscription = participant.subscriptions.get(publication.track);
        let wish = subscription.map(|subscription| subscription.wish).unwrap_or_default();
        let is_small = match (wish.height, wish.width) {
            (Some(height), _) => height <= THUMBNAIL_HEIGHT,
            (None, Some(width)) => width <= THUMBNAIL_WIDTH,
            (None, None) => false,
        };
        let class = match publication.source {
            Source::Screen => Class::Screen,
            _ if is_small => Class::Thumbnail,
            _ => Class::Camera,
        };
        let dominant = self.floor.dominant.and_then(|key| self.publications.get(key.0));
        let speaks = dominant.is_some_and(|dominant| dominant.owner == publication.owner);
        let led = self.participants.get(publication.owner.0).and_then(|owner| owner.led_at);
        let weight = match wish.priority {
            Priority::VeryLow => WEIGHT / 4,
            Priority::Low => WEIGHT / 2,
            Priority::Medium => WEIGHT,
            Priority::High => WEIGHT * 2,
        };
        let weight = if speaks { weight * SPEAKER_TIMES } else { weight };
        let load = load_of(self.shedding, publication, participant.id);
        let steps = publication.steps(now, wish, slot.layers_taken(), load);
        let wanted = Wanted { track: publication.track, class, rank: 0, weight, steps };
        ((!speaks, Reverse(wish.priority), Reverse(led)), wanted)
    }

    /// What is known of a member's network.
    fn link_of(&mut self, now: Instant, key: ParticipantKey, on: TransportKey) -> Option<Link> {
        let media = self.transports.get(on.0)?.media.as_ref()?;
        let (round_trip, reports) = (media.egress.round_trip(), media.egress.feedback_received);
        let most = self.participants[key.0].bandwidth_max.unwrap_or(u64::MAX);
        let limited = |estimate: u64, reason: Option<Reason>| {
            if most < estimate { (most, Some(Reason::Told)) } else { (estimate, reason) }
        };
        if let Some(known) = media.egress.bandwidth() {
            let (estimate, limited_by) = limited(known.estimate, Some(known.reason));
            return Some(Link {
                estimate,
                acknowledged: known.acknowledged,
                reports,
                limited_by,
                loss_millionths: known.loss_millionths,
                round_trip,
                is_probed: media.egress.is_probed(now),
            });
        }
        let Participant { slots, steering, .. } = &mut self.participants[key.0];
        let mut slots = slots.iter().filter(|slot| slot.transport == on && slot.kind == MediaKind::Video);
        let is_numbered = slots.clone().any(|slot| slot.extensions.transport_cc.is_some());
        let has_sent = slots.any(|slot| slot.counters.packets > 0);
        let (estimate, limited_by) = limited(self.settings.bandwidth.initial, None);
        let is_believed = limited_by.is_some() || is_numbered && steering.believes(now, has_sent);
        is_believed.then_some(Link {
            estimate,
            acknowledged: None,
            reports,
            limited_by,
            loss_millionths: 0,
            round_trip,
            is_probed: false,
        })
    }
}
