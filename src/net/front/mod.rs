//! Between clients' requests and messages and the core: which answer a request leads to, the native protocol on WebSockets,
//! and the sessions of WHIP and WHEP.

mod requests;
pub mod router;
mod signalling;
mod whip;
pub mod whip_sessions;
