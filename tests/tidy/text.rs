//! Text: what holds for every file of ours, whatever it is written in.

use std::fs;
use std::path::PathBuf;

use crate::source::{complain, files};

/// No file is longer.
const LINES_MAX: usize = 1000;
/// No line is longer, in characters. Comments and strings are not wrapped by rustfmt.
const LINE_CHARS_MAX: usize = 130;

fn sources() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz", "client"] {
        all.extend(files(folder, &["rs", "js", "css", "html"]));
    }
    all.into_iter()
        .map(|path| (path.clone(), fs::read_to_string(&path).expect("a source file is text")))
        .collect()
}

#[test]
fn files_can_be_held_in_the_head() {
    let long = sources().into_iter().filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines", path.display()))
    });
    complain("split these into two things", &long.collect::<Vec<_>>());
}

#[test]
fn lines_fit_a_screen() {
    let mut long = Vec::new();
    for (path, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > LINE_CHARS_MAX && !line.contains("http") && !line.contains("const ") {
                long.push(format!("{}:{}", path.display(), number + 1));
            }
        }
    }
    complain("wrap these lines", &long);
}

#[test]
fn every_rust_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|(path, text)| {
        path.extension().is_some_and(|e| e == "rs") && !text.trim_start().starts_with("//!")
    });
    let silent = silent.map(|(path, _)| path.display().to_string());
    complain("open these with a `//!` comment: what the file is, and why", &silent.collect::<Vec<_>>());
}

/// Which folder may use which: dependencies point one way.
#[test]
fn dependencies_point_one_way() {
    let forbidden: [(&str, &[&str]); 7] = [
        ("src/wire", &["core", "dtls", "signal", "net", "load", "sim", "cli", "config", "trace"]),
        ("src/core", &["dtls", "signal", "net", "load", "sim", "cli", "config", "trace"]),
        ("src/signal", &["net", "load", "sim", "cli", "config", "trace"]),
        ("src/trace", &["signal", "net", "load", "sim", "cli", "config"]),
        ("src/net", &["load", "sim", "cli", "config"]),
        ("src/load", &["sim", "cli", "config"]),
        ("src/sim", &["net", "load", "cli", "config"]),
    ];
    let mut wrong = Vec::new();
    for (folder, banned) in forbidden {
        for path in files(folder, &["rs"]) {
            let text = fs::read_to_string(&path).expect("a source file is text");
            for other in banned {
                if text.contains(&format!("crate::{other}::")) || text.contains(&format!("crate::{other};")) {
                    wrong.push(format!("{} uses {other}", path.display()));
                }
            }
        }
    }
    complain("these point back; move what both need down", &wrong);
}

#[test]
fn nothing_is_left_for_later() {
    // In two parts, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
    let mut left = Vec::new();
    for (path, text) in sources() {
        for mark in marks {
            if text.contains(mark) {
                left.push(format!("{}: {mark}", path.display()));
            }
        }
    }
    complain("do it, or write it down in docs", &left);
}

#[test]
fn the_top_level_is_as_agreed() {
    let agreed = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "client",
        "tests",
        "fuzz",
        "benches",
        "docs",
        "README.md",
        "target",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ];
    let entries = fs::read_dir(".").expect("the project's folder");
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let strange = names.filter(|name| !name.starts_with('.') && !agreed.contains(&name.as_str()));
    complain("these belong under docs, tests or a dotfile", &strange.collect::<Vec<_>>());
}
