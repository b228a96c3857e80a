//! Lexer: Rust source as tokens, as far as the rules need it. Strings, characters and comments are one token each, so
//! that nothing inside them is taken for code.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keyword, a name or a number.
    Word,
    /// A string or a character, of any sort.
    Text,
    /// `'a`, without being a character.
    Lifetime,
    /// `// …` or `/* … */`.
    Comment,
    /// `/// …`: documentation of what follows.
    Doc,
    /// `//! …`: documentation of what it stands in.
    InnerDoc,
    /// Punctuation: `::`, `->` and `=>`, or one character.
    Mark,
}

/// A piece of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// As it stands there.
    pub text: &'a str,
    /// The line on which it begins, from 1.
    pub line: usize,
    /// Nothing but blanks stands before it on its line.
    pub first: bool,
}

impl Token<'_> {
    /// Returns whether it is this word or mark.
    pub fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }

    /// Returns whether it is a comment or documentation.
    pub fn is_comment(&self) -> bool {
        matches!(self.kind, Kind::Comment | Kind::Doc | Kind::InnerDoc)
    }

    /// Returns the line on which it ends.
    pub fn last_line(&self) -> usize {
        self.line + self.text.matches('\n').count()
    }
}

/// Returns all tokens of `source`. What is not Rust gives strange tokens, but always ends.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut at, mut line, mut first) = (0, 1, true);
    while let Some(next) = source[at..].chars().next() {
        let rest = &source[at..];
        if next.is_whitespace() {
            if next == '\n' {
                (line, first) = (line + 1, true);
            }
            at += next.len_utf8();
            continue;
        }
        let (kind, length) = token(rest, next);
        let text = &rest[..length];
        found.push(Token { kind, text, line, first });
        let lines = text.matches('\n').count();
        (line, first) = (line + lines, false);
        at += length;
    }
    found
}

/// What `rest` begins with, and how many bytes of it that is.
fn token(rest: &str, first: char) -> (Kind, usize) {
    if rest.starts_with("//") {
        let kind = match () {
            () if rest.starts_with("///") && !rest.starts_with("////") => Kind::Doc,
            () if rest.starts_with("//!") => Kind::InnerDoc,
            () => Kind::Comment,
        };
        return (kind, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Kind::Text, length);
    }
    if first == '\'' {
        return quote(rest);
    }
    if first.is_alphanumeric() || first == '_' {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        return (Kind::Word, end.unwrap_or(rest.len()));
    }
    let pairs = ["::", "->", "=>"];
    let length = if pairs.iter().any(|pair| rest.starts_with(pair)) { 2 } else { first.len_utf8() };
    (Kind::Mark, length)
}

/// The length of the comment at the start of `rest`; they nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the string literal at the start of `rest`, if there is one: `"…"`, `b"…"`, `c"…"`, `r#"…"#`.
fn string(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let body = &rest[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let text = body[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = text.find(&end).map_or(text.len(), |found| found + end.len());
        return Some(prefix.len() + hashes + 1 + length);
    }
    let text = body.strip_prefix('"')?;
    Some(prefix.len() + 1 + quoted(text, b'"'))
}

/// The length up to and with the closing quote.
fn quoted(text: &str, quote: u8) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character, or a lifetime.
fn quote(rest: &str) -> (Kind, usize) {
    let mut chars = rest.chars().skip(1);
    let (first, second) = (chars.next(), chars.next());
    if first == Some('\\') || second == Some('\'') {
        return (Kind::Text, 1 + quoted(&rest[1..], b'\''));
    }
    let name = rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_');
    (Kind::Lifetime, 1 + name.unwrap_or(rest.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<(Kind, &str)> {
        tokens(source).iter().map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn strings_and_comments_hide_what_is_in_them() {
        use Kind::{Comment, Mark, Text, Word};
        let source = r##"f("use \" x", r#"fn " y"#, b"z"); // use super::z"##;
        let expected = [
            (Word, "f"),
            (Mark, "("),
            (Text, r#""use \" x""#),
            (Mark, ","),
            (Text, r##"r#"fn " y"#"##),
            (Mark, ","),
            (Text, r#"b"z""#),
            (Mark, ")"),
            (Mark, ";"),
            (Comment, "// use super::z"),
        ];
        assert_eq!(words(source), expected);
        assert_eq!(words("/* a /* b */ c */ d")[1], (Word, "d"));
    }

    #[test]
    fn lifetimes_are_not_characters() {
        let expected = [(Kind::Lifetime, "'a"), (Kind::Mark, ","), (Kind::Text, "'a'")];
        assert_eq!(words("'a, 'a'"), expected);
        assert_eq!(words(r"'\'' '_ "), [(Kind::Text, r"'\''"), (Kind::Lifetime, "'_")]);
    }

    #[test]
    fn documentation_is_told_from_comments() {
        let kinds: Vec<Kind> = tokens("//! a\n/// b\n// c\n//// d\n").iter().map(|t| t.kind).collect();
        assert_eq!(kinds, [Kind::InnerDoc, Kind::Doc, Kind::Comment, Kind::Comment]);
    }

    #[test]
    fn lines_are_counted() {
        let source = "a\n  b c\n\"x\ny\" d";
        let found: Vec<(usize, bool)> = tokens(source).iter().map(|t| (t.line, t.first)).collect();
        assert_eq!(found, [(1, true), (2, true), (2, false), (3, true), (4, false)]);
        assert_eq!(tokens(source)[3].last_line(), 4);
    }
}
