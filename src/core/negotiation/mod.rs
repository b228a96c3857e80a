//! Negotiation: what a client offers, read by us, and the answer to it, written by us. The engine sees no session
//! description: it is told the client's ICE credentials, the DTLS role, and whether a certificate is the right one.
//!
//! The way of an offer: [`limits`] counts before anything is parsed; [`lines`] splits; [`section`] and [`transport`]
//! read; [`offer`] puts them together and decides which sections can be served; [`agree`] makes
//! [`Negotiated`](super::negotiated::Negotiated) of it; [`answer`] writes the text. All of them are pure functions whose
//! work is linear in the bytes of the offer, and total: whatever comes, they return.
//!
//! Strangers' clients offer what the RFCs allow and a little more, so reading is lenient where leniency is safe, and a
//! [`Refused`](refusal::Refused) names the line and the section where it is not. An answer holds nothing that was not
//! offered.

pub mod agree;
pub mod answer;
pub mod codecs;
pub mod h264;
pub mod limits;
pub mod lines;
pub mod offer;
pub mod parameters;
pub mod refusal;
pub mod section;
pub mod streams;
pub mod transport;

#[cfg(test)]
mod tests;
