//! The walk: comments that say who calls whom are true, in the code and in the table of `src/lib.rs`.
//!
//! A doc comment says "called by `Room::handle`" (a function) or "called by `udp.rs`" (a file). A row of the table has a
//! number, a file (``[`core::room`]`/media.rs` ``) and a step. The step names the function that it is about in backticks,
//! and then says "called by step 3", or "called by" and a function.

use std::fs;

use crate::functions::{Function, functions};
use crate::lexer::{Kind, Token};
use crate::source::{Source, complain, library};

/// What is called: a function, or something else that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Callee {
    owner: Option<String>,
    name: String,
    is_function: bool,
}

/// What a comment says: somebody is called by somebody.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    callee: Callee,
    /// By whom: `Room::handle`, `udp.rs`.
    callers: Vec<String>,
    line: usize,
}

/// A file that has been read.
struct File<'a> {
    source: &'a Source,
    code: Vec<Token<'a>>,
    functions: Vec<Function<'a>>,
}

impl<'a> File<'a> {
    fn read(source: &'a Source) -> Self {
        let code = source.code();
        Self { source, functions: functions(&code), code }
    }
}

#[test]
fn who_is_said_to_call_does_call() {
    let sources = library();
    let files: Vec<File<'_>> = sources.iter().map(File::read).collect();
    let mut wrong = Vec::new();
    for file in &files {
        for claim in claims(file) {
            let place = format!("src/{}:{}", file.source.path, claim.line);
            wrong.extend(check(&files, &claim).into_iter().map(|fault| format!("{place}: {fault}")));
        }
    }
    complain("these comments say who calls, and it is not so", &wrong);
}

#[test]
fn the_walk_is_true() {
    let sources = library();
    let files: Vec<File<'_>> = sources.iter().map(File::read).collect();
    let text = fs::read_to_string("src/lib.rs").expect("the library has a root");
    complain("the table in src/lib.rs says what is not so", &check_walk(&files, &text));
}

/// What is wrong with `claim`.
fn check(files: &[File<'_>], claim: &Claim) -> Vec<String> {
    let fault = |caller: &String| match calls(files, caller, &claim.callee) {
        None => Some(format!("there is no `{caller}`")),
        Some(false) => Some(format!("`{caller}` does not call `{}`", claim.callee.name)),
        Some(true) => None,
    };
    claim.callers.iter().filter_map(fault).collect()
}

/// Whether `caller`, a file or a function, calls or names `callee`; `None` if there is no such caller.
fn calls(files: &[File<'_>], caller: &str, callee: &Callee) -> Option<bool> {
    let does = |function: &Function<'_>| match callee.is_function {
        true => function.calls(callee.owner.as_deref(), &callee.name),
        false => function.body.iter().any(|token| token.is(&callee.name)),
    };
    let mut found = Vec::new();
    if caller.ends_with(".rs") {
        let path = format!("/{}", caller.trim_start_matches("src/"));
        let named = files.iter().filter(|file| format!("/{}", file.source.path).ends_with(&path));
        found.extend(named.map(|file| match callee.is_function {
            true => file.functions.iter().any(does),
            false => file.code.iter().any(|token| token.is(&callee.name)),
        }));
    } else {
        let functions = files.iter().flat_map(|file| &file.functions);
        found.extend(functions.filter(|function| function.is_called(caller)).map(does));
    }
    (!found.is_empty()).then(|| found.contains(&true))
}

/// Returns what the doc comments of a file say about who calls.
fn claims(file: &File<'_>) -> Vec<Claim> {
    let tokens = file.source.tokens();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let kind = tokens[at].kind;
        let end = at + tokens[at..].iter().take_while(|token| token.kind == kind).count();
        if matches!(kind, Kind::Doc | Kind::InnerDoc) {
            let lines = tokens[at..end].iter().map(|token| token.text.trim_start_matches(['/', '!']).trim());
            let callers = callers(&lines.collect::<Vec<_>>().join(" "));
            let callee = match kind {
                Kind::InnerDoc => {
                    file.source.module().pop().map(|name| Callee { owner: None, name, is_function: false })
                }
                _ => documented(file, &tokens[end..]),
            };
            if let (false, Some(callee)) = (callers.is_empty(), callee) {
                found.push(Claim { callee, callers, line: tokens[at].line });
            }
        }
        at = end.max(at + 1);
    }
    found
}

/// Returns the names behind every "called by" of a text: "called by `a` and `b`, `c`" has three.
fn callers(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // The sentence may begin with it.
    for (start, phrase) in text.match_indices("alled by ") {
        let mut rest = &text[start + phrase.len()..];
        while let Some((name, behind)) = rest.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            found.push(name.trim_end_matches("()").to_owned());
            let joints = [", and ", " and ", ", or ", " or ", ", "];
            rest = joints.iter().find_map(|joint| behind.strip_prefix(joint)).unwrap_or_default();
        }
    }
    found
}

/// Returns the item that follows a doc comment.
fn documented(file: &File<'_>, rest: &[Token<'_>]) -> Option<Callee> {
    let keywords = ["fn", "struct", "enum", "trait", "mod", "type", "const", "static"];
    let words: Vec<&Token<'_>> = rest.iter().filter(|token| token.kind == Kind::Word).take(12).collect();
    // Of `const fn` it is the second.
    let pair = words.windows(2).find(|pair| keywords.contains(&pair[0].text) && pair[1].text != "fn")?;
    let (is_function, name) = (pair[0].text == "fn", pair[1].text.to_owned());
    let function = file.functions.iter().find(|function| is_function && function.lines.start == pair[0].line);
    let owner = function.and_then(|function| function.owner.map(str::to_owned));
    Some(Callee { owner, name, is_function })
}

/// A row of the walk.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    number: String,
    /// Below `src`, without an ending: `core/room/media`.
    file: String,
    /// The functions it is about: names in lower case, in backticks, before "called by".
    functions: Vec<String>,
    /// The number of the step that calls it.
    step: Option<String>,
    /// The functions that call it.
    callers: Vec<String>,
}

/// Returns the rows of the table in `text`.
fn steps(text: &str) -> Vec<Step> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    rows.filter(|cells| cells.len() >= 3 && cells[0].parse::<u8>().is_ok())
        .map(|cells| step(&cells))
        .collect()
}

fn step(cells: &[&str]) -> Step {
    let file: String = cells[1].chars().filter(|c| !"[]`".contains(*c)).collect();
    let text = cells[2..].join(" ");
    let about = text.find("alled by ").map_or(text.as_str(), |end| &text[..end]);
    let behind = text.split_once("alled by step ").map(|(_, behind)| behind);
    Step {
        number: cells[0].to_owned(),
        file: file.replace("::", "/").trim_end_matches(".rs").to_owned(),
        functions: backticked(about).into_iter().filter(|name| is_function(name)).collect(),
        step: behind.map(|behind| behind.chars().take_while(char::is_ascii_digit).collect()),
        callers: callers(&text),
    }
}

/// Returns what stands in backticks, without arguments: of `handle(now)` the `handle`.
fn backticked(text: &str) -> Vec<String> {
    let names = text.split('`').skip(1).step_by(2);
    names.map(|name| name.split('(').next().unwrap_or(name).to_owned()).collect()
}

fn is_function(name: &str) -> bool {
    let own = name.rsplit("::").next().unwrap_or(name);
    own.starts_with(|c: char| c.is_ascii_lowercase())
        && own.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What is wrong with the walk.
fn check_walk(files: &[File<'_>], text: &str) -> Vec<String> {
    let steps = steps(text);
    if steps.is_empty() {
        return vec!["there is no table of steps".to_owned()];
    }
    let mut wrong = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let mut faults = Vec::new();
        let callee = defined(files, step, &mut faults);
        if let Some(callee) = callee {
            let is_silent = at > 0 && step.step.is_none() && step.callers.is_empty();
            if is_silent {
                faults.push(
                    "it does not say by what it is called (\"called by step 3\", or a function)".to_owned(),
                );
            }
            faults.extend(step.step.as_ref().and_then(|number| check_step(files, &steps, number, &callee)));
            faults.extend(check(files, &Claim { callee, callers: step.callers.clone(), line: 0 }));
        }
        wrong.extend(faults.into_iter().map(|fault| format!("step {}: {fault}", step.number)));
    }
    wrong
}

/// Returns the function that a step is about, if it and all others that the step names are defined in the step's file.
fn defined(files: &[File<'_>], step: &Step, faults: &mut Vec<String>) -> Option<Callee> {
    // The file of a module, and those in the folder of its name.
    let below = format!("{}/", step.file);
    let own = |file: &&File<'_>| format!("{}/", file.source.module().join("/")).starts_with(&below);
    let own: Vec<&File<'_>> = files.iter().filter(own).collect();
    if own.is_empty() {
        faults.push(format!("there is no src/{}", step.file));
        return None;
    }
    if step.functions.is_empty() {
        faults.push("it names no function".to_owned());
    }
    let mut found = Vec::new();
    for name in &step.functions {
        match own.iter().flat_map(|file| &file.functions).find(|function| function.is_called(name)) {
            Some(function) => found.push(function),
            None => faults.push(format!("src/{} does not define `{name}`", step.file)),
        }
    }
    let first = found.first().filter(|_| found.len() == step.functions.len())?;
    Some(Callee { owner: first.owner.map(str::to_owned), name: first.name.to_owned(), is_function: true })
}

/// What is wrong with "called by step `number`". That one function of that step calls is enough.
fn check_step(files: &[File<'_>], steps: &[Step], number: &str, callee: &Callee) -> Option<String> {
    let Some(caller) = steps.iter().find(|step| step.number == number) else {
        return Some(format!("there is no step {number}"));
    };
    let does_call = caller.functions.iter().any(|function| calls(files, function, callee) == Some(true));
    (!does_call).then(|| format!("no function of step {number} calls `{}`", callee.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    fn world() -> Vec<Source> {
        let room =
            "impl Room {\n/// Takes one. Called by `Sfu::input`.\npub(super) fn handle(&mut self) {} }";
        let slot = "impl Slot {\n/// Called by `Sfu::input`.\n#[inline]\npub fn flush(&self) {} }";
        let media = "//! Media. Called by `room.rs`, `sfu.rs` and `gone.rs`.\nfn open() {}";
        vec![
            source("core/sfu.rs", "impl Sfu { pub fn input(&mut self) { room.handle(1); self.flush() } }"),
            source("core/room.rs", room),
            source("core/room/media.rs", media),
            source("core/slot.rs", slot),
        ]
    }

    /// What is wrong with the claims of a file of `world`.
    fn faults(at: usize) -> Vec<String> {
        let world = world();
        let files: Vec<File<'_>> = world.iter().map(File::read).collect();
        claims(&files[at]).iter().flat_map(|claim| check(&files, claim)).collect()
    }

    #[test]
    fn claims_are_found() {
        let world = world();
        let callee = Callee { owner: Some("Room".to_owned()), name: "handle".to_owned(), is_function: true };
        let expected = Claim { callee, callers: vec!["Sfu::input".to_owned()], line: 2 };
        assert_eq!(claims(&File::read(&world[1])), [expected]);
        assert_eq!(callers("Called by `a()`, `B::c` and `d.rs`."), ["a", "B::c", "d.rs"]);
        assert_eq!(callers("Walk: called by the shell for everything."), Vec::<String>::new());
    }

    #[test]
    fn a_claim_is_true_when_the_caller_names_the_callee() {
        assert_eq!(faults(1), Vec::<String>::new());
        let expected =
            ["`room.rs` does not call `media`", "`sfu.rs` does not call `media`", "there is no `gone.rs`"];
        assert_eq!(faults(2), expected);
        // `self.flush()` is another flush than a slot's.
        assert_eq!(faults(3), ["`Sfu::input` does not call `flush`"]);
    }

    #[test]
    fn the_table_is_read() {
        let row = "//! | 9 | [`core::room`]`/media.rs` | `Room::open(now)`, then `seal`: `Output::Timeout`; \
            called by step 6 |";
        let expected = Step {
            number: "9".to_owned(),
            file: "core/room/media".to_owned(),
            functions: vec!["Room::open".to_owned(), "seal".to_owned()],
            step: Some("6".to_owned()),
            callers: Vec::new(),
        };
        assert_eq!(steps(row), [expected]);
    }

    #[test]
    fn a_walk_is_compared_with_the_code() {
        let walk = "
//! | # | file | step |
//! |---|---|---|
//! | 1 | [`core::sfu`] | `Sfu::input`: takes it |
//! | 2 | [`core::room`] | `Room::handle`: orders it; called by step 1 |
//! | 3 | [`core::room`]`/media.rs` | `open`: opens it; called by step 2 |
//! | 4 | [`core::room`]`/media.rs` | `close`: closes it |
//! | 5 | [`core::gone`] | `close`: closes it |
//! | 6 | [`core::slot`] | `Slot::flush`: sends it |";
        let expected = [
            "step 3: no function of step 2 calls `open`",
            "step 4: src/core/room/media does not define `close`",
            "step 5: there is no src/core/gone",
            "step 6: it does not say by what it is called (\"called by step 3\", or a function)",
        ];
        let world = world();
        let files: Vec<File<'_>> = world.iter().map(File::read).collect();
        assert_eq!(check_walk(&files, walk), expected);
    }
}
