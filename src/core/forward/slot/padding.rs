//! Padding in a slot's stream of retransmissions: packets that were sent before, or nothing but padding.

use super::Slot;
use crate::core::command::MediaKind;
use crate::core::forward::encoding::PacketInfo;
use crate::core::forward::munger::Stretch;
use crate::core::media::cache::CachedPacket;
use crate::core::media::egress::{EgressHalf, Purpose};
use crate::core::mutation::mutated;
use crate::core::negotiated::CodecParams;
use crate::wire::rtp::{RtpFields, write_header};
use crate::wire::rtp_extensions::ExtensionBlock;

/// How many of the newest packets are sent again as padding, one after the other: those that the receiver may still miss.
const PADDING_PACKETS: u16 = 32;
/// A packet with less payload than this is not worth being sent as padding: its headers would be most of it.
const PADDING_PAYLOAD_MIN: usize = 50;
/// The most bytes of padding in a packet: their number is in the last byte (RFC 3550 §5.1).
const PADDING_BYTES: u8 = 255;

impl Slot {
    /// Whether padding can be sent in it: the client must take retransmissions, and report on what comes.
    pub fn can_pad(&self) -> bool {
        let takes_repeats = self.rtx_ssrc.is_some() && self.codec.is_some_and(|codec| codec.rtx.is_some());
        self.kind == MediaKind::Video && self.open && takes_repeats && self.extensions.transport_cc.is_some()
    }

    /// Returns the packet that is sent as padding next, if it is still kept: one after the other of the newest ones, so that
    /// the receiver gets some that it may have lost; `None` if nothing was sent yet.
    pub fn next_padding(&mut self) -> Option<(Stretch, u64)> {
        let sequence = self.munger.newest()?.wrapping_sub(self.padding_back);
        self.padding_back = (self.padding_back + 1) % PADDING_PACKETS;
        self.munger.origin(sequence)
    }

    /// Writes a packet that was sent before as padding: its receiver has it, and drops it without a word. Returns its length;
    /// `None` if another one has to be taken.
    pub fn write_old_packet(
        &mut self,
        stretch: Stretch,
        packet: CachedPacket<'_, PacketInfo>,
        source_codec: CodecParams,
        egress: &mut EgressHalf,
        buffer: &mut [u8],
    ) -> Option<usize> {
        if packet.payload.len() < PADDING_PAYLOAD_MIN {
            return None;
        }
        self.write_again(stretch, packet, source_codec, Purpose::Padding, egress, buffer)
    }

    /// Writes a packet that is nothing but padding, in the stream of retransmissions: in that of media, its number would be
    /// missing from what is decoded. Returns its length; `None` if [no padding can be sent](Self::can_pad).
    pub fn write_padding(&mut self, egress: &mut EgressHalf, buffer: &mut [u8]) -> Option<usize> {
        let mut block = ExtensionBlock::new();
        if !block.push(self.extensions.transport_cc?, &egress.next_number().to_be_bytes()) {
            return None;
        }
        let rtx_ssrc = self.rtx_ssrc?;
        let index = self.rtx_index;
        let fields = RtpFields {
            marker: false,
            payload_type: self.codec?.rtx?.0,
            sequence: index as u16,
            timestamp: self.munger.timestamp(),
            ssrc: if mutated!(PaddingOnMediaSsrc) { self.ssrc.0 } else { rtx_ssrc.0 },
            has_padding: true,
        };
        let header_length = write_header(buffer, &fields, &block)?;
        let end = header_length + usize::from(PADDING_BYTES);
        let padding = buffer.get_mut(header_length..end)?;
        padding.fill(0);
        *padding.last_mut()? = PADDING_BYTES;
        let length = egress.sender.seal_rtp(buffer, header_length, end, index)?;
        self.rtx_index += 1;
        egress.on_sent(length, Purpose::Padding);
        Some(length)
    }
}
