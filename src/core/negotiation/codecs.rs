//! Codecs in session descriptions: what an `a=rtpmap` and its `a=fmtp` mean, which feedback is served, and the
//! parameters of the answer.

use super::h264;
use super::parameters::Parameters;
use crate::core::negotiated::{Codec, H264Profile};
use crate::core::source::MediaKind;

/// What a format of an offer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Media in a codec that is served.
    Media(Codec),
    /// The redundant form (RFC 2198) of this payload type.
    Redundant(u8),
    /// Retransmissions (RFC 4588) of this payload type.
    Retransmission(u8),
}

/// Payload types that look like RTCP packet types when both share a port (RFC 5761 §4).
const LIKE_RTCP: std::ops::RangeInclusive<u8> = 64..=95;

/// Opus parameters that the answer repeats (RFC 7587 §7): without them a browser sends mono, sends silence, or ignores
/// the rate that the page asked for.
const OPUS_PARAMETERS: [&str; 7] =
    ["minptime", "useinbandfec", "stereo", "sprop-stereo", "usedtx", "maxaveragebitrate", "cbr"];
/// The same for H.264. [`h264`] says which levels may be answered.
const H264_PARAMETERS: [&str; 3] = ["level-asymmetry-allowed", "packetization-mode", "profile-level-id"];
/// The same for VP9 (RFC 9628 §6).
const VP9_PARAMETERS: [&str; 1] = ["profile-id"];
/// The same for AV1 (AV1 RTP payload format §7.2). The level is the receiver's limit; a forwarder has none.
const AV1_PARAMETERS: [&str; 3] = ["profile", "level-idx", "tier"];

/// The receiver's estimate of its bandwidth (REMB), which is understood where it reports no arrivals. It is never sent.
pub const ESTIMATES: &str = "goog-remb";
/// Feedback that is served for video.
const VIDEO_FEEDBACK: [&str; 4] = ["transport-cc", "ccm fir", "nack", "nack pli"];
/// Feedback that is served for audio.
const AUDIO_FEEDBACK: [&str; 1] = ["transport-cc"];

/// The longest value of a parameter that is repeated, in bytes.
const VALUE_BYTES_MAX: usize = 16;

/// Returns what a format is for; `None` if it is not served. `encoding` is the right-hand side of its `a=rtpmap`.
pub fn role(kind: MediaKind, pt: u8, encoding: &str, parameters: &Parameters<'_>) -> Option<Role> {
    if LIKE_RTCP.contains(&pt) {
        return None;
    }
    let mut words = encoding.split('/');
    let (name, rate) = (words.next()?.trim(), words.next()?.trim());
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match kind {
        MediaKind::Audio if rate != "48000" => None,
        MediaKind::Audio if is("opus") => Some(Role::Media(Codec::Opus)),
        MediaKind::Audio if is("red") => redundant(parameters).map(Role::Redundant),
        MediaKind::Audio => None,
        MediaKind::Video if rate != "90000" => None,
        MediaKind::Video if is("rtx") => {
            let of = parameters.number("apt").and_then(|pt| u8::try_from(pt).ok())?;
            Some(Role::Retransmission(of))
        }
        MediaKind::Video => video(name, parameters).map(Role::Media),
    }
}

fn video(name: &str, parameters: &Parameters<'_>) -> Option<Codec> {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    // An unreadable number does not stand for the default: it was meant to be something else.
    let small = |name: &str| match parameters.get(name) {
        Some(text) => text.parse::<u8>().ok(),
        None => Some(0),
    };
    if is("VP8") {
        return Some(Codec::Vp8);
    }
    if is("VP9") {
        return small("profile-id").filter(|profile| *profile <= 3).map(|profile| Codec::Vp9 { profile });
    }
    // Before it was registered, libwebrtc called the same format AV1X.
    if is("AV1") || is("AV1X") {
        return small("profile").filter(|profile| *profile <= 2).map(|profile| Codec::Av1 { profile });
    }
    if is("H264") {
        let profile = match parameters.get("profile-level-id") {
            Some(text) => h264::profile(text)?,
            // RFC 6184 §8.1: without the parameter it is Baseline.
            None => H264Profile::Baseline,
        };
        let packetization_mode = small("packetization-mode").filter(|mode| *mode <= 1)?;
        return Some(Codec::H264 { profile, packetization_mode });
    }
    None
}

/// Returns the payload type of all blocks of a redundant form (RFC 2198 §5).
fn redundant(parameters: &Parameters<'_>) -> Option<u8> {
    // Blocks of two codecs could not be forwarded, because viewers are sent one codec at a time.
    let mut blocks = parameters.text().trim().split('/').map(|word| word.trim().parse::<u8>());
    let first = blocks.next()?.ok()?;
    blocks.all(|block| block == Ok(first)).then_some(first)
}

/// Returns whether that feedback (the value of an `a=rtcp-fb`, without the payload type) is served.
pub fn serves_feedback(kind: MediaKind, feedback: &str) -> bool {
    let served: &[&str] = match kind {
        MediaKind::Audio => &AUDIO_FEEDBACK,
        MediaKind::Video => &VIDEO_FEEDBACK,
    };
    served.contains(&feedback)
}

/// Returns the parameters with which a codec is answered; `None` if there are none.
pub fn answer_parameters(codec: Codec, offered: &Parameters<'_>, start_kbps: Option<u32>) -> Option<String> {
    let kept: &[&str] = match codec {
        Codec::Opus => &OPUS_PARAMETERS,
        Codec::Vp8 => &[],
        Codec::Vp9 { .. } => &VP9_PARAMETERS,
        Codec::H264 { .. } => &H264_PARAMETERS,
        Codec::Av1 { .. } => &AV1_PARAMETERS,
    };
    let mut pairs: Vec<String> = Vec::new();
    let mut given: u32 = 0;
    for (name, value) in offered.iter() {
        let Some(index) = kept.iter().position(|kept| kept.eq_ignore_ascii_case(name)) else { continue };
        // The level is answered as it was offered, because whoever decodes has its own limit and we have none (RFC 6184 §8.2.2
        // lets both sides name different ones). Only what cannot break the line is repeated.
        let is_plain =
            value.len() <= VALUE_BYTES_MAX && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_plain && !value.is_empty() && given & (1 << index) == 0 {
            given |= 1 << index;
            pairs.push(format!("{}={value}", kept[index]));
        }
    }
    // A publisher that will send two channels sends them if the answer wants them (RFC 7587 §7.1).
    if codec == Codec::Opus && offered.get("sprop-stereo") == Some("1") && offered.get("stereo").is_none() {
        pairs.push("stereo=1".to_owned());
    }
    if let (Some(kbps), true) = (start_kbps, codec != Codec::Opus) {
        pairs.push(format!("x-google-start-bitrate={kbps}"));
    }
    (!pairs.is_empty()).then(|| pairs.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(text: &str) -> Parameters<'_> {
        let mut parameters = Parameters::default();
        parameters.add(text);
        parameters
    }

    fn video_role(encoding: &str, text: &str) -> Option<Role> {
        role(MediaKind::Video, 96, encoding, &parameters(text))
    }

    #[test]
    fn a_codec_is_known_by_its_name_in_any_case() {
        for encoding in ["opus/48000/2", "OPUS/48000/2", "Opus/48000"] {
            let role = role(MediaKind::Audio, 111, encoding, &Parameters::default());
            assert_eq!(role, Some(Role::Media(Codec::Opus)), "{encoding}");
        }
        assert_eq!(video_role("vp8/90000", ""), Some(Role::Media(Codec::Vp8)));
        assert_eq!(video_role("Av1/90000", ""), Some(Role::Media(Codec::Av1 { profile: 0 })));
        assert_eq!(video_role("AV1X/90000", ""), Some(Role::Media(Codec::Av1 { profile: 0 })));
        for strange in ["", "VP8", "VP8/8000", "H265/90000", "multiopus/48000/6", "opus/48000/2"] {
            assert_eq!(video_role(strange, ""), None, "{strange}");
        }
    }

    #[test]
    fn every_profile_that_clients_offer_is_served() {
        let h264 = |text: &str| match video_role("H264/90000", text) {
            Some(Role::Media(Codec::H264 { profile, packetization_mode })) => {
                Some((profile, packetization_mode))
            }
            _ => None,
        };
        assert_eq!(h264(""), Some((H264Profile::Baseline, 0)));
        assert_eq!(
            h264("profile-level-id=640c34;packetization-mode=1"),
            Some((H264Profile::ConstrainedHigh, 1))
        );
        assert_eq!(h264("packetization-mode=0;profile-level-id=640028"), Some((H264Profile::High, 0)));
        assert_eq!(h264("packetization-mode=2"), None, "interleaved");
        assert_eq!(h264("profile-level-id=x"), None);
        for profile in 0..=3 {
            let text = format!("profile-id={profile}");
            assert_eq!(video_role("VP9/90000", &text), Some(Role::Media(Codec::Vp9 { profile })));
        }
        assert_eq!(video_role("VP9/90000", "profile-id=4"), None);
        let av1 = video_role("AV1/90000", "level-idx=13;profile=1;tier=1");
        assert_eq!(av1, Some(Role::Media(Codec::Av1 { profile: 1 })));
    }

    #[test]
    fn repairs_and_redundancy_name_what_they_are_of() {
        assert_eq!(video_role("rtx/90000", "apt=96;rtx-time=3000"), Some(Role::Retransmission(96)));
        assert_eq!(video_role("rtx/90000", "rtx-time=3000"), None);
        let red = |text: &str| role(MediaKind::Audio, 63, "red/48000/2", &parameters(text));
        assert_eq!(red("111/111"), Some(Role::Redundant(111)));
        assert_eq!(red("111/0"), None, "two codecs in one packet");
        assert_eq!(red(""), None);
    }

    #[test]
    fn a_payload_type_that_looks_like_rtcp_is_not_served() {
        assert_eq!(role(MediaKind::Video, 72, "VP8/90000", &Parameters::default()), None);
        assert!(role(MediaKind::Video, 63, "VP8/90000", &Parameters::default()).is_some());
    }

    #[test]
    fn stereo_stays_stereo() {
        let answer = |text: &str| answer_parameters(Codec::Opus, &parameters(text), Some(800));
        let all =
            "minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1;usedtx=1;maxaveragebitrate=510000;cbr=1";
        assert_eq!(answer(all).as_deref(), Some(all));
        assert_eq!(answer("sprop-stereo=1").as_deref(), Some("sprop-stereo=1;stereo=1"));
        assert_eq!(answer("stereo=0;sprop-stereo=1").as_deref(), Some("stereo=0;sprop-stereo=1"));
        assert_eq!(answer("maxplaybackrate=16000"), None);
    }

    #[test]
    fn levels_are_answered_as_they_were_offered() {
        let codec = Codec::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode: 1 };
        for offered in [
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e034",
            "packetization-mode=1;profile-level-id=42e00b",
        ] {
            assert_eq!(answer_parameters(codec, &parameters(offered), None).as_deref(), Some(offered));
        }
        let long = format!("profile-level-id={}", "4".repeat(1000));
        assert_eq!(answer_parameters(codec, &parameters(&long), None), None);
    }

    #[test]
    fn a_start_bitrate_is_for_video() {
        assert_eq!(
            answer_parameters(Codec::Vp8, &Parameters::default(), Some(800)).as_deref(),
            Some("x-google-start-bitrate=800")
        );
        assert_eq!(answer_parameters(Codec::Vp8, &Parameters::default(), None), None);
    }
}
