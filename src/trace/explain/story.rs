//! Story: builds the explanation from the trace's facts, one by one. The folder of this file's name has the meaning of
//! each fact, by topic.

mod layers;
mod packets;
mod presence;
mod topology;
mod viewing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::incoming::InboundStream;
use super::model::{Entry, Explanation, Gap, Person, Server, Weight, WokenFor};
use super::outgoing::Outgoing;
use super::someone::Someone;
use super::time::Time;
use super::timeline;
use super::tracks::{Track, Watching};
use super::words;
use crate::core::channels::ChannelEnd;
use crate::core::input::Shedding;
use crate::core::timers::Timer;
use crate::core::topology::Mode;
use crate::trace::facts::{ChannelNews, Fact, FactSink, StreamNumber};
use crate::trace::format::Header;

/// How many of the longest gaps are reported.
const GAPS_MAX: usize = 5;
/// How often the story checks what has become of packets.
const TICK: Duration = Duration::from_secs(1);

/// Packets of one source.
#[derive(Debug)]
enum Stream {
    In { track: usize, incoming: InboundStream },
    Out { person: usize, mid: String, outgoing: Box<Outgoing> },
}

/// What the facts so far have told.
#[derive(Debug, Default)]
pub struct Story {
    people: Vec<Someone>,
    tracks: Vec<Track>,
    streams: Vec<Stream>,
    watchings: Vec<Watching>,
    /// Which of `watchings` each slot shows now, by person and MID.
    slots: BTreeMap<(usize, String), usize>,
    /// Which of `watchings` each showing belongs to. A showing is a time in which a slot shows a track without
    /// interruption.
    showings: Vec<usize>,
    /// Who is shown nothing of which track, although both want it.
    paused_video: BTreeSet<(usize, usize)>,
    /// Whoever speaks most.
    dominant: Option<usize>,
    ticked: Time,
    /// Where the call's media goes; `None` if it never goes straight.
    mode: Option<Mode>,
    /// Since when a move runs.
    moving: Option<Time>,
    /// How often each timer woke the server, and how often it did so in vain.
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
        // A fact about something that the trace never introduced is wrong, and is left out.
        let _ = self.take(at, fact);
    }
}

impl Story {
    fn take(&mut self, at: Time, fact: &Fact) -> Option<()> {
        // One line for each sort of fact, so that all of them can be seen at once.
        let index = |number: &u32| *number as usize;
        match fact {
            Fact::Joined { id, name } => self.joined(at, id.to_string(), name.clone()),
            Fact::SignallingLost(person) => self.signalling_lost(at, index(person)),
            Fact::SignallingBack(person) => self.signalling_back(at, index(person))?,
            Fact::Connected(person) => self.connected(at, index(person))?,
            Fact::IceRestarted(person) => self.ice_restarted(at, index(person)),
            Fact::Routed(person, route) => self.routed(at, index(person), *route)?,
            Fact::Gone(person, departure) => self.gone(at, index(person), *departure)?,

            Fact::Published { person, id, source, muted } => {
                self.published(at, index(person), *id, *source, *muted);
            }
            Fact::Unpublished(track) => self.unpublished(at, index(track))?,
            Fact::Muted(track, muted) => self.muted(at, index(track), *muted)?,
            Fact::Shown { person, mid, track } => self.shown(at, index(person), mid, index(track))?,
            Fact::Hidden { person, mid } => self.hide(at, &(index(person), mid.clone())),
            Fact::Waits(person, track, reason) => self.waits(at, index(person), index(track), *reason)?,
            Fact::CannotReceive(person, track) => self.cannot_receive(at, index(person), index(track))?,
            Fact::Let(person, track, is_let) => self.is_let(at, index(person), index(track), *is_let)?,
            Fact::Paused(person, track, paused) => self.paused(at, index(person), index(track), *paused)?,
            Fact::Wants { person, track, width, height } => {
                self.wants(at, index(person), index(track), *width, *height)?;
            }
            Fact::Layer { person, track, is_paused: true, reason, .. } => {
                self.video_paused(at, index(person), index(track), *reason)?;
            }
            Fact::Layer { person, track, layer, spatial, temporal, height, reason, .. } => {
                let inner = (*spatial, *temporal);
                self.layer(at, index(person), index(track), layer.as_deref(), inner, *height, *reason)?;
            }
            Fact::Steered { person, estimate, verdict } => {
                self.steered(at, index(person), *estimate, *verdict)?;
            }
            Fact::Encodings(track, active) => self.encodings(at, index(track), active)?,
            Fact::Incoming { track, codec, .. } => self.stream_in(index(track), codec)?,
            Fact::Outgoing { person, mid, is_video } => self.stream_out(index(person), mid, *is_video),
            Fact::Followed(stream) => self.encoding_selected(*stream)?,
            Fact::PacketIn(packet) => self.came(at, packet)?,
            Fact::PacketOut(packet) => self.went(at, packet)?,
            // The packets that come show whether asking helped.
            Fact::AskedAgain(..) => {}
            Fact::AskedKeyframe(stream) => self.asked_keyframe(at, *stream)?,
            Fact::WantedAgain(stream, sequences) => self.wanted_again(at, *stream, sequences)?,
            Fact::WantedKeyframe(stream) => self.wanted_keyframe(at, *stream)?,
            Fact::Reported { stream, lost, highest, round_trip } => {
                self.outgoing(at, *stream)?.1.reported(at, *lost, *highest, *round_trip);
            }

            Fact::Held(track, held) => self.held(at, index(track), *held)?,
            Fact::Late(late) => self.late(at, *late),
            Fact::Woken { timer, was_due } => self.woke(*timer, *was_due),
            Fact::Shedding(shedding) => self.shedding(at, *shedding),
            Fact::StoodStill(time) => self.server_stood_still(at, *time),
            Fact::MediaLost(person) => self.media_lost(at, index(person)),
            Fact::MediaBack(person) => self.media_back(at, index(person)),
            Fact::Channels(person, news) => self.channels(at, index(person), *news),
            Fact::Speaks { dominant, .. } => self.floor_taken(at, dominant.as_ref().map(index)),
            Fact::Transport(person, news) => self.transport(at, index(person), *news)?,
            Fact::Topology { .. } => self.topology(at, fact)?,
            Fact::Moved(person) => self.moved(at, index(person)),
            Fact::Redundancy(person, decision) => self.redundancy(at, index(person), *decision),
            Fact::Estimated { person, estimate, reason, .. } => {
                self.estimated(at, index(person), *estimate, *reason)?;
            }
        }
        Some(())
    }

    fn woke(&mut self, timer: Timer, was_due: bool) {
        let (times, in_vain) = self.woken.entry(timer).or_default();
        *times += 1;
        *in_vain += u64::from(!was_due);
    }

    fn channels(&mut self, at: Time, person: usize, news: ChannelNews) {
        let (weight, text) = match news {
            ChannelNews::Opened { is_reliable: true } => (Weight::Plain, "opened a reliable data channel"),
            ChannelNews::Opened { is_reliable: false } => {
                (Weight::Plain, "opened a data channel that may lose messages")
            }
            ChannelNews::Closed(ChannelEnd::ByPeer) => (Weight::Plain, "closed a data channel"),
            ChannelNews::Closed(ChannelEnd::Asked) => (Weight::Plain, "a data channel too many was closed"),
            ChannelNews::Closed(ChannelEnd::TooSlow) => {
                (Weight::Notable, "a reliable data channel was closed: too much waited to be received")
            }
            ChannelNews::Ended => (Weight::Notable, "all data channels ended"),
        };
        self.tell(at, person, "data-channels", weight, text.to_owned());
    }

    fn held(&mut self, at: Time, track: usize, held: Duration) -> Option<()> {
        let what = format!("packets of {} waited to be forwarded", self.name_of(track)?);
        note_gap(&mut self.server.held, Gap { at, lasted: Time(held), what });
        Some(())
    }

    fn late(&mut self, at: Time, late: Duration) {
        let what = "the server was late for a deadline: it, or its machine, was busy".to_owned();
        note_gap(&mut self.server.late, Gap { at, lasted: Time(late), what });
    }

    fn shedding(&mut self, at: Time, shedding: Shedding) {
        let (weight, text) = match shedding.stage() {
            0 => (Weight::Notable, "the server had time again: all video was forwarded"),
            1 => (Weight::Notable, "the server's processor was full: smaller video was forwarded"),
            2 => (
                Weight::Notable,
                "the server's processor was full: fewer pictures of smaller video were forwarded",
            ),
            _ => (Weight::Trouble, "the server's processor was full: some video was not forwarded"),
        };
        self.tell_all(at, "video-shed", weight, text);
    }

    fn server_stood_still(&mut self, at: Time, time: Duration) {
        let seconds = time.as_secs_f64();
        let text = format!(
            "the server stood still for {seconds:.1} s: its machine was suspended, or had no time for it"
        );
        self.tell_all(at, "server-stood-still", Weight::Trouble, &text);
    }

    /// Tells it of everybody who is in the call.
    fn tell_all(&mut self, at: Time, kind: &'static str, weight: Weight, text: &str) {
        for person in 0..self.people.len() {
            if self.people[person].left.is_none() {
                self.tell(at, person, kind, weight, text.to_owned());
            }
        }
    }

    fn tell(&mut self, at: Time, person: usize, kind: &'static str, weight: Weight, text: String) {
        if let Some(person) = self.people.get_mut(person) {
            person.timeline.push(Entry { at, kind, weight, text });
        }
    }

    /// Returns a track in words, such as "Anna's camera".
    fn name_of(&self, track: usize) -> Option<String> {
        let track = self.tracks.get(track)?;
        let owner = &self.people.get(track.person)?.name;
        Some(format!("{owner}'s {}", words::source(track.source)))
    }

    /// Returns an outgoing stream and the watching that its slot shows. It is called for reports about the stream, so
    /// the receiver was heard.
    fn outgoing(&mut self, at: Time, stream: StreamNumber) -> Option<(Option<usize>, &mut Outgoing)> {
        let Some(Stream::Out { person, mid, outgoing }) = self.streams.get_mut(stream as usize) else {
            return None;
        };
        if let Some(someone) = self.people.get_mut(*person) {
            someone.heard.insert(at.0.as_millis() / 100);
        }
        Some((self.slots.get(&(*person, mid.clone())).copied(), outgoing))
    }

    /// Returns the explanation. Call it after the last fact.
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

fn note_gap(gaps: &mut Vec<Gap>, gap: Gap) {
    let place = gaps.partition_point(|other| other.lasted >= gap.lasted);
    if place < GAPS_MAX {
        gaps.insert(place, gap);
        gaps.truncate(GAPS_MAX);
    }
}
