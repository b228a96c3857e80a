//! Connectivity checks: which are refused, which are answered, and which paths an answered check opens and closes (RFC
//! 8445, RFC 7675).

use std::time::Instant;

use tracing::debug;

use super::Room;
use super::transport::send;
use crate::core::ids::TransportKey;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::path::Path;
use crate::wire::stun;
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
            let Some(transport) = self.transports.get_mut(on.0) else { return };
            let before = transport.path;
            let is_back = before.is_none() && transport.media.is_some();
            let lets_send = self.settings.media_timeout;
            if let Some(forgotten) = transport.on_check(now, path, nominated, transaction, lets_send) {
                outbox.outputs.push(RoomOutput::UnbindPath(on, forgotten));
            }
            if let Some(path) = transport.path.filter(|path| Some(*path) != before) {
                debug!(
                    room = %self.id, transport = on.0, carrier = path.carrier.as_str(), local = %path.local,
                    remote = %path.remote, nominated, "media goes by this path"
                );
            }
            let is_heard_again = transport.hear(now);
            if let Some(owner) = self.owner_of(on) {
                self.set_expiry(owner);
            }
            if is_heard_again {
                self.hear_again(now, on, outbox);
            }
            if is_back {
                self.want_keyframes_on(now, on);
            }
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
