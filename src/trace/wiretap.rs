//! Wiretap: decrypts the media of a replayed room with the keys in its trace, so that a call can be examined
//! afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::replay::{Observer, Step};
use crate::core::event::Event;
use crate::core::ids::{ParticipantId, ParticipantKey, TransportKey};
use crate::core::input::DtlsEvent;
use crate::core::media::srtp::{self, SrtpReceiver};
use crate::core::outbox::RoomOutput;
use crate::core::output::DtlsRequest;
use crate::core::path::Path;
use crate::core::record::RecordedInput;
use crate::core::room::Room;
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::rtp::RtpHeader;

/// The direction of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From the participant to the server.
    In,
    /// From the server to the participant.
    Out,
}

/// A participant of a replayed room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id in the protocol.
    pub id: ParticipantId,
    /// The name that others see.
    pub name: String,
}

impl Person {
    /// Whether `text` is their id, or their name in upper or lower case.
    pub fn is_called(&self, text: &str) -> bool {
        self.id.to_string() == text || self.name.to_lowercase() == text.to_lowercase()
    }
}

/// An RTP packet or RTCP compound, decrypted.
#[derive(Debug, Clone, Copy)]
pub struct Plain<'a> {
    /// When it came or went, since the room was made.
    pub at: Duration,
    /// The participant who sent it or for whom it is.
    pub key: ParticipantKey,
    /// The same participant as people know them.
    pub person: &'a Person,
    /// Whether it came from them or went to them.
    pub way: Way,
    /// The path by which it came or went.
    pub path: Path,
    /// Whether it is RTCP.
    pub is_rtcp: bool,
    /// Its bytes, without the tag of SRTP.
    pub bytes: &'a [u8],
}

/// Takes decrypted packets.
pub trait PlainObserver {
    /// Takes a step that was done; its packets follow.
    fn on_step(&mut self, step: &Step<'_>) {
        let _ = step;
    }

    /// Takes a packet that came or went.
    fn on_packet(&mut self, packet: &Plain<'_>, room: &Room);
}

/// The keys of one transport, for both directions.
struct Tap {
    incoming: SrtpReceiver,
    outgoing: SrtpReceiver,
}

/// Decrypts all packets of a replay for observers.
#[derive(Default)]
pub struct Wiretap<'o> {
    only: Option<String>,
    observers: Vec<&'o mut dyn PlainObserver>,
    people: BTreeMap<ParticipantKey, Person>,
    /// The participant that each transport belongs to.
    owners: BTreeMap<TransportKey, ParticipantKey>,
    /// Whether the server is the DTLS client of a transport's handshake.
    active: BTreeMap<TransportKey, bool>,
    taps: BTreeMap<TransportKey, Tap>,
    paths: BTreeMap<Path, TransportKey>,
    scratch: Vec<u8>,
}

impl fmt::Debug for Wiretap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wiretap").field("people", &self.people).finish_non_exhaustive()
    }
}

impl<'o> Wiretap<'o> {
    /// Returns a wiretap that decrypts packets for these observers, of one participant (by id or name) or of all.
    pub fn new(only: Option<String>, observers: Vec<&'o mut dyn PlainObserver>) -> Self {
        Self { only, observers, ..Self::default() }
    }

    fn note_outputs(&mut self, outputs: &[RoomOutput], room: &Room) {
        for output in outputs {
            match output {
                RoomOutput::Event(to, Event::Joined(_, joined)) => {
                    let person = Person { id: joined.participant, name: joined.profile.name.clone() };
                    self.people.insert(*to, person);
                }
                RoomOutput::BindUfrag(on, _) => {
                    if let Some(owner) = room.owner_of(*on) {
                        self.owners.insert(*on, owner);
                    }
                }
                RoomOutput::Dtls(on, DtlsRequest::Start { active }) => {
                    self.active.insert(*on, *active);
                }
                RoomOutput::Dtls(on, DtlsRequest::Forget { .. }) => {
                    self.owners.remove(on);
                    self.taps.remove(on);
                    self.active.remove(on);
                    self.paths.retain(|_, transport| transport != on);
                }
                RoomOutput::BindPath(on, path) | RoomOutput::ClaimPath(on, path) => {
                    self.paths.insert(*path, *on);
                }
                RoomOutput::Gone(who, _) => {
                    self.people.remove(who);
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, at: Duration, way: Way, on: TransportKey, path: Path, bytes: &[u8], room: &Room) {
        let kind = classify(bytes);
        let Some(&key) = self.owners.get(&on) else { return };
        let (Some(tap), Some(person)) = (self.taps.get_mut(&on), self.people.get(&key)) else { return };
        if !matches!(kind, DatagramKind::Rtp | DatagramKind::Rtcp)
            || self.only.as_ref().is_some_and(|only| !person.is_called(only))
        {
            return;
        }
        let receiver = match way {
            Way::In => &mut tap.incoming,
            Way::Out => &mut tap.outgoing,
        };
        // Packets are copied, because decryption works in place and the step's own bytes must not change.
        self.scratch.clear();
        self.scratch.extend_from_slice(bytes);
        let is_rtcp = kind == DatagramKind::Rtcp;
        let length = if is_rtcp {
            receiver.open_rtcp(&mut self.scratch).ok()
        } else {
            RtpHeader::parse(bytes).ok().and_then(|header| {
                let opened =
                    receiver.open_rtp(&mut self.scratch, header.header_len, header.sequence, header.ssrc);
                opened.ok().map(|opened| opened.len)
            })
        };
        let Some(bytes) = length.and_then(|length| self.scratch.get(..length)) else { return };
        let packet = Plain { at, key, person, way, path, is_rtcp, bytes };
        for observer in &mut self.observers {
            observer.on_packet(&packet, room);
        }
    }
}

impl Observer for Wiretap<'_> {
    fn on_step(&mut self, step: &Step<'_>) {
        for observer in &mut self.observers {
            observer.on_step(step);
        }
        match step.input {
            RecordedInput::Datagram { on, bytes, .. } => {
                if let Some(path) = step.path {
                    self.paths.insert(path, *on);
                    self.open(step.at, Way::In, *on, path, bytes.0, step.room);
                }
            }
            RecordedInput::Dtls(on, event) => {
                if let DtlsEvent::KeyingMaterial { profile, material } = &**event {
                    let active = self.active.get(on).copied().unwrap_or_default();
                    // SRTP has a key for each direction. Decrypting what the server sends needs the client's side.
                    let ours = srtp::contexts(*profile, material, active);
                    let theirs = srtp::contexts(*profile, material, !active);
                    if let (Ok((incoming, _)), Ok((outgoing, _))) = (ours, theirs) {
                        self.taps.insert(*on, Tap { incoming, outgoing });
                    }
                }
            }
            _ => {}
        }
        for (path, _, bytes) in step.transmits() {
            if let Some(on) = self.paths.get(&path).copied() {
                self.open(step.at, Way::Out, on, path, bytes, step.room);
            }
        }
        self.note_outputs(step.outputs, step.room);
    }
}
