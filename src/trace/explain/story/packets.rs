//! Facts about packets: those that came, were sent, were asked for and were lost, and pictures that stood still.

use super::{Story, Stream};
use crate::core::command::Source;
use crate::trace::explain::blame::{Case, judge};
use crate::trace::explain::incoming::{Arrival, Incoming};
use crate::trace::explain::keyframes::Reason;
use crate::trace::explain::model::Freeze;
use crate::trace::explain::outgoing::{Found, Outgoing, Stood};
use crate::trace::explain::time::{Span, Time};
use crate::trace::explain::words;
use crate::trace::facts::{PacketFacts, StreamNumber};

impl Story {
    pub(super) fn stream_in(&mut self, track: usize, codec: &str) -> Option<()> {
        self.tracks.get_mut(track)?.codec = Some(codec.to_owned());
        self.streams.push(Stream::In { track, incoming: Incoming::default() });
        Some(())
    }

    pub(super) fn stream_out(&mut self, person: usize, mid: &str, is_video: bool) {
        let outgoing = Box::new(Outgoing::new(is_video));
        self.streams.push(Stream::Out { person, mid: mid.to_owned(), outgoing });
    }

    /// Notes that another encoding of a track is forwarded from now on.
    pub(super) fn encoding_selected(&mut self, stream: StreamNumber) -> Option<()> {
        let Some(Stream::In { track, .. }) = self.streams.get(stream as usize) else { return None };
        let track = self.tracks.get_mut(*track)?;
        if track.followed.replace(stream).is_some() {
            track.keyframes.needed(Reason::Encoding);
        }
        Some(())
    }

    pub(super) fn came(&mut self, at: Time, packet: &PacketFacts) -> Option<()> {
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

    pub(super) fn went(&mut self, at: Time, packet: &PacketFacts) -> Option<()> {
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

    /// Notes that the publisher was asked for a key frame.
    pub(super) fn asked_keyframe(&mut self, at: Time, stream: StreamNumber) -> Option<()> {
        let Some(Stream::In { track, incoming }) = self.streams.get(stream as usize) else { return None };
        self.tracks.get_mut(*track)?.keyframes.asked(at, incoming.missing());
        Some(())
    }

    /// Notes that a receiver asked for packets again.
    pub(super) fn wanted_again(&mut self, at: Time, stream: StreamNumber, sequences: &[u16]) -> Option<()> {
        let (watching, outgoing) = self.outgoing(at, stream)?;
        let before = outgoing.missed_upstream;
        outgoing.wanted_again(at, sequences);
        let missed = outgoing.missed_upstream - before;
        self.watchings.get_mut(watching?)?.missed_upstream += missed;
        Some(())
    }

    /// Notes that a receiver asked for a key frame.
    pub(super) fn wanted_keyframe(&mut self, at: Time, stream: StreamNumber) -> Option<()> {
        let (watching, outgoing) = self.outgoing(at, stream)?;
        outgoing.heard(at);
        let watching = self.watchings.get(watching?)?;
        let name = self.people.get(watching.person)?.name.clone();
        self.tracks.get_mut(watching.track)?.keyframes.needed(Reason::Asked(name));
        Some(())
    }

    /// Checks what has become of packets that were sent long enough ago.
    pub(super) fn tick(&mut self, now: Time) {
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

    pub(super) fn note(&mut self, found: Vec<Found>) {
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
}
