//! Renewal of transports: a member whose media may go straight closes the peer connection to the server when the call leaves
//! it, and comes with another one when the call is back. A session has no second handshake, so that they get a new transport
//! then, and stay in the room meanwhile. Everybody else who closes their only one has left.

use std::time::Instant;

use tracing::debug;

use super::Room;
use crate::core::event::SlotCounts;
use crate::core::ids::{ParticipantKey, TransportKey};
use crate::core::negotiation::offer::Offer;
use crate::core::outbox::Outbox;
use crate::core::session::Session;
use crate::core::transport::Transport;

impl Room {
    /// Returns whether a member whose only transport has ended stays: they are in a call that goes straight, and are told when
    /// it does no longer, at the latest when they come back whose signalling is lost.
    pub(super) fn stays_without_transport(&self, key: ParticipantKey) -> bool {
        let topology = self.topology.as_ref();
        topology.is_some_and(|topology| topology.is_straight() && topology.can_mesh(key))
    }

    /// Gives a member a new transport in the place of one that has ended, with everything on it.
    pub(super) fn renew_transport(
        &mut self,
        now: Instant,
        owner: ParticipantKey,
        old: TransportKey,
        outbox: &mut Outbox,
    ) {
        let candidates = self.transports[old.0].candidates.clone();
        let participant = &mut self.participants[owner.0];
        // What they were asked for was for the old one.
        participant.asked = SlotCounts { audio: 0, video: 0 };
        let rng = &mut participant.rng;
        let session = Session::new(now, &self.tag, &self.settings.certificate, rng);
        let transport = Transport::new(now, self.settings.epoch, Some(owner), None, candidates, session);
        // Before the old one is removed, so that the two have different keys.
        let new = self.insert_transport(transport, outbox);
        self.remove_transport(now, old, outbox);
        debug!(room = %self.id, participant = owner.0, old = old.0, new = new.0, "a new transport for another peer connection");
        self.carry_out_effects(now, new, None, outbox);
    }

    /// Gives a member a new transport if their offer is that of another peer connection than before.
    pub(super) fn renew_for_offer(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        sdp: &str,
        outbox: &mut Outbox,
    ) {
        let can_mesh = self.topology.as_ref().is_some_and(|topology| topology.can_mesh(key));
        let Some(&on) = self.transports_of(key).first().filter(|_| can_mesh) else { return };
        let is_of_another = Offer::read_for(sdp, self.options.codecs, self.settings.data_channels)
            .is_ok_and(|offer| self.transports[on.0].session().is_of_another(&offer));
        if is_of_another {
            self.renew_transport(now, key, on, outbox);
        }
    }
}
