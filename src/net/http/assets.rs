//! The browser client's files, embedded in the binary when it was built (`build_assets.rs` makes the table).
//!
//! Everything is revalidated by its ETag, so that the page and the SDK of a new binary always belong together.

use std::collections::HashMap;

use super::message::{Request, Response};

mod table {
    include!(concat!(env!("OUT_DIR"), "/client_files.rs"));
}

/// The page at `/` of a binary that was built without the client.
const NO_CLIENT: &str = "<!doctype html><meta charset=utf-8><title>Strait</title>\
    <p>This binary was built without the browser client: build it where client/ is.";

struct Asset {
    content_type: &'static str,
    etag: String,
    bytes: &'static [u8],
}

/// All files of the client by their path.
pub struct Assets {
    by_path: HashMap<&'static str, Asset>,
}

impl Assets {
    /// Loads the table, and makes an entity tag of each file's contents.
    pub fn new() -> Self {
        let mut by_path = HashMap::new();
        for &(path, bytes) in table::FILES {
            by_path.insert(path, asset(path, bytes));
        }
        by_path.entry("/index.html").or_insert_with(|| asset("/index.html", NO_CLIENT.as_bytes()));
        Self { by_path }
    }

    /// Returns the answer to a GET or HEAD for a file. `None` if there is no such file.
    pub fn response(&self, request: &Request) -> Option<Response> {
        let path = match request.path.as_str() {
            "/" => "/index.html",
            "/dashboard" => "/dashboard.html",
            other => other,
        };
        let asset = self.by_path.get(path)?;
        // A proxy that compresses turns the tag into a weak one.
        let fresh = request.field_has("if-none-match", &asset.etag)
            || request.field_has("if-none-match", &format!("W/{}", asset.etag))
            || request.field_has("if-none-match", "*");
        let response =
            if fresh { Response::empty(304) } else { Response::new(200, asset.content_type, asset.bytes) };
        let response = response.with("ETag", asset.etag.clone()).with("Cache-Control", "no-cache");
        // Pages of other sites may load the SDK, too; they still need `allowed_origins` to connect.
        let shared = path.starts_with("/sdk/");
        Some(if shared { response.with("Access-Control-Allow-Origin", "*") } else { response })
    }
}

fn asset(path: &str, bytes: &'static [u8]) -> Asset {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Asset { content_type: content_type(path), etag: format!("\"{hex}\""), bytes }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("wasm") => "application/wasm",
        Some("mp3") => "audio/mpeg",
        Some("ogg" | "opus") => "audio/ogg",
        Some("md" | "txt" | "ts") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
