//! Limits on the cost of an offer, checked by counting lines before anything is parsed. Honest clients stay far below
//! them. An attacker's offer is refused after a few microseconds, so that it never delays anybody else's call.

use super::lines::raw_lines;
use super::refusal::Refused;
use crate::limits::{
    SDP_BYTES_MAX, SDP_LINE_BYTES_MAX, SDP_LINES_MAX, SDP_LINES_PER_SECTION_MAX, SDP_SECTIONS_MAX,
};

/// A kind of line that is counted: how it begins, its name, how often it may occur in one section (or before the first
/// one), and how often in all.
struct Counted {
    prefixes: &'static [&'static str],
    name: &'static str,
    per_section: usize,
    in_all: usize,
}

/// The kinds of lines that are counted.
const COUNTED: [Counted; 8] = [
    // Three encodings with retransmissions have 24 such lines, four for each SSRC.
    Counted { prefixes: &["a=ssrc:"], name: "a=ssrc", per_section: 32, in_all: 1024 },
    Counted { prefixes: &["a=ssrc-group:"], name: "a=ssrc-group", per_section: 16, in_all: 512 },
    Counted { prefixes: &["a=rid:"], name: "a=rid", per_section: 8, in_all: 256 },
    Counted { prefixes: &["a=candidate:"], name: "a=candidate", per_section: 128, in_all: 2048 },
    Counted { prefixes: &["a=fingerprint:"], name: "a=fingerprint", per_section: 8, in_all: 512 },
    Counted { prefixes: &["a=extmap:"], name: "a=extmap", per_section: 64, in_all: 8192 },
    Counted { prefixes: &["a=group:"], name: "a=group", per_section: 16, in_all: 16 },
    Counted {
        prefixes: &["a=rtpmap:", "a=fmtp:"],
        name: "a=rtpmap and a=fmtp",
        per_section: 256,
        in_all: 16_384,
    },
];

/// The section that is being counted.
#[derive(Default)]
struct Counts {
    lines: usize,
    counted: [usize; COUNTED.len()],
}

/// Checks an offer against all limits.
pub fn check(text: &str) -> Result<(), Refused> {
    if text.len() > SDP_BYTES_MAX {
        return Err(Refused::too_large(format!(
            "the SDP is {} bytes long; at most {SDP_BYTES_MAX} are taken",
            text.len()
        )));
    }
    let mut sections = 0;
    let mut total = Counts::default();
    let mut section = Counts::default();
    // All is counted in one walk, and the walk ends at the first excess: refusing must cost less than sending.
    for (number, line) in raw_lines(text) {
        if line.len() > SDP_LINE_BYTES_MAX {
            return Err(Refused::too_large(format!(
                "line {number} is {} bytes long; at most {SDP_LINE_BYTES_MAX} are taken",
                line.len()
            )));
        }
        if line.starts_with("m=") {
            sections += 1;
            section = Counts::default();
        }
        section.lines += 1;
        total.lines += 1;
        // Only a refusal needs it, and there are thousands of lines.
        let place = || match sections {
            0 => "in front of the first section".to_owned(),
            number => format_section(number),
        };
        if section.lines > SDP_LINES_PER_SECTION_MAX {
            let most = SDP_LINES_PER_SECTION_MAX;
            return Err(Refused::too_large(format!("there are more than {most} lines {}", place())));
        }
        for (index, kind) in COUNTED.iter().enumerate() {
            if !kind.prefixes.iter().any(|prefix| line.starts_with(prefix)) {
                continue;
            }
            section.counted[index] += 1;
            total.counted[index] += 1;
            if section.counted[index] > kind.per_section {
                let (name, most) = (kind.name, kind.per_section);
                let place = place();
                return Err(Refused::too_large(format!("there are more than {most} {name} lines {place}")));
            }
            if total.counted[index] > kind.in_all {
                let (name, most) = (kind.name, kind.in_all);
                return Err(Refused::too_large(format!("the SDP has more than {most} {name} lines")));
            }
        }
        if sections > SDP_SECTIONS_MAX {
            return Err(Refused::too_large(format!("the SDP has more than {SDP_SECTIONS_MAX} sections")));
        }
        if total.lines > SDP_LINES_MAX {
            return Err(Refused::too_large(format!("the SDP has more than {SDP_LINES_MAX} lines")));
        }
    }
    Ok(())
}

/// Returns the name of a section. `number` counts from 1; messages count from 0, as `sdpMLineIndex` does.
fn format_section(number: usize) -> String {
    format!("in section {}", number - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let refused = check(text).expect_err("too much");
        assert_eq!(refused.fault, super::super::refusal::Fault::TooLarge);
        refused.message
    }

    #[test]
    fn a_flood_of_any_kind_of_line_is_refused_where_it_begins() {
        for kind in &COUNTED {
            for prefix in kind.prefixes {
                let flood = format!("{prefix}1 x\r\n").repeat(kind.per_section + 1);
                let said = refused(&format!("v=0\r\nm=audio 9 X 1\r\nm=video 9 X 2\r\n{flood}"));
                assert!(said.contains(kind.name) && said.ends_with("in section 1"), "{said}");
                let said = refused(&format!("v=0\r\n{flood}m=audio 9 X 1\r\n"));
                assert!(said.contains("in front of the first section"), "{said}");
            }
        }
    }

    #[test]
    fn many_sections_lines_and_bytes_are_refused() {
        let said = refused(&format!("v=0\r\n{}", "m=audio 9 X 1\r\n".repeat(SDP_SECTIONS_MAX + 1)));
        assert!(said.contains("sections"), "{said}");
        let said =
            refused(&format!("v=0\r\nm=audio 9 X 1\r\n{}", "a=x\r\n".repeat(SDP_LINES_PER_SECTION_MAX)));
        assert!(said.contains("lines in section 0"), "{said}");
        assert!(refused(&format!("v=0\r\na={}", "x".repeat(SDP_LINE_BYTES_MAX))).contains("line 2"));
        assert!(refused(&"x".repeat(SDP_BYTES_MAX + 1)).contains("bytes long"));
        let section = format!("m=audio 9 X 1\r\n{}", "a=x\r\n".repeat(SDP_LINES_PER_SECTION_MAX - 1));
        assert!(refused(&section.repeat(SDP_LINES_MAX / SDP_LINES_PER_SECTION_MAX + 1)).contains("lines"));
    }

    #[test]
    fn what_a_browser_offers_at_its_largest_is_taken() {
        let section = format!(
            "m=video 9 X 1\r\n{}{}{}",
            "a=ssrc:1 cname:c\r\n".repeat(24),
            "a=rtpmap:1 VP8/90000\r\n".repeat(50),
            "a=x\r\n".repeat(100)
        );
        assert_eq!(check(&format!("v=0\r\n{}", section.repeat(40))), Ok(()));
    }
}
