//! What the fuzz targets do with their bytes, and what must hold then. The targets themselves are one line each, in
//! `fuzz_targets/`; `tests/corpus` runs the same bodies on stable Rust.

pub mod channels;
pub mod http;
pub mod livekit;
pub mod mediasoup;
pub mod parameters;
pub mod rtcp;
pub mod steering;
pub mod step;
pub mod story;
pub mod streams;
pub mod tape;
pub mod text;
pub mod token;
pub mod trace;
pub mod turn;
pub mod wire;
pub mod world;

/// What a target does.
pub type Body = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: [(&str, Body); 22] = [
    ("core", story::core),
    ("datagrams", story::datagrams),
    ("sdp_offer", text::sdp_offer),
    ("trace", trace::trace),
    ("rtp", wire::rtp),
    ("dependency_descriptor", wire::dependency_descriptor),
    ("munger", streams::munger),
    ("rtcp", rtcp::rtcp),
    ("red", wire::red),
    ("data_channels", channels::data_channels),
    ("twcc", streams::twcc),
    ("bandwidth", streams::bandwidth),
    ("steering", steering::steering),
    ("turn", turn::turn),
    ("signalling", text::signalling),
    ("token", token::token),
    ("livekit", livekit::livekit),
    ("mediasoup", mediasoup::mediasoup),
    ("parameters", parameters::parameters),
    ("http", http::http),
    ("stun", wire::stun),
    ("tcp_stream", wire::tcp_stream),
];

/// Runs the target of that name.
#[allow(dead_code, reason = "the stable tests walk the table")]
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    let (_, body) = target.expect("targets stand in TARGETS");
    body(data);
}
