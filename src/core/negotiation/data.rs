//! The section of an offer that negotiates data channels (RFC 8841), in today's form and in the one of the drafts, which
//! names the port in the `m=` line.

use crate::limits::CHANNEL_MESSAGE_BYTES_MAX;

/// The only application that runs over SCTP here (RFC 8841 §5).
const APPLICATION: &str = "webrtc-datachannel";
/// What a peer takes that does not say how large messages may be (RFC 8841 §6.1).
const MESSAGE_BYTES_DEFAULT: u32 = 64 * 1024;

/// What a section says of data channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSection {
    /// The largest message that the client takes, in bytes.
    pub message_bytes_max: u32,
    /// Whether the format in the `m=` line is the SCTP port, as in drafts before RFC 8841.
    pub is_draft: bool,
}

impl DataSection {
    /// Returns what the `m=` line of that section says; `None` if it is not for data channels.
    pub fn named(media: &str, profile: &str, format: &str) -> Option<Self> {
        let is_over = |profiles: &[&str]| profiles.iter().any(|known| known.eq_ignore_ascii_case(profile));
        let is_draft = is_over(&["DTLS/SCTP"]) && format.parse::<u16>().is_ok();
        let is_final = is_over(&["UDP/DTLS/SCTP", "TCP/DTLS/SCTP"]) && format == APPLICATION;
        (media == "application" && (is_draft || is_final))
            .then_some(Self { message_bytes_max: MESSAGE_BYTES_DEFAULT, is_draft })
    }

    /// Takes an attribute of the section. Ports are not read: nothing but this association is in the handshake.
    pub fn take(&mut self, name: &str, value: &str) {
        if name == "max-message-size"
            && let Ok(bytes) = value.trim().parse::<u64>()
        {
            // Zero means any size. Larger ones than ours are never sent.
            let ours = CHANNEL_MESSAGE_BYTES_MAX as u64;
            self.message_bytes_max = if bytes == 0 { ours } else { bytes.min(ours) } as u32;
        }
    }
}
