//! The build script: makes a table of the files of `client/` that belong in the binary, which are `index.html`,
//! `dashboard.html`, `favicon.svg`, `app/` and `sdk/`.
//!
//! The client's packages and tests are left out. Without a client the table is empty. The script also tells the linker
//! how to keep a release's binary small, because a Cargo profile cannot.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    compress_debug_sections();
    make_table()
}

/// Makes the linker compress the debug information that stays in a release (the rest is in `strait.dwp` beside it).
/// Backtraces can read it so, and it is a third as large.
fn compress_debug_sections() {
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|found| found == value);
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--compress-debug-sections=zlib");
    }
}

fn make_table() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("client");
    let mut files = Vec::new();
    println!("cargo::rerun-if-changed=src/net/http/build_assets.rs");
    for part in ["index.html", "dashboard.html", "favicon.svg", "app", "sdk"] {
        let path = root.join(part);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
            collect(&path, &mut files)?;
        }
    }
    if files.is_empty() {
        println!("cargo::rerun-if-changed=client");
    }
    files.sort();
    let mut table = String::from("pub static FILES: &[(&str, &[u8])] = &[\n");
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file).to_string_lossy().replace('\\', "/");
        let _ = writeln!(table, "    ({:?}, include_bytes!({:?})),", format!("/{name}"), file);
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("client_files.rs");
    fs::write(out, table)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with('.') || name == "node_modules" || name.contains(".test.") {
        return Ok(());
    }
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else {
        files.push(path.to_path_buf());
    }
    Ok(())
}
