//! Small changes of a seed, drawn from their number alone: a little depth without a fuzzer.

use strait::sim::dice::Dice;

/// How many changes of each seed are tried: fewer where one takes long.
pub fn count(target: &str) -> u64 {
    match target {
        "core" | "datagrams" => 30,
        "sdp_offer" | "trace" | "turn" | "parameters" => 150,
        _ => 2000,
    }
}

/// The change of that number.
pub fn change(seed: &[u8], number: u64) -> Vec<u8> {
    let mut dice = Dice::of(number, "change", seed.len() as u64);
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.among(0..4) {
        let at = dice.among(0..bytes.len() as u64 + 1) as usize;
        let end = (at + dice.among(0..9) as usize).min(bytes.len());
        match dice.among(0..7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => {
                let new = dice.bytes(end - at);
                bytes.splice(at..end, new);
            }
            4 => {
                let new =
                    dice.pick(&[&[0, 0][..], &[0xff, 0xff], &[0x80], &[0x7f, 0xff], b"\r\n", b"0", b"\""]);
                bytes.splice(at..at, new.iter().copied());
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.among(0..8);
                }
            }
        }
    }
    bytes
}
