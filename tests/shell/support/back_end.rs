//! A back end: the key that it signs with, servers that know it, and tokens by which it asks.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use strait::access::{AuthMode, Gate, Key, sign};
use strait::net::ShellConfig;

use super::{Server, config};

/// The key that the back end signs with.
pub fn key() -> Key {
    Key { id: "team".into(), secret: "a secret that only the back end has".into() }
}

/// What lets people in by tokens of that key.
pub fn gate(mode: AuthMode) -> Gate {
    Gate { mode, keys: vec![key()], auto_create: true }
}

/// A server that takes tokens, and lets in everybody else too.
pub fn open_server() -> Server {
    Server::start(ShellConfig { gate: gate(AuthMode::Open), ..config() })
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}

/// A token of the back end that grants this.
#[allow(clippy::needless_pass_by_value, reason = "what is granted is made for the token")]
pub fn granting(video: Value) -> String {
    sign(&json!({"iss": "team", "exp": now() + 60, "video": video}), &key())
}
