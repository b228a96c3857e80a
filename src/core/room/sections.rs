//! Slots come and go with the sections of offers: a section that receives is a slot, and one that is gone leaves its place
//! to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::Room;
use crate::core::command::MediaKind;
use crate::core::forward::slot::Slot;
use crate::core::ids::{Mid, ParticipantKey, TransportKey};
use crate::core::mutation::mutated;
use crate::core::negotiated::{Negotiated, NegotiatedSection};
use crate::core::negotiation::answer::Msid;
use crate::core::participant::Participant;
use crate::core::subscriptions::SubscriptionState;
use crate::core::transport::Transport;

impl Room {
    /// Makes the slots on a transport what the answer agreed on. Those whose sections are gone make room for new ones, so
    /// that there are never more than an offer has sections.
    pub(super) fn take_slots(&mut self, now: Instant, key: ParticipantKey, on: TransportKey) {
        let negotiated = &self.transports[on.0].negotiated;
        let slots = &mut self.participants[key.0].slots;
        let numbers = slot_numbers(negotiated, slots, on);
        let receiving: BTreeSet<Mid> = receiving(negotiated).map(|section| section.mid).collect();
        let closes = |slot: &Slot| slot.transport == on && slot.open && !receiving.contains(&slot.mid);
        let closed: Vec<usize> = (0..slots.len()).filter(|index| closes(&slots[*index])).collect();
        for index in closed {
            self.participants[key.0].slots[index].open = false;
            self.empty_slot(key, index);
        }
        let Participant { slots, rng, .. } = &mut self.participants[key.0];
        let Transport { negotiated, slot_by_ssrc, rng: own_rng, .. } = &mut self.transports[on.0];
        let rng = own_rng.as_mut().unwrap_or(rng);
        let present: BTreeSet<Mid> = negotiated.sections.iter().map(|section| section.mid).collect();
        let (mut known, mut free) = (BTreeMap::new(), Vec::new());
        for (index, slot) in slots.iter_mut().enumerate().rev() {
            if slot.transport == on && present.contains(&slot.mid) {
                known.insert(slot.mid, index);
            } else if slot.transport == on {
                slot_by_ssrc.remove(&slot.ssrc);
                slot.mid = Mid::NONE;
                slot.number = usize::MAX;
                free.push(index);
            }
        }
        // Slots are many and large, and an offer names all that there will be for a while.
        slots.reserve_exact(receiving.len().saturating_sub(known.len() + free.len()));
        for (order, section) in negotiated.sections.iter().enumerate() {
            if let Some(slot) = known.get(&section.mid).and_then(|index| slots.get_mut(*index)) {
                slot.take_section(section, order);
                continue;
            }
            let number = numbers.get(&section.mid).copied().unwrap_or_default();
            let Some(slot) = Slot::new(now, on, section, order, number, rng) else { continue };
            let index = free.pop().unwrap_or(slots.len());
            if !mutated!(SlotStreamForgotten) {
                slot_by_ssrc.insert(slot.ssrc, index);
            }
            match slots.get_mut(index) {
                Some(place) => *place = slot,
                None => slots.push(slot),
            }
        }
    }

    /// Takes the track out of a slot; who wanted it waits for another.
    fn empty_slot(&mut self, key: ParticipantKey, index: usize) {
        let Participant { slots, subscriptions, .. } = &mut self.participants[key.0];
        let Some(shown) = slots[index].shown else { return };
        slots[index].release();
        if let Some(publication) = self.publications.get_mut(shown.publication.0) {
            publication.remove_viewers(|viewer| viewer.participant == key && viewer.slot == index);
        }
        subscriptions.set_state(shown.track, SubscriptionState::Waiting);
    }
}

/// The sections in which we send.
fn receiving(negotiated: &Negotiated) -> impl Iterator<Item = &NegotiatedSection> {
    negotiated.sections.iter().filter(|section| section.egress.is_some())
}

/// Which of the slots of its kind each receiving section of a transport is. Slots that exist keep their numbers; a new one
/// takes the lowest that no other has.
fn slot_numbers(negotiated: &Negotiated, slots: &[Slot], on: TransportKey) -> BTreeMap<Mid, usize> {
    let here = slots.iter().filter(|slot| slot.transport == on);
    let known: BTreeMap<Mid, (MediaKind, usize)> =
        here.map(|slot| (slot.mid, (slot.kind, slot.number))).collect();
    let elsewhere = slots.iter().filter(|slot| slot.transport != on && slot.mid != Mid::NONE);
    let mut taken: BTreeSet<(MediaKind, usize)> = elsewhere.map(|slot| (slot.kind, slot.number)).collect();
    taken.extend(negotiated.sections.iter().filter_map(|section| known.get(&section.mid).copied()));
    let mut next = BTreeMap::new();
    let mut numbers = BTreeMap::new();
    for section in receiving(negotiated) {
        let number = known.get(&section.mid).map_or_else(
            || {
                let next: &mut usize = next.entry(section.kind).or_default();
                while !taken.insert((section.kind, *next)) {
                    *next += 1;
                }
                *next
            },
            |(_, number)| *number,
        );
        numbers.insert(section.mid, number);
    }
    numbers
}

/// Names the msid stream of each slot: one for each pair of an audio and a video slot, because browsers keep the audio and
/// the video of one stream in sync.
pub(super) fn msids(negotiated: &Negotiated, slots: &[Slot], on: TransportKey) -> Vec<Msid> {
    let numbers = slot_numbers(negotiated, slots, on);
    let msid = |section: &NegotiatedSection| {
        let number = numbers.get(&section.mid).copied().unwrap_or_default();
        let kind = match section.kind {
            MediaKind::Audio => "audio",
            MediaKind::Video => "video",
        };
        Msid { mid: section.mid, stream: format!("slot-{number}"), track: format!("{kind}-{number}") }
    };
    receiving(negotiated).map(msid).collect()
}
