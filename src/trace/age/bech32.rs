//! Bech32 ([BIP 173](https://github.com/bitcoin/bips/blob/master/bip-0173.mediawiki)): the encoding of age's keys, with
//! a checksum that detects typing errors. Like age, it has no limit on the length.

const DIGITS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM_DIGITS: usize = 6;

/// Encodes bytes with a prefix. Prefix and result are in lower case.
pub fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut values = Vec::with_capacity(bytes.len() * 8 / 5 + 1 + CHECKSUM_DIGITS);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            values.push((held >> bits & 31) as u8);
        }
    }
    if bits > 0 {
        values.push((held << (5 - bits) & 31) as u8);
    }
    let with_room = values.iter().copied().chain([0; CHECKSUM_DIGITS]);
    let sum = checksum(expanded(prefix).chain(with_room)) ^ 1;
    values.extend((0..CHECKSUM_DIGITS).map(|digit| (sum >> (5 * (CHECKSUM_DIGITS - 1 - digit)) & 31) as u8));
    let digits = values.iter().map(|value| char::from(DIGITS[usize::from(*value)]));
    prefix.chars().chain(['1']).chain(digits).collect()
}

/// Decodes bytes with a prefix in lower case. Returns `None` if the text has another prefix or is not Bech32.
pub fn decode(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let lower = text.to_ascii_lowercase();
    // The specification refuses a mixture of cases.
    if text != lower && text != text.to_ascii_uppercase() {
        return None;
    }
    let digits = lower.strip_prefix(prefix)?.strip_prefix('1')?;
    let value = |digit: u8| DIGITS.iter().position(|other| *other == digit).map(|value| value as u8);
    let values: Vec<u8> = digits.bytes().map(value).collect::<Option<_>>()?;
    let data = values.len().checked_sub(CHECKSUM_DIGITS)?;
    if checksum(expanded(prefix).chain(values.iter().copied())) != 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(data * 5 / 8);
    let (mut held, mut bits) = (0_u32, 0);
    for value in &values[..data] {
        held = (held << 5 | u32::from(*value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    // The remaining bits only fill up the last digit.
    let is_filling = bits < 5 && held & ((1 << bits) - 1) == 0;
    is_filling.then_some(bytes)
}

/// Returns the prefix as the checksum covers it.
fn expanded(prefix: &str) -> impl Iterator<Item = u8> {
    prefix.bytes().map(|byte| byte >> 5).chain([0]).chain(prefix.bytes().map(|byte| byte & 31))
}

fn checksum(values: impl Iterator<Item = u8>) -> u32 {
    values.fold(1, |sum, value| {
        let top = sum >> 25;
        let next = (sum & 0x1ff_ffff) << 5 ^ u32::from(value);
        let terms = GENERATOR.iter().enumerate().filter(|(bit, _)| top >> bit & 1 == 1);
        terms.fold(next, |sum, (_, term)| sum ^ term)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples from BIP 173.
    const VALID: [(&str, &str); 3] =
        [("a", "A12UEL5L"), ("abcdef", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw"), ("?", "?1ezyfcl")];

    #[test]
    fn the_examples_of_the_specification_are_read_and_written() {
        for (prefix, text) in VALID {
            let bytes = decode(prefix, text).expect(text);
            assert_eq!(encode(prefix, &bytes), text.to_ascii_lowercase());
        }
        let counted: Vec<u8> = vec![
            0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf, 0x84, 0x65, 0x3a, 0x56, 0xd7, 0xc6,
            0x75, 0xbe, 0x77, 0xdf,
        ];
        assert_eq!(decode("abcdef", VALID[1].1), Some(counted));
    }

    #[test]
    fn a_slip_of_the_finger_is_noticed() {
        let text = encode("age", &[7; 32]);
        for place in 0..text.len() {
            let mut other = text.clone().into_bytes();
            other[place] = if other[place] == b'q' { b'p' } else { b'q' };
            let other = String::from_utf8(other).expect("ASCII");
            assert_eq!(decode("age", &other), None, "{other}");
        }
        let mixed = text.replacen('a', "A", 1);
        for bad in ["", "1", "age", "age1", "age1qqqqq", "é1qqqqqq", &mixed, &text[..text.len() - 1]] {
            assert_eq!(decode("age", bad), None, "{bad}");
        }
    }
}
