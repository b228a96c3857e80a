//! Source: the files under `src` as tokens, without their tests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::lexer::{Token, tokens};

/// Returns all files below `folder` of the project that end in one of `extensions`, in order. Paths are relative, since
/// cargo runs tests in the project's folder: the same test program checks another copy when it is started there.
pub fn files(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::from(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() && name != "node_modules" && name != "target" {
                open.push(path);
            } else if path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Fails with a list of what is wrong, unless there is nothing.
pub fn complain(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

/// A file of the product.
#[derive(Debug)]
pub struct Source {
    /// Its path below `src`, with `/`: `core/room/media.rs`.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Source {
    /// Returns its tokens, without what is compiled for tests alone.
    pub fn tokens(&self) -> Vec<Token<'_>> {
        without_tests(&tokens(&self.text))
    }

    /// Returns its tokens, without tests and comments.
    pub fn code(&self) -> Vec<Token<'_>> {
        self.tokens().into_iter().filter(|token| !token.is_comment()).collect()
    }

    /// Returns the module that it is: `core/room/media.rs` and `core/room/media/mod.rs` are `["core", "room", "media"]`.
    pub fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
    }
}

/// Returns the library's files, without those that are tests.
pub fn library() -> Vec<Source> {
    let mut all = Vec::new();
    for path in files("src", &["rs"]) {
        let text = fs::read_to_string(&path).expect("a source file is text");
        let path = path.strip_prefix("src").expect("it lies in src");
        let path = path.to_string_lossy().replace('\\', "/");
        if path != "main.rs" {
            all.push(Source { path, text });
        }
    }
    assert!(!all.is_empty(), "start this in the project's folder");
    let tests: Vec<String> = all.iter().flat_map(test_modules).collect();
    all.retain(|source| {
        let path = format!("{}/", source.module().join("/"));
        !tests.iter().any(|test| path.starts_with(test))
    });
    all
}

/// Where the modules lie that `source` declares with `#[cfg(test)] mod …;`, with a `/` behind each.
fn test_modules(source: &Source) -> Vec<String> {
    let code: Vec<Token<'_>> = tokens(&source.text).into_iter().filter(|token| !token.is_comment()).collect();
    let folder =
        Path::new(&source.path).parent().expect("a file lies in a folder").to_string_lossy().into_owned();
    let own = source.module().join("/");
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let Some(end) = test_item(&code, at) else {
            at += 1;
            continue;
        };
        let item = &code[at..end];
        let named = item.iter().position(|token| token.is("mod")).map(|at| item[at + 1].text);
        if let (Some(name), true) = (named, item.last().is_some_and(|last| last.is(";"))) {
            let elsewhere = item.windows(3).find(|w| w[0].is("path") && w[1].is("=")).map(|w| w[2].text);
            found.push(match elsewhere {
                Some(path) => format!("{folder}/{}/", path.trim_matches('"').trim_end_matches(".rs")),
                None => format!("{own}/{name}/"),
            });
        }
        at = end;
    }
    found
}

/// Removes every item behind `#[cfg(test)]`.
pub fn without_tests<'a>(all: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        match test_item(all, at) {
            Some(end) => at = end,
            None => {
                kept.push(all[at]);
                at += 1;
            }
        }
    }
    kept
}

/// Where the item ends that begins at `at` with `#[cfg(test)]`; `None` if none does.
fn test_item(all: &[Token<'_>], at: usize) -> Option<usize> {
    let word = |ahead: usize, text: &str| all.get(at + ahead).is_some_and(|token| token.is(text));
    if !(word(0, "#") && word(1, "[") && word(2, "cfg") && word(3, "(")) {
        return None;
    }
    let end = closing(all, at + 1);
    let condition = &all[at + 4..end];
    let is_test =
        condition.iter().any(|token| token.is("test")) && !condition.iter().any(|token| token.is("not"));
    is_test.then(|| item_end(all, end + 1))
}

/// Where the bracket at `open` is closed, or the end.
pub fn closing(all: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in all.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" if token.is(token.text) => depth += 1,
            ")" | "]" | "}" if token.is(token.text) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    all.len().saturating_sub(1)
}

/// Behind the item, statement or field at `start`, which may begin with further attributes.
fn item_end(all: &[Token<'_>], start: usize) -> usize {
    let mut at = start;
    let mut is_field = true;
    let mut is_import = false;
    while let Some(token) = all.get(at) {
        match token.text {
            "#" | "(" | "[" if token.is(token.text) => at = closing(all, at + usize::from(token.is("#"))),
            "use" if token.is("use") => is_import = true,
            "fn" | "impl" | "struct" | "enum" | "mod" if token.is(token.text) => is_field = false,
            "{" if token.is("{") => {
                at = closing(all, at);
                if !is_import {
                    return at + 1;
                }
            }
            ";" if token.is(";") => return at + 1,
            "," if token.is(",") && is_field => return at + 1,
            // The struct, block or file around it ends first.
            "}" if token.is("}") => return at,
            _ => {}
        }
        at += 1;
    }
    all.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(source: &str) -> String {
        let kept = without_tests(&tokens(source));
        kept.iter().map(|token| token.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_compiled_for_tests_is_shed() {
        assert_eq!(kept("a; #[cfg(test)] mod tests { b { c } } d"), "a ; d");
        assert_eq!(kept("#[cfg(test)] #[path = \"x.rs\"] mod tests; d"), "d");
        assert_eq!(kept("#[cfg(test)] use x::{a, b}; d"), "d");
        assert_eq!(kept("#[cfg(test)] pub fn f<A, B>(a: A) -> B { a } d"), "d");
        assert_eq!(kept("struct S { #[cfg(test)] a: B<C>, d: E }"), "struct S { d : E }");
        assert_eq!(kept("#[cfg(not(test))] d"), "# [ cfg ( not ( test ) ) ] d");
        assert_eq!(kept("#[cfg(unix)] d"), "# [ cfg ( unix ) ] d");
    }

    #[test]
    fn files_of_tests_are_known() {
        let text = "#[cfg(test)] mod tests; #[cfg(test)] #[path = \"v.rs\"] mod v; mod real; #[cfg(test)] mod here { }";
        let source = Source { path: "core/room.rs".to_owned(), text: text.to_owned() };
        assert_eq!(test_modules(&source), ["core/room/tests/", "core/v/"]);
    }

    #[test]
    fn a_file_is_a_module() {
        let module = |path: &str| Source { path: path.to_owned(), text: String::new() }.module().join("::");
        assert_eq!(module("core/room/media.rs"), "core::room::media");
        assert_eq!(module("core/mod.rs"), "core");
        assert_eq!(module("lib.rs"), "");
    }
}
