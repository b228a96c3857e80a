//! The fuzz targets on stable Rust: every seed through its target's body, and changed a little, always in the same way.

mod mutate;
mod seeds;

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use fuzz::step::Step;
use fuzz::tape::Tape;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

/// The seeds of a target in the tree, in the order of their names.
fn seeds_of(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder("seeds").join(target))
        .unwrap_or_else(|error| panic!("{target} has no seeds ({error}); see fuzz/README.md"))
        .map(|entry| entry.expect("a file").path())
        .collect();
    files.sort();
    let read = |path: PathBuf| (path.clone(), fs::read(path).expect("a file"));
    files.into_iter().map(read).collect()
}

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// A room catches what goes wrong in it; here that is a fault, too.
fn count_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.set(PANICS.get() + 1);
        print(panic);
    }));
}

#[test]
fn every_seed_and_what_it_may_become_holds_what_its_target_asks() {
    count_panics();
    for (target, body) in fuzz::TARGETS {
        let seeds = seeds_of(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (path, seed) in seeds {
            let run = |what: &str, bytes: &[u8]| {
                let caught = std::panic::catch_unwind(|| body(bytes));
                let file = path.display();
                assert!(
                    caught.is_ok() && PANICS.get() == 0,
                    "{target} fails with {what} of {file}: {bytes:02x?}"
                );
            };
            run("the whole", &seed);
            for number in 0..mutate::count(target) {
                run(&format!("change {number}"), &mutate::change(&seed, number));
            }
        }
    }
}

#[test]
fn every_target_has_its_file_and_is_named_in_the_manifest_and_in_the_readme() {
    let manifest = fs::read_to_string(folder("Cargo.toml")).expect("a manifest");
    let readme = fs::read_to_string(folder("README.md")).expect("a readme");
    for (target, _) in fuzz::TARGETS {
        let file = folder("fuzz_targets").join(format!("{target}.rs"));
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert!(text.contains(&format!("run(\"{target}\"")), "{} runs another target", file.display());
        assert!(manifest.contains(&format!("name = \"{target}\"")), "add {target} to fuzz/Cargo.toml");
        assert!(readme.contains(&format!("`{target}`")), "say in fuzz/README.md what {target} checks");
    }
}

#[test]
fn a_story_is_read_as_it_was_written() {
    let read = |mut tape: Tape<'_>| -> Vec<Step> { std::iter::from_fn(|| Step::read(&mut tape)).collect() };
    for (path, seed) in seeds_of("core") {
        let steps = read(Tape::new(&seed[2..]));
        assert!(!steps.is_empty(), "{} tells nothing", path.display());
        let mut written = Vec::new();
        steps.iter().for_each(|step| step.write(&mut written));
        assert_eq!(read(Tape::new(&written)), steps);
    }
}

/// Writes `fuzz/seeds/` anew: `cargo test --test corpus -- --ignored`.
#[test]
#[ignore = "it writes into the tree"]
fn write_the_seeds() {
    for (target, name, content) in seeds::all() {
        let folder = folder("seeds").join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), content).expect("a file");
    }
}
