//! Functions: how long they are, and how much they explain of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::lexer::{Kind, Token};
use crate::source::{Source, closing, complain, library};

/// Past so many lines a function is two things.
const LINES_MAX: usize = 70;

/// Those that were longer when the rule was made, with their lengths. A length here only ever falls.
const LONG: [(&str, &str, usize); 0] = [];

/// So much of what stands inside functions explains why.
const COMMENTS_PERCENT_MIN: f64 = 2.0;

/// The same for each folder of the core, where the subtle things are.
const COMMENTS_PERCENT_MIN_OF_FOLDER: f64 = 1.0;

/// How many of the worst files are told.
const WORST: usize = 15;

/// A function with a body.
#[derive(Debug)]
pub struct Function<'a> {
    /// Its own name.
    pub name: &'a str,
    /// The type or trait whose method it is.
    pub owner: Option<&'a str>,
    /// The lines from `fn` to the closing brace.
    pub lines: Range<usize>,
    /// The line of its opening brace.
    pub opens: usize,
    /// What stands between its braces.
    pub body: Vec<Token<'a>>,
}

impl Function<'_> {
    /// Returns `Type::name`, or the name alone.
    pub fn full_name(&self) -> String {
        self.owner.map_or_else(|| self.name.to_owned(), |owner| format!("{owner}::{}", self.name))
    }

    /// Returns whether it is meant by `name`, which may leave out the type.
    pub fn is_called(&self, name: &str) -> bool {
        match name.rsplit_once("::") {
            Some((owner, own)) => {
                self.name == own && (self.owner.is_none() || self.owner == owner.rsplit("::").next())
            }
            None => self.name == name,
        }
    }

    /// Returns whether it calls the method or function `name`, or hands it on to be called. Of methods with one name,
    /// `owner` says whose is meant: `self.name()` is a method of the type at hand, `Type::name` is one of that type.
    pub fn calls(&self, owner: Option<&str>, name: &str) -> bool {
        let at = |at: usize, text: &str| self.body.get(at).is_some_and(|token| token.is(text));
        self.body.iter().enumerate().filter(|(_, token)| token.is(name)).any(|(here, _)| {
            let is_called = at(here + 1, "(") || (at(here + 1, "::") && at(here + 2, "<"));
            let (before, receiver) = match here.checked_sub(2) {
                Some(two_before) => (self.body[here - 1].text, self.body[two_before].text),
                None => return is_called,
            };
            let is_type = receiver.starts_with(|c: char| c.is_ascii_uppercase());
            match (before, owner) {
                (".", Some(owner)) if receiver == "self" => is_called && self.owner == Some(owner),
                ("::", Some(owner)) if receiver == "Self" => self.owner == Some(owner),
                ("::", Some(owner)) if is_type => receiver == owner,
                ("::", _) => true,
                _ => is_called,
            }
        })
    }

    fn length(&self) -> usize {
        self.lines.len()
    }
}

/// Returns all functions of `code` (without comments) that have a body, in order.
pub fn functions<'a>(code: &[Token<'a>]) -> Vec<Function<'a>> {
    let mut found = Vec::new();
    // The types whose `impl` (or trait) is open, with where each ends.
    let mut owners: Vec<(&str, usize)> = Vec::new();
    let mut at = 0;
    while at < code.len() {
        owners.retain(|(_, end)| at <= *end);
        let token = &code[at];
        // `fn(u8)` is a type; `impl` in a signature is skipped with the signature.
        let name = code.get(at + 1).filter(|next| next.kind == Kind::Word);
        if token.is("impl") || (token.is("trait") && name.is_some()) {
            let Some(open) = body_open(code, at) else { break };
            if code[open].is("{") {
                owners.push((owner(&code[at..open]), closing(code, open)));
            }
            at = open + 1;
        } else if let (true, Some(name)) = (token.is("fn"), name) {
            let Some(open) = body_open(code, at + 2) else { break };
            if code[open].is("{") {
                let close = closing(code, open);
                let lines = token.line..code[close].line + 1;
                let owner = owners.last().map(|(owner, _)| *owner);
                let body = code[open + 1..close.max(open + 1)].to_vec();
                found.push(Function { name: name.text, owner, lines, opens: code[open].line, body });
            }
            at = open + 1;
        } else {
            at += 1;
        }
    }
    found
}

/// Where the `{` or the `;` is that ends the signature at `at`.
fn body_open(code: &[Token<'_>], mut at: usize) -> Option<usize> {
    while let Some(token) = code.get(at) {
        if token.is("{") || token.is(";") {
            return Some(at);
        }
        at = if token.is("(") || token.is("[") { closing(code, at) + 1 } else { at + 1 };
    }
    None
}

/// The type of an `impl`, or the name of a trait: of `impl<T: Into<u8>> From<T> for a::B<T> where …` it is `B`.
fn owner<'a>(header: &[Token<'a>]) -> &'a str {
    let (mut depth, mut name) = (0_usize, "");
    for token in &header[1..] {
        match token.text {
            "<" => depth += 1,
            ">" => depth = depth.saturating_sub(1),
            "where" => break,
            // A trait's name is followed by those that it demands.
            ":" if depth == 0 => break,
            "for" if depth == 0 => name = "",
            text if depth == 0 && token.kind == Kind::Word && text != "dyn" && text != "mut" => name = text,
            _ => {}
        }
    }
    name
}

#[test]
fn functions_are_short() {
    let mut found = BTreeMap::new();
    for source in &library() {
        for function in functions(&source.code()).iter().filter(|function| function.length() > LINES_MAX) {
            found.insert((source.path.clone(), function.full_name()), function.length());
        }
    }
    complain(
        "the list of long functions in tests/tidy/functions.rs only gets shorter",
        &ratchet(&found, &LONG),
    );
}

/// Compares lengths with what is known and allowed.
fn ratchet(found: &BTreeMap<(String, String), usize>, known: &[(&str, &str, usize)]) -> Vec<String> {
    let mut wrong = Vec::new();
    for ((path, name), lines) in found {
        let listed = known.iter().find(|(file, function, _)| file == path && function == name);
        match listed.map(|(_, _, listed)| *listed) {
            None => wrong.push(format!("src/{path}: `{name}` has {lines} lines; split it below {LINES_MAX}")),
            Some(listed) if *lines > listed => {
                wrong.push(format!("src/{path}: `{name}` grew from {listed} to {lines} lines"));
            }
            Some(listed) if *lines < listed => {
                wrong.push(format!("src/{path}: `{name}` has {lines} lines now: write {lines} for {listed}"));
            }
            Some(_) => {}
        }
    }
    let is_found = |(file, name, _): &&(&str, &str, usize)| {
        !found.contains_key(&((*file).to_owned(), (*name).to_owned()))
    };
    let gone = known.iter().filter(is_found);
    wrong.extend(
        gone.map(|(file, name, _)| format!("src/{file}: `{name}` is short now: take it off the list")),
    );
    wrong
}

#[test]
fn functions_explain_themselves() {
    let mut all = Vec::new();
    for source in library() {
        let (comments, lines) = comments(&source);
        all.push((source.path, comments, lines));
    }
    let total = |of: fn(&(String, usize, usize)) -> usize| all.iter().map(of).sum::<usize>();
    let (comments, lines) = (total(|file| file.1), total(|file| file.2));
    let percent = 100.0 * comments as f64 / lines as f64;
    // The worst are those that lack most comments.
    all.sort_by_key(|(_, comments, lines)| (*comments * 100) as isize - (*lines * 2) as isize);
    let worst =
        all.iter().take(WORST).map(|(path, comments, lines)| format!("src/{path}: {comments} of {lines}"));
    let few = if percent < COMMENTS_PERCENT_MIN { worst.collect() } else { Vec::new() };
    let what = format!(
        "comments are {comments} of {lines} lines inside functions, {percent:.2} %; at least \
         {COMMENTS_PERCENT_MIN} % shall be: say why, where code is subtle. The largest files with few"
    );
    complain(&what, &few);
}

#[test]
fn functions_of_every_folder_of_the_core_explain_themselves() {
    let mut folders: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for source in library() {
        let Some(inside) = source.path.strip_prefix("core/") else { continue };
        let folder = inside.split_once('/').map_or("core", |(folder, _)| folder);
        let (comments, lines) = comments(&source);
        let sum = folders.entry(folder.to_owned()).or_default();
        *sum = (sum.0 + comments, sum.1 + lines);
    }
    let percent = |(comments, lines): &(usize, usize)| 100.0 * *comments as f64 / (*lines).max(1) as f64;
    let few = folders.iter().filter(|(_, sum)| percent(sum) < COMMENTS_PERCENT_MIN_OF_FOLDER);
    let few: Vec<String> = few
        .map(|(folder, sum)| format!("{folder}: {} of {} lines, {:.2} %", sum.0, sum.1, percent(sum)))
        .collect();
    complain("folders of the core whose functions hardly say why they do what they do", &few);
}

/// How many lines inside the functions of `source` are comments, and how many lines that are not blank there are.
fn comments(source: &Source) -> (usize, usize) {
    let tokens = source.tokens();
    let mut inside = BTreeSet::new();
    for function in functions(&source.code()) {
        inside.extend(function.opens + 1..function.lines.end - 1);
    }
    let blank: BTreeSet<usize> = source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| line.trim().is_empty())
        .map(|(at, _)| at + 1)
        .collect();
    let own = tokens.iter().filter(|token| token.kind == Kind::Comment && token.first);
    let commented: BTreeSet<usize> = own.flat_map(|token| token.line..=token.last_line()).collect();
    (inside.intersection(&commented).count(), inside.difference(&blank).count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;

    fn found(source: &str) -> Vec<(String, usize)> {
        functions(&tokens(source)).iter().map(|function| (function.full_name(), function.length())).collect()
    }

    #[test]
    fn functions_are_found_with_their_types_and_lengths() {
        let source = "
            fn alone(f: fn(u8) -> [u8; 2], g: impl Fn()) -> impl Iterator<Item = u8> { fn inner() {} }
            impl<T: Into<u8>> From<T> for a::B<T> where T: C {
                fn from(t: T) -> Self {
                    x
                }
            }
            trait D: E { fn without(&self); fn with(&self) {} }
            impl dyn F { const fn g() {} }";
        let expected = [("alone", 1), ("inner", 1), ("B::from", 3), ("D::with", 1), ("F::g", 1)];
        assert_eq!(found(source), expected.map(|(name, lines)| (name.to_owned(), lines)));
    }

    #[test]
    fn a_body_begins_behind_the_signature() {
        let code = tokens("fn f(\n    a: u8,\n) {\n    a;\n}");
        let function = &functions(&code)[0];
        assert_eq!((function.lines.clone(), function.opens), (1..6, 3));
    }

    #[test]
    fn a_function_is_known_by_its_name_and_its_type() {
        let code = tokens("impl Room { fn handle(&self) { self.pass(); } }");
        let function = &functions(&code)[0];
        assert!(function.is_called("Room::handle") && function.is_called("handle"));
        assert!(!function.is_called("Sfu::handle"));
    }

    #[test]
    fn calls_are_told_from_calls_of_the_same_name() {
        let source = "impl Room { fn f(&self) { self.pass(); slot.send(1); map(Self::open); x.map(Slot::seal); forward; } }";
        let code = tokens(source);
        let function = &functions(&code)[0];
        assert!(function.calls(Some("Room"), "pass") && !function.calls(Some("Slot"), "pass"));
        assert!(function.calls(Some("Slot"), "send"));
        assert!(function.calls(Some("Room"), "open") && !function.calls(Some("Slot"), "open"));
        assert!(function.calls(Some("Slot"), "seal") && !function.calls(Some("Room"), "seal"));
        assert!(!function.calls(None, "forward"), "that is no call");
    }

    #[test]
    fn a_length_only_falls() {
        let found = |lines| BTreeMap::from([(("a.rs".to_owned(), "f".to_owned()), lines)]);
        let known = [("a.rs", "f", 90)];
        assert!(ratchet(&found(90), &known).is_empty());
        assert_eq!(ratchet(&found(91), &known).len(), 1);
        assert_eq!(ratchet(&found(89), &known).len(), 1);
        assert_eq!(ratchet(&BTreeMap::new(), &known).len(), 1);
        assert_eq!(ratchet(&found(71), &[]).len(), 1);
    }

    #[test]
    fn comments_inside_functions_are_counted_by_lines() {
        let text = "// outside\nfn f() {\n    // why\n    // so\n\n    a(); // beside\n}\n\
            #[cfg(test)]\nmod t { fn g() {\n// x\n} }";
        assert_eq!(comments(&Source { path: String::new(), text: text.to_owned() }), (2, 3));
    }
}
