//! Connectivity checks: which are refused, which are answered, which paths an answered check opens and closes (RFC 8445), and
//! our own, by which a peer proves that it receives where it wants media (RFC 7675).

use std::time::Instant;

use tracing::debug;

use super::Room;
use super::transport::send;
use crate::core::ids::TransportKey;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::path::Path;
use crate::core::rng::Rng;
use crate::wire::stun::{self, StunPeek};
use crate::wire::stun_refusal::{Refusal, is_signed};

impl Room {
    /// Takes a STUN message that came on a transport; walk: called by `Room::handle_datagram`.
    pub(super) fn handle_stun(
        &mut self,
        now: Instant,
        on: TransportKey,
        path: Path,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) {
        let Some(message) = stun::peek(bytes) else { return };
        if message.is_binding_answer() {
            self.take_answer(now, on, path, bytes, &message, outbox);
            return;
        }
        let transaction = message.transaction;
        let transport = &mut self.transports[on.0];
        if !transport.may_check(now, path, transaction) {
            return;
        }
        if let Some(refusal) = Refusal::of(&message) {
            // Refused before the engine sees it, so that a refused check changes nothing.
            let password = transport.session().password();
            if is_signed(bytes, password) {
                let mut answer = Vec::new();
                refusal.write(&mut answer, transaction, password);
                transport.note_answered(now);
                send(outbox, Some(path), &answer);
            }
            return;
        }
        let (is_check, nominated) = (message.is_binding_request(), message.use_candidate);
        // A check that comes a second time may be a replay with a forged address, so it is answered but changes
        // nothing.
        let is_repeated = transport.has_checked(transaction);
        let before = outbox.transmits();
        if is_check && !is_repeated {
            transport.with_session(|session| session.meet(now, &message, bytes));
        }
        transport.with_session(|session| session.handle_stun(now, path.protocol(), path.remote, bytes));
        self.carry_out_effects(now, on, Some(path), outbox);
        // The engine answers a check only if its credentials are right. Handshake datagrams that have waited for a path
        // may follow the answer.
        let answered = outbox.answers_check(before, path, transaction);
        if let Some(transport) = self.transports.get_mut(on.0).filter(|_| answered) {
            transport.note_answered(now);
        }
        if is_check && answered && !is_repeated {
            outbox.outputs.push(RoomOutput::BindPath(on, path));
            let exchanged = (bytes.len(), outbox.bytes_by(before, path));
            let Some(transport) = self.transports.get_mut(on.0) else { return };
            let before = transport.path;
            let lets_send = self.settings.media_timeout;
            if let Some(forgotten) =
                transport.on_check(now, path, nominated, transaction, exchanged, lets_send)
            {
                outbox.outputs.push(RoomOutput::UnbindPath(on, forgotten));
            }
            let is_heard_again = transport.hear(now);
            if let Some(owner) = self.owner_of(on) {
                self.set_expiry(owner);
            }
            if is_heard_again {
                self.hear_again(now, on, outbox);
            }
            self.note_path(now, on, before, outbox);
        }
    }

    /// Takes an answer to a check. If it is to one of ours, the peer receives at that address.
    fn take_answer(
        &mut self,
        now: Instant,
        on: TransportKey,
        path: Path,
        bytes: &[u8],
        answer: &StunPeek<'_>,
        outbox: &mut Outbox,
    ) {
        let transport = &mut self.transports[on.0];
        let asks = transport.known(&path).is_some_and(|known| known.asks(now, answer.transaction));
        // Not just anybody's, because any STUN server would repeat our transaction in an answer to what it does not understand.
        if !asks || !transport.session().is_answer_of_peer(answer, bytes) {
            return;
        }
        let is_granted = transport.session().knows_password();
        match transport.known(&path) {
            Some(known) if is_granted => known.on_answer(now),
            Some(known) => known.on_refusal(),
            None => {}
        }
        outbox.outputs.push(RoomOutput::ClaimPath(on, path));
        let before = transport.path;
        transport.adopt_path(now, self.settings.media_timeout);
        self.note_path(now, on, before, outbox);
    }

    /// Does what follows if media goes by another path than before, or by one at all.
    fn note_path(&mut self, now: Instant, on: TransportKey, before: Option<Path>, outbox: &mut Outbox) {
        let Some(transport) = self.transports.get_mut(on.0) else { return };
        let Some(path) = transport.path.filter(|path| Some(*path) != before) else { return };
        debug!(
            room = %self.id, transport = on.0, carrier = path.carrier.as_str(), local = %path.local,
            remote = %path.remote, "media goes by this path"
        );
        let has_media = transport.media.is_some();
        self.send_held(now, on, path, outbox);
        if before.is_none() && has_media {
            self.want_keyframes_on(now, on);
        }
    }

    /// Asks the peer whether it receives at an address from which something has come, if that is not known or was long ago.
    /// Sends what may be sent there by now.
    pub(super) fn ask_whether_received(
        &mut self,
        now: Instant,
        on: TransportKey,
        path: Path,
        outbox: &mut Outbox,
    ) {
        let Some(transport) = self.transports.get_mut(on.0) else { return };
        let owner = transport.owner.and_then(|owner| self.participants.get_mut(owner.0));
        // Taken out while the path is asked, and put back.
        let mut own = transport.rng.take();
        let rng = own.as_mut().or_else(|| owner.map(|participant| &mut participant.rng));
        let question = rng.and_then(|rng| {
            // Who can only refuse is asked until they have, and not over and over.
            let may_be_asked = transport.session().knows_password()
                || transport.known(&path).is_some_and(|known| !known.was_proven());
            let known = transport.known(&path).filter(|_| may_be_asked)?;
            let transaction = known.ask(now, || transaction(rng))?;
            transport.session().question(transaction)
        });
        transport.rng = own;
        if let Some(known) = transport.known(&path)
            && let Some(question) = question.filter(|question| known.has_room_for(now, question.len()))
        {
            known.on_sent(question.len());
            send(outbox, Some(path), &question);
        }
        self.send_held(now, on, path, outbox);
    }

    /// Sends the datagrams of a handshake that were held, as far as they may be sent by that path now.
    fn send_held(&mut self, now: Instant, on: TransportKey, path: Path, outbox: &mut Outbox) {
        let Some(transport) = self.transports.get_mut(on.0) else { return };
        for datagram in transport.take_held() {
            let by = transport.path_of_flight(Some(path.remote));
            send(outbox, by.filter(|by| transport.may_send_flight(now, *by, &datagram)), &datagram);
        }
    }

    /// Stops sending on a transport until another check comes. Its slots begin anew after that.
    pub(super) fn lose_path(&mut self, key: TransportKey) {
        let transport = &mut self.transports[key.0];
        transport.lose_path(self.settings.media_timeout);
        let Some(owner) = transport.owner.filter(|_| transport.path.is_none()) else { return };
        for slot in self.participants[owner.0].slots.iter_mut().filter(|slot| slot.transport == key) {
            slot.interrupt();
        }
    }
}

/// Draws the transaction of a check of ours. Nobody who has not seen it can answer it.
fn transaction(rng: &mut Rng) -> [u8; 12] {
    let mut transaction = [0; 12];
    transaction[..8].copy_from_slice(&rng.u64().to_be_bytes());
    transaction[8..].copy_from_slice(&rng.u32().to_be_bytes());
    transaction
}
