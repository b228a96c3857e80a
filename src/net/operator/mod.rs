//! What an operator asks of a running server over HTTP: administration, its health, and figures for Prometheus. Everything
//! in here is made from a read-only view of the server; what an operator changes is returned as a command to the core.

pub mod admin;
pub mod health;
pub mod metrics;
mod metrics_page;
pub mod recordings;
mod snapshot_json;
pub mod view;
