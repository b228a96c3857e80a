//! The second peer connection of older LiveKit clients (version 0 of the signalling): on it they receive, and the server makes
//! the offers. The core opens it as a transport of parameters, on which tracks are consumed; here these become offers, and the
//! client's answers become what the core is asked for.
//!
//! A track is consumed paused, offered, and resumed when the client has answered: nothing comes that the client cannot assign.
//! One offer is on its way at a time; what changes meanwhile is in the next.

use std::collections::{BTreeMap, BTreeSet};

use super::messages::SessionDescription;
use super::server_offer::{self, Place};
use super::subscriber_answer::Answered;
use crate::core::codec_set::CodecSet;
use crate::core::command::Command;
use crate::core::event::{Consumed, OpenedTransport};
use crate::core::ids::TrackId;
use crate::core::ortc::{DtlsParameters, RtpCapabilities, TransportDirection, router};

/// What to do after something has happened to the connection.
#[derive(Debug, Default, PartialEq)]
pub struct Next {
    /// Ask the core for these.
    pub commands: Vec<Command>,
    /// Send the client this offer.
    pub offer: Option<SessionDescription>,
    /// Tell the client that it cannot receive these.
    pub unsupported: Vec<TrackId>,
}

/// Where the transport stands.
#[derive(Debug)]
enum Standing {
    /// Nobody has needed it yet.
    Closed,
    /// The core has been asked for it. These tracks wait.
    Asked(BTreeSet<TrackId>),
    /// The client may connect to it.
    Open(Box<OpenedTransport>),
}

/// The connection on which a client receives.
///
/// A section whose track has ended keeps its place, and is free for another once the client has answered an offer that
/// rejects it (RFC 8829 §5.2.2).
#[derive(Debug)]
pub struct Subscriber {
    standing: Standing,
    capabilities: Box<RtpCapabilities>,
    /// Its sections, in their order. One whose track has ended keeps its place until another takes it.
    places: Vec<Place>,
    /// Tracks that the core has been asked for and has not answered yet.
    asked: BTreeSet<TrackId>,
    /// The number of the last offer.
    number: u32,
    /// What the sections show in the offer that the client has not answered yet.
    offered: Option<Vec<Option<TrackId>>>,
    /// Whether there is something that no offer has said yet.
    has_changed: bool,
    /// Whether the core has been asked for new ICE credentials, which go into the next offer.
    is_restarting: bool,
    /// The client's end of the handshake, once it has said it.
    dtls: Option<DtlsParameters>,
    /// Names of the streams and tracks that are consumed.
    msids: BTreeMap<TrackId, (String, String)>,
}

impl Default for Subscriber {
    fn default() -> Self {
        Self {
            standing: Standing::Closed,
            // Which codecs the client takes is known by its answer alone.
            capabilities: Box::new(router::capabilities(CodecSet::ALL)),
            places: Vec::new(),
            asked: BTreeSet::new(),
            number: 0,
            offered: None,
            has_changed: false,
            is_restarting: false,
            dtls: None,
            msids: BTreeMap::new(),
        }
    }
}

impl Subscriber {
    /// Receives a track from now on, which has that stream and that name.
    pub fn subscribe(&mut self, track: TrackId, msid: (String, String)) -> Next {
        let has_it = self.asked.contains(&track) || self.shows(track);
        self.msids.insert(track, msid);
        match &mut self.standing {
            Standing::Closed => {
                self.standing = Standing::Asked(BTreeSet::from([track]));
                let open = Command::OpenTransport { direction: TransportDirection::Receive };
                Next { commands: vec![open], ..Next::default() }
            }
            Standing::Asked(waiting) => {
                waiting.insert(track);
                Next::default()
            }
            Standing::Open(_) if has_it => Next::default(),
            Standing::Open(opened) => {
                let transport = opened.transport;
                self.asked.insert(track);
                let capabilities = self.capabilities.clone();
                let consume = Command::Consume { transport, track, capabilities, paused: true };
                Next { commands: vec![consume], ..Next::default() }
            }
        }
    }

    /// Receives a track no longer.
    pub fn unsubscribe(&mut self, track: TrackId) -> Next {
        if let Standing::Asked(waiting) = &mut self.standing {
            waiting.remove(&track);
        }
        let is_asked = self.asked.contains(&track);
        let mut next = self.ended(track);
        if is_asked || next.offer.is_some() || self.has_changed {
            next.commands.push(Command::Unsubscribe(track));
        }
        next
    }

    /// Goes on after the client's signalling has been broken. The core still sends it what is in `sent`.
    ///
    /// Nobody knows whether the client got the last offer, nor the core what it answered. So it is offered everything once
    /// more, with new credentials for ICE, because its network may be another one.
    pub fn take_up(&mut self, sent: &BTreeSet<TrackId>) -> Next {
        self.asked.clear();
        self.offered = None;
        for place in &mut self.places {
            place.shown.take_if(|(track, _)| !sent.contains(track));
        }
        let shown = self.places.iter().filter_map(|place| Some(place.shown.as_ref()?.0));
        let shown: BTreeSet<TrackId> = shown.collect();
        self.msids.retain(|track, _| shown.contains(track));
        let Standing::Open(opened) = &self.standing else {
            // If the core has opened it meanwhile, nobody was told its name.
            self.standing = Standing::Closed;
            return Next::default();
        };
        let restart = Command::RestartTransport { transport: opened.transport };
        (self.has_changed, self.is_restarting) = (true, true);
        Next { commands: vec![restart], ..Next::default() }
    }

    /// Takes the transport that the core has opened, or has given new credentials.
    pub fn opened(&mut self, opened: &OpenedTransport) -> Next {
        let waiting = match std::mem::replace(&mut self.standing, Standing::Open(Box::new(opened.clone()))) {
            Standing::Asked(waiting) => waiting,
            Standing::Closed => BTreeSet::new(),
            Standing::Open(_) => {
                self.is_restarting = false;
                return self.flush();
            }
        };
        let mut next = Next::default();
        for track in waiting {
            let msid = self.msids.get(&track).cloned().unwrap_or_default();
            next.commands.extend(self.subscribe(track, msid).commands);
        }
        next
    }

    /// Takes a track that the core sends from now on.
    pub fn consumed(&mut self, consumed: &Consumed) -> Next {
        if !self.asked.remove(&consumed.track) {
            return Next::default();
        }
        let Some(msid) = self.msids.get(&consumed.track).cloned() else { return self.flush() };
        let place = Place {
            kind: consumed.kind,
            parameters: consumed.parameters.clone(),
            shown: Some((consumed.track, msid)),
            is_free: false,
        };
        match self.places.iter_mut().find(|other| other.is_free && other.kind == consumed.kind) {
            Some(free) => *free = place,
            None => self.places.push(place),
        }
        self.has_changed = true;
        self.flush()
    }

    /// Notes that a track is not to be had.
    pub fn refused(&mut self, track: TrackId) -> Next {
        self.asked.remove(&track);
        self.msids.remove(&track);
        self.flush()
    }

    /// Notes that a track is sent no longer.
    pub fn ended(&mut self, track: TrackId) -> Next {
        self.asked.remove(&track);
        self.msids.remove(&track);
        for place in &mut self.places {
            if place.shown.as_ref().is_some_and(|(shown, _)| *shown == track) {
                place.shown = None;
                self.has_changed = true;
            }
        }
        self.flush()
    }

    /// Takes the client's answer. One to another offer than the last is passed over.
    pub fn answered(&mut self, answer: &SessionDescription) -> Next {
        let is_last = answer.id == 0 || answer.id == self.number;
        let (Some(offered), Standing::Open(opened)) = (self.offered.take_if(|_| is_last), &self.standing)
        else {
            return Next::default();
        };
        let answered = Answered::read(&answer.sdp);
        let mut next = Next::default();
        if let Some(dtls) = answered.dtls.clone().filter(|dtls| self.dtls.as_ref() != Some(dtls)) {
            let transport = opened.transport;
            next.commands.push(Command::ConnectTransport { transport, dtls: dtls.clone() });
            self.dtls = Some(dtls);
        }
        for (at, (place, offered)) in self.places.iter_mut().zip(offered).enumerate() {
            let Some(track) = offered else {
                // The first section carries the connection, so it is never given away.
                place.is_free = at > 0;
                continue;
            };
            if place.shown.as_ref().is_none_or(|(shown, _)| *shown != track) {
                continue;
            }
            if answered.accepts(at) {
                next.commands.push(Command::Pause { track, paused: false });
            } else {
                place.shown = None;
                self.has_changed = true;
                self.msids.remove(&track);
                next.commands.push(Command::Unsubscribe(track));
                next.unsupported.push(track);
            }
        }
        next.offer = self.flush().offer;
        next
    }

    /// Returns whether a track has a section.
    pub fn shows(&self, track: TrackId) -> bool {
        self.places.iter().any(|place| place.shown.as_ref().is_some_and(|(shown, _)| *shown == track))
    }

    /// Returns the next offer, if there is something to say and the client can be told.
    fn flush(&mut self) -> Next {
        let Standing::Open(opened) = &self.standing else { return Next::default() };
        // What the core will answer at once goes into the same offer.
        let waits = self.is_restarting || self.offered.is_some() || !self.asked.is_empty();
        if !self.has_changed || waits {
            return Next::default();
        }
        self.has_changed = false;
        self.number += 1;
        let shown = |place: &Place| place.shown.as_ref().map(|(track, _)| *track);
        self.offered = Some(self.places.iter().map(shown).collect());
        let mid_to_track_id = self.places.iter().filter_map(|place| {
            let (_, (_, track)) = place.shown.as_ref()?;
            Some((place.mid().to_owned(), track.clone()))
        });
        let offer = SessionDescription {
            kind: "offer".to_owned(),
            sdp: server_offer::write(opened, self.number, &self.places),
            id: self.number,
            mid_to_track_id: mid_to_track_id.collect(),
        };
        Next { offer: Some(offer), ..Next::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ids::TransportId;
    use crate::core::ortc::{DtlsFingerprint, DtlsRole, IceParameters, RtpParameters};
    use crate::core::source::MediaKind;

    fn opened() -> OpenedTransport {
        OpenedTransport {
            transport: TransportId(7),
            ice: IceParameters {
                username_fragment: "abcd".into(),
                password: "secret".into(),
                ice_lite: true,
            },
            candidates: Vec::new(),
            dtls: DtlsParameters::default(),
        }
    }

    fn consumed(track: u64, mid: &str) -> Consumed {
        let parameters = RtpParameters { mid: Some(mid.into()), ..RtpParameters::default() };
        Consumed { track: TrackId(track), kind: MediaKind::Video, parameters, paused: true, muted: false }
    }

    fn msid(track: u64) -> (String, String) {
        ("PA_1|camera".into(), format!("TR_{track}"))
    }

    fn answer(id: u32, ports: &[u16]) -> SessionDescription {
        let mut sdp = "v=0\r\na=fingerprint:sha-256 AB:CD\r\na=setup:active\r\n".to_owned();
        for port in ports {
            sdp += &format!("m=video {port} UDP/TLS/RTP/SAVPF 101\r\na=recvonly\r\n");
        }
        SessionDescription { kind: "answer".into(), sdp, id, ..SessionDescription::default() }
    }

    /// A client that receives the tracks 1 and 2.
    fn receiving() -> Subscriber {
        let mut client = Subscriber::default();
        client.subscribe(TrackId(1), msid(1));
        client.subscribe(TrackId(2), msid(2));
        client.opened(&opened());
        client.consumed(&consumed(1, "0"));
        client.consumed(&consumed(2, "1"));
        client.answered(&answer(1, &[9, 9]));
        client
    }

    #[test]
    fn a_track_is_offered_paused_and_resumed_when_the_client_has_answered() {
        let mut client = Subscriber::default();
        let next = client.subscribe(TrackId(1), msid(1));
        assert_eq!(next.commands, [Command::OpenTransport { direction: TransportDirection::Receive }]);
        assert_eq!(client.subscribe(TrackId(2), msid(2)), Next::default(), "the transport is on its way");
        let asked = client.opened(&opened()).commands;
        assert!(
            asked.iter().all(|one| matches!(one, Command::Consume { paused: true, .. })) && asked.len() == 2
        );
        assert_eq!(client.consumed(&consumed(1, "0")).offer, None, "the other comes at once");
        let offer = client.consumed(&consumed(2, "1")).offer.expect("an offer");
        assert_eq!((offer.id, offer.mid_to_track_id["1"].as_str()), (1, "TR_2"));
        assert_eq!(client.answered(&answer(9, &[9, 9])), Next::default(), "an answer to no offer");
        let next = client.answered(&answer(1, &[9, 0]));
        let fingerprint = DtlsFingerprint { algorithm: "sha-256".into(), value: "AB:CD".into() };
        let dtls = DtlsParameters { role: DtlsRole::Client, fingerprints: vec![fingerprint] };
        assert_eq!(next.commands[0], Command::ConnectTransport { transport: TransportId(7), dtls });
        assert_eq!(next.commands[1], Command::Pause { track: TrackId(1), paused: false });
        assert_eq!(next.commands[2], Command::Unsubscribe(TrackId(2)));
        assert_eq!(next.unsupported, [TrackId(2)]);
        assert_eq!(next.offer.expect("the client is told that it is gone").id, 2);
    }

    #[test]
    fn what_changes_while_an_offer_is_on_its_way_is_in_the_next() {
        let mut client = receiving();
        let offer = client.ended(TrackId(2)).offer.expect("an offer");
        assert!(offer.sdp.contains("m=video 0 ") && !offer.mid_to_track_id.contains_key("1"));
        client.subscribe(TrackId(3), msid(3));
        assert_eq!(client.consumed(&consumed(3, "2")), Next::default());
        let offer = client.answered(&answer(2, &[9, 0])).offer.expect("the next");
        assert_eq!(offer.sdp.matches("m=video 9 ").count(), 2, "{}", offer.sdp);
        assert_eq!(offer.mid_to_track_id["2"], "TR_3");
    }

    #[test]
    fn a_place_is_free_when_the_client_has_been_told_that_its_section_is_over() {
        let mut client = receiving();
        client.subscribe(TrackId(3), msid(3));
        client.consumed(&consumed(3, "2"));
        assert_eq!(client.ended(TrackId(2)), Next::default(), "an offer is on its way that has it");
        let offer = client.answered(&answer(2, &[9, 9, 9])).offer.expect("an offer without it");
        assert_eq!(offer.sdp.matches("m=video 0 ").count(), 1);
        client.subscribe(TrackId(4), msid(4));
        client.consumed(&consumed(4, "3"));
        let offer = client.answered(&answer(3, &[9, 0, 9])).offer.expect("an offer with the fourth");
        assert_eq!((offer.sdp.matches("m=video").count(), offer.mid_to_track_id["3"].as_str()), (4, "TR_4"));
        client.answered(&answer(4, &[9, 0, 9, 9]));
        client.subscribe(TrackId(5), msid(5));
        let offer = client.consumed(&consumed(5, "4")).offer.expect("an offer with the fifth");
        assert_eq!(offer.sdp.matches("m=video").count(), 4, "it takes the place of the second");
    }

    #[test]
    fn the_first_section_carries_the_connection_and_stays() {
        let mut client = receiving();
        let offer = client.ended(TrackId(1)).offer.expect("an offer");
        assert!(offer.sdp.contains("m=video 9 ") && offer.sdp.contains("a=inactive"), "{}", offer.sdp);
        assert!(offer.sdp.contains("a=group:BUNDLE 0 1"));
    }

    #[test]
    fn who_comes_back_is_offered_everything_once_more_with_new_credentials_and_what_has_come_meanwhile() {
        let mut client = receiving();
        client.subscribe(TrackId(3), msid(3));
        assert!(client.consumed(&consumed(3, "2")).offer.is_some(), "which the client never gets");
        let next = client.take_up(&BTreeSet::from([TrackId(1), TrackId(3)]));
        assert_eq!(next.commands, [Command::RestartTransport { transport: TransportId(7) }]);
        assert_eq!(client.subscribe(TrackId(1), msid(1)), Next::default(), "it has a section");
        assert_eq!(client.subscribe(TrackId(4), msid(4)).commands.len(), 1);
        let mut again = opened();
        again.ice.username_fragment = "new".into();
        assert_eq!(client.opened(&again), Next::default(), "the core is about to answer");
        let offer = client.consumed(&consumed(4, "3")).offer.expect("an offer");
        assert!(offer.id == 3 && offer.sdp.contains("a=ice-ufrag:new"), "{}", offer.sdp);
        assert_eq!(offer.mid_to_track_id.keys().collect::<Vec<_>>(), ["0", "2", "3"]);
        let resumed = client.answered(&answer(3, &[9, 0, 9, 9])).commands;
        assert!(resumed.iter().all(|one| matches!(one, Command::Pause { paused: false, .. })), "{resumed:?}");
        assert_eq!(resumed.len(), 3);
    }

    #[test]
    fn who_comes_back_before_anything_could_be_received_begins_anew() {
        let mut client = Subscriber::default();
        assert_eq!(client.take_up(&BTreeSet::new()), Next::default());
        client.subscribe(TrackId(1), msid(1));
        assert_eq!(client.take_up(&BTreeSet::new()), Next::default());
        let open = Command::OpenTransport { direction: TransportDirection::Receive };
        assert_eq!(client.subscribe(TrackId(1), msid(1)).commands, [open]);
    }

    #[test]
    fn who_unsubscribes_gets_nothing_more_of_it() {
        let mut client = receiving();
        let next = client.unsubscribe(TrackId(2));
        assert_eq!(next.commands, [Command::Unsubscribe(TrackId(2))]);
        assert_eq!(client.msids.keys().collect::<Vec<_>>(), [&TrackId(1)]);
        assert_eq!(client.unsubscribe(TrackId(9)).offer, None);
    }
}
