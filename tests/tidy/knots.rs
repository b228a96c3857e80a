//! Knots: files that need each other in a loop. Such files can only be understood, moved and tested together.
//!
//! A file `x.rs` and what lies in the folder `x` of its name count as one, seen from beside them; and inside each folder
//! the same rule holds again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::modules::{Arrow, Module, Modules};
use crate::source::{complain, library};

/// How many loops of a knot are told.
const LOOPS_MAX: usize = 12;

/// What stands beside each other in one folder, and for each what it needs of the others, and why.
type Graph<'a> = BTreeMap<&'a str, BTreeMap<&'a str, Vec<&'a Arrow>>>;

#[test]
fn no_files_need_each_other_in_a_loop() {
    let modules = Modules::of(&library());
    let arrows = modules.arrows();
    let mut told = Vec::new();
    for folder in folders(&modules) {
        let graph = graph(&folder, &arrows);
        told.extend(knots(&graph).iter().map(|knot| tell(&folder, &graph, knot)));
    }
    complain("these files need each other in a loop; move what the arrow names that is out of place", &told);
}

/// Returns all modules that have files below them.
fn folders(modules: &Modules) -> BTreeSet<Module> {
    modules
        .all()
        .iter()
        .filter(|module| !module.is_empty())
        .map(|module| module[..module.len() - 1].to_vec())
        .collect()
}

/// Returns the arrows between what stands directly in `folder`.
fn graph<'a>(folder: &Module, arrows: &'a [Arrow]) -> Graph<'a> {
    let mut graph = Graph::new();
    let depth = folder.len();
    for arrow in arrows {
        let inside = |module: &Module| module.starts_with(folder) && module.len() > depth;
        if inside(&arrow.from) && inside(&arrow.to) && arrow.from[depth] != arrow.to[depth] {
            let needs = graph.entry(arrow.from[depth].as_str()).or_default();
            needs.entry(arrow.to[depth].as_str()).or_default().push(arrow);
        }
    }
    graph
}

/// Returns the sets of more than one of which each leads to all the others.
fn knots<'a>(graph: &Graph<'a>) -> Vec<BTreeSet<&'a str>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|from| (*from, reachable(graph, from))).collect();
    let mut found: Vec<BTreeSet<&str>> = Vec::new();
    for (from, ends) in &reached {
        let is_mutual = |end: &&&str| reached.get(**end).is_some_and(|back| back.contains(from));
        let knot: BTreeSet<&str> = ends.iter().filter(is_mutual).copied().collect();
        if !knot.is_empty() && !found.contains(&knot) {
            found.push(knot);
        }
    }
    found
}

/// Returns all that arrows lead to from `from`; itself only if there is a loop.
fn reachable<'a>(graph: &Graph<'a>, from: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(needs) = open.pop().map(|at| graph.get(at)) {
        for (next, _) in needs.into_iter().flatten() {
            if found.insert(*next) {
                open.push(next);
            }
        }
    }
    found
}

/// Returns the shortest way from `from` to `to` that stays inside `knot`.
fn shortest<'a>(
    graph: &Graph<'a>,
    knot: &BTreeSet<&'a str>,
    from: &'a str,
    to: &str,
) -> Option<Vec<&'a str>> {
    let mut before: BTreeMap<&str, &str> = BTreeMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(at) = open.pop_front() {
        if at == to {
            let mut way = vec![at];
            while let Some(previous) = before.get(way[way.len() - 1]).filter(|_| way[way.len() - 1] != from) {
                way.push(previous);
            }
            way.reverse();
            return Some(way);
        }
        for (next, _) in graph.get(at).into_iter().flatten() {
            if *next != from && knot.contains(next) && !before.contains_key(next) {
                before.insert(next, at);
                open.push_back(next);
            }
        }
    }
    None
}

/// Returns the knot in words: its files, and its shortest loops with the names that cause each arrow. Each loop shows an
/// arrow that no loop before it has shown.
fn tell(folder: &Module, graph: &Graph<'_>, knot: &BTreeSet<&str>) -> String {
    let mut loops: Vec<Vec<&str>> = Vec::new();
    for from in knot {
        for (to, _) in graph.get(from).into_iter().flatten().filter(|(to, _)| knot.contains(*to)) {
            let Some(mut way) = shortest(graph, knot, to, from) else { continue };
            // The same loop is found from each of its files: let it begin with the first of them.
            let first = way.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(at, _)| at);
            way.rotate_left(first);
            if !loops.contains(&way) {
                loops.push(way);
            }
        }
    }
    loops.sort_by_key(Vec::len);
    let names: Vec<&str> = knot.iter().copied().collect();
    let mut text = format!("{}: {} in a loop: {}", place(folder), knot.len(), names.join(", "));
    for way in loops.iter().take(LOOPS_MAX) {
        text.push_str("\n    ");
        for (at, from) in way.iter().enumerate() {
            let to = way[(at + 1) % way.len()];
            text.push_str(&format!("{from} → {to} ({}); ", reasons(&graph[from][to])));
        }
    }
    if loops.len() > LOOPS_MAX {
        text.push_str(&format!("\n    and {} loops more", loops.len() - LOOPS_MAX));
    }
    text
}

fn place(folder: &Module) -> String {
    format!("src/{}", folder.join("/"))
}

/// Returns what is named, and where.
fn reasons(arrows: &[&Arrow]) -> String {
    let mut items: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for arrow in arrows {
        let item = format!("{} of {}", arrow.item, arrow.to.join("/"));
        items.entry(item).or_default().push(&arrow.place);
    }
    let told = items.iter().map(|(item, places)| format!("{item}: {}", places.join(" ")));
    told.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    /// The knots of a folder, told, when its files have these texts.
    fn told(folder: &[&str], sources: &[(&str, &str)]) -> Vec<String> {
        let source =
            |(path, text): &(&str, &str)| Source { path: (*path).to_owned(), text: (*text).to_owned() };
        let modules = Modules::of(&sources.iter().map(source).collect::<Vec<_>>());
        let folder: Module = folder.iter().map(|name| (*name).to_owned()).collect();
        let arrows = modules.arrows();
        let graph = graph(&folder, &arrows);
        knots(&graph).iter().map(|knot| tell(&folder, &graph, knot)).collect()
    }

    #[test]
    fn a_loop_is_told_with_the_names_that_cause_it() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "use crate::c::C;"),
            ("c.rs", "\nfn f(a: crate::a::A) {}"),
            ("d.rs", "use crate::a::A;"),
        ];
        let expected = "src/: 3 in a loop: a, b, c\n    \
            a → b (B of b: a.rs:1); b → c (C of c: b.rs:1); c → a (A of a: c.rs:2); ";
        assert_eq!(told(&[], &files), [expected]);
    }

    #[test]
    fn a_file_and_its_folder_count_as_one() {
        let files = [
            ("lib.rs", ""),
            ("a.rs", "use self::x::X;"),
            ("a/x.rs", "use super::A; use crate::b::B;"),
            ("b.rs", ""),
        ];
        assert!(told(&[], &files).is_empty() && told(&["a"], &files).is_empty());
        let mut knotted = files;
        knotted[3].1 = "use crate::a::A;";
        assert_eq!(told(&[], &knotted).len(), 1, "seen from beside, a/x.rs is a");
    }

    #[test]
    fn inside_a_folder_the_same_holds() {
        let files =
            [("lib.rs", ""), ("a/mod.rs", ""), ("a/x.rs", "use super::y::Y;"), ("a/y.rs", "use super::x;")];
        assert!(told(&[], &files).is_empty());
        assert_eq!(told(&["a"], &files).len(), 1);
    }
}
