//! H.264's parameters (RFC 6184 §8.1): `profile-level-id` and `sprop-parameter-sets`.
//!
//! A profile can be written in several ways, so the sub-profiles of table 5 are compared. The level is not read at all:
//! a forwarder decodes nothing and has no limit of its own, so the answer repeats the offered level. That is right if
//! the offer allows level asymmetry (we take what the client can send) and also if it does not (the answer may not be
//! higher, RFC 6184 §8.2.2).

use base64ct::{Base64, Base64Unpadded, Encoding};

use crate::core::negotiated::H264Profile;
use crate::limits::{PARAMETER_SET_BYTES_MAX, PARAMETER_SETS_MAX};
use crate::wire::h264;

/// Reads an `sprop-parameter-sets`: NAL units in base64, with commas between them. What is no parameter set is left out.
pub fn parameter_sets(value: &str) -> Vec<Box<[u8]>> {
    let decode = |text: &str| Base64::decode_vec(text).or_else(|_| Base64Unpadded::decode_vec(text)).ok();
    let is_set = |unit: &Vec<u8>| {
        unit.len() <= PARAMETER_SET_BYTES_MAX && h264::parameter_sets(unit).next() == Some(unit.as_slice())
    };
    let units = value.split(',').filter_map(|text| decode(text.trim())).filter(is_set);
    units.take(PARAMETER_SETS_MAX).map(Vec::into_boxed_slice).collect()
}

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
    fn parameter_sets_are_read_with_and_without_padding() {
        let both = [[0x67, 0x42, 0xc0, 0x1f], [0x68, 0xce, 0x3c, 0x80]].map(|set: [u8; 4]| set.into());
        assert_eq!(parameter_sets("Z0LAHw==,aM48gA=="), both);
        assert_eq!(parameter_sets("Z0LAHw, aM48gA"), both);
        for value in ["", ",", "!!", "ZYgB", "AAAA", "eAAEZ0LAHw=="] {
            assert!(parameter_sets(value).is_empty(), "{value}");
        }
        assert!(parameter_sets(&format!("Z0LA{}", "AAAA".repeat(PARAMETER_SET_BYTES_MAX))).is_empty());
        assert_eq!(parameter_sets(&"Z0LAHw==,".repeat(100)).len(), PARAMETER_SETS_MAX);
    }

    #[test]
    fn what_is_no_profile_is_none() {
        for text in ["", "42e01", "42e01f0", "42e01g", "+2e01f", "ä2e01"] {
            assert_eq!(profile(text), None, "{text}");
        }
    }
}
