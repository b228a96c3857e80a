//! Fragments of session descriptions (RFC 8840 §9): trickled candidates, ICE restarts, and their answers.

use super::lines;

/// The longest ICE username fragment or password, in characters (RFC 8839 §5.4).
const CREDENTIAL_CHARS_MAX: usize = 256;
/// Shortest of each.
const UFRAG_CHARS_MIN: usize = 4;
const PASSWORD_CHARS_MIN: usize = 22;

/// A client's fragment. Its candidates are checked and forgotten, because an ICE-lite server learns addresses from
/// connectivity checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fragment {
    /// Username fragment and password, if it has any.
    pub credentials: Option<(String, String)>,
    /// How many candidates it has.
    pub candidates: usize,
}

impl Fragment {
    /// Reads a fragment, or says what is wrong with it.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|_| "the fragment is not UTF-8")?;
        let (mut ufrag, mut password, mut candidates, mut known) = (None, None, 0, 0);
        for line in lines(text) {
            let mut chars = line.chars();
            if !chars.next().is_some_and(|c| c.is_ascii_lowercase()) || chars.next() != Some('=') {
                return Err(format!("{:?} is not a line of a session description", shortened(line)));
            }
            if let Some(value) = line.strip_prefix("a=ice-ufrag:") {
                ufrag = ufrag.or(Some(credential(value, UFRAG_CHARS_MIN, "ice-ufrag")?));
            } else if let Some(value) = line.strip_prefix("a=ice-pwd:") {
                password = password.or(Some(credential(value, PASSWORD_CHARS_MIN, "ice-pwd")?));
            } else if let Some(value) = line.strip_prefix("a=candidate:") {
                check_candidate(value).ok_or_else(|| format!("{:?} is not a candidate", shortened(line)))?;
                candidates += 1;
            } else if !["a=end-of-candidates", "a=mid:", "m=", "a=group:"].iter().any(|p| line.starts_with(p))
            {
                // Unknown attributes are ignored (RFC 8866 §5.13).
                continue;
            }
            known += 1;
        }
        if known == 0 {
            return Err("the fragment has neither candidates nor credentials".into());
        }
        let credentials = match (ufrag, password) {
            (Some(ufrag), Some(password)) => Some((ufrag, password)),
            (None, None) => None,
            _ => return Err("ice-ufrag and ice-pwd come together or not at all".into()),
        };
        Ok(Self { credentials, candidates })
    }
}

fn credential(value: &str, min: usize, name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if (min..=CREDENTIAL_CHARS_MAX).contains(&value.len()) && value.bytes().all(allowed) {
        Ok(value.to_owned())
    } else {
        Err(format!("{name} must have {min} to {CREDENTIAL_CHARS_MAX} letters, digits, + or /"))
    }
}

/// Checks the fields that every candidate has (RFC 8839 §5.1).
fn check_candidate(value: &str) -> Option<()> {
    let mut words = value.split(' ');
    let foundation = words.next().filter(|word| (1..=32).contains(&word.len()));
    let component: Option<u16> = words.next()?.parse().ok();
    let transport = words.next().filter(|word| !word.is_empty());
    let priority: Option<u32> = words.next()?.parse().ok();
    let plain = |word: &&str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'-' | b'%'))
    };
    let address = words.next().filter(plain);
    let port: Option<u16> = words.next()?.parse().ok();
    let typ = words.next().filter(|word| *word == "typ");
    let kind = words.next().filter(|word| !word.is_empty());
    component.filter(|number| (1..=256).contains(number))?;
    foundation.and(transport).and(address).and(typ).and(kind)?;
    priority?;
    port?;
    Some(())
}

fn shortened(line: &str) -> String {
    line.chars().take(80).collect()
}

/// Returns the ICE part of an answer, as the fragment that answers an ICE restart.
pub fn answer_fragment(answer: &str) -> String {
    let mut fragment = String::new();
    let (mut session, mut section) = (Vec::new(), Vec::new());
    for line in lines(answer) {
        if line.starts_with("m=") {
            if section.iter().any(|line: &&str| line.starts_with("a=ice-ufrag:")) {
                break;
            }
            section.clear();
        }
        if line.starts_with("m=") || !section.is_empty() { section.push(line) } else { session.push(line) }
    }
    let pick = |lines: &[&str], prefixes: &[&str], out: &mut String| {
        for line in lines.iter().filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix))) {
            *out += line;
            *out += "\r\n";
        }
    };
    const ICE: [&str; 6] =
        ["a=ice-lite", "a=ice-options:", "a=ice-pacing:", "a=ice-ufrag:", "a=ice-pwd:", "a=group:BUNDLE"];
    pick(&session, &ICE, &mut fragment);
    pick(
        &section,
        &[
            "m=",
            "a=mid:",
            "a=ice-options:",
            "a=ice-ufrag:",
            "a=ice-pwd:",
            "a=candidate:",
            "a=end-of-candidates",
        ],
        &mut fragment,
    );
    fragment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_text_is_read() {
        let fragment = Fragment::read(
            b"a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n\
              a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
              a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n\
              a=candidate:473322822 1 tcp 1518280447 7a2c-11.local 9 typ host tcptype active\r\n\
              a=end-of-candidates\r\n",
        )
        .expect("a good fragment");
        assert_eq!(fragment.candidates, 2);
        assert_eq!(fragment.credentials, Some(("EsAw".to_owned(), "P2uYro0UCOQ4zxjKXaWCBui1".to_owned())));
        let bare = Fragment::read(b"a=mid:0\na=end-of-candidates\n").expect("good");
        assert_eq!((bare.candidates, bare.credentials), (0, None));
    }

    #[test]
    fn a_broken_fragment_says_what_is_wrong() {
        for (text, word) in [
            ("", "neither"),
            ("a=unknown\r\n", "neither"),
            ("{\"candidate\": 1}", "not a line"),
            ("a=candidate:1 1 udp x 192.0.2.1 1 typ host\r\n", "not a candidate"),
            ("a=candidate:1 1 udp 1 192.0.2.1 70000 typ host\r\n", "not a candidate"),
            ("a=candidate:1 0 udp 1 192.0.2.1 7 typ host\r\n", "not a candidate"),
            ("a=candidate:1 1 udp 1 192.0.2.1 7\r\n", "not a candidate"),
            ("a=ice-ufrag:abcd\r\n", "together"),
            ("a=ice-ufrag:abc\r\n", "ice-ufrag must"),
            ("a=ice-ufrag:ab cd\r\n", "ice-ufrag must"),
            ("a=ice-pwd:short\r\n", "ice-pwd must"),
        ] {
            let error = Fragment::read(text.as_bytes()).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn an_answer_is_cut_down_to_what_it_says_of_ice() {
        let answer = "v=0\r\na=ice-lite\r\na=group:BUNDLE 1\r\nm=application 0 X\r\na=mid:0\r\nm=audio 9 X 111\r\n\
            a=mid:1\r\na=ice-ufrag:new\r\na=ice-pwd:pw\r\na=rtpmap:111 opus/48000/2\r\n\
            a=candidate:1 1 udp 1 192.0.2.1 7443 typ host\r\na=end-of-candidates\r\nm=video 9 X 96\r\na=mid:2\r\n";
        assert_eq!(
            answer_fragment(answer),
            "a=ice-lite\r\na=group:BUNDLE 1\r\nm=audio 9 X 111\r\na=mid:1\r\na=ice-ufrag:new\r\na=ice-pwd:pw\r\n\
             a=candidate:1 1 udp 1 192.0.2.1 7443 typ host\r\na=end-of-candidates\r\n"
        );
    }
}
