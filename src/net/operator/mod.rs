//! The operator's HTTP interface to a running server: administration, health, and figures for Prometheus. Answers are
//! made from a read-only view of the server; changes are returned as commands for the core.

pub mod admin;
pub mod health;
pub mod history;
pub mod metrics;
mod metrics_page;
pub mod recordings;
