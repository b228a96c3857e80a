//! What the fuzz targets do with their bytes, and what must hold then. The targets themselves are one line each, in
//! `fuzz_targets/`; `tests/corpus` runs the same bodies on stable Rust.

pub mod step;
pub mod story;
pub mod tape;
pub mod world;

/// A target: its name, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 2] = [("core", story::core), ("datagrams", story::datagrams)];

/// Runs the target of that name.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, body) = target.expect("targets stand in TARGETS");
    body(data);
}
