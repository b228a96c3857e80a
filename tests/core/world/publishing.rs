//! The first offers of clients: what they send, and in how many slots they receive.

use str0m::media::{Direction, MediaKind, Simulcast, SimulcastLayer};
use strait::core::command::{EncodingRequest, Source};

use super::{Client, World};

impl World {
    /// Makes a client's first offer: `slots` of each kind, and these sources to send.
    pub fn publish(&mut self, client: usize, slots: usize, sources: &[Source]) {
        let Client { rtc, slots: own_slots, sending, .. } = &mut self.clients[client];
        let mut changes = rtc.sdp_api();
        for _ in 0..slots {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                own_slots.push((changes.add_media(kind, Direction::RecvOnly, None, None, None), kind));
            }
        }
        for source in sources {
            let kind = match source.kind() {
                strait::core::command::MediaKind::Audio => MediaKind::Audio,
                strait::core::command::MediaKind::Video => MediaKind::Video,
            };
            sending.push((changes.add_media(kind, Direction::SendOnly, None, None, None), *source));
        }
        let (offer, pending) = changes.apply().expect("something changed");
        self.offer(client, &offer.to_sdp_string(), pending);
    }

    /// Makes a client's first offer: `slots` of each kind, and a camera in these encodings, each with its height.
    pub fn publish_layers(&mut self, client: usize, slots: usize, layers: &[(&str, u16)]) {
        let Client { rtc, slots: own_slots, sending, declared, .. } = &mut self.clients[client];
        let mut changes = rtc.sdp_api();
        for _ in 0..slots {
            for kind in [MediaKind::Audio, MediaKind::Video] {
                own_slots.push((changes.add_media(kind, Direction::RecvOnly, None, None, None), kind));
            }
        }
        let send = layers.iter().map(|(rid, _)| SimulcastLayer::new(rid)).collect();
        let simulcast = Simulcast { send, recv: Vec::new() };
        let mid = changes.add_media(MediaKind::Video, Direction::SendOnly, None, None, Some(simulcast));
        sending.push((mid, Source::Camera));
        *declared = layers
            .iter()
            .map(|(rid, height)| EncodingRequest {
                rid: (*rid).to_owned(),
                width: Some(height * 16 / 9),
                height: Some(*height),
                max_bitrate: None,
            })
            .collect();
        let (offer, pending) = changes.apply().expect("something changed");
        self.offer(client, &offer.to_sdp_string(), pending);
    }
}
