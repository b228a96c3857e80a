//! Slots come and go with the sections of offers: each section in which the client receives is a slot.

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
    /// Updates the slots on a transport to what the answer agreed on. New slots take the places of those whose sections
    /// are gone, so that there are never more slots than an offer has sections.
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
        // Reserved exactly, because slots are large, and the offer has all that there will be for a while.
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

    /// Takes the track out of a slot. Its subscription waits for another slot.
    pub(super) fn empty_slot(&mut self, key: ParticipantKey, index: usize) {
        let Participant { slots, subscriptions, .. } = &mut self.participants[key.0];
        let Some(shown) = slots[index].shown else { return };
        slots[index].release();
        if let Some(publication) = self.publications.get_mut(shown.publication.0) {
            publication.remove_viewers(|viewer| viewer.participant == key && viewer.slot == index);
        }
        subscriptions.set_state(shown.track, SubscriptionState::Waiting);
        self.steer_later(key);
    }
}

/// Returns the sections in which the client receives.
fn receiving(negotiated: &Negotiated) -> impl Iterator<Item = &NegotiatedSection> {
    negotiated.sections.iter().filter(|section| section.egress.is_some())
}

/// Numbers the receiving sections of a transport among the slots of their kind. Existing slots keep their numbers; a
/// new one takes the lowest free number.
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

/// Returns the msid of each slot. The audio slot and the video slot with the same number share a stream, because
/// browsers keep the audio and the video of one stream in sync.
pub(super) fn msids_of_slots(negotiated: &Negotiated, slots: &[Slot], on: TransportKey) -> Vec<Msid> {
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
