//! ORTC parameters: what mediasoup's clients say and are told instead of session descriptions (the names and the JSON are
//! mediasoup's, after the W3C's Object RTC API). The same values are read from a client's JSON, written into it, and recorded.
//!
//! They are plain values. [`check`] says whether what a client sent is within bounds; [`router`] is what the server says of
//! itself; [`produced`] and [`consumed`] make sections of [`Negotiated`](super::negotiated::Negotiated) of them, as
//! [`negotiation`](super::negotiation) makes them of an offer.
//!
//! In JSON, absent fields may be left out or `null`. In a recording every field is there, because its format has no names.

pub mod capability;
pub mod check;
pub mod consumed;
mod parameter;
pub mod produced;
pub mod router;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use parameter::ParameterValue;

use super::path::{LocalCandidate, TransportProtocol};
use super::source::MediaKind;

/// The parameters of a codec, by name.
pub type CodecParameters = BTreeMap<String, ParameterValue>;

/// Which way media flows on a transport, seen from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportDirection {
    /// The client publishes on it.
    Send,
    /// The client receives on it.
    #[serde(alias = "recv")]
    Receive,
}

/// One kind of feedback that a codec takes (RFC 4585 §4.2), such as `nack` with the parameter `pli`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtcpFeedback {
    /// Its name.
    #[serde(rename = "type")]
    pub kind: String,
    /// What follows the name, if anything.
    pub parameter: Option<String>,
}

/// What an endpoint can receive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtpCapabilities {
    /// Codecs, and `rtx` entries for their retransmissions.
    pub codecs: Vec<RtpCodecCapability>,
    /// Header extensions.
    pub header_extensions: Vec<RtpHeaderExtension>,
}

/// A codec that an endpoint takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecCapability {
    /// Audio or video.
    #[serde(with = "kind_text")]
    pub kind: MediaKind,
    /// Its name with the kind before it, such as `video/VP8`.
    pub mime_type: String,
    /// The payload type that it gets if there is a choice, 0–127.
    #[serde(default)]
    pub preferred_payload_type: Option<u8>,
    /// Ticks of its RTP clock per second.
    pub clock_rate: u32,
    /// Channels of audio.
    #[serde(default)]
    pub channels: Option<u8>,
    /// What its `a=fmtp` would say.
    #[serde(default)]
    pub parameters: CodecParameters,
    /// The feedback that it takes.
    #[serde(default)]
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

/// Which way a header extension may be used, seen from whoever says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtensionDirection {
    /// It is sent and read.
    #[default]
    SendRecv,
    /// It is sent.
    SendOnly,
    /// It is read.
    RecvOnly,
    /// It is not used.
    Inactive,
}

/// A header extension that an endpoint knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpHeaderExtension {
    /// The kind of media whose packets may carry it.
    #[serde(with = "kind_text")]
    pub kind: MediaKind,
    /// Its name.
    pub uri: String,
    /// The id that it gets if there is a choice.
    pub preferred_id: u8,
    /// Whether it is to be encrypted (RFC 6904), which is not served.
    #[serde(default)]
    pub preferred_encrypt: bool,
    /// Which way it may be used.
    #[serde(default)]
    pub direction: ExtensionDirection,
}

/// How one track is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtpParameters {
    /// The name of the track's section, which its packets carry.
    pub mid: Option<String>,
    /// The codec that it is sent in, followed by its retransmissions.
    pub codecs: Vec<RtpCodecParameters>,
    /// The header extensions of its packets.
    pub header_extensions: Vec<RtpHeaderExtensionParameters>,
    /// Its streams, the smallest picture first.
    pub encodings: Vec<RtpEncodingParameters>,
    /// How its RTCP goes.
    pub rtcp: RtcpParameters,
}

/// A codec that a track is sent in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpCodecParameters {
    /// Its name with the kind before it, such as `video/VP8`.
    pub mime_type: String,
    /// Its payload type, 0–127.
    pub payload_type: u8,
    /// Ticks of its RTP clock per second.
    pub clock_rate: u32,
    /// Channels of audio.
    #[serde(default)]
    pub channels: Option<u8>,
    /// What its `a=fmtp` would say.
    #[serde(default)]
    pub parameters: CodecParameters,
    /// The feedback that it takes.
    #[serde(default)]
    pub rtcp_feedback: Vec<RtcpFeedback>,
}

/// A header extension of a track's packets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtpHeaderExtensionParameters {
    /// Its name.
    pub uri: String,
    /// Its id: 1–14 or 16–255.
    pub id: u8,
    /// Whether it is encrypted (RFC 6904), which is not served.
    #[serde(default)]
    pub encrypt: bool,
}

/// One stream of a track.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtpEncodingParameters {
    /// Its SSRC; absent if its packets carry its rid.
    pub ssrc: Option<u32>,
    /// Its rid in a simulcast (RFC 8851).
    pub rid: Option<String>,
    /// The payload type of its codec, if that is not the first one.
    pub codec_payload_type: Option<u8>,
    /// Where its retransmissions come.
    pub rtx: Option<RtxParameters>,
    /// Its layers inside the stream, such as `L1T3`.
    pub scalability_mode: Option<String>,
    /// The most that it takes, in bits per second. Applications compute it, so that it may come as a fraction.
    #[serde(deserialize_with = "parameter::whole")]
    pub max_bitrate: Option<u32>,
    /// How many times its pictures are smaller than what is filmed, in each direction.
    pub scale_resolution_down_by: Option<ParameterValue>,
}

/// The stream of an encoding's retransmissions (RFC 4588).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtxParameters {
    /// Its SSRC.
    pub ssrc: u32,
}

/// How RTCP of a track goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RtcpParameters {
    /// The canonical name: streams of equal name play in sync.
    pub cname: Option<String>,
    /// Whether reduced-size RTCP is used (RFC 5506).
    pub reduced_size: Option<bool>,
}

/// Who begins the DTLS handshake, seen from whoever says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsRole {
    /// Whoever is asked may choose.
    #[default]
    Auto,
    /// The one who says so begins it.
    Client,
    /// The other one begins it.
    Server,
}

/// The hash of a certificate (RFC 8122 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtlsFingerprint {
    /// The hash function, such as `sha-256`.
    pub algorithm: String,
    /// Its bytes as hexadecimal digits, with colons between them.
    pub value: String,
}

/// One end of a DTLS handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DtlsParameters {
    /// Who begins.
    pub role: DtlsRole,
    /// The fingerprints, of which the certificate must have one.
    pub fingerprints: Vec<DtlsFingerprint>,
}

/// Our ICE credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceParameters {
    /// The user name fragment.
    pub username_fragment: String,
    /// The password.
    pub password: String,
    /// Whether the one who says so only answers checks. We always do.
    pub ice_lite: bool,
}

/// An address at which we can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IceCandidate {
    /// Candidates of equal foundation are alike (RFC 8445 §5.1.1.3); no two of ours are.
    pub foundation: String,
    /// How much it is preferred.
    pub priority: u32,
    /// Its address, as older clients read it.
    pub ip: String,
    /// Its address.
    pub address: String,
    /// `udp` or `tcp`.
    pub protocol: String,
    /// Its port.
    pub port: u16,
    /// The type of candidate; ours are always `host`.
    #[serde(rename = "type")]
    pub kind: String,
    /// With TCP, who connects; ours are always `passive`.
    pub tcp_type: Option<String>,
}

impl IceCandidate {
    /// Returns our addresses as candidates, with priorities that fall in the given order.
    pub fn all(candidates: &[LocalCandidate]) -> Vec<Self> {
        let candidate = |(place, own): (usize, &LocalCandidate)| {
            let ip = own.address.ip().to_string();
            let (protocol, tcp_type) = match own.protocol {
                TransportProtocol::Udp => ("udp", None),
                TransportProtocol::Tcp => ("tcp", Some("passive".to_owned())),
            };
            Self {
                foundation: (place + 1).to_string(),
                priority: own.priority(place),
                ip: ip.clone(),
                address: ip,
                protocol: protocol.to_owned(),
                port: own.address.port(),
                kind: "host".to_owned(),
                tcp_type,
            }
        };
        candidates.iter().enumerate().map(candidate).collect()
    }
}

/// How a [`MediaKind`] is written: `audio` or `video`.
mod kind_text {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::core::source::MediaKind;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub fn serialize<S: Serializer>(kind: &MediaKind, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(kind.as_str())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MediaKind, D::Error> {
        let text = String::deserialize(deserializer)?;
        MediaKind::named(&text).ok_or_else(|| D::Error::custom("kind is neither `audio` nor `video`"))
    }
}

#[cfg(test)]
mod tests;
