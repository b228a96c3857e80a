//! Ladder: the order inside `core`, and what stands in few files on purpose.

use crate::modules::{Arrow, Modules};
use crate::source::{Source, complain, library};

/// From the top: each may name what stands on the same rung or below, never above. What is not listed only has to stay
/// out of loops, and so cannot carry an arrow back up.
const CORE: [&[&str]; 11] = [
    &["sfu"],
    &["recordings"],
    &["recorder"],
    &["room"],
    &["participant"],
    &["transport"],
    &["forward"],
    &["media"],
    &["negotiated", "event", "input"],
    &["path"],
    &["ids"],
];

/// In how many files of the core the SDP, ICE and DTLS engine may be named, so that it can be replaced.
const ENGINE_FILES_MAX: usize = 4;

/// A file of `core/room` tells one thing that happens in a room.
const ROOM_FILE_LINES_MAX: usize = 400;

#[test]
fn the_core_is_a_ladder() {
    let back = back_up(&Modules::of(&library()).arrows());
    complain("these point back up the ladder of src/core; move what they name down", &back);
}

/// Returns the arrows that lead from a rung to a higher one.
fn back_up(arrows: &[Arrow]) -> Vec<String> {
    let rung = |module: &[String]| match module {
        [core, name, ..] if core == "core" => CORE.iter().position(|rung| rung.contains(&name.as_str())),
        _ => None,
    };
    let is_back = |arrow: &&Arrow| rung(&arrow.from).zip(rung(&arrow.to)).is_some_and(|(from, to)| to < from);
    let tell = |arrow: &Arrow| {
        format!("{}: {} names {} of {}", arrow.place, arrow.from[1], arrow.item, arrow.to.join("/"))
    };
    arrows.iter().filter(is_back).map(tell).collect()
}

#[test]
fn few_files_of_the_core_name_the_engine() {
    let sources = library();
    let named = sources.iter().filter(|source| source.path.starts_with("core/") && names_engine(source));
    let named: Vec<String> = named.map(|source| source.path.clone()).collect();
    let too_many = if named.len() > ENGINE_FILES_MAX { named } else { Vec::new() };
    complain("only the engine's own files name str0m; let one of them hand on what is needed", &too_many);
}

fn names_engine(source: &Source) -> bool {
    source.code().windows(2).any(|pair| pair[0].is("str0m") && pair[1].is("::"))
}

#[test]
fn the_event_loop_stands_in_one_file() {
    let sources = library();
    let has_part =
        |source: &&Source| source.code().windows(2).any(|pair| pair[0].is("impl") && pair[1].is("EventLoop"));
    let files: Vec<String> = sources.iter().filter(has_part).map(|source| source.path.clone()).collect();
    let scattered = if files.len() > 1 { files } else { Vec::new() };
    complain("`impl EventLoop` stands in these; give what is not the loop a type of its own", &scattered);
}

#[test]
fn a_file_of_the_room_tells_one_thing() {
    let sources = library();
    let room = sources
        .iter()
        .filter(|source| source.path == "core/room.rs" || source.path.starts_with("core/room/"));
    let lines = room.map(|source| (&source.path, source.text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > ROOM_FILE_LINES_MAX);
    complain(
        "split these",
        &long.map(|(path, lines)| format!("src/{path}: {lines} lines")).collect::<Vec<_>>(),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_back_up_is_seen() {
        let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
        let sources = [
            source("lib.rs", ""),
            source("core/mod.rs", ""),
            source("core/room.rs", "use super::forward::Slot; use super::timers::Timers;"),
            source("core/timers.rs", "use super::room::Room;"),
            source("core/forward/mod.rs", ""),
            source("core/forward/slot.rs", "\nuse super::super::room::Key; use crate::core::input;"),
            source("core/input.rs", ""),
        ];
        let back = back_up(&Modules::of(&sources).arrows());
        assert_eq!(back, ["core/forward/slot.rs:2: forward names Key of core/room"]);
    }

    #[test]
    fn the_engine_is_named_by_paths_only() {
        let names = |text: &str| names_engine(&Source { path: String::new(), text: text.to_owned() });
        assert!(names("use str0m::Rtc;") && names("fn f(a: str0m::media::Mid) {}"));
        assert!(!names("// str0m::Rtc\n #[cfg(test)] use str0m::Rtc;"));
    }
}
