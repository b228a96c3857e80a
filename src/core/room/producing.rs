//! Producing: members without session descriptions publish tracks by their parameters.

use std::time::Instant;

use super::Room;
use super::commands::not_permitted;
use super::parametric::{bad_parameters, unknown_transport};
use crate::core::command::{EncodingRequest, MediaKind, PublicationRequest, Source};
use crate::core::event::{Refusal, RefusalCode};
use crate::core::ids::{ParticipantKey, PublicationKey, TrackId, TransportId, TransportKey};
use crate::core::ortc::produced::{self, SentEncoding};
use crate::core::ortc::{RtpParameters, TransportDirection, check};
use crate::core::outbox::Outbox;

fn requested(encoding: SentEncoding) -> EncodingRequest {
    let SentEncoding { rid, width, height, max_bitrate } = encoding;
    EncodingRequest { rid, width, height, max_bitrate }
}

impl Room {
    /// Publishes a track of a member, which comes on that transport of theirs. `asked` says of which kind it is, what it shows,
    /// and whether it is muted from the beginning.
    pub(super) fn produce(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        transport: TransportId,
        parameters: &RtpParameters,
        asked: (MediaKind, Source, bool),
    ) -> Result<PublicationKey, Refusal> {
        let on = self.own_transport(from, transport).ok_or_else(unknown_transport)?;
        let (kind, source, muted) = asked;
        check::parameters(parameters).map_err(bad_parameters)?;
        if source.kind() != kind {
            return Err(bad_parameters(format!("a {} is not {}", source.as_str(), kind.as_str())));
        }
        if !self.participants[from.0].grants.publish.has(source) {
            return Err(not_permitted(&format!("publish a {}", source.as_str())));
        }
        let most = self.settings.tracks_per_participant_max;
        if self.participants[from.0].publications.len() >= most {
            return Err(Refusal::new(
                RefusalCode::TooManyTracks,
                format!("you publish {most} tracks already, and no more are allowed"),
                "end one of them first",
            ));
        }
        let own = &self.transports[on.0];
        if own.parametric.is_none_or(|own| own.direction != TransportDirection::Send) {
            return Err(bad_parameters("this transport is for receiving, not for sending"));
        }
        let fallback = self.next_mid(from, on);
        let own = &self.transports[on.0];
        let section = produced::section(kind, parameters, fallback, self.options.codecs, &own.negotiated)
            .map_err(bad_parameters)?;
        let encodings = produced::encodings(parameters).into_iter().map(requested).collect();
        let request = PublicationRequest { mid: section.mid, source, muted, encodings, track: None };
        let mut sections = own.negotiated.sections.clone();
        sections.push(section);
        self.take_sections(on, sections);
        let publication = self.publish(now, from, on, &request);
        self.take_section(now, on, publication, &request);
        Ok(publication)
    }

    /// Ends a track that a member publishes.
    pub(super) fn close_producer(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let key = self.own_track(from, track)?;
        self.unpublish(now, key, outbox);
        Ok(())
    }

    /// Forgets the sections of a transport whose tracks have ended. Does nothing if its client makes offers: theirs are there
    /// until they are offered no more.
    pub(super) fn forget_produced(&mut self, on: TransportKey) {
        let transport = &self.transports[on.0];
        if transport.parametric.is_none() {
            return;
        }
        let is_left = |mid| transport.published.contains_key(&mid);
        let sections = transport.negotiated.sections.iter();
        let left = sections.filter(|section| section.ingress.is_none() || is_left(section.mid));
        let left: Vec<_> = left.cloned().collect();
        self.take_sections(on, left);
    }
}
