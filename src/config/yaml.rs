//! Yaml: reads the part of YAML in which configuration files of LiveKit are written, so that such a file starts this
//! server. That part is mappings and lists, by indentation or in brackets, and plain or quoted words. What is beyond it
//! (anchors, tags, blocks of text) is refused with its line; it is never read as something else.

use super::setting::Raw;

/// How deep mappings and lists may be inside each other.
const DEPTH_MAX: usize = 16;

/// What a document consists of.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    /// Nothing: an empty value, `~` or `null`.
    Nothing,
    /// A word, a number, or `true` or `false`.
    Scalar(Raw),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// One line of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    /// What stands before the colon.
    pub key: String,
    /// The line, from 1.
    pub line: usize,
    /// What stands behind it.
    pub value: Node,
}

/// What cannot be read, and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub line: usize,
    pub message: String,
}

type Read<T> = Result<T, Mistake>;

fn mistake<T>(line: usize, message: impl Into<String>) -> Read<T> {
    Err(Mistake { line, message: message.into() })
}

/// A line with something on it.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    /// From 1.
    number: usize,
    /// How many spaces stand before the text.
    indent: usize,
    /// Without spaces at either end, and without a comment.
    text: &'a str,
}

/// Reads a document.
///
/// # Errors
/// [`Mistake`] for the first line that cannot be read.
pub(super) fn parse(text: &str) -> Read<Node> {
    let mut lines = Vec::new();
    for (index, whole) in text.lines().enumerate() {
        let number = index + 1;
        let content = without_comment(whole).trim_end();
        let text = content.trim_start_matches(' ');
        let indent = content.len() - text.len();
        if text.is_empty() || (lines.is_empty() && text == "---") {
            continue;
        }
        if text.starts_with('\t') {
            return mistake(number, "YAML is indented by spaces, not by tabs");
        }
        if indent == 0 && (text == "---" || text == "..." || text.starts_with('%')) {
            return mistake(number, "only one document without directives is read");
        }
        lines.push(Line { number, indent, text });
    }
    let Some(first) = lines.first() else { return Ok(Node::Nothing) };
    let mut reader = Reader { indent: first.indent, at: 0, lines };
    let node = reader.block(reader.indent, 0)?;
    match reader.lines.get(reader.at) {
        Some(line) => mistake(line.number, "this line is indented less than what it belongs to"),
        None => Ok(node),
    }
}

struct Reader<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
    indent: usize,
}

impl<'a> Reader<'a> {
    fn next(&self) -> Option<Line<'a>> {
        self.lines.get(self.at).copied()
    }

    /// Reads the mapping or the list whose lines have that indentation.
    fn block(&mut self, indent: usize, depth: usize) -> Read<Node> {
        let Some(first) = self.next() else { return Ok(Node::Nothing) };
        if depth > DEPTH_MAX {
            return mistake(first.number, format!("more than {DEPTH_MAX} levels are not read"));
        }
        if item_of(first.text).is_some() {
            return self.list(indent, depth);
        }
        if split_key(first.text, first.number)?.is_none() {
            self.at += 1;
            return flow(first.text, first.number, depth);
        }
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(line) = self.next().filter(|line| line.indent >= indent) {
            if line.indent > indent || item_of(line.text).is_some() {
                return mistake(line.number, "this line is indented differently from those above");
            }
            let Some((key, rest)) = split_key(line.text, line.number)? else {
                return mistake(line.number, "a line of a mapping is a key, a colon, a space and a value");
            };
            if entries.iter().any(|entry| entry.key == key) {
                return mistake(line.number, format!("{key} is here for the second time"));
            }
            self.at += 1;
            let value = if rest.is_empty() {
                self.below(indent, true, depth)?
            } else {
                flow(rest, line.number, depth)?
            };
            entries.push(Entry { key, line: line.number, value });
        }
        Ok(Node::Map(entries))
    }

    fn list(&mut self, indent: usize, depth: usize) -> Read<Node> {
        let mut items = Vec::new();
        while let Some(line) = self.next().filter(|line| line.indent >= indent) {
            let rest = match item_of(line.text) {
                Some(rest) if line.indent == indent => rest,
                // The mapping to which the list belongs goes on: its lists need not be indented.
                None if line.indent == indent => break,
                _ => return mistake(line.number, "this line is indented differently from those above"),
            };
            if rest.is_empty() {
                self.at += 1;
                items.push(self.below(indent, false, depth)?);
            } else if split_key(rest, line.number)?.is_some() || item_of(rest).is_some() {
                // A mapping or a list that begins behind the dash.
                let inner = line.indent + (line.text.len() - rest.len());
                self.lines[self.at] = Line { indent: inner, text: rest, ..line };
                items.push(self.block(inner, depth + 1)?);
            } else {
                self.at += 1;
                items.push(flow(rest, line.number, depth)?);
            }
        }
        Ok(Node::List(items))
    }

    /// Reads what stands below a line without a value.
    fn below(&mut self, indent: usize, of_mapping: bool, depth: usize) -> Read<Node> {
        match self.next() {
            Some(line) if line.indent > indent => self.block(line.indent, depth + 1),
            Some(line) if of_mapping && line.indent == indent && item_of(line.text).is_some() => {
                self.list(indent, depth + 1)
            }
            _ => Ok(Node::Nothing),
        }
    }
}

/// Returns what stands behind the dash of a list's line.
fn item_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('-')?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| rest.trim_start())
}

/// Returns a line without its comment, which begins at a `#` at its start or behind a space, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (index, sign) in line.char_indices() {
        match quote {
            Some(open) if sign == open && !(open == '"' && before == '\\') => quote = None,
            Some(_) => {}
            None if sign == '#' && before.is_whitespace() => return &line[..index],
            // A quote inside a word is a letter like others.
            None if matches!(sign, '"' | '\'') && (before.is_whitespace() || "[{,:".contains(before)) => {
                quote = Some(sign);
            }
            None => {}
        }
        before = sign;
    }
    line
}

/// Splits a line of a mapping into its key and the rest; `None` if it is no such line.
fn split_key(text: &str, line: usize) -> Read<Option<(String, &str)>> {
    if let Some(quote) = text.chars().next().filter(|sign| matches!(sign, '"' | '\'')) {
        let (key, rest) = quoted(text, quote, line)?;
        let rest = rest.trim_start();
        return Ok(rest.strip_prefix(':').map(|rest| (key, rest.trim_start())));
    }
    if text.starts_with(['[', '{']) {
        return Ok(None);
    }
    let colons = text.char_indices().filter(|&(_, sign)| sign == ':').map(|(index, _)| index);
    for index in colons {
        let rest = &text[index + 1..];
        if rest.is_empty() || rest.starts_with(' ') {
            let key = text[..index].trim_end();
            return Ok((!key.is_empty()).then(|| (key.to_owned(), rest.trim_start())));
        }
    }
    Ok(None)
}

/// Reads a quoted word, and returns what stands behind it.
fn quoted(text: &str, quote: char, line: usize) -> Read<(String, &str)> {
    let mut word = String::new();
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((index, sign)) = signs.next() {
        if sign == quote {
            if quote == '\'' && signs.next_if(|&(_, next)| next == '\'').is_some() {
                word.push('\'');
                continue;
            }
            return Ok((word, &text[index + 1..]));
        }
        if quote == '"' && sign == '\\' {
            match signs.next() {
                Some((_, sign @ ('"' | '\\' | '/'))) => word.push(sign),
                Some((_, 'n')) => word.push('\n'),
                Some((_, 't')) => word.push('\t'),
                _ => return mistake(line, "of escapes, \\\" \\\\ \\/ \\n and \\t are read"),
            }
            continue;
        }
        word.push(sign);
    }
    mistake(line, "a quoted word does not end on its line")
}

/// Reads a value that stands on one line.
fn flow(text: &str, line: usize, depth: usize) -> Read<Node> {
    let (node, rest) = flow_part(text, line, depth, false)?;
    if rest.trim().is_empty() {
        Ok(node)
    } else {
        mistake(line, format!("nothing may follow a value, but {:?} does", rest.trim()))
    }
}

/// Reads a value, and returns what stands behind it. Inside brackets, commas and brackets end a plain word.
fn flow_part(text: &str, line: usize, depth: usize, inside: bool) -> Read<(Node, &str)> {
    if depth > DEPTH_MAX {
        return mistake(line, format!("more than {DEPTH_MAX} levels are not read"));
    }
    let text = text.trim_start();
    match text.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let (word, rest) = quoted(text, quote, line)?;
            Ok((Node::Scalar(Raw::String(word)), rest))
        }
        Some('[') => flow_list(&text[1..], line, depth),
        Some('{') => flow_map(&text[1..], line, depth),
        Some('&' | '*' | '!') => {
            mistake(line, "anchors, aliases and tags are not read; write the value itself")
        }
        Some('|' | '>') => mistake(line, "blocks of text are not read; write it on one line, in quotes"),
        Some('@' | '`' | '%') => mistake(line, "a word that begins with such a sign belongs in quotes"),
        _ => {
            let end = if inside { text.find([',', ']', '}']).unwrap_or(text.len()) } else { text.len() };
            Ok((plain(text[..end].trim_end()), &text[end..]))
        }
    }
}

fn flow_list(mut rest: &str, line: usize, depth: usize) -> Read<(Node, &str)> {
    let mut items = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix(']') {
            return Ok((Node::List(items), rest));
        }
        let (item, behind) = flow_part(rest, line, depth + 1, true)?;
        items.push(item);
        rest = between(behind, ']', line)?;
    }
}

fn flow_map(mut rest: &str, line: usize, depth: usize) -> Read<(Node, &str)> {
    let mut entries: Vec<Entry> = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(rest) = rest.strip_prefix('}') {
            return Ok((Node::Map(entries), rest));
        }
        let Some((key, behind)) = split_key(rest, line)? else {
            return mistake(line, "in braces there are keys, each with a colon, a space and a value");
        };
        if entries.iter().any(|entry| entry.key == key) {
            return mistake(line, format!("{key} is here for the second time"));
        }
        let (value, behind) = flow_part(behind, line, depth + 1, true)?;
        entries.push(Entry { key, line, value });
        rest = between(behind, '}', line)?;
    }
}

/// Skips the comma between two values in brackets. The closing bracket stays.
fn between(rest: &str, close: char, line: usize) -> Read<&str> {
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(rest) => Ok(rest),
        None if rest.starts_with(close) => Ok(rest),
        None => mistake(
            line,
            format!("a comma or {close} is missing; brackets end on the line on which they begin"),
        ),
    }
}

/// Reads a word without quotes (the core schema of YAML 1.2 §10.3, decimal numbers alone).
fn plain(word: &str) -> Node {
    match word {
        "" | "~" | "null" | "Null" | "NULL" => Node::Nothing,
        "true" | "True" | "TRUE" => Node::Scalar(Raw::Boolean(true)),
        "false" | "False" | "FALSE" => Node::Scalar(Raw::Boolean(false)),
        _ => {
            let is_number = word.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE_".contains(&byte))
                && word.bytes().any(|byte| byte.is_ascii_digit());
            let integer = word.parse().ok().map(Raw::Integer);
            let float = || is_number.then(|| word.parse().ok().map(Raw::Float)).flatten();
            Node::Scalar(integer.or_else(float).unwrap_or_else(|| Raw::String(word.to_owned())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a document on one line, to compare with.
    fn shown(node: &Node) -> String {
        match node {
            Node::Nothing => "~".to_owned(),
            Node::Scalar(raw) => raw.to_string(),
            Node::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Node::Map(entries) => {
                let entries = entries.iter().map(|entry| format!("{}: {}", entry.key, shown(&entry.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn what_is_written_in_configuration_files_is_read() {
        for (text, read) in [
            ("", "~"),
            ("# nothing\n\n", "~"),
            ("---\nport: 7880", "{port: 7880}"),
            ("a: 1\nb: x y # why\nc: \"x # y\"\nd: 'it''s'", "{a: 1, b: \"x y\", c: \"x # y\", d: \"it's\"}"),
            ("a: true\nb: no\nc:\nd: ~\ne: 1.5\nf: -3", "{a: true, b: \"no\", c: ~, d: ~, e: 1.5, f: -3}"),
            ("rtc:\n  a: 1\n  b:\n    c: 2\nroom:\n    d: 3", "{rtc: {a: 1, b: {c: 2}}, room: {d: 3}}"),
            ("u:\n  - a\n  - b\nv:\n- c\nw: 1", "{u: [\"a\", \"b\"], v: [\"c\"], w: 1}"),
            ("s:\n  - host: a\n    port: 1\n  - host: b", "{s: [{host: \"a\", port: 1}, {host: \"b\"}]}"),
            ("s:\n  -\n    host: a\n  - - 1\n    - 2", "{s: [{host: \"a\"}, [1, 2]]}"),
            ("k: {a: b, c: [1, 2], d: {}}\nl: []", "{k: {a: \"b\", c: [1, 2], d: {}}, l: []}"),
            ("k: http://x.example:80/a#b\n\"q r\": 1", "{k: \"http://x.example:80/a#b\", q r: 1}"),
            ("a: 1_000\nb: 2026-01-02\nc: 0x10", "{a: \"1_000\", b: \"2026-01-02\", c: \"0x10\"}"),
            ("{\"port\": 1, \"keys\": {\"a\": \"b\"}}", "{port: 1, keys: {a: \"b\"}}"),
            ("[1, \"a, b\"]", "[1, \"a, b\"]"),
        ] {
            assert_eq!(parse(text).as_ref().map(shown), Ok(read.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line() {
        for (text, line, words) in [
            ("a: 1\n\tb: 2", 2, "not by tabs"),
            ("a: 1\n  b: 2", 2, "indented differently"),
            ("a:\n  b: 1\n c: 2", 3, "indented"),
            ("a: 1\na: 2", 2, "a is here for the second time"),
            ("k: {a: 1, a: 2}", 1, "for the second time"),
            ("a: &x 1", 1, "anchors"),
            ("a: |\n  text", 1, "blocks of text"),
            ("a: \"x", 1, "does not end on its line"),
            ("a: \"\\u0041\"", 1, "of escapes"),
            ("a: [1, 2", 1, "missing"),
            ("a: {b 1}", 1, "in braces"),
            ("a: 'x' y", 1, "nothing may follow"),
            ("a: 1\n---\nb: 2", 2, "one document"),
            ("a: 1\njust words", 2, "a key, a colon"),
            ("  a: 1\nb: 2", 2, "indented less"),
        ] {
            let mistake = parse(text).expect_err(text);
            assert_eq!(mistake.line, line, "{text}");
            assert!(mistake.message.contains(words), "{text}: {}", mistake.message);
        }
        let deep = "[".repeat(10_000);
        assert!(parse(&deep).expect_err("too deep").message.contains("levels"));
        assert!(parse(&"- ".repeat(10_000)).expect_err("too deep").message.contains("levels"));
    }
}
