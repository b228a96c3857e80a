//! What goes out of a slot, byte by byte: a packet with the slot's own header, sealed; the same as a retransmission; or with
//! copies of those before it.

use super::{Slot, source_packet};
use crate::core::command::MediaKind;
use crate::core::forward::copies::Copies;
use crate::core::forward::encoding::{Encoding, PacketInfo};
use crate::core::forward::munger::{Rewrite, Stretch};
use crate::core::media::cache::CachedPacket;
use crate::core::media::egress::{EgressHalf, Purpose};
use crate::core::media::extensions::{DescriptorChange, KeptExtensions};
use crate::core::mutation::mutated;
use crate::core::negotiated::CodecParams;
use crate::wire::dependency_descriptor::ActivePlace;
use crate::wire::red;
use crate::wire::rtp::{RtpFields, write_header};
use crate::wire::rtp_extensions::ExtensionBlock;

/// A packet that goes out, as [`Slot::write`] is to write it.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub(super) rewrite: Rewrite,
    pub(super) packet: CachedPacket<'a, PacketInfo>,
    pub(super) codec: CodecParams,
    /// Nothing but padding goes out: the packet is of a layer that is left out, and its number has been given already.
    pub(super) is_filler: bool,
    /// Whether the packet is the last one of its picture, of those layers of it that go out.
    pub(super) marker: bool,
}

/// What goes out as padding: its own length, a byte (RFC 3550 §5.1).
const PADDING: &[u8] = &[1];

impl Slot {
    /// Writes a packet as [`write`](Self::write) does, with up to `most` copies of those before it, which its encoding keeps.
    pub fn write_with_copies(
        &mut self,
        outgoing: &Outgoing<'_>,
        encoding: &Encoding,
        most: usize,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let Outgoing { packet, codec, rewrite, .. } = outgoing;
        let (Some(red), Some(began_with)) = (codec.red, self.munger.began_with()) else {
            return self.write(outgoing, egress, buffer);
        };
        let copies = Copies::collect(encoding, packet, began_with, most, *codec);
        let copies = copies.as_slice();
        if copies.is_empty() {
            return self.write(outgoing, egress, buffer);
        }
        let fields = RtpFields { payload_type: red.0, ..self.fields(outgoing) };
        let front = red::front_length(copies);
        self.counters.bytes += front as u64;
        let write_front = |front: &mut [u8]| red::write_front(front, codec.pt.0, copies);
        self.write_packet(
            &fields,
            outgoing,
            (front, write_front),
            rewrite.index,
            self.purpose(),
            egress,
            buffer,
        )
    }

    /// Writes a packet into `buffer` and seals it: header, payload, tag. Returns its length; `None` if it does not fit.
    #[inline]
    pub fn write(
        &self,
        outgoing: &Outgoing<'_>,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let nothing = |_: &mut [u8]| Some(());
        let fields = self.fields(outgoing);
        self.write_packet(
            &fields,
            outgoing,
            (0, nothing),
            outgoing.rewrite.index,
            self.purpose(),
            egress,
            buffer,
        )
    }

    /// Returns what a packet is sent for that goes out for the first time.
    #[inline]
    fn purpose(&self) -> Purpose {
        match self.kind {
            MediaKind::Audio => Purpose::Audio,
            MediaKind::Video => Purpose::Video,
        }
    }

    /// Returns the header of a packet that goes out for the first time.
    pub(super) fn fields(&self, outgoing: &Outgoing<'_>) -> RtpFields {
        RtpFields {
            marker: outgoing.marker || (self.kind == MediaKind::Audio && outgoing.rewrite.first),
            payload_type: outgoing.codec.pt.0,
            sequence: outgoing.rewrite.index as u16,
            timestamp: outgoing.rewrite.timestamp,
            ssrc: self.ssrc.0,
            has_padding: outgoing.is_filler,
        }
    }

    /// Writes a packet. `front` is what stands before its own payload: how many bytes, and what writes them.
    #[expect(clippy::too_many_arguments, reason = "a packet, and where it goes: no two are of one type")]
    pub(super) fn write_packet(
        &self,
        fields: &RtpFields,
        outgoing: &Outgoing<'_>,
        (front, write_front): (usize, impl FnOnce(&mut [u8]) -> Option<()>),
        index: u64,
        purpose: Purpose,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let counters = outgoing.rewrite.counters;
        let mut block = ExtensionBlock::new();
        // First, so that there is room for it, whatever else is passed on.
        let is_numbered = match self.extensions.transport_cc {
            Some(id) => block.push(id, &egress.next_number().to_be_bytes()),
            None => false,
        };
        if !outgoing.is_filler && !outgoing.packet.extensions.is_empty() {
            let change =
                DescriptorChange { frame_number: counters.frame_number, active: outgoing.active_targets() };
            KeptExtensions(outgoing.packet.extensions).write(&self.extensions, change, &mut block);
        }
        let header_length = write_header(buffer, fields, &block)?;
        let own = outgoing.payload();
        let payload_start = header_length + front;
        let end = payload_start + own.len();
        write_front(buffer.get_mut(header_length..payload_start)?)?;
        let payload = buffer.get_mut(payload_start..end)?;
        payload.copy_from_slice(own);
        if !outgoing.is_filler {
            outgoing.packet.meta.extra.descriptor.patch(payload, counters);
        }
        let index = if mutated!(RollOverForgotten) { index & 0xffff } else { index };
        let length = egress.sender.seal_rtp(buffer, header_length, end, index)?;
        if is_numbered {
            egress.on_sent(length, purpose);
        }
        Some(length)
    }

    /// Writes a retransmission (RFC 4588) of a packet that was sent before. Returns its length; `None` if the client takes
    /// no retransmissions, or the packet is of another codec than the slot has now.
    pub fn write_retransmission(
        &mut self,
        stretch: Stretch,
        packet: CachedPacket<'_, PacketInfo>,
        source_codec: CodecParams,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        let length = self.write_again(stretch, packet, source_codec, Purpose::Repeat, egress, buffer)?;
        self.counters.retransmitted += 1;
        self.repeat_bytes = self.repeat_bytes.saturating_sub(length as u64);
        Some(length)
    }

    pub(super) fn write_again(
        &mut self,
        stretch: Stretch,
        packet: CachedPacket<'_, PacketInfo>,
        source_codec: CodecParams,
        purpose: Purpose,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        // The slot may show another track by now, in another codec, whose payload type would be wrong.
        let codec = self.codec.filter(|codec| codec.codec == source_codec.codec)?;
        let rtx_ssrc = self.rtx_ssrc?;
        let rewrite = self.munger.again(stretch, &source_packet(packet.meta))?;
        // Whoever got padding in its place, because the packet's layer was left out, gets that again.
        let is_filler = !rewrite.selection.takes(&packet.meta.extra.layers);
        let outgoing = Outgoing::new(rewrite, packet, codec, is_filler);
        let index = self.rtx_index;
        let fields = RtpFields {
            marker: if mutated!(RtxWithOtherMarker) { packet.meta.marker } else { outgoing.marker },
            payload_type: codec.rtx?.0,
            sequence: index as u16,
            timestamp: rewrite.timestamp,
            ssrc: rtx_ssrc.0,
            has_padding: outgoing.is_filler,
        };
        let original = rewrite.index + u64::from(mutated!(RepeatWithWrongOriginal));
        let original = (original as u16).to_be_bytes();
        let write_original = |front: &mut [u8]| {
            front.copy_from_slice(&original);
            Some(())
        };
        let front = (original.len(), write_original);
        let length = self.write_packet(&fields, &outgoing, front, index, purpose, egress, buffer)?;
        self.rtx_index += 1;
        Some(length)
    }
}

impl<'a> Outgoing<'a> {
    /// Decides how a packet goes out that has its place in the slot's stream.
    #[inline]
    pub(super) fn new(
        rewrite: Rewrite,
        packet: CachedPacket<'a, PacketInfo>,
        codec: CodecParams,
        is_filler: bool,
    ) -> Self {
        let ends = || rewrite.selection.ends_picture(&packet.meta.extra.layers) && !mutated!(MarkerNotMoved);
        let marker = !is_filler && (packet.meta.marker || ends());
        Self { rewrite, packet, codec, is_filler, marker }
    }

    /// What of the packet goes out, apart from its header.
    pub(super) fn payload(&self) -> &[u8] {
        if self.is_filler { PADDING } else { self.packet.payload }
    }

    /// The decode targets that are told to be active, if not all are, and where that is written.
    fn active_targets(&self) -> Option<(ActivePlace, u32)> {
        let active = self.rewrite.selection.active;
        let place = self.packet.meta.extra.layers.dependencies.as_ref()?.active_place;
        (active != 0).then_some((place, active))
    }
}
