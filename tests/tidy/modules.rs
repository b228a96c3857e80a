//! Modules: which file a path leads to, and so which file needs which.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{How, Named, named};
use crate::source::Source;

/// A module's path: `["core", "room"]`.
pub type Module = Vec<String>;

/// One file names something of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The file in which the name stands.
    pub from: Module,
    /// The file to which it leads.
    pub to: Module,
    /// What is named there; the module itself has no name of its own.
    pub item: String,
    /// Where, for whoever has to move it: `core/room.rs:12`.
    pub place: String,
}

/// How many re-exports are followed, one after another.
const HOPS_MAX: usize = 8;

/// All files of the library, by module.
pub struct Modules {
    files: BTreeMap<Module, File>,
}

struct File {
    path: String,
    named: Vec<Named>,
}

impl Modules {
    /// Reads what each of `sources` names.
    pub fn of(sources: &[Source]) -> Self {
        let file = |source: &Source| {
            (source.module(), File { path: source.path.clone(), named: named(&source.code()) })
        };
        Self { files: sources.iter().map(file).collect() }
    }

    /// Returns all modules that are files.
    pub fn all(&self) -> BTreeSet<&Module> {
        self.files.keys().collect()
    }

    /// Returns every arrow between two files. A re-export makes none.
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        for (from, file) in &self.files {
            for named in file.named.iter().filter(|named| named.how != How::Export) {
                let Some((to, item)) = self.resolve(from, named) else { continue };
                if to != *from {
                    let place = format!("{}:{}", file.path, named.line);
                    arrows.push(Arrow { from: from.clone(), to, item, place });
                }
            }
        }
        arrows
    }

    /// Where a path in the file `from` leads, and what it names there; `None` if that is another crate.
    fn resolve(&self, from: &Module, named: &Named) -> Option<(Module, String)> {
        let (mut to, mut item) = self.file_of(from, named)?;
        // What a file finds in the one above it may have been brought there from a third, which is the one it needs.
        for _ in 0..HOPS_MAX {
            if !from.starts_with(&to) {
                break;
            }
            let brought = self.files[&to].named.iter().find(|import| {
                import.how != How::Inline
                    && import.inside.is_empty()
                    && import.name == item
                    && import.name != "self"
            });
            let Some((next, name)) = brought.and_then(|import| self.file_of(&to, import)) else { break };
            if (&next, &name) == (&to, &item) {
                break;
            }
            (to, item) = (next, name);
        }
        Some((to, item))
    }

    /// The file that a path leads to when re-exports are not followed.
    fn file_of(&self, from: &Module, named: &Named) -> Option<(Module, String)> {
        let mut at: Module = from.iter().chain(&named.inside).cloned().collect();
        let mut parts = named.parts.iter().map(String::as_str).peekable();
        match *parts.peek()? {
            "crate" => {
                at.clear();
                parts.next();
            }
            "self" => {
                parts.next();
            }
            "super" => {}
            // Without one of these, a path begins with a module of this file or with a crate.
            child if named.how != How::Inline => {
                let child = [from.as_slice(), &[child.to_owned()]].concat();
                self.files.contains_key(&child).then_some(())?;
                at.clone_from(from);
            }
            _ => return None,
        }
        while parts.next_if_eq(&"super").is_some() {
            at.pop();
        }
        while let Some(part) = parts.peek() {
            let child = [at.as_slice(), &[(*part).to_owned()]].concat();
            if !self.files.contains_key(&child) {
                break;
            }
            at = child;
            parts.next();
        }
        // A module inside a file belongs to that file.
        while !self.files.contains_key(&at) {
            at.pop()?;
        }
        let item = parts.next().map_or_else(|| "the module".to_owned(), str::to_owned);
        Some((at, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(sources: &[(&str, &str)]) -> Modules {
        let source =
            |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        Modules::of(&sources.iter().map(source).collect::<Vec<_>>())
    }

    fn arrows(sources: &[(&str, &str)]) -> Vec<String> {
        let arrows = modules(sources).arrows();
        arrows.iter().map(|a| format!("{} → {} ({})", a.from.join("/"), a.to.join("/"), a.item)).collect()
    }

    #[test]
    fn every_file_is_a_module() {
        let modules = modules(&[("lib.rs", ""), ("core/mod.rs", ""), ("core/room.rs", "")]);
        let names: Vec<String> = modules.all().iter().map(|module| module.join("::")).collect();
        assert_eq!(names, ["", "core", "core::room"]);
    }

    #[test]
    fn paths_lead_to_files() {
        let found = arrows(&[
            ("lib.rs", ""),
            ("core/mod.rs", ""),
            ("core/ids.rs", ""),
            ("core/room.rs", "use super::ids::TrackId; use crate::core::ids; use std::io;"),
            ("core/room/media.rs", "fn f(a: super::super::ids::Mid) {} mod x { use super::super::Room; }"),
        ]);
        let expected = [
            "core/room → core/ids (TrackId)",
            "core/room → core/ids (the module)",
            "core/room/media → core/ids (Mid)",
            "core/room/media → core/room (Room)",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_path_through_a_re_export_leads_to_the_file_that_re_exports() {
        let found = arrows(&[
            ("lib.rs", ""),
            ("net.rs", "pub use turn::Server;"),
            ("net/turn.rs", ""),
            ("cli.rs", "use crate::net::Server;"),
        ]);
        assert_eq!(found, ["cli → net (Server)"]);
    }

    #[test]
    fn what_a_file_finds_in_the_one_above_leads_to_where_it_came_from() {
        let found = arrows(&[
            ("lib.rs", ""),
            ("net.rs", "pub use turn::Server; use crate::core::Room as Space;"),
            ("net/turn.rs", ""),
            ("net/tcp.rs", "use super::{Server, Space};"),
            ("core.rs", ""),
        ]);
        let expected = ["net → core (Room)", "net/tcp → net/turn (Server)", "net/tcp → core (Room)"];
        assert_eq!(found, expected);
    }
}
