//! Words: documentation says something that the name does not.

use crate::lexer::{Kind, Token};
use crate::source::{complain, library};

/// A doc comment of so few words repeats the name.
const SHORT_WORDS: usize = 3;

/// Fewer than so many of all doc comments are short.
const SHORT_PERCENT: f64 = 6.0;

/// How many of the worst files are told.
const WORST: usize = 25;

#[test]
fn documentation_says_something() {
    let (mut all, mut short) = (0, 0);
    let mut files = Vec::new();
    for source in library() {
        let comments = documentation(&source.tokens());
        let few: Vec<String> = comments.iter().filter(|comment| is_short(comment)).cloned().collect();
        all += comments.len();
        short += few.len();
        files.push((source.path, few));
    }
    files.sort_by_key(|(_, few)| usize::MAX - few.len());
    let percent = 100.0 * short as f64 / all as f64;
    let tell = |(path, few): &(String, Vec<String>)| format!("src/{path}: {}: {}", few.len(), few.join(" "));
    let worst =
        if percent < SHORT_PERCENT { Vec::new() } else { files.iter().take(WORST).map(tell).collect() };
    let what = format!(
        "{short} of {all} doc comments have {SHORT_WORDS} words or fewer, {percent:.1} %; fewer than {SHORT_PERCENT} % \
         shall: say what the name does not, or make the item private. The worst"
    );
    complain(&what, &worst);
}

fn is_short(comment: &str) -> bool {
    comment.split_whitespace().count() <= SHORT_WORDS
}

/// Returns the doc comments, each with its lines as one.
fn documentation(tokens: &[Token<'_>]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut last_line = 0;
    for token in tokens.iter().filter(|token| token.kind == Kind::Doc) {
        let text = token.text.trim_start_matches('/').trim();
        match found.last_mut() {
            Some(comment) if token.line == last_line + 1 => {
                comment.push(' ');
                comment.push_str(text);
            }
            _ => found.push(text.to_owned()),
        }
        last_line = token.line;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;

    #[test]
    fn lines_that_follow_are_one_comment() {
        let source =
            "/// Its id.\na: u8,\n/// Where it is,\n/// and why.\nb: u8,\n//! The file.\n// Not this.";
        let found = documentation(&tokens(source));
        assert_eq!(found, ["Its id.", "Where it is, and why."]);
        assert!(is_short(&found[0]) && !is_short(&found[1]));
    }
}
