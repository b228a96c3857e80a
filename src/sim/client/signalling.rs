//! An endpoint's signalling: joining, offers and answers, subscriptions, resuming.

use super::{Asked, Endpoint, KnownTrack, Out, Post, Sender, Signal, Viewing, certificate};
use crate::core::command::{
    Command, EncodingRequest, Join, Layout, Lifeline, MediaKind, Preference, Proof, PublicationRequest,
    Resume, Source, Wish,
};
use crate::core::event::{
    ClosingReason, Event, Joined, LeaveReason, ParticipantInfo, PublicationInfo, Refusal, RefusalCode,
    Resumed, SlotCounts, SlotInfo, SlotMap, TrackInfo,
};
use crate::core::grants::Grants;
use crate::core::ids::{Mid, ParticipantId, RequestId, RoomId, TrackId};
use crate::core::profile::Profile;
use crate::sim::dice::Dice;
use crate::sim::layering::{Encoder, LayerPlan};
use crate::sim::network::{Micros, host_of, name};
use crate::sim::plan::SourcePlan;
use crate::sim::sdp::{self, Answer, Role, Section};
use crate::wire::stun_check::Credentials;

/// Stands for a person whose name is unknown.
const NOBODY: usize = 999;

fn person_of(name: &str) -> usize {
    if let Some(number) = name.strip_prefix('#') {
        return number.parse().unwrap_or(NOBODY);
    }
    name.bytes().next().map_or(NOBODY, |letter| usize::from(letter.wrapping_sub(b'A')))
}

impl Endpoint {
    fn ask(&mut self, asked: Asked, signal: Signal, post: &mut Post) {
        self.requests += 1;
        self.asked.insert(self.requests, asked);
        post.out.push(Out::Signal(self.requests, signal));
    }

    /// Asks to join the room.
    pub fn join(&mut self, room: &RoomId, post: &mut Post) {
        let join = Join {
            room: room.clone(),
            profile: Profile::named(name(self.person)),
            auto_subscribe: self.plan.auto_subscribe,
            lifeline: Lifeline::Signalling,
            layout: Layout::Slots,
            grants: Grants::OPEN,
            is_invited: false,
            is_vouched_for: true,
            can_mesh: false,
            host: Some(host_of(self.person)),
        };
        self.ask(Asked::Enter, Signal::Join(join), post);
    }

    /// Asks to resume on a new connection. Returns `false` if they had not joined yet, so there is nothing to resume.
    pub fn resume(&mut self, post: &mut Post) -> bool {
        self.asked.clear();
        let Some(joined) = &self.joined else { return false };
        let resume = Resume {
            room: joined.room.clone(),
            participant: joined.participant,
            proof: Proof::Secret(joined.secret.clone()),
        };
        self.ask(Asked::Enter, Signal::Resume(resume), post);
        true
    }

    /// Mutes or unmutes a source.
    pub fn mute(&mut self, source: Source, muted: bool, post: &mut Post) {
        let Some(track) = self.own_track(source) else { return };
        if muted == self.is_muted(source) {
            return;
        }
        self.note_muted(source, muted);
        self.ask(Asked::Other("mute"), Signal::Command(Command::Mute { track, muted }), post);
    }

    fn note_muted(&mut self, source: Source, muted: bool) {
        if muted {
            self.muted.insert(source);
        } else {
            self.muted.remove(&source);
        }
        for sender in self.senders.iter_mut().filter(|sender| sender.plan.source == source) {
            // An encoder that begins again begins with a key frame, unless it is stubborn and has never stopped.
            sender.wants_key |= sender.muted && !muted;
            sender.muted = muted && !self.stubborn;
        }
    }

    fn track_of(&self, person: usize, source: Source) -> Option<TrackId> {
        let mut tracks = self.room.tracks.iter();
        tracks
            .find(|(_, known)| known.person == person && known.info.source == source)
            .map(|(track, _)| *track)
    }

    /// Subscribes to somebody's track, or unsubscribes from it.
    pub fn subscribe(&mut self, of: usize, source: Source, wanted: bool, post: &mut Post) {
        let Some(track) = self.track_of(of, source) else { return };
        if wanted {
            self.unwanted.remove(&track);
            self.ask(Asked::Other("subscribe"), Signal::Command(Command::Subscribe(track)), post);
        } else {
            self.unwanted.insert(track);
            // A pause belongs to a subscription, and ends with it.
            self.paused.remove(&track);
            self.wishes.remove(&track);
            self.ask(Asked::Other("unsubscribe"), Signal::Command(Command::Unsubscribe(track)), post);
        }
    }

    /// Stops or resumes receiving somebody's track.
    pub fn pause(&mut self, of: usize, source: Source, paused: bool, post: &mut Post) {
        let Some(track) = self.track_of(of, source) else { return };
        if self.unwanted.contains(&track) || paused == self.paused.contains(&track) {
            return;
        }
        if paused {
            self.paused.insert(track);
        } else {
            self.paused.remove(&track);
        }
        self.ask(Asked::Other("pause"), Signal::Command(Command::Pause { track, paused }), post);
    }

    /// Says how somebody's track is to be shown.
    pub fn prefer(&mut self, of: usize, source: Source, wish: Wish, post: &mut Post) {
        let Some(track) = self.track_of(of, source) else { return };
        if self.unwanted.contains(&track) {
            return;
        }
        self.wishes.insert(track, wish);
        let command = Command::Prefer(vec![Preference { track, wish }]);
        self.ask(Asked::Other("prefer"), Signal::Command(command), post);
    }

    /// Sends everyone a message.
    pub fn tell_all(&mut self, post: &mut Post) {
        self.words += 1;
        let payload = format!("\"hello {}\"", self.words).as_str().into();
        let data = Command::Data { to: None, topic: "greeting".into(), payload, is_lossy: false };
        self.ask(Asked::Other("data"), Signal::Command(data), post);
    }

    /// Leaves the room by saying so.
    pub fn leave(&mut self, post: &mut Post) {
        self.leaves = true;
        self.ask(Asked::Other("leave"), Signal::Command(Command::Leave), post);
    }

    /// Publishes a source, or publishes it no longer.
    pub fn publish(&mut self, source: Source, yes: bool, post: &mut Post) {
        let Some(number) = self.sections_of_source(source) else { return };
        let is_published = matches!(self.sections[number].role, Role::Publish { .. });
        let may = !yes || self.granted.has(source);
        if yes == is_published || self.joined.is_none() || !may {
            return;
        }
        let life = u64::from(self.life) << 32 | self.version;
        if yes {
            // Publishing again begins other streams, with their own SSRCs.
            let dice = Dice::of(self.seed, "again", life << 8 | self.person as u64);
            let Some(place) = self.senders.iter().position(|sender| sender.plan.source == source) else {
                return;
            };
            let plan = self.senders[place].plan.clone();
            self.senders.retain(|sender| sender.plan.source != source);
            self.sections[number].role = self.add_senders_of(&plan, number, place, dice);
        } else {
            self.withdraw(source);
        }
        self.offer(post);
    }

    /// Sends a source no longer, and offers it no more.
    fn withdraw(&mut self, source: Source) {
        let Some(number) = self.sections_of_source(source) else { return };
        let own = self.senders.iter_mut().filter(|sender| sender.plan.source == source);
        own.for_each(|sender| sender.published = false);
        self.sections[number].role = Role::Inactive;
        self.own_tracks.remove(&source);
    }

    /// Takes what they may do from now on, and publishes what they may again.
    fn on_granted(&mut self, grants: Grants, post: &mut Post) {
        let before = std::mem::replace(&mut self.granted, grants.publish);
        for source in grants.publish.iter().filter(|source| !before.has(*source)) {
            self.publish(source, true, post);
        }
    }

    fn sections_of_source(&self, source: Source) -> Option<usize> {
        self.senders.iter().find(|sender| sender.plan.source == source).map(|sender| sender.mid)
    }

    /// Restarts ICE by an offer with new credentials.
    pub fn restart_ice(&mut self, post: &mut Post) {
        if self.version > 0 {
            self.credentials = (self.dice.text(8), self.dice.text(24));
            self.engine_restarts();
            self.offer(post);
        }
    }

    /// Offers what has to be negotiated, as soon as no other offer is under way.
    pub fn offer(&mut self, post: &mut Post) {
        if self.joined.is_none() {
            return;
        }
        if self.asked.values().any(|asked| *asked == Asked::Offer) {
            self.offer_again = true;
            return;
        }
        self.add_slots();
        // An engine's offer whose answer was lost is sent again unchanged. Later changes are offered after it.
        let again = self.engine.as_ref().is_some_and(|engine| engine.is_waiting());
        self.offer_again = again;
        let Some(sdp) = self.write_offer() else { return };
        if !again {
            self.offered = self.publications();
        }
        let command = Command::Offer { sdp, publications: self.offered.clone() };
        self.ask(Asked::Offer, Signal::Command(command), post);
    }

    /// Returns what they want to publish, as an offer says it.
    fn publications(&self) -> Vec<PublicationRequest> {
        let publishing = self.senders.iter().filter(|sender| sender.is_first()).filter_map(|sender| {
            let section = self.sections.get(sender.mid)?;
            matches!(section.role, Role::Publish { .. }).then_some((sender, self.mid_of(sender.mid)?))
        });
        let request = |(sender, mid): (&Sender, Mid)| PublicationRequest {
            mid,
            source: sender.plan.source,
            muted: self.is_muted(sender.plan.source),
            encodings: sender.plan.layers.iter().map(declared).collect(),
            track: None,
        };
        publishing.map(request).collect()
    }

    /// Returns the MID of a section; `None` if an engine has not named it yet.
    fn mid_of(&self, section: usize) -> Option<Mid> {
        match &self.engine {
            Some(engine) => engine.mid(section).map(|mid| Mid::from(&*mid)),
            None => Some(Mid::from(section.to_string().as_str())),
        }
    }

    /// Returns the next offer as SDP; `None` if there is nothing to negotiate.
    fn write_offer(&mut self) -> Option<String> {
        self.version += 1;
        if self.engine.is_some() {
            return self.engine_offer();
        }
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &certificate(self.person, self.life));
        let pairs: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let credentials = (self.credentials.0.as_str(), self.credentials.1.as_str());
        Some(sdp::offer(self.version, self.numbering, credentials, &pairs.join(":"), &self.sections))
    }

    fn slots_of(&self, kind: MediaKind) -> usize {
        self.sections.iter().filter(|section| section.kind == kind && section.role == Role::Slot).count()
    }

    fn add_slots(&mut self) {
        for number in 0..self.slots_wanted.audio.max(self.slots_wanted.video) {
            for (kind, wanted) in
                [(MediaKind::Audio, self.slots_wanted.audio), (MediaKind::Video, self.slots_wanted.video)]
            {
                if number < wanted && self.slots_of(kind) <= number {
                    let codecs = self.slot_codecs(kind, number);
                    self.sections.push(Section { kind, role: Role::Slot, codecs });
                }
            }
        }
    }

    fn add_senders(&mut self) {
        for source in self.plan.sources.clone() {
            let number = self.sections.len();
            let name = u64::from(self.life) << 32 | (self.person as u64) << 8 | number as u64;
            let dice = Dice::of(self.seed, "sender", name);
            let mut codecs = vec![source.codec];
            if source.source.kind() == MediaKind::Video {
                codecs.extend(sdp_codecs().into_iter().filter(|codec| *codec != source.codec));
            }
            self.sections.push(Section { kind: source.source.kind(), role: Role::Inactive, codecs });
            let role = self.add_senders_of(&source, number, self.senders.len(), dice);
            if source.at_once {
                self.sections[number].role = role;
            }
        }
    }

    /// Adds the streams of a source from a place on: one for each encoding. Returns what its section is for when they are
    /// sent.
    fn add_senders_of(&mut self, plan: &SourcePlan, number: usize, place: usize, dice: Dice) -> Role {
        let first_codec = self.sections[number].codecs[0];
        let begin = |dice: Dice| {
            let mut sender = Sender::new(plan.clone(), number, first_codec, dice);
            sender.muted = self.muted.contains(&plan.source) && !self.stubborn;
            sender
        };
        if plan.layers.is_empty() {
            let sender = begin(dice);
            let declared = self.plan.declares.then_some(sender.ssrcs);
            self.senders.insert(place, sender);
            return Role::Publish { declared, rids: Vec::new() };
        }
        let mut dice = dice;
        let encodings = plan.layers.iter().enumerate().map(|(rank, layer)| {
            let own = Dice::of(dice.u64(), "encoding", rank as u64);
            begin(own).with_encoder(Encoder::new(*layer, rank))
        });
        let senders: Vec<Sender> = encodings.collect();
        self.senders.splice(place..place, senders);
        Role::Publish { declared: None, rids: plan.layers.iter().map(|layer| layer.rid).collect() }
    }

    /// Sends these encodings of a simulcast from now on, and no others. As in browsers, one that begins again costs key frames
    /// in all of them.
    fn on_encodings(&mut self, mid: Mid, active: &[String]) {
        let of_section = |sender: &&mut Sender| mid == Mid::from(sender.mid.to_string().as_str());
        let mut begins = false;
        for sender in self.senders.iter_mut().filter(of_section) {
            if let Some(encoder) = &mut sender.encoder {
                let is_on = active.iter().any(|rid| rid == encoder.plan.rid);
                begins |= is_on && !encoder.is_on;
                encoder.is_on = is_on;
            }
        }
        if begins {
            self.senders.iter_mut().filter(of_section).for_each(|sender| sender.wants_key = true);
        }
    }

    /// Takes an event from the server.
    pub fn on_event(&mut self, now: Micros, event: Event, post: &mut Post) {
        match event {
            Event::Joined(request, joined) => {
                self.replied(request.as_ref(), post);
                self.on_joined(&joined);
                self.add_slots();
                self.add_senders();
                self.joined = Some(*joined);
                self.offer(post);
                self.want_all(post);
            }
            Event::Resumed(request, resumed) => {
                self.replied(request.as_ref(), post);
                self.on_resumed(now, *resumed, post);
            }
            Event::Answer { request, sdp, publications, .. } => {
                self.replied(request.as_ref(), post);
                self.answered(now, &sdp, &publications, post);
            }
            Event::Done(request) => self.replied(request.as_ref(), post),
            Event::Refused(request, refusal) => self.on_refused(request.as_ref(), &refusal, post),
            Event::SlotMap(map) => self.on_slot_map(now, map, post),
            Event::MoreSlots(wanted) => {
                self.slots_wanted = SlotCounts {
                    audio: wanted.audio.max(self.slots_wanted.audio),
                    video: wanted.video.max(self.slots_wanted.video),
                };
                self.offer(post);
            }
            Event::CannotReceive { track, .. } => {
                self.room.cannot.insert(track);
            }
            Event::Layers { track, is_paused, .. } => {
                if is_paused {
                    self.room.starved.insert(track);
                    self.interrupt(track);
                } else if self.room.starved.remove(&track) {
                    // It begins anew, with a key frame.
                    self.room.shown_since.insert(track, now);
                }
            }
            Event::Encodings { mid, active, .. } => self.on_encodings(mid, &active),
            Event::PermissionsChanged { .. } | Event::CannotPublish { .. } => {
                self.on_permissions(event, post);
            }
            Event::Data { .. } | Event::Waiting(_) | Event::RoomUpdated(_) => {}
            Event::Closing(reason) => {
                if reason == ClosingReason::Gone(LeaveReason::Error) {
                    post.complain(format!("{} was removed because of a panic", name(self.person)));
                }
                self.closed = true;
            }
            Event::Left(_) => self.closed = true,
            of_others => self.on_event_of_others(of_others, post),
        }
    }

    /// Takes an event about what they may publish.
    fn on_permissions(&mut self, event: Event, post: &mut Post) {
        match event {
            Event::PermissionsChanged { grants, ended } => {
                for (_, source) in &ended {
                    self.withdraw(*source);
                }
                self.on_granted(grants, post);
                if !ended.is_empty() {
                    self.offer(post);
                }
            }
            Event::CannotPublish { mid, .. } => {
                let refused = |sender: &&Sender| self.mid_of(sender.mid) == Some(mid);
                if let Some(source) = self.senders.iter().find(refused).map(|sender| sender.plan.source) {
                    self.withdraw(source);
                }
            }
            _ => {}
        }
    }

    /// Takes an event about the others in the room and their tracks.
    fn on_event_of_others(&mut self, event: Event, post: &mut Post) {
        match event {
            Event::ParticipantJoined(info) => self.meet(&info, post),
            Event::ParticipantReconnecting(who) => self.set_reconnecting(who, true, post),
            Event::ParticipantResumed(who) => self.set_reconnecting(who, false, post),
            Event::ParticipantMediaLost(_) | Event::ParticipantMediaBack(_) => {}
            Event::ParticipantLeft(who, _) => {
                if self.room.people.remove(&who).is_none() {
                    post.complain(format!(
                        "{} was told that somebody left who was not there",
                        name(self.person)
                    ));
                }
            }
            Event::TrackAdded(info) => {
                let track = info.track;
                self.meet_track(info);
                self.want(track, post);
            }
            Event::TrackRemoved(track, _) => self.forget_track(track),
            Event::TrackMuted { track, muted, .. } => match self.room.tracks.get_mut(&track) {
                Some(known) => {
                    known.info.muted = muted;
                    self.interrupt(track);
                }
                None => {
                    post.complain(format!("{} was told that an unknown track is muted", name(self.person)));
                }
            },
            // People of a world are shown what their slot maps say; who speaks, and how good a call is, is news for pages.
            Event::Speakers(_) | Event::Bitrate { .. } | Event::Quality(..) => {}
            other => post.complain(format!("{} was told what nobody expects: {other:?}", name(self.person))),
        }
    }

    /// Notes that a track does not come for a while, so that its picture does not count as frozen.
    fn interrupt(&mut self, track: TrackId) {
        let Some(slot) = self.slot_of(track) else { return };
        slot.smoothness.interrupt();
    }

    /// Returns the slot that shows a track.
    fn slot_of(&mut self, track: TrackId) -> Option<&mut Viewing> {
        let map = self.room.slot_map.as_ref()?;
        let shows = |slot: &&SlotInfo| slot.track.is_some_and(|(shown, _)| shown == track);
        let mid = map.slots.iter().find(shows)?.mid.to_string();
        self.slots.values_mut().find(|slot| slot.mid == mid)
    }

    /// Takes the answer to an offer, and offers again if something has changed since that offer.
    fn answered(&mut self, now: Micros, sdp: &str, publications: &[PublicationInfo], post: &mut Post) {
        let tracks = publications.iter().map(|publication| &publication.info);
        self.own_tracks = tracks.map(|info| (info.source, info.track)).collect();
        if self.engine.is_some() {
            self.engine_answered(now, sdp, post);
        } else {
            self.on_answer(now, sdp);
        }
        if self.offer_again {
            self.offer(post);
        }
    }

    fn replied(&mut self, request: Option<&RequestId>, post: &mut Post) {
        let number = request.and_then(|request| request.0.parse().ok());
        if number.and_then(|number: u64| self.asked.remove(&number)).is_none() {
            post.complain(format!("{} got a reply to nothing: {request:?}", name(self.person)));
        }
    }

    fn on_refused(&mut self, request: Option<&RequestId>, refusal: &Refusal, post: &mut Post) {
        // They say something on a data channel though they know that they may not.
        if request.is_none() && refusal.code == RefusalCode::NotPermitted {
            return;
        }
        let is_silenced = self.is_silenced(request, refusal);
        self.replied(request, post);
        let kept_out = [
            RefusalCode::UnknownParticipant,
            RefusalCode::Banned,
            RefusalCode::NobodyAnswered,
            RefusalCode::RoomLocked,
        ];
        let is_expected = refusal.code == RefusalCode::UnknownTrack || is_silenced;
        if !is_expected && !kept_out.contains(&refusal.code) {
            post.complain(format!("{} was refused something: {refusal:?}", name(self.person)));
        }
        self.closed |= kept_out.contains(&refusal.code);
    }

    /// Whether what was refused is a message that they may not send.
    fn is_silenced(&self, request: Option<&RequestId>, refusal: &Refusal) -> bool {
        let number = request.and_then(|request| request.0.parse().ok());
        let asked = number.and_then(|number: u64| self.asked.get(&number));
        refusal.code == RefusalCode::NotPermitted && asked == Some(&Asked::Other("data"))
    }

    fn on_joined(&mut self, joined: &Joined) {
        self.room.people.clear();
        self.room.tracks.clear();
        self.slots_wanted = SlotCounts {
            audio: joined.slots.audio.max(self.slots_wanted.audio),
            video: joined.slots.video.max(self.slots_wanted.video),
        };
        for info in &joined.participants {
            self.room.people.insert(info.participant, (person_of(&info.profile.name), info.reconnecting));
            for track in &info.tracks {
                self.meet_track(track.clone());
            }
        }
    }

    fn meet(&mut self, info: &ParticipantInfo, post: &mut Post) {
        let known = (person_of(&info.profile.name), info.reconnecting);
        if self.room.people.insert(info.participant, known).is_some() {
            post.complain(format!("{} was told twice that {} joined", name(self.person), info.profile.name));
        }
    }

    fn meet_track(&mut self, info: TrackInfo) {
        let person = self.room.people.get(&info.participant).map_or(NOBODY, |known| known.0);
        self.room.tracks.insert(info.track, KnownTrack { info, person });
    }

    fn forget_track(&mut self, track: TrackId) {
        self.room.tracks.remove(&track);
        self.room.cannot.remove(&track);
        self.unwanted.remove(&track);
        self.paused.remove(&track);
        self.wishes.remove(&track);
    }

    fn set_reconnecting(&mut self, who: ParticipantId, reconnecting: bool, post: &mut Post) {
        match self.room.people.get_mut(&who) {
            Some(known) => known.1 = reconnecting,
            None => post.complain(format!("{} was told of a stranger's connection", name(self.person))),
        }
    }

    /// Subscribes to a track, unless they receive every track anyway.
    fn want(&mut self, track: TrackId, post: &mut Post) {
        if !self.plan.auto_subscribe && !self.unwanted.contains(&track) {
            self.ask(Asked::Other("subscribe"), Signal::Command(Command::Subscribe(track)), post);
        }
    }

    fn want_all(&mut self, post: &mut Post) {
        for track in self.room.tracks.keys().copied().collect::<Vec<_>>() {
            self.want(track, post);
        }
    }

    fn on_slot_map(&mut self, now: Micros, map: SlotMap, post: &mut Post) {
        if self.room.slot_map.as_ref().is_some_and(|old| old.revision >= map.revision) {
            post.complain(format!("{} was told an older slot map behind a newer one", name(self.person)));
        }
        for slot in &map.slots {
            if let Some((track, _)) = slot.track
                && !self.room.tracks.contains_key(&track)
            {
                post.complain(format!("{} was shown a track that is not known", name(self.person)));
            }
        }
        let before = self.room.slot_map.as_ref();
        let was_there = |slot: &SlotInfo| before.is_some_and(|before| before.slots.contains(slot));
        let shown = map.slots.iter().filter_map(|slot| {
            let track = slot.track?.0;
            let known = self.room.shown_since.get(&track).copied().filter(|_| was_there(slot));
            Some((track, known.unwrap_or(now)))
        });
        self.room.shown_since = shown.collect();
        let view = &mut self.room;
        view.starved.retain(|track| view.shown_since.contains_key(track));
        self.room.slot_map = Some(map);
    }

    fn on_answer(&mut self, now: Micros, sdp: &str) {
        let answer = Answer::read(sdp);
        let username = format!("{}:{}", answer.ufrag, self.credentials.0);
        let fresh = self.remote.as_ref().is_none_or(|remote| remote.username != username);
        self.remote = Some(Credentials { username, password: answer.password, tie_breaker: 77 });
        if fresh {
            self.unanswered = 0;
            self.check_at = Some(now);
        }
        for (mid, (ssrc, rtx)) in answer.streams {
            let section = mid.parse().ok().and_then(|number: usize| self.sections.get(number));
            let Some(section) = section.filter(|section| section.role == Role::Slot) else { continue };
            let kind = section.kind;
            self.slots.entry(ssrc).or_insert_with(|| Viewing::new(mid, kind));
            if let Some(rtx) = rtx {
                self.rtx.insert(rtx, ssrc);
            }
        }
        for sender in &mut self.senders {
            let role = self.sections.get(sender.mid).map(|section| &section.role);
            sender.published = matches!(role, Some(Role::Publish { .. }));
        }
    }

    /// Repeats what the server does not know after a resume.
    fn on_resumed(&mut self, now: Micros, resumed: Resumed, post: &mut Post) {
        self.on_joined(&resumed.joined);
        self.joined = Some(resumed.joined);
        self.on_slot_map(now, resumed.slot_map, post);
        self.room.cannot.clear();
        self.on_granted(self.joined.as_ref().map_or(Grants::OPEN, |joined| joined.grants), post);
        let known: Vec<TrackId> = self.room.tracks.keys().copied().collect();
        self.unwanted.retain(|track| known.contains(track));
        self.paused.retain(|track| known.contains(track));
        self.wishes.retain(|track, _| known.contains(track));
        let wish = |track: &TrackId| self.wishes.get(track).copied().unwrap_or_default();
        let wanted = known.iter().filter(|track| !self.unwanted.contains(track));
        let preferences = wanted.map(|track| Preference { track: *track, wish: wish(track) }).collect();
        for publication in &resumed.publications {
            let source = publication.info.source;
            let muted = self.is_muted(source);
            self.own_tracks.insert(source, publication.info.track);
            if publication.info.muted != muted {
                let command = Command::Mute { track: publication.info.track, muted };
                self.ask(Asked::Other("mute"), Signal::Command(command), post);
            }
        }
        for track in known {
            let there = resumed.subscriptions.iter().find(|(of, _)| *of == track);
            let command = match (self.unwanted.contains(&track), there) {
                (true, Some(_)) => Command::Unsubscribe(track),
                (false, None) => Command::Subscribe(track),
                (false, Some((_, paused))) if *paused != self.paused.contains(&track) => {
                    Command::Pause { track, paused: !paused }
                }
                _ => continue,
            };
            let subscribes = matches!(command, Command::Subscribe(_));
            self.ask(Asked::Other("subscription"), Signal::Command(command), post);
            if subscribes && self.paused.contains(&track) {
                let pause = Command::Pause { track, paused: true };
                self.ask(Asked::Other("pause"), Signal::Command(pause), post);
            }
        }
        // The server does not tell them, so all are said again.
        self.ask(Asked::Other("prefer"), Signal::Command(Command::Prefer(preferences)), post);
        // An offer may have been lost when the connection broke.
        self.offer(post);
    }
}

/// Returns what an offer says of an encoding.
fn declared(layer: &LayerPlan) -> EncodingRequest {
    EncodingRequest {
        rid: layer.rid.to_owned(),
        width: Some(layer.width),
        height: Some(layer.height),
        max_bitrate: Some(layer.bitrate),
    }
}

fn sdp_codecs() -> Vec<crate::sim::codec::CodecName> {
    crate::sim::codec::VIDEO_CODECS.to_vec()
}
