//! Story: takes facts one by one and comes to the explanation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::blame::{Case, judge};
use super::incoming::{Arrival, Incoming};
use super::keyframes::Reason;
use super::model::{
    Entry, Explanation, Freeze, Gap, Hop, Person, RouteSpan, Server, Span, Time, Weight, WokenFor,
};
use super::outgoing::{Found, Outgoing, Stood};
use super::timeline;
use super::tracks::{Track, Watching};
use super::words;
use crate::core::command::Source;
use crate::core::event::{LeaveReason, WaitingReason};
use crate::core::timers::Timer;
use crate::trace::facts::{
    Departure, Fact, FactSink, PacketFacts, PersonNumber, Route, StreamNumber, TrackNumber,
};
use crate::trace::format::Header;

/// How many of the longest gaps are told.
const GAPS_MAX: usize = 5;
/// How often it is looked at what packets have become.
const TICK: Duration = Duration::from_secs(1);

/// Somebody who is or was there.
#[derive(Debug)]
pub struct Someone {
    /// Their id.
    pub id: String,
    /// Their name.
    pub name: String,
    joined: Time,
    left: Option<Time>,
    is_connected: bool,
    route: Option<Route>,
    /// How they were reached; the last one goes on.
    pub routes: Vec<RouteSpan>,
    timeline: Vec<Entry>,
    /// Tenths of seconds of the call in which reports of theirs came.
    heard: BTreeSet<u128>,
    /// They said goodbye.
    said_goodbye: bool,
    /// The time-out that they were given up for.
    timed_out: Option<Timer>,
}

/// Packets of one source.
#[derive(Debug)]
enum Stream {
    In { track: usize, incoming: Incoming },
    Out { person: usize, mid: String, outgoing: Box<Outgoing> },
}

/// What is known so far.
#[derive(Debug, Default)]
pub struct Story {
    people: Vec<Someone>,
    tracks: Vec<Track>,
    streams: Vec<Stream>,
    watchings: Vec<Watching>,
    /// What each slot shows now.
    slots: BTreeMap<(usize, String), usize>,
    /// Which watching each showing is of.
    showings: Vec<usize>,
    ticked: Time,
    /// How often the server was woken for what, and how often of these in vain.
    woken: BTreeMap<Timer, (u64, u64)>,
    server: Server,
}

impl FactSink for Story {
    fn fact(&mut self, at: Duration, fact: &Fact) {
        let at = Time(at);
        if at.since(self.ticked).0 >= TICK {
            self.ticked = at;
            self.tick(at);
        }
        // A trace that names what it never told of is wrong; what it says of that is left out.
        let _ = self.take(at, fact);
    }
}

impl Story {
    fn take(&mut self, at: Time, fact: &Fact) -> Option<()> {
        match fact {
            Fact::Joined { id, name } => {
                let (id, name) = (id.to_string(), name.clone());
                self.people.push(Someone {
                    id,
                    name,
                    joined: at,
                    left: None,
                    is_connected: false,
                    route: None,
                    routes: Vec::new(),
                    timeline: Vec::new(),
                    heard: BTreeSet::new(),
                    said_goodbye: false,
                    timed_out: None,
                });
                self.tell(at, self.people.len() - 1, "joined", Weight::Plain, "joined".to_owned());
            }
            Fact::SignallingLost(person) => {
                let text = "signalling broke; media goes on".to_owned();
                self.tell(at, *person as usize, "signalling-lost", Weight::Notable, text);
            }
            Fact::SignallingBack(person) => {
                let text = "signalling is back".to_owned();
                self.tell(at, *person as usize, "signalling-back", Weight::Notable, text);
                self.need_keyframes(*person as usize, Reason::SignallingBack)?;
            }
            Fact::Connected(person) => self.connected(at, *person as usize)?,
            Fact::IceRestarted(person) => {
                let text = "restarted ICE: the client looks for a way anew".to_owned();
                self.tell(at, *person as usize, "ice-restart", Weight::Notable, text);
            }
            Fact::Routed(person, route) => self.routed(at, *person as usize, *route)?,
            Fact::Gone(person, departure) => {
                let person = *person as usize;
                let someone = self.people.get_mut(person)?;
                someone.left = Some(at);
                someone.said_goodbye = *departure == Departure::Left(LeaveReason::Left);
                let text = words::departure(*departure, someone.timed_out);
                self.close_route(at, person);
                self.tell(at, person, "left", Weight::Plain, text.to_owned());
                let mids = self.slots.keys().filter(|(of, _)| *of == person).cloned().collect::<Vec<_>>();
                for key in mids {
                    self.hide(at, &key);
                }
            }
            Fact::Published { person, id, source, muted } => {
                self.tracks.push(Track::new(at, *person as usize, *id, *source, *muted));
                let how = if *muted { ", muted" } else { "" };
                let text = format!("publishes the {}{how}", words::source(*source));
                self.tell(at, *person as usize, "published", Weight::Plain, text);
            }
            Fact::Unpublished(track) => {
                let state = self.tracks.get_mut(*track as usize)?;
                state.gone = Some(at);
                let (person, source) = (state.person, state.source);
                // With whoever is gone everything of theirs is.
                if self.people.get(person)?.left.is_none() {
                    let text = format!("the {} is gone", words::source(source));
                    self.tell(at, person, "unpublished", Weight::Plain, text);
                }
            }
            Fact::Muted(track, muted) => self.muted(at, *track, *muted)?,
            Fact::Shown { person, mid, track } => self.shown(at, *person, mid, *track)?,
            Fact::Hidden { person, mid } => self.hide(at, &(*person as usize, mid.clone())),
            Fact::Waits(person, track, reason) => {
                let what = self.name_of(*track as usize)?;
                let why = match reason {
                    WaitingReason::NoSlotYet => "no slot is free; more were asked for",
                    WaitingReason::SlotLimit => "the client has as many slots as it may have",
                };
                self.tell(at, *person as usize, "waits", Weight::Notable, format!("waits for {what}: {why}"));
            }
            Fact::CannotReceive(person, track) => {
                let text = format!("cannot decode {}", self.name_of(*track as usize)?);
                self.tell(at, *person as usize, "cannot-receive", Weight::Trouble, text);
            }
            Fact::Paused(person, track, paused) => {
                self.paused(at, *person as usize, *track as usize, *paused)?;
            }
            Fact::Incoming { track, codec, .. } => {
                let track = *track as usize;
                self.tracks.get_mut(track)?.codec = Some(codec.clone());
                self.streams.push(Stream::In { track, incoming: Incoming::default() });
            }
            Fact::Outgoing { person, mid, is_video } => {
                let outgoing = Box::new(Outgoing::new(*is_video));
                self.streams.push(Stream::Out { person: *person as usize, mid: mid.clone(), outgoing });
            }
            Fact::Followed(stream) => {
                let Some(Stream::In { track, .. }) = self.streams.get(*stream as usize) else { return None };
                let track = self.tracks.get_mut(*track)?;
                if track.followed.replace(*stream).is_some() {
                    track.keyframes.needed(Reason::Encoding);
                }
            }
            Fact::Came(packet) => self.came(at, packet)?,
            Fact::Went(packet) => self.went(at, packet)?,
            Fact::AskedAgain(..) => {}
            Fact::AskedKeyframe(stream) => {
                let Some(Stream::In { track, incoming }) = self.streams.get(*stream as usize) else {
                    return None;
                };
                self.tracks.get_mut(*track)?.keyframes.asked(at, incoming.missing());
            }
            Fact::WantedAgain(stream, sequences) => {
                let (watching, outgoing) = self.outgoing(at, *stream)?;
                let before = outgoing.missed_upstream;
                outgoing.wanted_again(at, sequences);
                let missed = outgoing.missed_upstream - before;
                self.watchings.get_mut(watching?)?.missed_upstream += missed;
            }
            Fact::WantedKeyframe(stream) => {
                let (watching, outgoing) = self.outgoing(at, *stream)?;
                outgoing.heard(at);
                let watching = self.watchings.get(watching?)?;
                let name = self.people.get(watching.person)?.name.clone();
                self.tracks.get_mut(watching.track)?.keyframes.needed(Reason::Asked(name));
            }
            Fact::Reported { stream, lost, highest, round_trip } => {
                self.outgoing(at, *stream)?.1.reported(at, *lost, *highest, *round_trip);
            }
            Fact::Held(track, held) => {
                let what = format!("packets of {} waited to be forwarded", self.name_of(*track as usize)?);
                note_gap(&mut self.server.held, Gap { at, lasted: Time(*held), what });
            }
            Fact::Late(late) => {
                let what = "the server was late for a deadline: it, or its machine, was busy".to_owned();
                note_gap(&mut self.server.late, Gap { at, lasted: Time(*late), what });
            }
            Fact::Woken { timer, was_due } => {
                let (times, in_vain) = self.woken.entry(*timer).or_default();
                *times += 1;
                *in_vain += u64::from(!was_due);
            }
            Fact::TimedOut(person, timer) => {
                self.people.get_mut(*person as usize)?.timed_out = Some(*timer);
            }
            Fact::Withheld(is_withheld) => {
                let (weight, text) = if *is_withheld {
                    (Weight::Trouble, "the server's processor was full: some pictures were not forwarded")
                } else {
                    (Weight::Notable, "the server had time again: all pictures were forwarded")
                };
                for person in 0..self.people.len() {
                    if self.people[person].left.is_none() {
                        self.tell(at, person, "pictures-withheld", weight, text.to_owned());
                    }
                }
            }
        }
        Some(())
    }

    fn tell(&mut self, at: Time, person: usize, kind: &'static str, weight: Weight, text: String) {
        if let Some(person) = self.people.get_mut(person) {
            person.timeline.push(Entry { at, kind, weight, text });
        }
    }

    /// A track in words, such as "Anna's camera".
    fn name_of(&self, track: usize) -> Option<String> {
        let track = self.tracks.get(track)?;
        let owner = &self.people.get(track.person)?.name;
        Some(format!("{owner}'s {}", words::source(track.source)))
    }

    /// A stream to somebody who was heard of, and what its slot shows.
    fn outgoing(&mut self, at: Time, stream: StreamNumber) -> Option<(Option<usize>, &mut Outgoing)> {
        let Some(Stream::Out { person, mid, outgoing }) = self.streams.get_mut(stream as usize) else {
            return None;
        };
        if let Some(someone) = self.people.get_mut(*person) {
            someone.heard.insert(at.0.as_millis() / 100);
        }
        Some((self.slots.get(&(*person, mid.clone())).copied(), outgoing))
    }

    fn connected(&mut self, at: Time, person: usize) -> Option<()> {
        let someone = self.people.get_mut(person)?;
        someone.is_connected = true;
        let by =
            someone.route.as_ref().map_or_else(String::new, |route| format!(" by {}", words::route(route)));
        let took = at.since(someone.joined);
        self.tell(at, person, "connected", Weight::Plain, format!("connected{by}, {took} after joining"));
        self.need_keyframes(person, Reason::Begins)
    }

    /// Somebody needs key frames of all that they watch.
    fn need_keyframes(&mut self, person: usize, reason: fn(String) -> Reason) -> Option<()> {
        let name = self.people.get(person)?.name.clone();
        let watched = self.slots.iter().filter(|((of, _), _)| *of == person).map(|(_, watching)| *watching);
        for watching in watched {
            let track = self.watchings.get(watching).and_then(|watching| self.tracks.get_mut(watching.track));
            if let Some(track) = track.filter(|track| track.is_video()) {
                track.keyframes.needed(reason(name.clone()));
            }
        }
        Some(())
    }

    fn close_route(&mut self, at: Time, person: usize) {
        let open = self.people.get_mut(person).and_then(|someone| someone.routes.last_mut());
        if let Some(open) = open {
            open.span.to = at;
        }
    }

    fn routed(&mut self, at: Time, person: usize, route: Option<Route>) -> Option<()> {
        self.close_route(at, person);
        let someone = self.people.get_mut(person)?;
        let before = std::mem::replace(&mut someone.route, route);
        let was_reached = !someone.routes.is_empty();
        someone.routes.push(RouteSpan {
            span: Span { from: at, to: at },
            by: route.map(|route| route.carrier),
            address: route.map(|route| route.remote.to_string()),
        });
        let (kind, weight, text) = match (before, route) {
            (None, Some(route)) if !was_reached => {
                ("path", Weight::Plain, format!("is reached by {}", words::route(&route)))
            }
            (None, Some(route)) => {
                ("path-back", Weight::Notable, format!("is reached again, by {}", words::route(&route)))
            }
            (Some(before), Some(route)) if before.carrier != route.carrier => {
                let (from, to) = (words::carrier(before.carrier), words::route(&route));
                ("path-changed", Weight::Notable, format!("moved from {from} to {to}"))
            }
            (Some(before), Some(route)) => {
                let text = format!("has another address: {}, before {}", route.remote, before.remote);
                ("path-changed", Weight::Notable, text)
            }
            (_, None) => {
                let text = "cannot be reached: no connectivity check came for too long; nothing is sent";
                ("path-lost", Weight::Trouble, text.to_owned())
            }
        };
        let is_back = kind == "path-back" && someone.is_connected;
        self.tell(at, person, kind, weight, text);
        if is_back {
            self.need_keyframes(person, Reason::Back)?;
        }
        Some(())
    }

    fn muted(&mut self, at: Time, number: TrackNumber, muted: bool) -> Option<()> {
        let track = self.tracks.get_mut(number as usize)?;
        if !track.muted.set(at, muted) {
            return None;
        }
        if !muted && track.is_video() {
            track.keyframes.needed(Reason::Unmuted);
        }
        let (person, source) = (track.person, words::source(track.source));
        let (kind, verb) = if muted { ("muted", "muted") } else { ("unmuted", "unmuted") };
        self.tell(at, person, kind, Weight::Plain, format!("{verb} the {source}"));
        let watched = self.slots.values().copied();
        let watched: Vec<usize> =
            watched.filter(|watching| self.watchings[*watching].track == number as usize).collect();
        for watching in watched {
            self.interrupt(at, watching);
        }
        Some(())
    }

    fn shown(&mut self, at: Time, person: PersonNumber, mid: &str, track: TrackNumber) -> Option<()> {
        let (person, track) = (person as usize, track as usize);
        let name = self.people.get(person)?.name.clone();
        let text = format!("is subscribed to {}", self.name_of(track)?);
        self.tell(at, person, "subscribed", Weight::Plain, text);
        if self.tracks[track].is_video() {
            self.tracks[track].keyframes.needed(Reason::Begins(name));
        }
        let key = (person, mid.to_owned());
        self.hide(at, &key);
        let showing = self.showings.len();
        self.showings.push(self.watchings.len());
        self.slots.insert(key, self.watchings.len());
        self.watchings.push(Watching::new(at, person, track, mid.to_owned(), showing));
        Some(())
    }

    fn hide(&mut self, at: Time, slot: &(usize, String)) {
        let Some(watching) = self.slots.get(slot).copied() else { return };
        self.interrupt(at, watching);
        self.slots.remove(slot);
        self.watchings[watching].hidden = Some(at);
    }

    /// What a slot shows does not go on: what comes later is another showing.
    fn interrupt(&mut self, at: Time, watching: usize) {
        let Some(state) = self.watchings.get_mut(watching) else { return };
        let ended = std::mem::replace(&mut state.showing, self.showings.len());
        self.showings.push(watching);
        for stream in &mut self.streams {
            if let Stream::Out { person, mid, outgoing } = stream
                && *person == state.person
                && *mid == state.mid
            {
                outgoing.interrupted(ended, at);
            }
        }
    }

    fn paused(&mut self, at: Time, person: usize, track: usize, paused: bool) -> Option<()> {
        let what = self.name_of(track)?;
        let verb = if paused { "paused" } else { "resumed" };
        self.tell(at, person, verb, Weight::Plain, format!("{verb} {what}"));
        let of = |watching: &usize| {
            let watching = &self.watchings[*watching];
            watching.person == person && watching.track == track
        };
        let watching = self.slots.values().copied().find(of)?;
        self.watchings[watching].paused.set(at, paused);
        self.interrupt(at, watching);
        if !paused && self.tracks[track].is_video() {
            let name = self.people.get(person)?.name.clone();
            self.tracks[track].keyframes.needed(Reason::Resumed(name));
        }
        Some(())
    }

    fn came(&mut self, at: Time, packet: &PacketFacts) -> Option<()> {
        let Some(Stream::In { track, incoming }) = self.streams.get_mut(packet.stream as usize) else {
            return None;
        };
        let track = self.tracks.get_mut(*track)?;
        match incoming.came(at, packet) {
            Arrival::New => {}
            Arrival::Restored(since) => track.seconds.lost(since),
            Arrival::Again => return Some(()),
        }
        track.came(at, packet);
        Some(())
    }

    fn went(&mut self, at: Time, packet: &PacketFacts) -> Option<()> {
        let Some(Stream::Out { person, mid, outgoing }) = self.streams.get_mut(packet.stream as usize) else {
            return None;
        };
        let watching = *self.slots.get(&(*person, mid.clone()))?;
        let watching = self.watchings.get_mut(watching)?;
        if outgoing.went(at, watching.showing, packet) {
            watching.hop.packets += 1;
            watching.seconds.packet(at, packet.length);
        }
        Some(())
    }

    /// Looks at what packets have become.
    fn tick(&mut self, now: Time) {
        let mut found = Vec::new();
        for stream in &mut self.streams {
            match stream {
                Stream::In { track, incoming } => {
                    for since in incoming.give_up(now) {
                        self.tracks[*track].seconds.lost(since);
                    }
                }
                Stream::Out { outgoing, .. } => outgoing.settle(Some(now), &mut found),
            }
        }
        self.note(found);
    }

    fn note(&mut self, found: Vec<Found>) {
        for found in found {
            let showing = match found {
                Found::First { showing, .. } | Found::Lost { showing, .. } => showing,
                Found::Stood(stood) => stood.showing,
            };
            let Some(&watching) = self.showings.get(showing) else { continue };
            match found {
                Found::First { at, .. } => {
                    let watching = &mut self.watchings[watching];
                    watching.first_after.get_or_insert(at.since(watching.shown));
                }
                Found::Lost { at, restored, .. } => {
                    let watching = &mut self.watchings[watching];
                    watching.hop.lost += 1;
                    watching.hop.restored += u64::from(restored);
                    watching.seconds.lost(at);
                }
                Found::Stood(stood) => self.stood_still(watching, &stood),
            }
        }
    }

    fn stood_still(&mut self, watching: usize, stood: &Stood) {
        let state = &self.watchings[watching];
        let track = &self.tracks[state.track];
        let (Some(receiver), Some(publisher)) =
            (self.people.get(state.person), self.people.get(track.person))
        else {
            return;
        };
        let of_publisher = || self.tracks.iter().filter(|other| other.person == track.person);
        let came_of_any = of_publisher().map(|other| other.came_within(stood.from, stood.until)).sum();
        let case = Case {
            stood,
            receiver,
            publisher,
            source: words::source(track.source),
            came: track.came_within(stood.from, stood.until),
            came_of_any,
        };
        let (blame, why, sent_nothing) = judge(&case);
        // A screen on which nothing moves sends nothing.
        if sent_nothing && track.source == Source::Screen {
            return;
        }
        let span = Span { from: stood.from, to: stood.until };
        self.watchings[watching].freezes.push(Freeze { span, ended: stood.ended, blame, why });
    }

    /// Everything was told.
    pub fn finish(mut self, header: &Header, call_time: Duration, ending: String) -> Explanation {
        let end = Time(call_time);
        let mut found = Vec::new();
        for stream in &mut self.streams {
            match stream {
                Stream::In { track, incoming } => self.tracks[*track].take_stream(incoming),
                Stream::Out { outgoing, .. } => {
                    outgoing.finish(end, &mut found);
                    self.server.not_repeated += outgoing.not_repeated;
                }
            }
        }
        self.note(found);
        let woken = self.woken.iter();
        self.server.woken = woken
            .map(|(timer, (times, in_vain))| WokenFor {
                what: timer.as_str(),
                times: *times,
                in_vain: *in_vain,
            })
            .collect();
        self.server.woken.sort_by_key(|woken| std::cmp::Reverse(woken.times));
        let Self { people, tracks, watchings, server, .. } = self;
        let names: Vec<String> = people.iter().map(|someone| someone.name.clone()).collect();
        let mut participants: Vec<Person> = people.into_iter().map(|someone| someone.finish(end)).collect();
        for watching in watchings {
            let person = watching.person;
            let Some(track) = tracks.get(watching.track) else { continue };
            let of = names.get(track.person).cloned().unwrap_or_default();
            let watched = watching.finish(end, of, track);
            if let Some(person) = participants.get_mut(person) {
                person.downlink.add(watched.hop);
                person.watches.push(watched);
            }
        }
        for track in tracks {
            let person = track.person;
            let published = track.finish(end);
            if let Some(person) = participants.get_mut(person) {
                person.uplink.add(published.hop);
                person.publishes.push(published);
            }
        }
        for person in &mut participants {
            timeline::complete(person);
        }
        Explanation {
            room: header.room.room.to_string(),
            build: header.build.clone(),
            began: Time(header.created_unix()),
            call_time: end,
            stripped: header.is_stripped(),
            ending,
            participants,
            server,
        }
    }
}

impl Someone {
    fn finish(mut self, end: Time) -> Person {
        let left = self.left.unwrap_or(end);
        if let Some(open) = self.routes.last_mut().filter(|_| self.left.is_none()) {
            open.span.to = end;
        }
        Person {
            id: self.id,
            name: self.name,
            present: Span { from: self.joined, to: left },
            timeline: self.timeline,
            routes: self.routes,
            publishes: Vec::new(),
            watches: Vec::new(),
            uplink: Hop::default(),
            downlink: Hop::default(),
        }
    }

    /// Whether reports of theirs came well within that.
    pub fn was_heard(&self, from: Time, to: Time) -> bool {
        let (from, to) = (from.0.as_millis() / 100 + 1, to.0.as_millis() / 100);
        from < to && self.heard.range(from..to).next().is_some()
    }

    /// Whether they had left by then, and said so.
    pub fn had_left(&self, at: Time) -> bool {
        self.said_goodbye && self.left.is_some_and(|left| left <= at)
    }

    /// Whether they could not be reached at some time within that.
    pub fn was_cut_off(&self, from: Time, to: Time) -> bool {
        let last = self.routes.len().saturating_sub(1);
        self.routes.iter().enumerate().any(|(index, route)| {
            let goes_on = index == last && self.left.is_none();
            route.by.is_none() && route.span.from < to && (goes_on || route.span.to > from)
        })
    }
}

fn note_gap(gaps: &mut Vec<Gap>, gap: Gap) {
    let place = gaps.partition_point(|other| other.lasted >= gap.lasted);
    if place < GAPS_MAX {
        gaps.insert(place, gap);
        gaps.truncate(GAPS_MAX);
    }
}
