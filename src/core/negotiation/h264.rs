//! H.264's `profile-level-id` (RFC 6184 §8.1).
//!
//! A profile can be written in several ways, so the sub-profiles of table 5 are compared. The level is not read at all:
//! a forwarder decodes nothing and has no limit of its own, so the answer repeats the offered level. That is right if
//! the offer allows level asymmetry (we take what the client can send) and also if it does not (the answer may not be
//! higher, RFC 6184 §8.2.2).

use crate::core::negotiated::H264Profile;

/// Returns the profile of a `profile-level-id`; `None` if that is not six hexadecimal digits.
pub fn profile(profile_level_id: &str) -> Option<H264Profile> {
    if profile_level_id.len() != 6 || !profile_level_id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let [_, idc, constraints, _level] = u32::from_str_radix(profile_level_id, 16).ok()?.to_be_bytes();
    let has = |bits: u8| constraints & bits == bits;
    Some(match idc {
        0x42 if has(0x40) => H264Profile::ConstrainedBaseline,
        0x42 => H264Profile::Baseline,
        0x4d if has(0x80) => H264Profile::ConstrainedBaseline,
        0x4d => H264Profile::Main,
        0x58 if has(0xc0) => H264Profile::ConstrainedBaseline,
        0x58 if has(0x80) => H264Profile::Baseline,
        0x58 => H264Profile::Extended,
        0x64 if has(0x0c) => H264Profile::ConstrainedHigh,
        0x64 => H264Profile::High,
        _ => H264Profile::Other { idc, constraints },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_profile_has_several_names() {
        use H264Profile::{Baseline, ConstrainedBaseline, ConstrainedHigh, Extended, High, Main, Other};
        for (text, expected) in [
            ("42e01f", ConstrainedBaseline),
            ("42C00B", ConstrainedBaseline),
            ("4d8032", ConstrainedBaseline),
            ("58c01f", ConstrainedBaseline),
            ("42001f", Baseline),
            ("58a01f", Baseline),
            ("4d001f", Main),
            ("4d401f", Main),
            ("58001f", Extended),
            ("64001f", High),
            ("640028", High),
            ("640c34", ConstrainedHigh),
            ("640c1f", ConstrainedHigh),
            ("f4001f", Other { idc: 0xf4, constraints: 0 }),
        ] {
            assert_eq!(profile(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_profile_is_none() {
        for text in ["", "42e01", "42e01f0", "42e01g", "+2e01f", "ä2e01"] {
            assert_eq!(profile(text), None, "{text}");
        }
    }
}
