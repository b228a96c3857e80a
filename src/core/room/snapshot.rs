//! The state of a room as plain values, for people and dashboards.

use std::time::{Duration, Instant};

use super::Room;
use super::totals::{counters_of, dropouts_of};
use crate::core::command::{MediaKind, Source};
use crate::core::forward::backlog::Viewer;
use crate::core::forward::hold::Hold;
use crate::core::forward::publication::Publication;
use crate::core::forward::slot::Slot;
use crate::core::forward::steps::{Allowance, Load};
use crate::core::ids::{EncodingIndex, Mid, ParticipantKey, Ssrc, TrackId, TransportKey};
use crate::core::media::layers::Layers;
use crate::core::negotiated::{Codec, Payload};
use crate::core::ortc::TransportDirection;
use crate::core::participant::Participant;
use crate::core::path::Path;
use crate::core::quality::{Mos, effective_loss};
use crate::core::stats::{
    BandwidthSnapshot, ParticipantSnapshot, PauseReason, PublicationSnapshot, RedundancyDecision,
    RoomSnapshot, ShownLayers, SlotSnapshot, StreamQuality, TransportSnapshot,
};
use crate::core::transport::Transport;

/// The form in which a packet carries its codec's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadForm {
    /// The payload is in the codec's own format.
    Media,
    /// The payload also has copies of earlier packets (RFC 2198).
    Redundant,
    /// The packet retransmits another one (RFC 4588).
    Retransmission {
        /// The stream that it repairs.
        of: Ssrc,
    },
}

/// What an incoming packet of a participant belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IncomingStreamInfo {
    /// The track that it is part of.
    pub track: TrackId,
    /// What the track shows.
    pub source: Source,
    /// The codec of its payload.
    pub codec: Codec,
    /// The form in which the packet carries the codec's data.
    pub form: PayloadForm,
    /// Whether it is the encoding that is forwarded.
    pub is_followed: bool,
}

/// What an outgoing packet to a participant belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutgoingStreamInfo {
    /// The media section that is the slot.
    pub mid: Mid,
    /// The slot's media stream; if the packet is a retransmission, the stream that it repairs.
    pub main: Ssrc,
    /// Whether the slot takes audio or video.
    pub kind: MediaKind,
    /// Whether it is a retransmission.
    pub is_retransmission: bool,
    /// The track that the slot shows.
    pub track: Option<TrackId>,
    /// The codec that goes out.
    pub codec: Option<Codec>,
}

/// How a participant is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The path by which media goes; `None` if it goes nowhere.
    pub path: Option<Path>,
    /// The round trip, from their reports on our sender reports.
    pub round_trip: Option<Duration>,
    /// What their network carries.
    pub bandwidth: Option<BandwidthSnapshot>,
    /// How many copies of their audio they are sent; `None` if there never were any.
    pub redundancy: Option<RedundancyDecision>,
}

/// Returns what is to go out of a track to one of its viewers.
fn target_of(publication: &Publication, viewer: &Viewer) -> ShownLayers {
    if viewer.load.is_nothing || viewer.allowance == Allowance::Nothing {
        return ShownLayers::default();
    }
    shown_layers(publication, publication.selected(viewer), viewer.layers)
}

fn shown_layers(publication: &Publication, encoding: EncodingIndex, layers: Layers) -> ShownLayers {
    let known = |layer: u8| (layer < u8::MAX).then_some(layer);
    ShownLayers {
        layer: publication.rung(encoding).map(|rung| rung.name.to_string()),
        spatial: known(layers.spatial),
        temporal: known(layers.temporal),
    }
}

fn transport_snapshot(transport: &Transport) -> TransportSnapshot {
    TransportSnapshot {
        direction: transport.parametric.map(|own| own.direction),
        connected: transport.media.is_some(),
        path: transport.path,
        round_trip: transport.media.as_ref().and_then(|media| media.egress.round_trip),
    }
}

/// Returns why nothing of its track goes out in a slot, if that is so.
fn pause_of(slot: &Slot) -> Option<PauseReason> {
    let holds = [
        (Hold::Wish, PauseReason::Wish),
        (Hold::Bandwidth, PauseReason::Bandwidth),
        (Hold::Load, PauseReason::Load),
    ];
    holds.into_iter().find(|(hold, _)| slot.holds.has(*hold)).map(|(_, reason)| reason)
}

/// Returns what keeps somebody from more of a track than they get.
fn limit_of(viewer: &Viewer) -> Option<PauseReason> {
    if viewer.load != Load::default() {
        return Some(PauseReason::Load);
    }
    (viewer.allowance != Allowance::Everything).then_some(PauseReason::Bandwidth)
}

impl Room {
    /// Returns how a participant is reached. Replays use it to explain.
    pub fn reach(&self, of: ParticipantKey) -> Option<Reach> {
        let participant = self.participants.get(of.0)?;
        Some(self.reach_of(participant))
    }

    /// Returns the path, and the round trip, of the first transport that has one.
    fn reach_of(&self, participant: &Participant) -> Reach {
        let transports = || participant.transports.iter().map(|key| &self.transports[key.0]);
        let round_trip = |transport: &Transport| transport.media.as_ref()?.egress.round_trip;
        let bandwidth = |transport: &Transport| transport.media.as_ref()?.egress.bandwidth();
        let redundancy = |transport: &Transport| transport.media.as_ref()?.redundancy.decision();
        Reach {
            path: transports().find_map(|transport| transport.path),
            round_trip: transports().find_map(round_trip),
            bandwidth: transports().find_map(bandwidth),
            redundancy: transports().find_map(redundancy),
        }
    }

    /// Returns which way media flows on a transport, seen from its owner; `None` if both ways, or if it is gone. Replays use it
    /// to explain.
    pub fn direction_of(&self, on: TransportKey) -> Option<TransportDirection> {
        Some(self.transports.get(on.0)?.parametric?.direction)
    }

    /// Returns what a participant is shown, by section. Replays use it to explain.
    pub fn shown_to(&self, who: ParticipantKey) -> impl Iterator<Item = (Mid, TrackId)> {
        let slots = self.participants.get(who.0).into_iter().flat_map(|participant| &participant.slots);
        slots.filter_map(|slot| Some((slot.mid, slot.shown?.track)))
    }

    /// Whether a participant publishes a track. Replays use it to explain.
    pub fn publishes(&self, who: ParticipantKey, track: TrackId) -> bool {
        let publication = self.by_track.get(&track).and_then(|key| self.publications.get(key.0));
        publication.is_some_and(|publication| publication.owner == who)
    }

    /// Returns what a packet with this SSRC to a participant belongs to. Replays use it to explain.
    pub fn outgoing_stream(&self, to: ParticipantKey, ssrc: Ssrc) -> Option<OutgoingStreamInfo> {
        let slots = &self.participants.get(to.0)?.slots;
        let slot = slots.iter().find(|slot| slot.ssrc == ssrc || slot.rtx_ssrc == Some(ssrc))?;
        Some(OutgoingStreamInfo {
            mid: slot.mid,
            main: slot.ssrc,
            kind: slot.kind,
            is_retransmission: slot.ssrc != ssrc,
            track: slot.shown.map(|shown| shown.track),
            codec: slot.codec.map(|params| params.codec),
        })
    }

    /// Returns what a participant's packet with this SSRC and payload type belongs to. Replays use it to explain.
    pub fn incoming_stream(
        &self,
        from: ParticipantKey,
        ssrc: Ssrc,
        payload_type: u8,
    ) -> Option<IncomingStreamInfo> {
        let participant = self.participants.get(from.0)?;
        let mut transports = participant.transports.iter().map(|key| &self.transports[key.0]);
        // The client chooses SSRCs for each transport on its own; the first transport that has this one is taken.
        let has_stream = |transport: &&Transport| {
            transport.media.as_ref().is_some_and(|media| media.ingress.has_stream(ssrc))
        };
        let transport = transports.find(has_stream)?;
        let media = transport.media.as_ref()?;
        let (codec, form) = match transport.negotiated.payload(payload_type)? {
            Payload::Media(params) => (params.codec, PayloadForm::Media),
            Payload::Redundant(params) => (params.codec, PayloadForm::Redundant),
            Payload::Retransmission(params) => {
                (params.codec, PayloadForm::Retransmission { of: media.ingress.repaired_by(ssrc)? })
            }
        };
        // A retransmission belongs to the same track as the stream that it repairs.
        let main = match form {
            PayloadForm::Retransmission { of } => of,
            PayloadForm::Media | PayloadForm::Redundant => ssrc,
        };
        let publication = self.publications.get(media.ingress.stream(main)?.publication.0)?;
        let info = publication.info();
        let is_followed = publication.forwards(main);
        Some(IncomingStreamInfo { track: info.track, source: info.source, codec, form, is_followed })
    }

    /// Returns the state of the room.
    pub fn snapshot(&self, now: Instant) -> RoomSnapshot {
        let participants = self.order.iter().map(|key| self.participant_snapshot(now, *key));
        RoomSnapshot {
            room: self.id.clone(),
            age: now.saturating_duration_since(self.created),
            options: self.options.clone(),
            waiting: self.waiting.iter().map(|waiting| waiting.snapshot(now)).collect(),
            bans: self.bans.snapshot(now),
            participants: participants.collect(),
        }
    }

    fn participant_snapshot(&self, now: Instant, key: ParticipantKey) -> ParticipantSnapshot {
        let participant: &Participant = &self.participants[key.0];
        let sections = participant.slots.iter().filter(|slot| slot.mid != Mid::NONE);
        let viewer = |slot: &Slot| {
            let publication = self.publications.get(slot.shown?.publication.0)?;
            let index = participant.slots.iter().position(|other| other.ssrc == slot.ssrc)?;
            Some((publication, publication.viewers().find(|viewer| viewer.is(key, index))?))
        };
        let slots = sections.map(|slot| SlotSnapshot {
            mid: slot.mid,
            kind: slot.kind,
            track: slot.shown.map(|shown| shown.track),
            shown: self.layers_of(slot),
            target: viewer(slot)
                .map(|(publication, viewer)| target_of(publication, viewer))
                .unwrap_or_default(),
            paused: pause_of(slot),
            limited_by: viewer(slot).and_then(|(_, viewer)| limit_of(viewer)),
            counters: slot.counters_of_track(),
            jitter: slot.jitter,
            quality: self.slot_quality(slot),
            layer_changes: slot.layer_changes,
            first_media: slot.first_media(),
        });
        let transports = participant.transports.iter().map(|key| &self.transports[key.0]);
        let reach = self.reach_of(participant);
        ParticipantSnapshot {
            participant: participant.id,
            profile: participant.profile.clone(),
            grants: participant.grants,
            reconnecting: !participant.is_connected(),
            media_lost: participant.media_lost,
            connected: transports.clone().any(|transport| transport.media.is_some()),
            path: reach.path,
            round_trip: reach.round_trip,
            transports: transports.clone().map(transport_snapshot).collect(),
            bandwidth: reach.bandwidth,
            pacing: transports.clone().find_map(|transport| transport.media.as_ref()?.egress.pacing()),
            redundancy: reach.redundancy,
            quality: participant.judge.quality().zip(participant.score),
            age: now.saturating_duration_since(participant.joined_at),
            publications: self.publication_snapshots(now, participant),
            slots: slots.collect(),
        }
    }

    /// Returns what of its track goes out in a slot.
    fn layers_of(&self, slot: &Slot) -> ShownLayers {
        let of = |slot: &Slot| {
            let (stretch, _) = slot.flowing()?;
            let publication = self.publications.get(slot.shown?.publication.0)?;
            Some(shown_layers(publication, stretch.encoding, slot.layers_sent()))
        };
        of(slot).unwrap_or_default()
    }

    /// Returns how good what goes out in a slot gets to its client.
    fn slot_quality(&self, slot: &Slot) -> StreamQuality {
        let media = self.transports.get(slot.transport.0).and_then(|own| own.media.as_ref());
        let copies = media.filter(|_| slot.takes_copies()).map_or(0, |media| media.redundancy.copies());
        let round_trip = media.and_then(|media| media.egress.round_trip).unwrap_or_default();
        let loss_permille = slot.loss_permille();
        let is_heard = slot.kind == MediaKind::Audio && slot.shown.is_some();
        let missing = effective_loss(loss_permille, copies as u8);
        let mos = is_heard.then(|| Mos::estimate(missing, round_trip, slot.jitter));
        StreamQuality { rates: slot.meter.rates(), loss_permille, mos, dropouts: slot.dropouts }
    }

    /// Returns how good what somebody publishes gets here.
    fn publication_quality(&self, publication: &Publication, owner: &Participant) -> StreamQuality {
        let media = self.transports.get(publication.transport.0).and_then(|own| own.media.as_ref());
        let stream = media.zip(publication.ssrc()).and_then(|(media, ssrc)| media.ingress.stream(ssrc));
        let round_trip = self.reach_of(owner).round_trip.unwrap_or_default();
        let loss_permille = publication.loss.permille();
        let heard = stream.filter(|_| publication.kind() == MediaKind::Audio && !publication.muted);
        let mos = heard.map(|stream| Mos::estimate(loss_permille, round_trip, stream.statistics.jitter()));
        let dropouts = dropouts_of(publication, &self.transports);
        StreamQuality { rates: publication.meter.rates(), loss_permille, mos, dropouts }
    }

    fn publication_snapshots(&self, now: Instant, participant: &Participant) -> Vec<PublicationSnapshot> {
        let of = |key: &crate::core::ids::PublicationKey| {
            let publication = &self.publications[key.0];
            let media = self.transports.get(publication.transport.0).and_then(|own| own.media.as_ref());
            let stream = media.zip(publication.ssrc()).and_then(|(media, ssrc)| media.ingress.stream(ssrc));
            PublicationSnapshot {
                info: publication.info(),
                codec: publication.codec().map(Codec::name),
                encodings: publication.encoding_snapshots(now),
                subscribers: publication.viewers().count(),
                counters: counters_of(publication, &self.transports),
                jitter: stream.map_or(Duration::ZERO, |stream| stream.statistics.jitter()),
                quality: self.publication_quality(publication, participant),
            }
        };
        participant.publications.iter().map(of).collect()
    }
}
