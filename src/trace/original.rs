//! Unwraps decrypted packets: finds the original payload in retransmissions and redundancy, and its place in the
//! stream.

use crate::core::ids::Ssrc;
use crate::core::room::PayloadForm;
use crate::wire::red;
use crate::wire::rtp::RtpHeader;

/// The packet that a publisher's encoder made, without the wrapping of retransmissions (RFC 4588) and redundancy (RFC
/// 2198).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Original<'a> {
    /// The stream that it belongs to; for a retransmission, the stream that is repaired.
    pub ssrc: Ssrc,
    /// Its number in that stream.
    pub sequence: u16,
    /// Its payload. Empty in packets that only probe for bandwidth.
    pub payload: &'a [u8],
}

impl<'a> Original<'a> {
    /// Unwraps a packet. Returns `None` if the payload does not have the form that it should have.
    pub(super) fn of(form: PayloadForm, header: &RtpHeader, payload: &'a [u8]) -> Option<Self> {
        let (ssrc, sequence) = (Ssrc(header.ssrc), header.sequence);
        match form {
            PayloadForm::Media => Some(Self { ssrc, sequence, payload }),
            PayloadForm::Redundant => {
                Some(Self { ssrc, sequence, payload: red::parse(payload).ok()?.primary })
            }
            PayloadForm::Retransmission { of } => Self::repeated(of, payload),
        }
    }

    /// Takes the original sequence number off a retransmission for the stream `of` (RFC 4588 §4).
    pub(super) fn repeated(of: Ssrc, payload: &'a [u8]) -> Option<Self> {
        let (sequence, payload) = payload.split_first_chunk::<2>()?;
        Some(Self { ssrc: of, sequence: u16::from_be_bytes(*sequence), payload })
    }
}

/// Returns the extended sequence number that is nearest to the highest so far (RFC 3550, appendix A.1).
pub(super) fn index_of(highest: u64, sequence: u16) -> u64 {
    let ahead = sequence.wrapping_sub(highest as u16);
    if ahead < 0x8000 {
        highest + u64::from(ahead)
    } else {
        highest.saturating_sub(u64::from(ahead.wrapping_neg()))
    }
}

/// Returns the extended sequence number of a stream's first packet: one round above zero, so that a packet that it has
/// overtaken can have a number, too.
pub(super) fn first_index(sequence: u16) -> u64 {
    u64::from(sequence) + (1 << 16)
}
