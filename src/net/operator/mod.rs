//! What an operator asks of a running server over HTTP: administration, and figures for Prometheus.

pub mod admin;
pub mod metrics;
pub mod metrics_page;
