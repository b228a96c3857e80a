//! Clients that we did not write: aiortc publishes by WHIP and views by WHEP, and what it decodes is what was sent.
//!
//! `tests/run` makes the Python environment under `target/aiortc`; without it nothing is checked here, unless `CI` is set.

mod shell_support;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use shell_support::{PATIENCE, Server, config};

/// The Python with aiortc.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/aiortc/bin/python");
    let there = python.exists();
    assert!(there || std::env::var_os("CI").is_none(), "{} is missing: tests/run makes it", python.display());
    if !there {
        eprintln!("{} is missing, so that nothing is checked: tests/run makes it", python.display());
    }
    there.then_some(python)
}

/// A script that is ended with the test.
struct Script(Child);

impl Script {
    fn start(python: &Path, name: &str, url: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name);
        let mut command = Command::new(python);
        command.arg(script).arg(url).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().expect("Python starts"))
    }

    /// The one line that it prints.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        let stdout = self.0.stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Ends its input, and waits until it has ended well.
    fn finish(mut self) {
        drop(self.0.stdin.take());
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.0.try_wait().expect("it is our child") {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "it never ends");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn aiortc_publishes_by_whip_and_decodes_by_whep() {
    let Some(python) = python() else { return };
    let server = Server::start(config());
    let url = |side: &str| format!("http://{}/{side}/studio", server.address);
    let mut publisher = Script::start(&python, "aiortc_publish.py", &url("whip"));
    publisher.line();
    let mut viewer = Script::start(&python, "aiortc_view.py", &url("whep"));
    let seen = viewer.line();
    assert_eq!((&seen["picture"]["width"], &seen["picture"]["height"]), (&320.into(), &240.into()), "{seen}");
    let rgb: Vec<i64> =
        seen["picture"]["rgb"].as_array().expect("three").iter().filter_map(Value::as_i64).collect();
    let red = matches!(rgb[..], [r, g, b] if (r - 200).abs() < 40 && g < 50 && b < 50);
    assert!(red, "{seen}");
    let hz = seen["sound"]["hz"].as_i64().expect("a frequency");
    assert!((hz - 440).abs() <= 10 && seen["sound"]["loudest"].as_f64() > Some(1000.0), "{seen}");
    viewer.finish();
    publisher.finish();
    assert_eq!(server.get("/admin/v1/rooms").json()["rooms"], Value::Array(Vec::new()), "both have left");
}
