//! The shell: sockets, clock and entropy. It moves bytes and time, and decides nothing about media or rooms.
//!
//! One thread, one `mio::Poll`, one UDP socket and one TCP listener on the same port number. [`serve`] runs it;
//! `event_loop` says what happens in a pass; `front` has the clients' connections; `shard` has the core and its
//! sockets. Whatever comes from the network can at worst cost its sender the connection: nothing in here unwraps, and
//! every buffer, queue and table has a cap in [`ShellConfig`] or beside it.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "clocks, sockets and entropy live here"
)]

mod address;
mod address_filter;
mod address_pauses;
mod address_rates;
mod api;
mod audit;
mod bind;
mod client_origin;
mod clock;
mod deadlines;
pub(crate) mod dtls;
mod egress;
mod entropy;
mod event_loop;
mod front;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod identity_rates;
mod ledger;
mod load_shedding;
mod mediasoup_sessions;
mod network;
mod opening;
mod operator;
mod process;
#[cfg(test)]
mod reference;
mod relayed_network;
mod shard;
mod shell_config;
mod shell_counters;
mod shutdown;
mod snapshot_json;
mod startup;
mod swept;
mod tcp;
mod tls;
mod token;
mod traces;
mod turn;
mod twirp;
pub mod udp;
mod view;
mod webhooks;
mod whip_sessions;

use std::io;

pub use address_filter::AddressFilter;
pub use audit::AuditConfig;
pub use network::Network;
pub use relayed_network::RelayedNetwork;
pub use shell_config::ShellConfig;
pub use shutdown::{ExitReason, StopHandle};
pub use startup::{BoundAddresses, CertificateInfo, CoreSeed, SetLogLevel};
pub use tls::certificates::TlsFiles;
pub use traces::keeper::RecordConfig;
pub use turn::{Authority, TurnConfig};
pub use webhooks::{WebhookConfig, WebhookUrl};

use crate::core::Settings;

/// Listens and serves until a signal or a [`StopHandle`] stops it.
pub fn serve(
    config: ShellConfig,
    settings: impl FnOnce(CoreSeed) -> Settings,
    set_log_level: SetLogLevel,
    on_ready: impl FnOnce(&BoundAddresses),
) -> io::Result<ExitReason> {
    let mut event_loop = event_loop::EventLoop::new(config, settings, set_log_level)?;
    on_ready(&event_loop.bound_addresses());
    event_loop.run()
}
