//! The server's TLS certificate: the operator's files, or one that the server makes and signs itself.

pub mod certificates;
pub mod self_signed;
