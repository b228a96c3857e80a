//! What the program is made of: how many crates, and under which licences.
//!
//! `docs/licences.md` and `docs/NOTICE` are written here. The licences of most crates demand that their text goes with
//! every copy of the program, so the program carries NOTICE and prints it (`strait licences`). After a change of the
//! dependencies: `WRITE_LICENCES=1 cargo test --test dependencies`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What a release is made of must stay something that one person can look through.
const CRATES_MAX: usize = 179;
/// The documents do not depend on the machine that they are checked on.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";
/// How to write the documents.
const WRITE: &str = "WRITE_LICENCES=1 cargo test --test dependencies";

/// What a licence file is called. A package may hold several.
const LICENCE_FILES: [&str; 6] = ["license", "licence", "copying", "copyright", "notice", "unlicense"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cargo(arguments: &[&str]) -> String {
    let ran = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
    assert!(ran.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).expect("UTF-8")
}

/// Name and version of a crate.
type Crate = (String, String);

/// The crates along these edges of the graph, without the program itself.
fn tree(edges: &str) -> BTreeSet<Crate> {
    let said = cargo(&[
        "tree",
        "--locked",
        "--edges",
        edges,
        "--prefix",
        "none",
        "--no-dedupe",
        "--target",
        PLATFORM,
    ]);
    let crates = said.lines().filter(|line| !line.starts_with("strait ")).filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned()))
    });
    crates.collect()
}

/// What is known about a package.
struct Package {
    licence: String,
    authors: String,
    folder: PathBuf,
}

/// All packages, and those that the program itself depends on.
fn packages() -> (BTreeMap<Crate, Package>, BTreeSet<Crate>) {
    let said = cargo(&["metadata", "--locked", "--format-version", "1", "--filter-platform", PLATFORM]);
    let metadata: Value = serde_json::from_str(&said).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let mut packages = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for package in list(&metadata["packages"]) {
        let authors: Vec<_> = list(&package["authors"]).iter().map(text).collect();
        let folder = Path::new(&text(&package["manifest_path"])).parent().expect("a folder").to_owned();
        let about = Package { licence: text(&package["license"]), authors: authors.join(", "), folder };
        let key = (text(&package["name"]), text(&package["version"]));
        by_id.insert(text(&package["id"]), key.clone());
        packages.insert(key, about);
    }
    let nodes = list(&metadata["resolve"]["nodes"]);
    let own = nodes.iter().find(|node| node["id"] == metadata["resolve"]["root"]).expect("the program");
    let is_needed = |wanted: &Value| list(&wanted["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
    let wanted = list(&own["deps"]).into_iter().filter(is_needed);
    let direct = wanted.map(|wanted| by_id[&text(&wanted["pkg"])].clone()).collect();
    (packages, direct)
}

/// The texts that the licence of a package wants to go with it. Of a choice that includes MIT, MIT is taken.
fn texts(name: &str, package: &Package) -> Vec<String> {
    let entries = fs::read_dir(&package.folder).unwrap_or_else(|error| panic!("{name} is not here: {error}"));
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let file = path.file_name().map(|file| file.to_string_lossy().to_lowercase()).unwrap_or_default();
            path.is_file() && LICENCE_FILES.iter().any(|start| file.starts_with(start))
        })
        .collect();
    files.sort();
    let is_mit = |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().contains("MIT"));
    let is_choice = package.licence.contains(" OR ") || package.licence.contains('/');
    if is_choice && files.iter().any(is_mit) {
        files.retain(is_mit);
    }
    if files.is_empty() {
        assert!(
            package.licence.contains("MIT"),
            "{name} ({}) holds no text; decide what is due",
            package.licence
        );
        return vec![mit(&package.authors)];
    }
    files.iter().map(|file| tidy(&fs::read_to_string(file).expect("text"))).collect()
}

/// The MIT licence in somebody's name, for a package that names it and does not hold it.
fn mit(holder: &str) -> String {
    let own = fs::read_to_string(root().join("LICENSE-MIT")).expect("read");
    let lines = own.lines().map(|line| match line.starts_with("Copyright") {
        true => format!("Copyright (c) {holder}"),
        false => line.to_owned(),
    });
    tidy(&lines.collect::<Vec<_>>().join("\n"))
}

/// One text is one text, however its lines end.
fn tidy(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n").trim_matches('\n'))
}

fn notice(in_program: &BTreeSet<Crate>, packages: &BTreeMap<Crate, Package>) -> String {
    let mut by_text: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let standard_library = mit("The Rust Project Contributors");
    by_text.insert(standard_library, vec!["the Rust standard library (MIT OR Apache-2.0)".to_owned()]);
    for key in in_program {
        let package = &packages[key];
        let title = format!("{} {} ({})", key.0, key.1, package.licence);
        for text in texts(&key.0, package) {
            by_text.entry(text).or_default().push(title.clone());
        }
    }
    let mut parts: Vec<(Vec<String>, String)> =
        by_text.into_iter().map(|(text, titles)| (titles, text)).collect();
    parts.sort();
    let rule = "=".repeat(100);
    let mut out = String::from(
        "Strait is licensed under MIT or Apache-2.0, at your option. The program contains the following software of \
         others,\nunder these terms. Where a licence leaves a choice that includes MIT, MIT is what it is used under.\n\
         Whoever passes the program on passes this text on; `strait licences` prints it.\n",
    );
    for (titles, text) in parts {
        out += &format!("\n{rule}\n{}\n{rule}\n\n{text}", titles.join("\n"));
    }
    out
}

fn licences(
    in_program: &BTreeSet<Crate>,
    all: &BTreeSet<Crate>,
    packages: &BTreeMap<Crate, Package>,
    direct: &BTreeSet<Crate>,
) -> String {
    let table = |crates: Vec<&Crate>| {
        let rows = crates
            .into_iter()
            .map(|key| format!("| `{}` | {} | {} |\n", key.0, key.1, packages[key].licence));
        format!("| crate | version | licence |\n|---|---|---|\n{}", rows.collect::<String>())
    };
    let (own, others): (Vec<_>, Vec<_>) = in_program.iter().partition(|key| direct.contains(*key));
    let building: Vec<_> = all.difference(in_program).collect();
    format!(
        "# Licences\n\n\
         Strait is licensed under [MIT](../LICENSE-MIT) or [Apache-2.0](../LICENSE-APACHE), at your option. All that it \
         is made of is\nunder permissive licences; [NOTICE](NOTICE) has their texts, which go with every copy of the \
         program. The program carries\nthem: `strait licences` prints them.\n\n\
         {} crates are in the program, of which {} are direct dependencies; {} more are used for building it. This \
         page and NOTICE are\nwritten by `{WRITE}`, and checked by the tests. Which licences, sources\nand duplicates \
         are allowed stands in `.deny.toml`, which [cargo-deny](https://crates.io/crates/cargo-deny) reads.\n\n\
         The browser client has no dependencies. Its types are checked with `typescript` (Apache-2.0), and the browser \
         tests use\n`playwright-core` and `puppeteer-core` (Apache-2.0), and the clients of others that they test: \
         `livekit-client` and\n`livekit-server-sdk` (Apache-2.0), and `mediasoup-client` (ISC), which `esbuild` (MIT) \
         puts in one piece. None of these is\npart of the program.\n\n\
         ## In the program: direct dependencies\n\n{}\n## In the program: what these need\n\n{}\n\
         ## For building it alone\n\n{}",
        in_program.len(),
        own.len(),
        building.len(),
        table(own),
        table(others),
        table(building)
    )
}

fn check(path: &str, wanted: &str) {
    let path = root().join(path);
    if std::env::var_os("WRITE_LICENCES").is_some() {
        fs::write(&path, wanted).expect("written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == wanted, "{} does not fit the dependencies; write it with {WRITE}", path.display());
}

#[test]
fn what_a_release_is_made_of_can_be_looked_through() {
    // The program itself counts, as it does in `cargo tree`.
    let crates = tree("normal,build").len() + 1;
    assert!(
        crates <= CRATES_MAX,
        "{crates} crates, more than {CRATES_MAX}; `cargo tree -e normal,build -i CRATE` says who brings one"
    );
}

#[test]
fn the_licences_of_what_is_in_the_program_go_with_it() {
    let (packages, direct) = packages();
    let in_program = tree("normal,no-proc-macro");
    check("docs/licences.md", &licences(&in_program, &tree("normal,build"), &packages, &direct));
    check("docs/NOTICE", &notice(&in_program, &packages));
}
