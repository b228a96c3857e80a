//! Media in: a packet is opened, placed and kept. What is pending leaves by `fanout.rs` when the batch ends; what clients
//! say of the media they get is heard in `feedback.rs`.

use std::time::Instant;

use super::Room;
use crate::core::ids::TransportKey;
use crate::core::outbox::Outbox;
use crate::core::path::Path;
use crate::core::transport::Transport;

impl Room {
    /// A media packet came on a transport. It is opened, finds its publication, and is kept there. Walk: called by
    /// `Room::handle_datagram`.
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
        // Feedback tells of packets, too, that are of no use otherwise.
        transport.set_feedback();
        let Ok(received) = received else { return };
        if transport.on_authentic(now, path) {
            self.hear_again(now, on, outbox);
        }
        let Some(packet) = received else { return };
        let key = packet.publication;
        let Some(publication) = self.publications.get_mut(key.0) else { return };
        let (kind, ssrc, index) = (publication.kind(), packet.ssrc, packet.index);
        let was_wanted = publication.wants_keyframes();
        let placement = publication.arrive(now, &packet);
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
        // One that was waited for may have come; or another encoding is shown from now on, which has to begin with one.
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
        // More than the cache holds can come at once, when what was lost in an outage is repaired.
        if placement.is_brimful {
            let mut all = usize::MAX;
            outbox.with_sink(|outbox, sink| self.forward_track(now, key, &mut all, outbox, sink));
        }
    }
}
