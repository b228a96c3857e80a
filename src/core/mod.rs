//! The SFU as one deterministic value: (entropy, inputs, time) in, outputs out.
//!
//! **Feed any number of inputs with a `now` that never goes back, then drain `poll_output` until it returns
//! `Timeout`; only then sleep.**
//!
//! Nothing in here touches a socket, a file, a clock, a thread or the operating system's randomness, or iterates a map
//! in an order that depends on a seed. `.clippy.toml` and `tests/tidy/` see to it.

mod address_counts;
pub mod audience;
pub mod bandwidth;
pub mod bans;
pub mod channels;
pub mod codec_set;
pub mod command;
pub mod data;
pub mod data_tracks;
pub mod datagrams;
pub mod demux;
pub mod engine;
pub mod event;
pub mod fixed_hash;
pub mod forward;
pub mod grants;
pub mod handshake;
pub mod happening;
pub mod ids;
pub mod input;
pub mod known_path;
pub mod media;
pub mod member_channels;
pub mod mesh;
pub mod moderation;
pub mod msid;
pub mod mutation;
pub mod negotiated;
pub mod negotiation;
pub mod notice;
pub mod ortc;
pub mod outbox;
pub mod output;
pub mod pace;
pub mod participant;
pub mod path;
pub mod profile;
pub mod quality;
pub mod rates;
pub mod record;
pub mod recorder;
pub mod recordings;
pub mod rng;
pub mod room;
pub mod room_options;
pub mod room_pattern;
pub mod session;
pub mod settings;
pub mod sfu;
pub mod slot_counts;
pub mod source;
pub mod speech;
pub mod stats;
pub mod steering;
pub mod subscriptions;
pub mod timers;
pub mod topology;
pub mod totals;
pub mod track_label;
pub mod transport;

pub use input::Input;
pub use output::Output;
pub use settings::Settings;
pub use sfu::Sfu;
