//! The core's snapshots as JSON, as `/admin/v1` shows them.

use serde_json::{Value, json};

use crate::core::ortc::TransportDirection;
use crate::core::path::Path;
use crate::core::quality::Mos;
use crate::core::stats::{
    BandwidthSnapshot, EncodingSnapshot, PacingSnapshot, ParticipantSnapshot, PauseReason,
    PublicationSnapshot, RoomSnapshot, ShownLayers, Snapshot, StreamCounters, StreamQuality,
    TransportSnapshot,
};

/// Shows all rooms in short.
pub fn rooms(snapshot: &Snapshot) -> Value {
    let rooms = snapshot.rooms.iter().map(|room| {
        json!({
            "room": room.room.as_str(),
            "ageSeconds": room.age.as_secs(),
            "participants": room.participants.len(),
            "tracks": room.participants.iter().map(|participant| participant.publications.len()).sum::<usize>(),
        })
    });
    json!({"rooms": rooms.collect::<Vec<_>>()})
}

/// Shows one room in full.
pub fn room(room: &RoomSnapshot) -> Value {
    let participants = room.participants.iter().map(participant);
    json!({
        "room": room.room.as_str(),
        "ageSeconds": room.age.as_secs(),
        "participants": participants.collect::<Vec<_>>(),
    })
}

/// What a participant's network carries.
fn bandwidth(bandwidth: &BandwidthSnapshot) -> Value {
    json!({
        "estimateBps": bandwidth.estimate,
        "acknowledgedBps": bandwidth.acknowledged,
        "loss": f64::from(bandwidth.loss_millionths) / 1e6,
        "limitedBy": bandwidth.reason.as_str(),
    })
}

/// How their media is spread over time.
fn pacing(pacing: &PacingSnapshot) -> Value {
    json!({
        "delayMs": pacing.delay.as_secs_f64() * 1000.0,
        "paddingTargetBps": pacing.padding_target,
        "paddingPackets": pacing.counters.padding_packets,
        "paddingBytes": pacing.counters.padding_bytes,
        "pacedPackets": pacing.counters.paced_packets,
        "pacedDropped": pacing.counters.paced_dropped,
        "probes": pacing.counters.probes,
        "probesGivenUp": pacing.counters.probes_given_up,
        "repeatsWithheld": pacing.counters.repeats_withheld,
    })
}

/// What everybody sees of a track who may ask.
pub fn track(publication: &PublicationSnapshot) -> Value {
    json!({
        "trackId": publication.info.track.to_string(),
        "kind": publication.info.kind().as_str(),
        "source": publication.info.source.as_str(),
        "muted": publication.info.muted,
        "subscribers": publication.subscribers,
    })
}

/// What everybody sees of a participant who may ask.
pub fn person(participant: &ParticipantSnapshot) -> Value {
    json!({
        "participantId": participant.participant.to_string(),
        "identity": participant.profile.identity,
        "name": participant.profile.name,
        "metadata": participant.profile.metadata,
        "attributes": participant.profile.attributes,
        "role": participant.grants.role().as_str(),
        "state": if participant.reconnecting { "reconnecting" } else { "connected" },
        "mediaConnected": participant.connected,
        "ageSeconds": participant.age.as_secs(),
    })
}

/// Returns an object with the fields of both.
pub fn with(mut object: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut object, more) {
        fields.extend(more);
    }
    object
}

fn publications(participant: &ParticipantSnapshot) -> Vec<Value> {
    let publications = participant.publications.iter().map(|publication| {
        let measured = json!({
            "codec": publication.codec,
            "encodings": encodings(&publication.encodings),
            "jitterMs": publication.jitter.as_secs_f64() * 1000.0,
            "quality": stream_quality(&publication.quality),
            "counters": counters(&publication.counters),
        });
        with(track(publication), measured)
    });
    publications.collect()
}

/// The path that media takes.
fn path(path: Path) -> Value {
    json!({
        "name": path.carrier.as_str(),
        "transport": format!("{:?}", path.protocol()).to_lowercase(),
        "local": path.local.to_string(),
        "remote": path.remote.to_string(),
    })
}

/// One of their transports.
fn transport(transport: &TransportSnapshot) -> Value {
    json!({
        "direction": match transport.direction {
            Some(TransportDirection::Send) => "send",
            Some(TransportDirection::Receive) => "receive",
            None => "both",
        },
        "connected": transport.connected,
        "path": transport.path.map(path),
        "roundTripMs": transport.round_trip.map(|time| time.as_secs_f64() * 1000.0),
    })
}

/// Shows one participant in full.
pub fn participant(participant: &ParticipantSnapshot) -> Value {
    let slots = participant.slots.iter().map(|slot| {
        json!({
            "mid": slot.mid.to_string(),
            "trackId": slot.track.map(|track| track.to_string()),
            "layer": slot.shown.layer,
            "spatialLayer": slot.shown.spatial,
            "temporalLayer": slot.shown.temporal,
            "target": slot.track.map(|_| shown_layers(&slot.target)),
            "paused": slot.paused.map(PauseReason::as_str),
            "limitedBy": slot.limited_by.map(PauseReason::as_str),
            "layerChanges": slot.layer_changes,
            "firstMediaMs": slot.first_media.map(|time| time.as_secs_f64() * 1000.0),
            "jitterMs": slot.jitter.as_secs_f64() * 1000.0,
            "quality": stream_quality(&slot.quality),
            "counters": counters(&slot.counters),
        })
    });
    let measured = json!({
        "hidden": participant.grants.hidden,
        "mediaLost": participant.media_lost,
        "path": participant.path.map(path),
        "transports": participant.transports.iter().map(transport).collect::<Vec<_>>(),
        "roundTripMs": participant.round_trip.map(|time| time.as_secs_f64() * 1000.0),
        "bandwidth": participant.bandwidth.as_ref().map(bandwidth),
        "pacing": participant.pacing.as_ref().map(pacing),
        "redundancy": participant.redundancy.map(|decision| json!({
            "copies": decision.copies,
            "lossBefore": f64::from(decision.loss_permille) / 1e3,
            "reason": decision.reason.as_str(),
        })),
        "quality": participant.quality.map(|(quality, parts)| json!({
            "level": quality.level.as_str(),
            "score": quality.score,
            "mos": quality.mos.map(Mos::value),
            "network": parts.network,
            "media": parts.media,
            "continuity": parts.continuity,
            "system": parts.system,
        })),
        "publications": publications(participant),
        "slots": slots.collect::<Vec<_>>(),
    });
    with(person(participant), measured)
}

fn shown_layers(shown: &ShownLayers) -> Value {
    json!({"layer": shown.layer, "spatialLayer": shown.spatial, "temporalLayer": shown.temporal})
}

fn encodings(encodings: &[EncodingSnapshot]) -> Vec<Value> {
    let encoding = |encoding: &EncodingSnapshot| {
        json!({
            "name": encoding.name,
            "width": encoding.width,
            "height": encoding.height,
            "active": encoding.is_on,
            "bitrateBps": encoding.bitrate,
            "viewers": encoding.viewers,
        })
    };
    encodings.iter().map(encoding).collect()
}

fn stream_quality(quality: &StreamQuality) -> Value {
    json!({
        "bitrateBps": quality.rates.bitrate,
        "framesPerSecond": quality.rates.frames_per_1000_seconds as f64 / 1000.0,
        "loss": f64::from(quality.loss_permille) / 1000.0,
        "mos": quality.mos.map(Mos::value),
        "dropouts": quality.dropouts,
    })
}

fn counters(counters: &StreamCounters) -> Value {
    json!({
        "packets": counters.packets,
        "bytes": counters.bytes,
        "lost": counters.lost,
        "retransmitted": counters.retransmitted,
        "nacked": counters.nacked,
        "keyframeRequests": counters.keyframe_requests,
        "dropped": counters.dropped,
        "frames": counters.frames,
        "keyframes": counters.keyframes,
    })
}
