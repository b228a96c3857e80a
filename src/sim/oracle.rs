//! Oracle: checks what must hold in every world. It follows the server's inputs and outputs, decrypts every packet that
//! leaves the server, and complains about packets that should not be there and about those that are missing.
//!
//! It knows more than the server: every packet has a stamp, and nothing is lost between the server and the oracle. The
//! clients deal with what the network does after that.

mod due;
mod egress;
mod feedback;
mod layered;
mod moderated;
mod numbers;
mod reach;
mod speech;
mod whole;
mod words;

pub use words::ON_CHANNEL;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use super::client::StreamInfo;
use super::codec::{CodecName, Counters, Stamp};
use super::network::{Micros, SECOND, name, seconds};
use super::plan::{Endpoints, PersonPlan};
use super::sdp::{Answer, Numbering};
use crate::core::command::{Command, MediaKind, Preference, Source};
use crate::core::event::{Event, SlotMap};
use crate::core::ids::{ParticipantId, TrackId};
use crate::core::media::srtp::SrtpReceiver;

/// The most complaints about one world.
const COMPLAINTS_MAX: usize = 20;

/// For how long packets may be sent without a connectivity check: the world's `media_timeout`, µs.
pub const CONSENT: Micros = 4 * SECOND;
/// How close to the end of consent it is uncertain what is due, µs.
const CONSENT_MARGIN: Micros = SECOND / 2;

/// A stretch of a slot in which one stream is forwarded with constant offsets.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    stream: u32,
    codec: CodecName,
    /// The outgoing number minus the incoming one.
    base: i64,
    timestamp_offset: u32,
    counters_in: Counters,
    counters_out: Counters,
    first_index: u32,
    /// The number of the epoch in its slot.
    number: u32,
}

/// A packet that left.
#[derive(Debug, Clone, Copy)]
struct Left {
    at: Micros,
    stamp: Stamp,
    timestamp: u32,
    epoch: u32,
    /// When it was last sent again.
    again_at: Option<Micros>,
}

/// One slot, as it leaves the server.
#[derive(Debug)]
struct Slot {
    mid: String,
    kind: MediaKind,
    highest_out: Option<u64>,
    highest_in: u32,
    latest_timestamp: u32,
    /// Bytes that were sent again, about.
    repeated: usize,
    latest_at: Micros,
    latest: Counters,
    latest_ids: u16,
    epoch: Option<Epoch>,
    /// The past epochs and the present one.
    past: VecDeque<Epoch>,
    epochs: u32,
    synced: bool,
    /// Whether it may be synchronised nevertheless.
    doubtful: bool,
    unsynced_since: Micros,
    sent: BTreeMap<u16, Left>,
    forwarded: BTreeSet<(u32, u32)>,
    /// Packets that may be held back because the network is narrow, by stream and number: since when, and the epoch that they
    /// belong to.
    held: BTreeMap<(u32, u32), (Micros, u32)>,
}

/// One life of a person, as the server should know it.
struct Member {
    person: usize,
    life: u32,
    plan: PersonPlan,
    numbering: Numbering,
    gone: bool,
    tap: Option<SrtpReceiver>,
    keyed_at: Micros,
    map: BTreeMap<String, (TrackId, u32)>,
    slots: BTreeMap<u32, Slot>,
    rtx: BTreeMap<u32, u32>,
    /// What is not sent to them, for one of the three reasons that follow.
    paused: BTreeSet<TrackId>,
    /// What they have paused.
    asked_to_pause: BTreeSet<TrackId>,
    /// What they do not need because it cannot be seen.
    unseen: BTreeSet<TrackId>,
    /// What their network does not carry, as they were told.
    starved: BTreeSet<TrackId>,
    unsubscribed: BTreeSet<TrackId>,
    subscribed: BTreeSet<TrackId>,
    reach: reach::Reach,
    /// Since when connectivity has not lapsed.
    checked_since: Micros,
    reported_at: Micros,
    incoming_since: Option<Micros>,
    /// Whether something other than media happened to them in this pass.
    touched: bool,
    /// The id by which the others know them, and whether their signalling is there.
    id: Option<ParticipantId>,
    is_online: bool,
    /// They were told that they have left.
    left: bool,
    arrivals: feedback::Arrivals,
    numbers: numbers::Numbers,
    showing: whole::Showing,
    hearing: speech::Hearing,
}

/// What the oracle knows about a published track.
#[derive(Debug)]
struct Track {
    owner: u64,
    publisher: ParticipantId,
    source: Source,
    muted: bool,
    alive: bool,
    stream: Option<u32>,
    codec: Option<CodecName>,
    /// The first packet in that codec.
    codec_from: u32,
    /// When its stream, codec or mute last changed.
    changed_at: Micros,
    fed_at: Micros,
    /// Since when packets have come without a pause.
    run_since: Micros,
    asked_at: Micros,
    key_at: Micros,
    touched: bool,
    /// Whether it comes in several encodings. Which of them somebody gets is for the server to decide, so less is certain.
    is_layered: bool,
}

/// A stream that comes in.
#[derive(Debug, Default)]
struct Stream {
    highest: Option<u32>,
    /// The packets that came, and when.
    arrived: BTreeMap<u32, Micros>,
    /// The missing packets, and since when they are known to be missing.
    holes: BTreeMap<u32, Micros>,
}

/// A packet that came in this pass and may have to be forwarded.
#[derive(Debug, Clone, Copy)]
struct Due {
    track: TrackId,
    stamp: Stamp,
}

/// Everything that is checked, and what is known for it.
pub struct Oracle {
    /// What was wrong, one line each.
    pub complaints: Vec<String>,
    members: BTreeMap<u64, Member>,
    tracks: BTreeMap<TrackId, Track>,
    streams: BTreeMap<u32, Stream>,
    ufrags: BTreeMap<String, u64>,
    owners: BTreeMap<SocketAddr, u64>,
    checks: Vec<([u8; 12], u64, SocketAddr)>,
    /// Transactions of all checks that ever came.
    transactions: BTreeSet<[u8; 12]>,
    dues: Vec<Due>,
    due_repeats: BTreeSet<(u64, u32, u16)>,
    /// Packets forwarded in this pass.
    observed: BTreeSet<(u64, u32, u32, u32)>,
    gone_now: BTreeSet<u64>,
    /// When each encoding of a simulcast was last asked for a key frame, by SSRC.
    asked_encodings: BTreeMap<u32, Micros>,
    /// What moderators have done.
    moderated: moderated::Moderated,
    /// What people say to each other.
    words: words::Words,
    /// What is said in the room.
    floor: speech::Floor,
    /// The difference between each publisher's capture times and the server's wall clock, µs, from their first report.
    clocks: BTreeMap<u64, i64>,
    /// How late something may be.
    slack: Micros,
    /// The kind of endpoints. Packets of whole endpoints cannot be decrypted.
    endpoints: Endpoints,
    /// Packets forwarded in all.
    pub forwarded: u64,
    /// Packets repeated in all.
    pub repeated: u64,
    /// Key frames asked for.
    pub keyframes_asked: u64,
}

impl std::fmt::Debug for Oracle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oracle").field("complaints", &self.complaints).finish_non_exhaustive()
    }
}

impl Oracle {
    /// Makes the oracle of a world whose server is at most that late.
    pub fn new(slack: Micros, endpoints: Endpoints) -> Self {
        Self {
            complaints: Vec::new(),
            members: BTreeMap::new(),
            tracks: BTreeMap::new(),
            streams: BTreeMap::new(),
            ufrags: BTreeMap::new(),
            owners: BTreeMap::new(),
            checks: Vec::new(),
            transactions: BTreeSet::new(),
            dues: Vec::new(),
            due_repeats: BTreeSet::new(),
            observed: BTreeSet::new(),
            gone_now: BTreeSet::new(),
            asked_encodings: BTreeMap::new(),
            moderated: moderated::Moderated::default(),
            words: words::Words::default(),
            floor: speech::Floor::default(),
            clocks: BTreeMap::new(),
            slack,
            endpoints,
            forwarded: 0,
            repeated: 0,
            keyframes_asked: 0,
        }
    }

    /// Notes something that must not be.
    pub fn complain(&mut self, now: Micros, what: impl AsRef<str>) {
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(format!("{}: {}", seconds(now), what.as_ref()));
        }
    }

    fn who(&self, session: u64) -> String {
        self.members.get(&session).map_or("nobody".into(), |member| name(member.person))
    }

    /// Notes that somebody was admitted.
    pub fn admitted(
        &mut self,
        now: Micros,
        session: u64,
        (person, life): (usize, u32),
        plan: &PersonPlan,
        numbering: Numbering,
    ) {
        let mut hearing = speech::Hearing::default();
        hearing.begins();
        let member = Member {
            person,
            life,
            plan: plan.clone(),
            numbering,
            gone: false,
            tap: None,
            keyed_at: 0,
            map: BTreeMap::new(),
            slots: BTreeMap::new(),
            rtx: BTreeMap::new(),
            paused: BTreeSet::new(),
            asked_to_pause: BTreeSet::new(),
            unseen: BTreeSet::new(),
            starved: BTreeSet::new(),
            unsubscribed: BTreeSet::new(),
            subscribed: BTreeSet::new(),
            reach: reach::Reach::default(),
            checked_since: now,
            reported_at: now,
            incoming_since: None,
            touched: true,
            id: None,
            is_online: true,
            left: false,
            arrivals: feedback::Arrivals::new(),
            numbers: numbers::Numbers::default(),
            showing: whole::Showing::default(),
            hearing,
        };
        self.members.insert(session, member);
    }

    /// Notes that a handshake was done at the server. `tap` opens what the server sends.
    pub fn keyed(&mut self, now: Micros, session: u64, tap: SrtpReceiver) {
        if let Some(member) = self.members.get_mut(&session) {
            (member.tap, member.keyed_at, member.touched) = (Some(tap), now, true);
            member.numbers = numbers::Numbers::default();
            // With new keys every stream begins anew for its receiver.
            for slot in member.slots.values_mut() {
                slot.lose_sync(now);
            }
        }
    }

    /// Notes that the server has forgotten somebody, and their tracks with them.
    pub fn gone(&mut self, session: u64) {
        if let Some(member) = self.members.get_mut(&session) {
            member.gone = true;
            self.gone_now.insert(session);
        }
        for track in self.tracks.values_mut().filter(|track| track.owner == session) {
            track.alive = false;
        }
    }

    /// Returns whether the server has forgotten somebody.
    pub fn is_gone(&self, session: u64) -> bool {
        self.members.get(&session).is_none_or(|member| member.gone)
    }

    /// Notes a command that reached the server, and what it changes of what is due.
    pub fn fed_command(&mut self, now: Micros, session: u64, command: &Command) {
        if let Command::Data { topic, payload, .. } = command {
            self.fed_words(now, session, topic, words::number_of(payload));
        }
        let Some(member) = self.members.get_mut(&session) else { return };
        member.touched = true;
        match command {
            Command::Mute { track, muted } => self.fed_mute(now, *track, *muted),
            Command::Pause { track, paused } if member.wants(*track) => {
                let asked = &mut member.asked_to_pause;
                let _ = if *paused { asked.insert(*track) } else { asked.remove(track) };
                member.review_pause(now, *track);
            }
            Command::Prefer(preferences) => {
                for Preference { track, wish } in preferences {
                    // How large it is wanted makes no difference where there is one encoding.
                    if member.wants(*track) {
                        let unseen = &mut member.unseen;
                        if wish.paused {
                            unseen.insert(*track)
                        } else {
                            unseen.remove(track)
                        };
                        member.review_pause(now, *track);
                    }
                }
            }
            Command::Subscribe(track) => {
                // A new subscription begins unpaused; asking again for one that there is changes nothing.
                if !member.wants(*track) {
                    member.forget_pause(now, *track);
                }
                member.unsubscribed.remove(track);
                member.subscribed.insert(*track);
            }
            Command::Unsubscribe(track) => {
                member.subscribed.remove(track);
                member.unsubscribed.insert(*track);
                member.forget_pause(now, *track);
                member.map.retain(|_, shown| shown.0 != *track);
            }
            // Nobody here may moderate, and the rest is not asked for, or changes nothing of what is looked at.
            _ => {}
        }
    }

    fn fed_mute(&mut self, now: Micros, track: TrackId, muted: bool) {
        let Some(model) = self.tracks.get_mut(&track).filter(|model| model.muted != muted) else { return };
        (model.muted, model.touched, model.changed_at) = (muted, true, now);
        self.floor.ends(now, track);
        self.lose_sync_of(now, track);
    }

    /// Notes that something other than media happened to somebody, so that nothing is certain in this pass.
    pub fn touch(&mut self, session: u64) {
        if let Some(member) = self.members.get_mut(&session) {
            member.touched = true;
        }
    }

    /// Notes that the server knows that somebody's signalling is broken.
    pub fn disconnected(&mut self, session: u64) {
        if let Some(member) = self.members.get_mut(&session) {
            member.hearing.ends();
            member.is_online = false;
        }
    }

    fn lose_sync_of(&mut self, now: Micros, track: TrackId) {
        for member in self.members.values_mut() {
            let map = &member.map;
            for slot in member.slots.values_mut() {
                if map.get(&slot.mid).is_some_and(|shown| shown.0 == track) {
                    slot.lose_sync(now);
                }
            }
        }
    }

    /// Notes what the server told somebody.
    pub fn told(&mut self, now: Micros, session: u64, event: &Event) {
        match event {
            Event::Answer { sdp, publications, .. } => {
                let answer = Answer::read(sdp);
                self.ufrags.insert(answer.ufrag.clone(), session);
                for (mid, (ssrc, rtx)) in answer.streams {
                    let Some(member) = self.members.get_mut(&session) else { return };
                    let kind = if rtx.is_some() { MediaKind::Video } else { MediaKind::Audio };
                    member.slots.entry(ssrc).or_insert_with(|| Slot::new(now, mid, kind));
                    if let Some(rtx) = rtx {
                        member.rtx.insert(rtx, ssrc);
                    }
                }
                let listed: BTreeSet<TrackId> = publications.iter().map(|one| one.info.track).collect();
                // An answer lists all that is published. What it does not list has ended.
                for (id, track) in &mut self.tracks {
                    if track.owner == session && !listed.contains(id) {
                        track.alive = false;
                    }
                }
                for publication in publications {
                    self.tracks
                        .entry(publication.info.track)
                        .or_insert_with(|| Track::new(now, session, &publication.info));
                }
                self.touch(session);
            }
            // They hear of it before the slot map without it.
            Event::TrackRemoved(track, _) => {
                if let Some(track) = self.tracks.get_mut(track) {
                    track.alive = false;
                }
            }
            Event::SlotMap(map) => self.mapped(now, session, map),
            Event::Data { from: Some(from), topic, payload, .. } => {
                self.told_words(now, session, (*from, topic), words::number_of(payload));
            }
            Event::Resumed(_, resumed) => {
                if let Some(member) = self.members.get_mut(&session) {
                    member.hearing.begins();
                    member.is_online = true;
                }
                self.mapped(now, session, &resumed.slot_map);
                self.touch(session);
            }
            Event::Layers { track, is_paused, .. } => {
                if let Some(member) = self.members.get_mut(&session) {
                    let is_news =
                        if *is_paused { member.starved.insert(*track) } else { member.starved.remove(track) };
                    member.touched |= is_news;
                    member.review_pause(now, *track);
                }
            }
            Event::Speakers(news) => {
                if let Some(member) = self.members.get_mut(&session) {
                    member.hearing.told(news);
                }
            }
            event => self.told_of_themselves(session, event),
        }
    }

    /// Notes that somebody was told that they are in, or that they have left.
    fn told_of_themselves(&mut self, session: u64, event: &Event) {
        let Some(member) = self.members.get_mut(&session) else { return };
        match event {
            Event::Joined(_, joined) => member.id = Some(joined.participant),
            Event::Left(_) => member.left = true,
            _ => {}
        }
    }

    fn mapped(&mut self, now: Micros, session: u64, map: &SlotMap) {
        let Some(member) = self.members.get_mut(&session) else { return };
        let lost = member.loses_pinned(&self.tracks, map).filter(|_| !member.touched);
        member.showing.mapped(now, map);
        member.hearing.mapped(map);
        let mut new = BTreeMap::new();
        for slot in &map.slots {
            if let Some(shown) = slot.track {
                new.insert(slot.mid.to_string(), shown);
            }
        }
        for slot in member.slots.values_mut() {
            if member.map.get(&slot.mid) != new.get(&slot.mid) {
                slot.lose_sync(now);
            }
        }
        if member.map != new {
            member.touched = true;
        }
        // No track in two slots, none of one's own, and none that was not asked for.
        let shown: Vec<TrackId> = new.values().map(|shown| shown.0).collect();
        let mut sorted = shown.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let unwanted = shown.iter().any(|track| !member.wants(*track));
        member.map = new;
        // What loses its slot begins anew in the next one.
        for track in member.starved.iter().copied().filter(|track| !shown.contains(track)).collect::<Vec<_>>()
        {
            member.starved.remove(&track);
            member.review_pause(now, track);
        }
        if let Some(track) = lost {
            let (who, of) = (self.who(session), self.voice_of(track));
            self.complain(now, format!("{who} asked for {of}'s microphone by name, and it lost its slot"));
        }
        if unwanted {
            let who = self.who(session);
            self.complain(now, format!("{who} is shown a track that they do not want"));
        }
        let own = shown.iter().any(|id| self.tracks.get(id).is_some_and(|track| track.owner == session));
        if sorted.len() != shown.len() || own {
            let who = self.who(session);
            self.complain(now, format!("{who} is shown a track twice, or an own one"));
        }
    }
}

impl Member {
    /// Returns whether they are subscribed to a track.
    fn wants(&self, track: TrackId) -> bool {
        if self.plan.auto_subscribe {
            !self.unsubscribed.contains(&track)
        } else {
            self.subscribed.contains(&track)
        }
    }

    /// Notes that something is paused, or no longer, if that is so. A client that lost the last reply may ask for what it has
    /// already.
    fn review_pause(&mut self, now: Micros, track: TrackId) {
        let is_asked = self.asked_to_pause.contains(&track) || self.unseen.contains(&track);
        let is_paused = is_asked || self.starved.contains(&track);
        self.showing.paused(now, track, is_paused);
        let changed = if is_paused { self.paused.insert(track) } else { self.paused.remove(&track) };
        if !changed {
            return;
        }
        let shown = self.map.iter().filter(|(_, shown)| shown.0 == track).map(|(mid, _)| mid.clone());
        let mids: Vec<String> = shown.collect();
        for slot in self.slots.values_mut().filter(|slot| mids.contains(&slot.mid)) {
            slot.lose_sync(now);
        }
    }

    /// Notes that a subscription ends or begins: a pause belongs to it.
    fn forget_pause(&mut self, now: Micros, track: TrackId) {
        self.asked_to_pause.remove(&track);
        self.unseen.remove(&track);
        self.starved.remove(&track);
        self.paused.remove(&track);
        self.showing.paused(now, track, false);
    }
}

impl Track {
    fn new(now: Micros, owner: u64, info: &crate::core::event::TrackInfo) -> Self {
        Self {
            owner,
            publisher: info.participant,
            source: info.source,
            muted: info.muted,
            alive: true,
            stream: None,
            codec: None,
            codec_from: 0,
            changed_at: now,
            fed_at: 0,
            run_since: now,
            asked_at: 0,
            key_at: 0,
            touched: true,
            is_layered: false,
        }
    }
}

impl Slot {
    fn new(now: Micros, mid: String, kind: MediaKind) -> Self {
        Self {
            mid,
            kind,
            highest_out: None,
            highest_in: 0,
            latest_timestamp: 0,
            repeated: 0,
            latest_at: 0,
            latest: Counters::default(),
            latest_ids: 0,
            epoch: None,
            past: VecDeque::new(),
            epochs: 0,
            synced: false,
            doubtful: false,
            unsynced_since: now,
            sent: BTreeMap::new(),
            forwarded: BTreeSet::new(),
            held: BTreeMap::new(),
        }
    }

    /// Notes that the next packet must begin anew.
    fn lose_sync(&mut self, now: Micros) {
        (self.synced, self.doubtful) = (false, false);
        self.unsynced_since = now;
    }

    /// Notes that the next packet may begin anew or go on.
    fn doubt_sync(&mut self, now: Micros) {
        self.doubtful |= self.synced;
        self.synced = false;
        self.unsynced_since = now;
    }
}

/// Finds who publishes a stream, and as what.
fn track_of(
    members: &BTreeMap<u64, Member>,
    tracks: &BTreeMap<TrackId, Track>,
    info: &StreamInfo,
) -> Option<(TrackId, u64)> {
    tracks.iter().rev().find_map(|(id, track)| {
        let owner = members.get(&track.owner)?;
        let fits = track.alive
            && owner.person == info.person
            && owner.life == info.life
            && track.source == info.source;
        fits.then_some((*id, track.owner))
    })
}
