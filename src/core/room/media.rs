//! Media in: a packet is decrypted, placed and kept. `fanout.rs` forwards it when the batch ends. `feedback.rs` handles
//! RTCP.

use std::time::Instant;

use super::Room;
use crate::core::ids::TransportKey;
use crate::core::outbox::Outbox;
use crate::core::path::Path;
use crate::core::transport::Transport;

impl Room {
    /// Takes a media packet that came on a transport: decrypts it, finds its publication, and keeps it there. Walk:
    /// called by `Room::handle_datagram`.
    pub(super) fn handle_rtp(
        &mut self,
        now: Instant,
        on: TransportKey,
        path: Path,
        bytes: &mut [u8],
        outbox: &mut Outbox,
    ) {
        let transport = &mut self.transports[on.0];
        let Transport { media, negotiated, published, .. } = transport;
        let Some(media) = media else { return };
        let round_trip = media.egress.round_trip();
        let received = media.ingress.receive(now, round_trip, bytes, negotiated, published);
        // Transport-wide feedback also covers packets that are dropped.
        transport.set_feedback();
        let Ok(received) = received else { return };
        if transport.on_authentic(now, path, self.settings.media_timeout) {
            self.hear_again(now, on, outbox);
        }
        let Some(packet) = received else { return };
        let key = packet.publication;
        let Some(publication) = self.publications.get_mut(key.0) else { return };
        let (kind, ssrc, index) = (publication.kind(), packet.ssrc, packet.index);
        let was_wanted = publication.wants_keyframes();
        let placement = publication.arrive(now, &packet);
        if publication.needs_review {
            self.layer_reviews.push(key);
        }
        let level = match &mut publication.speech {
            Some(speech) if !packet.recovered => {
                let level = packet.extensions.audio_level();
                if level.is_none() {
                    speech.miss();
                }
                level
            }
            _ => None,
        };
        let timestamp = packet.timestamp;
        if placement.starts_keyframe
            && let Some(stream) =
                self.transports[on.0].media.as_mut().and_then(|media| media.ingress.stream_mut(ssrc))
            && let Some(nack) = &mut stream.nack
        {
            nack.on_keyframe(index);
        }
        // A key frame that was wanted may have come, or viewers may now wait for one of another encoding.
        if was_wanted || publication.wants_keyframes() {
            self.set_keyframe_timer(now, on);
        }
        if placement.begins_to_wait {
            self.pending_of(kind).push_back(key);
        }
        if let Some(level) = level {
            self.hear(now, key, timestamp, level);
        }
        if placement.codec_changed {
            self.codec_changed(now, key, outbox);
        }
        // When the losses of an outage are repaired, more packets can come at once than the cache holds.
        if placement.is_brimful {
            let mut all = usize::MAX;
            outbox.with_sink(|outbox, sink| self.forward_track(now, key, &mut all, outbox, sink));
        }
    }
}
