//! What a codec of ORTC parameters is for. It is found out as of an offer's formats, so that both mean the same.

use super::{CodecParameters, RtpCodecCapability, RtpCodecParameters};
use crate::core::negotiation::codecs::{self, Role};
use crate::core::negotiation::parameters::Parameters;
use crate::core::source::MediaKind;

/// Channels of Opus (RFC 7587 §7): always two, whatever is in them.
const OPUS_CHANNELS: u8 = 2;
/// Stands for a payload type that is not said: any that [`codecs::role`] does not refuse for its number.
const UNSAID: u8 = 0;

/// Returns what a codec of somebody's capabilities is for; `None` if it is not served.
pub fn role(capability: &RtpCodecCapability) -> Option<Role> {
    let RtpCodecCapability {
        kind, mime_type, preferred_payload_type, clock_rate, channels, parameters, ..
    } = capability;
    let number = preferred_payload_type.unwrap_or(UNSAID);
    let named = Named { kind: *kind, mime_type, clock_rate: *clock_rate, channels: *channels, parameters };
    named.role(number)
}

/// Returns what a codec of a track of that kind is for; `None` if it is not served.
pub fn role_of_sent(kind: MediaKind, codec: &RtpCodecParameters) -> Option<Role> {
    let RtpCodecParameters { mime_type, payload_type, clock_rate, channels, parameters, .. } = codec;
    let named = Named { kind, mime_type, clock_rate: *clock_rate, channels: *channels, parameters };
    named.role(*payload_type)
}

/// A codec as both forms have it.
struct Named<'a> {
    kind: MediaKind,
    mime_type: &'a str,
    clock_rate: u32,
    channels: Option<u8>,
    parameters: &'a CodecParameters,
}

impl Named<'_> {
    fn role(&self, number: u8) -> Option<Role> {
        let (kind, name) = self.mime_type.split_once('/')?;
        let is_of_kind = kind.eq_ignore_ascii_case(self.kind.as_str());
        // Redundancy is not named in these parameters: mediasoup's clients would take it for a codec of its own.
        if !is_of_kind || name.eq_ignore_ascii_case("red") || self.has_other_channels() {
            return None;
        }
        let text = self.parameters.iter().map(|(name, value)| format!("{name}={value}"));
        let text = text.collect::<Vec<_>>().join(";");
        let mut parameters = Parameters::default();
        parameters.add(&text);
        codecs::role(self.kind, number, &format!("{name}/{}", self.clock_rate), &parameters)
    }

    fn has_other_channels(&self) -> bool {
        self.kind == MediaKind::Audio && self.channels.is_some_and(|channels| channels != OPUS_CHANNELS)
    }
}
