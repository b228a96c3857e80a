//! Paths: what a file names of other files, by `use` and by paths inside the code.

use crate::lexer::{Kind, Token};
use crate::source::closing;

/// A path that stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its parts: `["super", "room", "Room"]`. A glob ends in `*`.
    pub parts: Vec<String>,
    /// What it is called here; the last part, unless it is renamed.
    pub name: String,
    /// The line of its last part.
    pub line: usize,
    /// The modules inside the file in which it stands, outermost first.
    pub inside: Vec<String>,
    /// How it stands there.
    pub how: How,
}

/// How a path stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// `use …`.
    Use,
    /// `pub use …`, with any visibility.
    Export,
    /// In the middle of code.
    Inline,
}

/// Returns all that `code` (without comments) names by `use`, or by a path that begins with `crate`, `super` or `self`.
pub fn named(code: &[Token<'_>]) -> Vec<Named> {
    let mut found = Vec::new();
    // The modules inside the file that are open, with where each ends.
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut at = 0;
    while at < code.len() {
        open.retain(|(_, end)| at <= *end);
        let word = |at: usize, text: &str| code.get(at).is_some_and(|token| token.is(text));
        let inside: Vec<String> = open.iter().map(|(name, _)| name.clone()).collect();
        if word(at, "mod") && word(at + 2, "{") {
            open.push((code[at + 1].text.to_owned(), closing(code, at + 2)));
            at += 3;
        } else if word(at, "use") && code.get(at + 1).is_some_and(|next| !next.is("<")) {
            let how =
                if at > 0 && (word(at - 1, "pub") || word(at - 1, ")")) { How::Export } else { How::Use };
            let mut tree = Tree { code, at: at + 1, inside, how, found: &mut found };
            tree.branch(&[]);
            at = tree.at;
        } else if is_start(code, at) {
            at = inline(code, at, inside, &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Whether a path into this crate begins here.
fn is_start(code: &[Token<'_>], at: usize) -> bool {
    let token = &code[at];
    let follows = code.get(at + 1).is_some_and(|next| next.is("::"));
    // `pub(in crate::core)` names nothing that it uses.
    let is_visibility = at > 0 && code[at - 1].is("in") && at > 1 && code[at - 2].is("(");
    let goes_on = at > 0 && code[at - 1].is("::");
    (token.is("crate") || token.is("super") || token.is("self")) && follows && !is_visibility && !goes_on
}

/// Reads a path in the middle of code; returns where it ends.
fn inline(code: &[Token<'_>], start: usize, inside: Vec<String>, found: &mut Vec<Named>) -> usize {
    let mut parts = vec![code[start].text.to_owned()];
    let mut at = start + 1;
    while let [colons, part, ..] = &code[at..]
        && colons.is("::")
        && part.kind == Kind::Word
    {
        parts.push(part.text.to_owned());
        at += 2;
    }
    let name = parts[parts.len() - 1].clone();
    found.push(Named { parts, name, line: code[start].line, inside, how: How::Inline });
    at
}

/// The tree behind a `use`.
struct Tree<'a, 'b> {
    code: &'b [Token<'a>],
    at: usize,
    inside: Vec<String>,
    how: How,
    found: &'b mut Vec<Named>,
}

impl Tree<'_, '_> {
    /// Reads one branch, up to the `,`, `}` or `;` that ends it.
    fn branch(&mut self, stem: &[String]) {
        let mut parts = stem.to_vec();
        let mut line = 0;
        while let Some(token) = self.code.get(self.at) {
            match token.text {
                "::" => {}
                "{" => return self.branches(&parts),
                "as" => {
                    let name = self.code.get(self.at + 1).map_or("_", |token| token.text).to_owned();
                    self.at += 2;
                    return self.leaf(parts, name, line);
                }
                "," | "}" | ";" => break,
                text => {
                    line = token.line;
                    parts.push(text.to_owned());
                }
            }
            self.at += 1;
        }
        // `use super::room::{self, Room}` names the module itself.
        if parts.len() > 1 && parts[parts.len() - 1] == "self" {
            parts.pop();
        }
        let name = parts.last().cloned().unwrap_or_default();
        self.leaf(parts, name, line);
    }

    /// Reads `{…}`, and stops behind it.
    fn branches(&mut self, stem: &[String]) {
        self.at += 1;
        while let Some(token) = self.code.get(self.at) {
            match token.text {
                "}" => {
                    self.at += 1;
                    return;
                }
                "," => self.at += 1,
                _ => self.branch(stem),
            }
        }
    }

    fn leaf(&mut self, parts: Vec<String>, name: String, line: usize) {
        self.found.push(Named { parts, name, line, inside: self.inside.clone(), how: self.how });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexer::tokens;

    fn found(source: &str) -> Vec<String> {
        let told = |named: &Named| {
            let inside: String = named.inside.iter().map(|module| format!("[{module}] ")).collect();
            let path = named.parts.join("::");
            let renamed = named.parts.last() != Some(&named.name);
            let name = if renamed { format!(" as {}", named.name) } else { String::new() };
            format!("{inside}{:?} {path}{name}", named.how)
        };
        named(&tokens(source)).iter().map(told).collect()
    }

    #[test]
    fn use_trees_are_read() {
        let source = "use super::{a::{self, B}, c::D as E, f::*}; pub(super) use g::H; use std::io;";
        let expected = [
            "Use super::a",
            "Use super::a::B",
            "Use super::c::D as E",
            "Use super::f::*",
            "Export g::H",
            "Use std::io",
        ];
        assert_eq!(found(source), expected);
    }

    #[test]
    fn paths_in_the_middle_of_code_are_read() {
        let source = "fn f(a: &crate::b::C) -> super::D { self.e(); self::g::<u8>() }";
        assert_eq!(found(source), ["Inline crate::b::C", "Inline super::D", "Inline self::g"]);
        assert!(found("pub(in crate::core) fn f() -> impl Fn() + use<'_> {}").is_empty());
    }

    #[test]
    fn modules_inside_a_file_are_known() {
        let expected = ["[a] Use super::b", "Use self::c"];
        assert_eq!(found("mod a { use super::b; } use self::c;"), expected);
    }
}
