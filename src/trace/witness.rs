//! Witness: watches a room being replayed, and turns what happens into [facts](super::facts).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::facts::{
    ChannelNews, Fact, FactSink, PacketFacts, PersonNumber, Route, StreamNumber, TrackNumber,
    TransportChange, TransportNews,
};
use super::original::Original;
use super::replay::Step;
use super::wiretap::{Plain, PlainObserver, Way};
use crate::core::channels::ChannelEvent;
use crate::core::command::{Command, MediaKind, Source, Wish};
use crate::core::event::{Event, PublicationInfo, SlotMap, Speakers, WaitingReason};
use crate::core::forward::descriptor::describe;
use crate::core::ids::{ParticipantId, ParticipantKey, Ssrc, TrackId, TransportKey};
use crate::core::input::{DtlsEvent, Shedding};
use crate::core::media::extensions::PassedExtensions;
use crate::core::media::rtcp::{self, RtcpItem};
use crate::core::negotiated::Codec;
use crate::core::ortc::TransportDirection;
use crate::core::outbox::RoomOutput;
use crate::core::output::DtlsRequest;
use crate::core::record::RecordedInput;
use crate::core::room::{PayloadForm, Room};
use crate::core::stats::RedundancyDecision;
use crate::core::timers::Timer;
use crate::core::topology::{ClientMode, Mode, Reason as Why};
use crate::wire::rtp::RtpHeader;

/// How late a deadline must be served to become a fact. Less is within the accuracy of systems' timers.
const LATE_MIN: Duration = Duration::from_millis(5);
/// How long packets must wait to be forwarded for that to become a fact.
const HELD_MIN: Duration = Duration::from_millis(1);

/// A participant in the room.
#[derive(Debug)]
struct Member {
    id: ParticipantId,
    number: PersonNumber,
    /// Whether they make no offers, but open transports by parameters.
    is_parametric: bool,
    /// Whether everybody was told that nothing comes from them.
    media_lost: bool,
    route: Option<Route>,
    slots: BTreeMap<String, TrackId>,
    waiting: BTreeMap<TrackId, WaitingReason>,
    /// What they have paused.
    paused: BTreeSet<TrackId>,
    /// What they do not need because it cannot be seen.
    unseen: BTreeSet<TrackId>,
    /// The bandwidth estimate that was told last, bits per second.
    estimate: Option<u64>,
    /// What was decided last of the copies of their audio.
    redundancy: Option<RedundancyDecision>,
}

#[derive(Debug)]
struct KnownTrack {
    number: TrackNumber,
    owner: ParticipantKey,
    muted: bool,
    /// The encodings that are forwarded.
    followed: BTreeSet<StreamNumber>,
}

/// Turns what happens in a replayed room into facts. Give it to a [`Wiretap`](super::wiretap::Wiretap), which hands it
/// decrypted packets.
pub struct Witness<'s> {
    sink: &'s mut dyn FactSink,
    at: Duration,
    people: u32,
    tracks_made: u32,
    streams: u32,
    members: BTreeMap<ParticipantKey, Member>,
    /// The participant that each transport belongs to.
    owners: BTreeMap<TransportKey, ParticipantKey>,
    /// The transports that have keys.
    connected: BTreeSet<TransportKey>,
    /// Those that are for one direction, and whether their owners receive on them.
    directed: BTreeMap<TransportKey, bool>,
    /// How many user name fragments each transport has had: each after the first is an ICE restart.
    ufrags: BTreeMap<TransportKey, u32>,
    tracks: BTreeMap<TrackId, KnownTrack>,
    incoming: BTreeMap<(ParticipantKey, Ssrc), StreamNumber>,
    outgoing: BTreeMap<(ParticipantKey, Ssrc), StreamNumber>,
    /// Tracks whose packets wait to be forwarded, and since when the first of them waits.
    pending: BTreeMap<TrackId, Duration>,
    /// The same for tracks whose packets are being forwarded.
    in_flight: BTreeMap<TrackId, Duration>,
    /// The room's next deadline, and since when it has been due.
    deadline: Option<(Duration, Duration)>,
    /// What the room's next deadline is for.
    timer: Option<Timer>,
    /// How much of the work of video the server sheds.
    shedding: Shedding,
    /// Who speaks, as everybody was told.
    speakers: Speakers,
    /// Where the call's media goes, and where a running move leads.
    topology: Option<(Mode, Option<Mode>)>,
    /// Those who were asked to move and have not.
    awaited: BTreeSet<ParticipantKey>,
}

impl fmt::Debug for Witness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("members", &self.members).finish_non_exhaustive()
    }
}

impl<'s> Witness<'s> {
    /// Returns a witness that gives its facts to this sink.
    pub fn new(sink: &'s mut dyn FactSink) -> Self {
        Self {
            sink,
            at: Duration::ZERO,
            people: 0,
            tracks_made: 0,
            streams: 0,
            members: BTreeMap::new(),
            owners: BTreeMap::new(),
            connected: BTreeSet::new(),
            directed: BTreeMap::new(),
            ufrags: BTreeMap::new(),
            tracks: BTreeMap::new(),
            incoming: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            pending: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            deadline: None,
            timer: None,
            shedding: Shedding::NONE,
            speakers: Speakers::default(),
            topology: None,
            awaited: BTreeSet::new(),
        }
    }

    fn tell(&mut self, fact: &Fact) {
        self.sink.fact(self.at, fact);
    }

    fn number(&self, key: ParticipantKey) -> Option<PersonNumber> {
        self.members.get(&key).map(|member| member.number)
    }

    /// Notes why the room was woken, and whether anything was due.
    fn note_wake_up(&mut self, step: &Step<'_>) {
        let fired = step.room.fired();
        if let (RecordedInput::Timeout, Some(timer)) = (step.input, self.timer) {
            self.tell(&Fact::Woken { timer, was_due: !fired.is_empty() });
        }
        self.timer = step.timer;
    }

    fn note_input(&mut self, step: &Step<'_>) {
        match step.input {
            RecordedInput::ConnectionLost(from) => {
                if let Some(number) = self.number(*from) {
                    self.tell(&Fact::SignallingLost(number));
                }
            }
            RecordedInput::Shed(shedding) => {
                // How far each stage goes changes twenty times a second while the machine is full.
                if self.shedding.stage() != shedding.stage() {
                    self.tell(&Fact::Shedding(*shedding));
                }
                self.shedding = *shedding;
            }
            RecordedInput::StoodStill(time) => self.tell(&Fact::StoodStill(*time)),
            // A handshake can succeed without leading to keys, if the certificate is not the promised one.
            RecordedInput::Dtls(on, _) if step.room.has_media(*on) && self.connected.insert(*on) => {
                let Some(number) = self.owners.get(on).and_then(|owner| self.number(*owner)) else { return };
                match self.directed.get(on).copied() {
                    Some(receives) => {
                        let news = TransportNews { receives, change: TransportChange::Connected };
                        self.tell(&Fact::Transport(number, news));
                    }
                    None => self.tell(&Fact::Connected(number)),
                }
            }
            RecordedInput::Dtls(on, event) => {
                let news = channel_news(event);
                let owner = self.owners.get(on).and_then(|owner| self.number(*owner));
                if let (Some(news), Some(number)) = (news, owner) {
                    self.tell(&Fact::Channels(number, news));
                }
            }
            RecordedInput::Command(from, _, command)
                if let Command::Produce { source, muted, .. } = &**command =>
            {
                let produced = step.outputs.iter().find_map(|output| match output {
                    RoomOutput::Event(to, Event::Produced(_, track)) if to == from => Some(*track),
                    _ => None,
                });
                if let Some(track) = produced {
                    self.note_publication(*from, track, (*source, *muted));
                }
            }
            RecordedInput::Command(from, _, command) => {
                // A command that was refused changed nothing.
                let is_done = |output: &RoomOutput| matches!(output, RoomOutput::Event(to, Event::Done(_)) if to == from);
                if step.outputs.iter().any(is_done) {
                    self.note_command(*from, command);
                }
            }
            _ => {}
        }
    }

    fn note_command(&mut self, from: ParticipantKey, command: &Command) {
        match command {
            Command::Mute { track, muted } => self.mute(*track, *muted),
            Command::Pause { track, paused } => {
                self.note_idle(from, *track, |member| &mut member.paused, *paused);
            }
            Command::Prefer(preferences) => {
                for preference in preferences {
                    self.note_wish(from, preference.track, preference.wish);
                }
            }
            Command::Unsubscribe(track) => {
                if let Some(member) = self.members.get_mut(&from) {
                    member.paused.remove(track);
                    member.unseen.remove(track);
                }
            }
            _ => {}
        }
    }

    fn note_wish(&mut self, from: ParticipantKey, track: TrackId, wish: Wish) {
        let number = self.tracks.get(&track).filter(|track| track.owner != from).map(|track| track.number);
        if let (Some(person), Some(number)) = (self.number(from), number) {
            if wish.width.or(wish.height).is_some() {
                let Wish { width, height, .. } = wish;
                self.tell(&Fact::Wants { person, track: number, width, height });
            }
            self.note_idle(from, track, |member| &mut member.unseen, wish.paused);
        }
    }

    /// Notes one of the two reasons for which nothing of a track is sent to somebody.
    fn note_idle(
        &mut self,
        of: ParticipantKey,
        track: TrackId,
        tracks: fn(&mut Member) -> &mut BTreeSet<TrackId>,
        is_idle: bool,
    ) {
        let Some(member) = self.members.get_mut(&of) else { return };
        let is_sent = |member: &Member| !member.paused.contains(&track) && !member.unseen.contains(&track);
        let was_sent = is_sent(member);
        if is_idle {
            tracks(member).insert(track);
        } else {
            tracks(member).remove(&track);
        }
        let (is_sent, person) = (is_sent(member), member.number);
        let number = self.tracks.get(&track).map(|track| track.number);
        if let Some(number) = number.filter(|_| is_sent != was_sent) {
            self.tell(&Fact::Paused(person, number, !is_sent));
        }
    }

    fn mute(&mut self, track: TrackId, muted: bool) {
        let Some(track) = self.tracks.get_mut(&track).filter(|track| track.muted != muted) else { return };
        track.muted = muted;
        let fact = Fact::Muted(track.number, muted);
        self.tell(&fact);
    }

    fn note_output(&mut self, output: &RoomOutput, room: &Room) {
        match output {
            RoomOutput::Event(to, event) => self.note_event(*to, event),
            RoomOutput::BindUfrag(on, _) => {
                if let Some(owner) = room.owner_of(*on) {
                    self.owners.insert(*on, owner);
                }
                let ufrags = self.ufrags.entry(*on).or_default();
                *ufrags += 1;
                let is_another = *ufrags > 1;
                let owner = self.owners.get(on).filter(|_| is_another);
                if let Some(number) = owner.and_then(|owner| self.number(*owner)) {
                    self.tell(&Fact::IceRestarted(number));
                }
                if !is_another {
                    self.note_direction(*on, room);
                }
            }
            _ => {}
        }
    }

    /// Notes a transport for one direction that was opened.
    fn note_direction(&mut self, on: TransportKey, room: &Room) {
        let Some(direction) = room.direction_of(on) else { return };
        let receives = direction == TransportDirection::Receive;
        self.directed.insert(on, receives);
        if let Some(number) = self.owners.get(&on).and_then(|owner| self.number(*owner)) {
            let news = TransportNews { receives, change: TransportChange::Opened };
            self.tell(&Fact::Transport(number, news));
        }
    }

    fn note_event(&mut self, to: ParticipantKey, event: &Event) {
        match event {
            Event::Joined(_, joined) => {
                let member = Member {
                    id: joined.participant,
                    number: self.people,
                    is_parametric: false,
                    media_lost: false,
                    route: None,
                    slots: BTreeMap::new(),
                    waiting: BTreeMap::new(),
                    paused: BTreeSet::new(),
                    unseen: BTreeSet::new(),
                    estimate: None,
                    redundancy: None,
                };
                self.people += 1;
                self.members.insert(to, member);
                self.tell(&Fact::Joined { id: joined.participant, name: joined.profile.name.clone() });
            }
            Event::Resumed(_, resumed) => {
                if let Some(number) = self.number(to) {
                    self.tell(&Fact::SignallingBack(number));
                    self.note_slots(to, &resumed.slot_map);
                }
            }
            Event::TransportOpened(..) => {
                if let Some(member) = self.members.get_mut(&to) {
                    member.is_parametric = true;
                }
            }
            Event::Answer { publications, .. } => self.note_publications(to, publications),
            Event::SlotMap(map) => self.note_slots(to, map),
            Event::ParticipantMediaLost(id) => self.note_media_lost(*id, true),
            Event::ParticipantMediaBack(id) => self.note_media_lost(*id, false),
            Event::Speakers(speakers) => self.note_speakers(speakers),
            Event::Layers { track, layer, is_paused, spatial, temporal, height, reason, .. } => {
                let track = self.tracks.get(track).map(|track| track.number);
                if let (Some(person), Some(track)) = (self.number(to), track) {
                    let (layer, is_paused, height, reason) = (layer.clone(), *is_paused, *height, *reason);
                    let (spatial, temporal) = (*spatial, *temporal);
                    let fact =
                        Fact::Layer { person, track, layer, is_paused, spatial, temporal, height, reason };
                    self.tell(&fact);
                }
            }
            Event::Encodings { track, active, .. } => {
                if let Some(track) = self.tracks.get(track).map(|track| track.number) {
                    self.tell(&Fact::Encodings(track, active.clone()));
                }
            }
            Event::CannotReceive { track, .. } => {
                let track = self.tracks.get(track).map(|track| track.number);
                if let (Some(number), Some(track)) = (self.number(to), track) {
                    self.tell(&Fact::CannotReceive(number, track));
                }
            }
            Event::SubscriptionPermission { track, allowed, .. } => {
                let track = self.tracks.get(track).map(|track| track.number);
                if let (Some(number), Some(track)) = (self.number(to), track) {
                    self.tell(&Fact::Let(number, track, *allowed));
                }
            }
            _ => {}
        }
    }

    /// Notes what was decided of what people's networks let them be shown.
    fn note_decisions(&mut self, room: &Room) {
        for decision in room.decisions() {
            let track = |id: TrackId| self.tracks.get(&id).map(|track| track.number);
            let verdict = decision.verdict.about(track);
            if let (Some(person), Some(verdict)) = (self.number(decision.participant), verdict) {
                self.tell(&Fact::Steered { person, estimate: decision.estimate, verdict });
            }
        }
    }

    /// Notes where the call's media goes, and who has moved.
    fn note_topology(&mut self, room: &Room) {
        // What begins afresh when all have left is no news.
        let Some(topology) = room.topology().filter(|topology| topology.count() > 0) else { return };
        let is_awaited = |key: &ParticipantKey| topology.client_mode(*key) == Some(ClientMode::Migrating);
        let awaited = topology.keys().filter(is_awaited).collect();
        let before = std::mem::replace(&mut self.awaited, awaited);
        let now = (topology.mode(), topology.moving_to());
        let is_new = self.topology != Some(now);
        let was_mode = self.topology.replace(now).map(|(mode, _)| mode);
        let is_over = is_new && now.1.is_none() && !before.is_empty();
        // The last one who moves ends a move.
        let has_failed = is_over && (was_mode == Some(now.0) || topology.reason() == Why::Reset);
        let left = before.iter().filter(|key| !self.awaited.contains(key));
        let (missing, moved): (Vec<_>, Vec<_>) =
            left.filter_map(|key| self.number(*key)).partition(|_| has_failed);
        for person in moved {
            self.tell(&Fact::Moved(person));
        }
        if is_new {
            let (mode, moving_to) = now;
            self.tell(&Fact::Topology { mode, moving_to, reason: topology.reason(), missing });
        }
    }

    /// Everybody is told; the first who is tells us.
    fn note_media_lost(&mut self, id: ParticipantId, is_lost: bool) {
        let about = self.members.values_mut().find(|member| member.id == id);
        let Some(member) = about.filter(|member| member.media_lost != is_lost) else { return };
        member.media_lost = is_lost;
        let number = member.number;
        self.tell(&if is_lost { Fact::MediaLost(number) } else { Fact::MediaBack(number) });
    }

    fn note_speakers(&mut self, speakers: &Speakers) {
        // Everybody is told the same.
        if !speakers.is_news_to(&self.speakers) {
            return;
        }
        self.speakers = speakers.clone();
        let number = |id: ParticipantId| {
            self.members.values().find(|member| member.id == id).map(|member| member.number)
        };
        let speaking = speakers.speakers.iter().filter_map(|speaker| number(speaker.participant)).collect();
        let fact = Fact::Speaks { dominant: speakers.dominant.and_then(number), speaking };
        self.tell(&fact);
    }

    fn note_publications(&mut self, of: ParticipantKey, publications: &[PublicationInfo]) {
        // An answer lists everything that is published, so everything else has ended.
        for PublicationInfo { info, .. } in publications {
            if self.tracks.contains_key(&info.track) {
                self.mute(info.track, info.muted);
                continue;
            }
            self.note_publication(of, info.track, (info.source, info.muted));
        }
        let is_gone = |id: &TrackId| !publications.iter().any(|publication| publication.info.track == *id);
        self.forget_tracks(of, is_gone);
    }

    fn note_publication(&mut self, of: ParticipantKey, id: TrackId, (source, muted): (Source, bool)) {
        let Some(person) = self.number(of) else { return };
        let track = KnownTrack { number: self.tracks_made, owner: of, muted, followed: BTreeSet::new() };
        self.tracks_made += 1;
        self.tracks.insert(id, track);
        self.tell(&Fact::Published { person, id, source, muted });
    }

    /// Notes what those are shown who make no offers, and what they publish no more: they are told no slot maps, and get no
    /// answers.
    fn note_parametric(&mut self, room: &Room) {
        let keys: Vec<_> =
            self.members.iter().filter(|(_, one)| one.is_parametric).map(|(key, _)| *key).collect();
        for key in keys {
            self.forget_tracks(key, |track| !room.publishes(key, *track));
            let Some(member) = self.members.get_mut(&key) else { continue };
            let slots: BTreeMap<String, TrackId> =
                room.shown_to(key).map(|(mid, track)| (mid.to_string(), track)).collect();
            let person = member.number;
            let before = std::mem::replace(&mut member.slots, slots.clone());
            self.note_shown(person, &before, slots);
        }
    }

    fn forget_tracks(&mut self, of: ParticipantKey, is_gone: impl Fn(&TrackId) -> bool) {
        let gone = self.tracks.iter().filter(|(id, track)| track.owner == of && is_gone(id));
        let gone: Vec<(TrackId, TrackNumber)> = gone.map(|(id, track)| (*id, track.number)).collect();
        for (id, number) in gone {
            self.tracks.remove(&id);
            self.pending.remove(&id);
            self.tell(&Fact::Unpublished(number));
        }
    }

    fn note_slots(&mut self, of: ParticipantKey, map: &SlotMap) {
        let Some(member) = self.members.get_mut(&of) else { return };
        let person = member.number;
        let shown = map.slots.iter().filter_map(|slot| Some((slot.mid.to_string(), slot.track?.0)));
        let slots: BTreeMap<String, TrackId> = shown.collect();
        let before = std::mem::replace(&mut member.slots, slots.clone());
        let waiting: BTreeMap<TrackId, WaitingReason> = map.waiting.iter().copied().collect();
        let waited = std::mem::replace(&mut member.waiting, waiting.clone());
        self.note_shown(person, &before, slots);
        for (id, reason) in waiting {
            let track = self.tracks.get(&id).map(|track| track.number);
            if let Some(track) = track.filter(|_| waited.get(&id) != Some(&reason)) {
                self.tell(&Fact::Waits(person, track, reason));
            }
        }
    }

    fn note_shown(
        &mut self,
        person: PersonNumber,
        before: &BTreeMap<String, TrackId>,
        slots: BTreeMap<String, TrackId>,
    ) {
        // The slot's former track is hidden first, because a slot never shows two tracks.
        for (mid, track) in before {
            if slots.get(mid) != Some(track) {
                self.tell(&Fact::Hidden { person, mid: mid.clone() });
            }
        }
        for (mid, id) in slots {
            let track = self.tracks.get(&id).map(|track| track.number);
            if let Some(track) = track.filter(|_| before.get(&mid) != Some(&id)) {
                self.tell(&Fact::Shown { person, mid, track });
            }
        }
    }

    fn note_departures(&mut self, outputs: &[RoomOutput]) {
        for output in outputs {
            if let RoomOutput::Dtls(on, DtlsRequest::Forget { .. }) = output {
                let owner = self.owners.remove(on);
                self.ufrags.remove(on);
                self.connected.remove(on);
                let leaves = |who: &ParticipantKey| {
                    outputs.iter().any(|output| matches!(output, RoomOutput::Gone(gone, _) if gone == who))
                };
                let number = owner.filter(|who| !leaves(who)).and_then(|who| self.number(who));
                if let Some((receives, number)) = self.directed.remove(on).zip(number) {
                    let news = TransportNews { receives, change: TransportChange::Ended };
                    self.tell(&Fact::Transport(number, news));
                }
            }
            let RoomOutput::Gone(who, reason) = output else { continue };
            self.incoming.retain(|(key, _), _| key != who);
            self.outgoing.retain(|(key, _), _| key != who);
            if let Some(member) = self.members.remove(who) {
                self.tell(&Fact::Gone(member.number, *reason));
            }
            self.forget_tracks(*who, |_| true);
        }
    }

    fn note_routes(&mut self, step: &Step<'_>) {
        // A datagram can only change the route of its sender. All other inputs are rare, so everybody is checked.
        let only = match step.input {
            RecordedInput::Datagram { on, .. } => self.owners.get(on).copied(),
            _ => None,
        };
        let mut changed = Vec::new();
        for (key, member) in &mut self.members {
            if only.is_some_and(|only| only != *key) {
                continue;
            }
            let Some(reach) = step.room.reach(*key) else { continue };
            if let Some(bandwidth) = reach.bandwidth
                && member.estimate.is_none_or(|told| told.abs_diff(bandwidth.estimate) * 4 >= told)
            {
                member.estimate = Some(bandwidth.estimate);
                changed.push(Fact::Estimated {
                    person: member.number,
                    estimate: bandwidth.estimate,
                    acknowledged: bandwidth.acknowledged,
                    reason: bandwidth.reason,
                });
            }
            if let Some(decision) = reach.redundancy.filter(|_| reach.redundancy != member.redundancy) {
                member.redundancy = Some(decision);
                changed.push(Fact::Redundancy(member.number, decision));
            }
            let route = reach.path.map(|path| Route { carrier: path.carrier, remote: path.remote });
            if route != member.route {
                member.route = route;
                changed.push(Fact::Routed(member.number, route));
            }
        }
        for fact in changed {
            self.tell(&fact);
        }
    }

    fn stream(&mut self, fact: &Fact) -> StreamNumber {
        let number = self.streams;
        self.streams += 1;
        self.tell(fact);
        number
    }

    fn came(&mut self, packet: &Plain<'_>, room: &Room) -> Option<()> {
        let person = self.number(packet.key)?;
        let header = RtpHeader::parse(packet.bytes).ok()?;
        let payload = header.payload(packet.bytes).ok()?;
        let info = room.incoming_stream(packet.key, Ssrc(header.ssrc), header.payload_type)?;
        let Original { ssrc, sequence, payload } = Original::of(info.form, &header, payload)?;
        let track = self.tracks.get(&info.track)?.number;
        let stream = match self.incoming.get(&(packet.key, ssrc)) {
            Some(stream) => *stream,
            None => {
                let codec = info.codec.name().to_owned();
                let stream = self.stream(&Fact::Incoming { person, track, codec });
                self.incoming.insert((packet.key, ssrc), stream);
                stream
            }
        };
        if let Some(track) = self.tracks.get_mut(&info.track) {
            if !info.is_followed {
                track.followed.remove(&stream);
            } else if track.followed.insert(stream) {
                self.tell(&Fact::Followed(stream));
            }
        }
        // Only packets of the encoding that is forwarded wait for that.
        if info.is_followed {
            self.pending.entry(info.track).or_insert(packet.at);
        }
        let is_retransmission = matches!(info.form, PayloadForm::Retransmission { .. });
        let fact = packet_facts(stream, sequence, &header, Some(info.codec), payload, is_retransmission)?;
        self.tell(&Fact::PacketIn(fact));
        Some(())
    }

    fn went(&mut self, packet: &Plain<'_>, room: &Room) -> Option<()> {
        let person = self.number(packet.key)?;
        let header = RtpHeader::parse(packet.bytes).ok()?;
        let payload = header.payload(packet.bytes).ok()?;
        let info = room.outgoing_stream(packet.key, Ssrc(header.ssrc))?;
        let (sequence, payload) = if info.is_retransmission {
            let original = Original::repeated(info.main, payload)?;
            (original.sequence, original.payload)
        } else {
            (header.sequence, payload)
        };
        // The first packet of a track that leaves ends the wait, whoever gets it.
        if let Some((track, since)) = info.track.and_then(|id| Some((id, self.in_flight.remove(&id)?))) {
            let held = packet.at.saturating_sub(since);
            let track = self.tracks.get(&track).map(|track| track.number);
            if let Some(track) = track.filter(|_| held >= HELD_MIN) {
                self.tell(&Fact::Held(track, held));
            }
        }
        let stream = match self.outgoing.get(&(packet.key, info.main)) {
            Some(stream) => *stream,
            None => {
                let is_video = info.kind == MediaKind::Video;
                let stream = self.stream(&Fact::Outgoing { person, mid: info.mid.to_string(), is_video });
                self.outgoing.insert((packet.key, info.main), stream);
                stream
            }
        };
        let fact = packet_facts(stream, sequence, &header, info.codec, payload, info.is_retransmission)?;
        self.tell(&Fact::PacketOut(fact));
        Some(())
    }

    /// Takes RTCP from a receiver, about the streams that it gets.
    fn heard(&mut self, packet: &Plain<'_>, room: &Room) {
        let key = packet.key;
        let round_trip = room.reach(key).and_then(|reach| reach.round_trip);
        rtcp::parse(packet.bytes, &mut |item| {
            let of = |ssrc: Ssrc| self.outgoing.get(&(key, ssrc)).copied();
            let fact = match item {
                RtcpItem::ReportBlock { block, .. } => of(block.ssrc).map(|stream| Fact::Reported {
                    stream,
                    lost: block.cumulative_lost,
                    highest: block.highest_sequence as u16,
                    round_trip,
                }),
                RtcpItem::Nack { media, lost } => {
                    of(media).map(|stream| Fact::WantedAgain(stream, lost.collect()))
                }
                RtcpItem::Pli { media } | RtcpItem::Fir { media, .. } => of(media).map(Fact::WantedKeyframe),
                _ => None,
            };
            if let Some(fact) = fact {
                self.tell(&fact);
            }
        });
    }

    /// Takes RTCP to a publisher, in which the server asks for packets or key frames.
    fn said(&mut self, packet: &Plain<'_>) {
        let key = packet.key;
        rtcp::parse(packet.bytes, &mut |item| {
            let of = |ssrc: Ssrc| self.incoming.get(&(key, ssrc)).copied();
            let fact = match item {
                RtcpItem::Nack { media, lost } => {
                    of(media).map(|stream| Fact::AskedAgain(stream, lost.collect()))
                }
                RtcpItem::Pli { media } | RtcpItem::Fir { media, .. } => of(media).map(Fact::AskedKeyframe),
                _ => None,
            };
            if let Some(fact) = fact {
                self.tell(&fact);
            }
        });
    }
}

/// Returns the facts of a packet; `None` if it has no payload, such as a bandwidth probe.
fn packet_facts(
    stream: StreamNumber,
    sequence: u16,
    header: &RtpHeader,
    codec: Option<Codec>,
    payload: &[u8],
    is_retransmission: bool,
) -> Option<PacketFacts> {
    if payload.is_empty() {
        return None;
    }
    let described = codec.map(|codec| describe(codec, payload, &PassedExtensions::default()));
    Some(PacketFacts {
        stream,
        sequence,
        timestamp: header.timestamp,
        length: u16::try_from(payload.len()).unwrap_or(u16::MAX),
        marker: header.marker,
        starts_keyframe: described.is_some_and(|described| described.starts_keyframe),
        is_retransmission,
    })
}

impl PlainObserver for Witness<'_> {
    fn on_step(&mut self, step: &Step<'_>) {
        self.at = step.at;
        if self.deadline.map(|(named, _)| named) != step.deadline {
            if let Some(late) = self.deadline.and_then(|(_, due)| step.at.checked_sub(due))
                && late >= LATE_MIN
            {
                self.tell(&Fact::Late(late));
            }
            // A deadline that is already past when it is named counts as due from then on, because nobody could know of
            // it before.
            self.deadline = step.deadline.map(|named| (named, named.max(step.at)));
        }
        self.note_wake_up(step);
        if matches!(step.input, RecordedInput::Share) {
            for (track, since) in std::mem::take(&mut self.pending) {
                self.in_flight.entry(track).or_insert(since);
            }
        } else {
            // A step forwards a share, and other inputs may come before the next one.
            self.in_flight.retain(|track, _| step.room.is_forwarding(*track));
        }
        // Whoever makes way is gone before the newcomer is there, who can get the same keys.
        let admitted = step.outputs.iter().position(|output| matches!(output, RoomOutput::Admitted(_)));
        let (before, outputs) = step.outputs.split_at(admitted.unwrap_or_default());
        for output in before {
            self.note_output(output, step.room);
        }
        self.note_departures(before);
        for output in outputs {
            self.note_output(output, step.room);
        }
        self.note_input(step);
        if !step.outputs.is_empty() {
            self.note_parametric(step.room);
        }
        if !matches!(step.input, RecordedInput::Share) {
            // A share decides nothing; what the input before it led to is told already.
            self.note_decisions(step.room);
            self.note_topology(step.room);
        }
        self.note_routes(step);
        self.note_departures(outputs);
    }

    fn on_packet(&mut self, packet: &Plain<'_>, room: &Room) {
        match (packet.way, packet.is_rtcp) {
            (Way::In, false) => {
                self.came(packet, room);
            }
            (Way::Out, false) => {
                self.went(packet, room);
            }
            (Way::In, true) => self.heard(packet, room),
            (Way::Out, true) => self.said(packet),
        }
    }
}

/// Returns what an event tells of data channels, but for what is said on them.
fn channel_news(event: &DtlsEvent) -> Option<ChannelNews> {
    match event {
        DtlsEvent::Channel(ChannelEvent::Opened { is_reliable, .. }) => {
            Some(ChannelNews::Opened { is_reliable: *is_reliable })
        }
        DtlsEvent::Channel(ChannelEvent::Closed { end, .. }) => Some(ChannelNews::Closed(*end)),
        DtlsEvent::Channel(ChannelEvent::Ended) => Some(ChannelNews::Ended),
        _ => None,
    }
}
