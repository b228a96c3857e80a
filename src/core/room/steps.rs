//! Steps: what is done of an input for one owner, so that a panic in it ends that owner alone, and what is left to be done
//! once for everybody after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tracing::error;

use super::{Owner, Room};
use crate::core::event::LeaveReason;
use crate::core::ids::TransportKey;
use crate::core::outbox::Outbox;

/// How often it is looked again, after one input, what viewers are shown.
const ROUNDS_MAX: usize = 4;

impl Room {
    /// Does what an input, or several, have left to be done once for everybody: slots that have become free, what is told of
    /// slots, and layers.
    pub(super) fn review(&mut self, now: Instant, outbox: &mut Outbox) {
        // What has begun or stopped changes what networks carry, and that changes what is shown. If it goes on like that, the
        // next input goes on with it.
        for _ in 0..ROUNDS_MAX {
            self.send_slot_maps(now, outbox);
            self.review_layers(now, outbox);
            self.steer_members(now, outbox);
            if self.layer_reviews.is_empty() {
                break;
            }
        }
        // A panic may have removed somebody, so that there is more to tell the others.
        while !(self.slots_freed.is_empty() && self.slot_maps.is_empty()) {
            self.send_slot_maps(now, outbox);
        }
    }

    /// Runs a step of the transport's owner, if the transport still exists.
    pub(super) fn step_on(
        &mut self,
        now: Instant,
        on: TransportKey,
        outbox: &mut Outbox,
        step: impl FnOnce(&mut Self, &mut Outbox),
    ) {
        if let Some(transport) = self.transports.get(on.0) {
            self.step(now, Owner::of(transport.owner, on), outbox, step);
        }
    }

    /// Runs a step of one member, of a transport without one, or of the room. If it panics, only its owner is removed.
    pub(super) fn step(
        &mut self,
        now: Instant,
        owner: Owner,
        outbox: &mut Outbox,
        step: impl FnOnce(&mut Self, &mut Outbox),
    ) {
        let is_here = match owner {
            Owner::Member(key) => self.participants.contains(key.0),
            Owner::Transport(key) => self.transports.contains(key.0),
            Owner::Room => !self.ended,
        };
        if !is_here {
            return;
        }
        // Whatever a panic leaves half done belongs to the owner, who is removed.
        let panicked = catch_unwind(AssertUnwindSafe(|| step(self, outbox))).is_err();
        if panicked {
            self.end_after_panic(now, owner, outbox);
        } else {
            self.arm(now, owner);
        }
    }

    pub(super) fn end_after_panic(&mut self, now: Instant, owner: Owner, outbox: &mut Outbox) {
        match owner {
            Owner::Member(key) => {
                let Some(participant) = self.participants.get(key.0) else { return };
                error!(room = %self.id, participant = %participant.id, "a participant's step panicked; they are removed");
                self.expel(now, key, LeaveReason::Error, outbox);
            }
            Owner::Transport(key) => {
                error!(room = %self.id, transport = key.0, "a transport's step panicked; it is removed");
                self.remove_transport(now, key, outbox);
            }
            Owner::Room => {
                error!(room = %self.id, "a step of the room panicked; it is closed");
                self.close(now, LeaveReason::Error, outbox);
            }
        }
    }
}
