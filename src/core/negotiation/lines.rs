//! The lines of a session description (RFC 8866 §5) and the words in them.
//!
//! We read lines ourselves: a line is only a letter, an equals sign and a value. The hard part of an offer is what its
//! attributes mean, which general parsers leave to their users.

use super::refusal::{Refused, quoted};

/// One line: `kind=value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its number in the description, from 1.
    pub number: usize,
    /// The letter before the equals sign.
    pub kind: u8,
    /// What follows the equals sign.
    pub value: &'a str,
}

impl<'a> Line<'a> {
    /// Returns the name and the value of an attribute line; the value is empty for an attribute that has none.
    pub fn attribute(&self) -> Option<(&'a str, &'a str)> {
        (self.kind == b'a').then(|| self.value.split_once(':').unwrap_or((self.value, "")))
    }
}

/// Returns the raw lines with their numbers; empty ones are left out. Ends may be CRLF or LF.
pub fn raw_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.is_empty())
}

/// Reads all lines. Control characters are refused, because the answer repeats parts of the offer.
pub fn read_lines(text: &str) -> Result<Vec<Line<'_>>, Refused> {
    let mut lines = Vec::new();
    for (number, line) in raw_lines(text) {
        if line.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(Refused::malformed(format!("line {number} has a control character in it")));
        }
        let (&kind, rest) = line.as_bytes().split_first().unwrap_or((&0, &[]));
        match line.get(2..) {
            Some(value) if kind.is_ascii_lowercase() && rest.first() == Some(&b'=') => {
                lines.push(Line { number, kind, value });
            }
            _ => {
                return Err(Refused::malformed(format!(
                    "line {number} is not a letter, an equals sign and a value: {}",
                    quoted(line)
                )));
            }
        }
    }
    Ok(lines)
}

/// Returns whether a text is a token (RFC 8866 §9).
pub fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_clients_end_them_and_keep_their_numbers() {
        let lines = read_lines("v=0\r\n\r\na=mid:0\na=sendonly\n").expect("lines");
        let told: Vec<_> = lines.iter().map(|line| (line.number, line.kind, line.value)).collect();
        assert_eq!(told, [(1, b'v', "0"), (3, b'a', "mid:0"), (4, b'a', "sendonly")]);
        assert_eq!(lines[1].attribute(), Some(("mid", "0")));
        assert_eq!(lines[2].attribute(), Some(("sendonly", "")));
        assert_eq!(lines[0].attribute(), None);
    }

    #[test]
    fn what_is_no_line_is_named_by_its_number() {
        for text in ["v=0\nnonsense", "v=0\nV=1", "v=0\n=", "v=0\nä=1"] {
            let said = read_lines(text).expect_err(text).message;
            assert!(said.starts_with("line 2 is not"), "{said}");
        }
        let said = read_lines("v=0\ra=x\n").expect_err("one line within another").message;
        assert!(said.contains("line 1 has a control character"), "{said}");
    }

    #[test]
    fn tokens_are_those_of_the_rfc() {
        for good in ["0", "video-stream", "a.b_c", "#!"] {
            assert!(is_token(good), "{good}");
        }
        for bad in ["", "we ird", "a:b", "\"", "ä", "a,b", "a/b", "a=b"] {
            assert!(!is_token(bad), "{bad}");
        }
    }
}
