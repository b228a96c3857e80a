//! Room: the unit of determinism and of placement. A room owns its participants, their tracks and their entropy. Rooms
//! share nothing, so each can be recorded, replayed or placed alone.
//!
//! Everything that happens to a room comes through [`Room::handle`]; the packets that came in a batch are forwarded by
//! [`Room::forward_share`]. A panic in one participant's step ends that participant; the rest go on.

mod audiences;
mod audio_rates;
mod check;
mod checks;
mod commands;
mod consuming;
mod crowding;
mod data;
mod deadlines;
mod door;
mod fanout;
mod feedback;
mod keyframes;
mod layers;
mod media;
mod membership;
mod moderation;
mod naming;
mod pacing;
mod parametric;
mod producing;
mod publish;
mod quality;
mod redundancy;
mod renewal;
mod reports;
mod sections;
mod sharing;
mod shedding;
mod slots;
mod snapshot;
mod speakers;
mod steering;
mod steps;
mod subscriptions;
mod topology;
mod totals;
mod tracks;
mod transport;
mod waiting;

pub use commands::unknown_participant;
pub use deadlines::Fired;
pub use snapshot::{IncomingStreamInfo, OutgoingStreamInfo, PayloadForm, Reach};
use speakers::Floor;
pub use steering::Decision;
use steering::Steered;
use waiting::Waiting;

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use slab::Slab;

use super::bans::{Bans, LastingBan};
use super::command::{Command, Join, Moderation, Resume};
use super::event::{LeaveReason, ParticipantInfo};
use super::forward::publication::Publication;
use super::ids::{ParticipantId, ParticipantKey, PublicationKey, RequestId, RoomId, TrackId, TransportKey};
use super::input::{Admission, DtlsEvent, Shedding};
use super::media::rtcp::ReportBlock;
use super::outbox::{Outbox, RoomOutput};
use super::participant::Participant;
use super::path::Path;
use super::room_options::RoomOptions;
use super::settings::Settings;
use super::timers::{Deadline, DeadlineHeap};
use super::topology::Topology;
use super::totals::Totals;
use super::transport::Transport;
use crate::wire::classify::DatagramKind;

/// Who a deadline belongs to, and who is removed if a step panics. Deadlines that are due together run in this order:
/// one member after the other, whatever the deadlines are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Owner {
    /// A member, with all their transports.
    Member(ParticipantKey),
    /// A transport that belongs to nobody.
    Transport(TransportKey),
    /// The room itself, which ends some time after its last member.
    Room,
}

impl Owner {
    /// Returns the owner of what happens on a transport: `member` if it belongs to one, else the transport itself.
    fn of(member: Option<ParticipantKey>, transport: TransportKey) -> Self {
        member.map_or(Self::Transport(transport), Self::Member)
    }
}

/// Everything that can happen to a room.
#[derive(Debug)]
pub enum RoomInput<'a> {
    /// A datagram came for one of the transports.
    Datagram {
        /// The transport that it is for.
        on: TransportKey,
        /// What kind of datagram `bytes` are, by [`classify`](crate::wire::classify::classify).
        kind: DatagramKind,
        /// The path by which it came.
        path: Path,
        /// The bytes of the datagram, which may be decrypted in place.
        bytes: &'a mut [u8],
    },
    /// Somebody asks to join, with a transport.
    Join(Option<RequestId>, Admission, Join),
    /// A member whose signalling broke asks to resume.
    Resume(Option<RequestId>, Resume),
    /// A member asks for something.
    Command(ParticipantKey, Option<RequestId>, Command),
    /// The signalling connection of a member broke.
    ConnectionLost(ParticipantKey),
    /// Something happened in the DTLS handshake of a transport.
    Dtls(TransportKey, DtlsEvent),
    /// The operator removes a member.
    Remove(ParticipantId),
    /// The operator, or a back end, does something to the room or to those in it.
    Operate(Moderation),
    /// Somebody who waits to be let in has gone.
    StopWaiting(ParticipantId),
    /// The room ends for everybody, for this reason.
    Close(LeaveReason),
    /// A member who was never in the call makes way for somebody else of their address.
    MakeWay(ParticipantKey),
    /// The room takes over the bans of the room of its name before it.
    KeepOut(Vec<LastingBan>),
    /// The time that [`Room::deadline`] named has come. It does no harm to send it at another time.
    Timeout,
    /// Load shedding: from now on this much of the work of video is shed.
    Shed(Shedding),
    /// The server could hear nobody for this long, until now.
    StoodStill(Duration),
}

/// One conversation: its members, their transports, and what they publish.
#[derive(Debug)]
pub struct Room {
    id: RoomId,
    /// The first letters of its transports' ufrags.
    tag: String,
    settings: Rc<Settings>,
    /// What is set for this room alone.
    options: RoomOptions,
    /// Those who stay out.
    bans: Bans,
    /// Those who wait to be let in, in the order in which they came.
    waiting: Vec<Waiting>,
    created: Instant,
    participants: Slab<Participant>,
    by_id: BTreeMap<ParticipantId, ParticipantKey>,
    /// In the order of joining.
    order: Vec<ParticipantKey>,
    transports: Slab<Transport>,
    publications: Slab<Publication>,
    by_track: BTreeMap<TrackId, PublicationKey>,
    /// Publications of audio with packets to be forwarded, in the order of their first packet.
    pending_audio: VecDeque<PublicationKey>,
    /// The same for video.
    pending_video: VecDeque<PublicationKey>,
    /// Transports on which what was held back of video, and padding, is to be sent now.
    pending_paced: VecDeque<TransportKey>,
    /// Empty between inputs: members for whom something began to wait while media was forwarded.
    held_members: Vec<ParticipantKey>,
    /// Members who are to be told a new slot map at the end of the input.
    slot_maps: Vec<ParticipantKey>,
    /// Those of whose slots some have become free, for tracks that wait. It is empty between two inputs.
    slots_freed: Vec<ParticipantKey>,
    /// Publications of which it is to be looked again, at the end of the input, what viewers are shown and what is to be
    /// sent.
    layer_reviews: Vec<PublicationKey>,
    /// What members' networks let them be shown.
    steered: Steered,
    /// Who speaks.
    floor: Floor,
    /// Where media goes; `None` in a room in which it may not go straight. Boxed, because most rooms have none.
    topology: Option<Box<Topology<ParticipantKey>>>,
    timers: DeadlineHeap<Owner>,
    /// Empty between inputs; kept so that its memory is used again.
    due: Vec<Owner>,
    /// What the last [`RoomInput::Timeout`] found due.
    fired: Vec<Fired>,
    /// How much of the work of video is shed because the processor is too busy.
    shedding: Shedding,
    ended: bool,
    /// Since when nobody has been in it. `None` for a new room, which waits for the person who made it.
    empty_since: Option<Instant>,
    totals: Totals,
    /// How often the room has been checked. It says which members are checked next.
    checked: Cell<usize>,
    /// Empty between inputs; kept so that their memory is used again.
    rtcp: Vec<u8>,
    report_blocks: Vec<ReportBlock>,
}

impl Room {
    /// Makes an empty room. Its ufrags begin with `tag`.
    pub fn new(now: Instant, id: RoomId, tag: String, settings: Rc<Settings>) -> Self {
        Self {
            id,
            tag,
            settings,
            options: RoomOptions::default(),
            bans: Bans::default(),
            waiting: Vec::new(),
            created: now,
            participants: Slab::new(),
            by_id: BTreeMap::new(),
            order: Vec::new(),
            transports: Slab::new(),
            publications: Slab::new(),
            by_track: BTreeMap::new(),
            pending_audio: VecDeque::new(),
            pending_video: VecDeque::new(),
            pending_paced: VecDeque::new(),
            held_members: Vec::new(),
            slot_maps: Vec::new(),
            slots_freed: Vec::new(),
            layer_reviews: Vec::new(),
            steered: Steered::default(),
            floor: Floor::default(),
            topology: None,
            timers: DeadlineHeap::new(),
            due: Vec::new(),
            fired: Vec::new(),
            shedding: Shedding::NONE,
            ended: false,
            empty_since: None,
            totals: Totals { rooms: 1, ..Totals::default() },
            checked: Cell::new(0),
            rtcp: Vec::new(),
            report_blocks: Vec::new(),
        }
    }

    /// Returns the name by which people join it.
    pub fn id(&self) -> &RoomId {
        &self.id
    }

    /// Returns the first letters of its transports' ufrags, which no other room has for a very long time.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Returns since when nobody has been in it; `None` if somebody is, or if nobody has ever been.
    pub fn empty_since(&self) -> Option<Instant> {
        self.empty_since
    }

    /// Returns since when the room only waits for people who may never come back: those in it have lost their
    /// signalling and were never in a call, or there are none. `None` if somebody else is in it, or if nobody has ever
    /// been.
    pub fn idle_since(&self) -> Option<Instant> {
        let mut members = self.participants.iter();
        let lingering =
            members.try_fold(None, |latest, (_, member)| Some(latest.max(Some(member.idle_since()?))));
        self.empty_since.or_else(|| lingering.flatten())
    }

    /// Returns since when a member's signalling has been lost, if they have never been in a call; `None` otherwise.
    pub fn idle_since_of(&self, key: ParticipantKey) -> Option<Instant> {
        self.participants.get(key.0)?.idle_since()
    }

    /// Returns the public id of a member; `None` if they are gone.
    pub fn participant_id(&self, key: ParticipantKey) -> Option<ParticipantId> {
        self.participants.get(key.0).map(|participant| participant.id)
    }

    /// Returns the first transport of a member; `None` if they are gone.
    pub fn first_transport_of(&self, id: ParticipantId) -> Option<TransportKey> {
        self.participants.get(self.by_id.get(&id)?.0)?.transports.first().copied()
    }

    /// Whether it has ended and can be dropped.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Returns how many members are in it, without those who are hidden.
    pub fn participants(&self) -> usize {
        self.count(false)
    }

    /// Returns how much of the work of video is shed because the processor is too busy.
    pub fn shedding(&self) -> Shedding {
        self.shedding
    }

    /// Returns when it wants a [`RoomInput::Timeout`], and why.
    pub fn deadline(&mut self) -> Option<Deadline> {
        self.timers.earliest()
    }

    /// Returns how many deadlines are set: at most one for each member, each transport without a member, and the room.
    pub fn deadlines(&self) -> usize {
        self.timers.len()
    }

    /// Takes one input; walk: called by `Sfu::handle_room`.
    pub fn handle(&mut self, now: Instant, input: RoomInput<'_>, outbox: &mut Outbox) {
        // The list is about this input only.
        self.fired.clear();
        self.steered.forget_decisions();
        match input {
            RoomInput::Datagram { on, kind, path, bytes } => {
                self.step_on(now, on, outbox, |room, outbox| {
                    room.handle_datagram(now, on, kind, path, bytes, outbox);
                });
            }
            RoomInput::Command(from, request, command) => {
                self.step(now, Owner::Member(from), outbox, |room, outbox| {
                    room.handle_command(now, from, request, command, outbox);
                });
            }
            RoomInput::Dtls(on, DtlsEvent::Channel(event)) => {
                self.step_on(now, on, outbox, |room, outbox| room.handle_channel(now, on, event, outbox));
            }
            RoomInput::Dtls(on, event) => {
                self.step_on(now, on, outbox, |room, outbox| {
                    room.transports[on.0].with_session(|session| session.handle_handshake(now, event));
                    room.carry_out_effects(now, on, None, outbox);
                });
            }
            RoomInput::ConnectionLost(from) => {
                self.step(now, Owner::Member(from), outbox, |room, outbox| {
                    room.lose_connection(now, from, outbox);
                });
            }
            RoomInput::Join(request, admission, join) => self.come(now, request, admission, join, outbox),
            RoomInput::Resume(request, resume) => self.resume(now, request, &resume, outbox),
            RoomInput::Remove(id) => {
                if let Some(&key) = self.by_id.get(&id) {
                    self.expel(now, key, LeaveReason::Removed, outbox);
                }
            }
            RoomInput::Operate(moderation) => {
                let done = self.moderate(now, None, moderation, outbox);
                outbox.outputs.push(RoomOutput::Operated(done));
            }
            RoomInput::StopWaiting(id) => {
                // They may have been let in at the same moment.
                let _ = self.stop_waiting(now, id, outbox);
            }
            RoomInput::Close(reason) => self.close(now, reason, outbox),
            RoomInput::MakeWay(key) => {
                if self.idle_since_of(key).is_some() {
                    self.remove(now, key, LeaveReason::MadeWay, outbox);
                }
            }
            RoomInput::KeepOut(bans) => self.keep_out(now, bans),
            RoomInput::Timeout => self.handle_timers(now, outbox),
            RoomInput::Shed(shedding) => self.shed(now, shedding),
            RoomInput::StoodStill(time) => self.forgive_standstill(now, time),
        }
        if self.ended {
            // Those who are hidden, or wait, do not keep a room.
            self.close(now, LeaveReason::RoomClosed, outbox);
            self.give_up_waiting(now, true, outbox);
        }
        self.review(now, outbox);
        if cfg!(debug_assertions) {
            self.check();
        }
    }

    fn info(&self, participant: &Participant) -> ParticipantInfo {
        ParticipantInfo {
            participant: participant.id,
            profile: participant.profile.clone(),
            role: participant.grants.role(),
            reconnecting: !participant.is_connected() || participant.is_unheard,
            media_lost: participant.media_lost,
            tracks: participant.publications.iter().map(|key| self.publications[key.0].info()).collect(),
            mesh_tracks: participant.straight_tracks(),
        }
    }

    /// Returns the room's clock in NTP format (RFC 3550 §4): seconds since 1900 in the upper half.
    fn ntp(&self, now: Instant) -> u64 {
        const SECONDS_1900_TO_1970: u64 = 2_208_988_800;
        let unix = self.settings.epoch_unix + now.saturating_duration_since(self.settings.epoch);
        let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
        ((unix.as_secs() + SECONDS_1900_TO_1970) << 32) | fraction
    }
}

#[cfg(test)]
mod tests;
