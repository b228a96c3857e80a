//! The natural logarithm by basic operations alone. That of the standard library is the machine's mathematics library,
//! which chooses its instructions by the processor: two machines could disagree about the last bit, and a recorded call
//! would not run the same way again.

/// Between these the mantissa is brought, so that the series converges quickly.
const ROOT_OF_TWO: f64 = std::f64::consts::SQRT_2;
/// Mantissa bits of a double.
const MANTISSA: u64 = 0x000f_ffff_ffff_ffff;
/// The exponent of 1.0, in place.
const EXPONENT_OF_ONE: u64 = 0x3ff0_0000_0000_0000;

/// Returns the natural logarithm of a positive, normal number, to about 12 digits. Of others it returns that of the smallest
/// normal one.
pub fn ln(x: f64) -> f64 {
    let x = if (f64::MIN_POSITIVE..=f64::MAX).contains(&x) { x } else { f64::MIN_POSITIVE };
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i32 - 1023;
    let mut mantissa = f64::from_bits(bits & MANTISSA | EXPONENT_OF_ONE);
    if mantissa > ROOT_OF_TWO {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m − 1)/(m + 1)), of which the series is x + x³/3 + x⁵/5 …
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let square = ratio * ratio;
    let mut sum = 0.0;
    for power in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * square + 1.0 / power;
    }
    2.0 * ratio * sum + f64::from(exponent) * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm() {
        assert_eq!(ln(1.0), 0.0);
        let mut x = 1e-9;
        while x < 1e9 {
            let (ours, theirs) = (ln(x), f64::ln(x));
            assert!((ours - theirs).abs() < 1e-12 * theirs.abs().max(1.0), "{x}: {ours} {theirs}");
            x *= 1.001;
        }
    }

    #[test]
    fn what_has_no_logarithm_has_a_small_one() {
        for x in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE / 2.0] {
            assert!((ln(x) - ln(f64::MIN_POSITIVE)).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn it_is_the_same_to_the_last_bit_everywhere() {
        let values =
            [(0.1, 0xc002_6bb1_bbb5_5515u64), (3.0, 0x3ff1_93ea_7aad_030d), (1e6, 0x402b_a18a_998f_ffa0)];
        for (x, bits) in values {
            assert_eq!(ln(x).to_bits(), bits, "{x}: {:#x}", ln(x).to_bits());
        }
    }
}
