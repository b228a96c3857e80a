//! Media in: a packet is opened, placed and kept. What is pending leaves by `fanout.rs` when the batch ends; what clients
//! say of the media they get is heard in `feedback.rs`.

use std::time::Instant;

use super::Room;
use crate::core::forward::publication::{Arrived, Publication};
use crate::core::ids::TransportKey;
use crate::core::media::ingress::Received;
use crate::core::outbox::Outbox;
use crate::core::path::Path;
use crate::core::transport::Transport;

impl Room {
    /// A media packet: opened, placed, kept; walk: called by `Room::handle_datagram`.
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
        let received = media.ingress.receive(now, media.egress.round_trip(), bytes, negotiated, published);
        if !matches!(received, Received::Dropped) {
            transport.adopt_path(path);
        }
        let Received::Media(arrival) = received else { return };
        let key = arrival.publication;
        let Some(publication) = self.publications.get_mut(key.0) else { return };
        let publication_kind = publication.kind();
        let Arrived::Pending { first, codec_changed } = publication.arrive(now, &arrival) else { return };
        if first {
            self.pending_of(publication_kind).push_back(key);
        }
        if codec_changed {
            self.codec_changed(now, key, outbox);
        }
        // More than the cache holds can come at once, when what was lost in an outage is repaired.
        if self.publications.get(key.0).is_some_and(Publication::is_brimful) {
            let mut all = usize::MAX;
            self.forward(now, key, &mut all, outbox, &mut None);
        }
    }
}
