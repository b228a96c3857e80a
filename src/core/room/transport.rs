//! The way to a participant: what their engine asks for, carried out.

use std::time::Instant;

use super::Room;
use crate::core::ids::ParticipantKey;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::path::{Path, TrafficClass};
use crate::core::session::Effect;

impl Room {
    /// Does what a participant's engine asked for. `came_by` is the way of the datagram that made it ask.
    pub(super) fn carry_out_effects(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        came_by: Option<Path>,
        outbox: &mut Outbox,
    ) {
        for effect in self.participants[key.0].session.take_effects() {
            let participant = &mut self.participants[key.0];
            match effect {
                Effect::Stun { to, bytes } => {
                    let known = participant.paths.iter().copied().find(|path| path.remote == to);
                    let path = came_by.filter(|path| path.remote == to).or(known);
                    send(outbox, path, &bytes);
                }
                Effect::Dtls { to, bytes } => {
                    let known = participant.paths.iter().copied().find(|path| path.remote == to);
                    send(outbox, participant.path.or(known), &bytes);
                }
                Effect::Handshake(request) => outbox.outputs.push(RoomOutput::Dtls(key, request)),
                Effect::Connected { profile, material } => {
                    self.start_media(now, key, profile, &material, outbox);
                }
                Effect::Closed(why) => {
                    self.transport_closed(now, key, &why, outbox);
                    return;
                }
            }
        }
    }
}

fn send(outbox: &mut Outbox, path: Option<Path>, bytes: &[u8]) {
    let Some(path) = path else { return };
    outbox.transmit(path, TrafficClass::Control, |buffer| {
        buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(bytes.len())
    });
}
