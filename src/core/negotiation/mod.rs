//! Negotiation: reads a client's offer and writes the answer. The engine sees no session description; it is told the
//! client's ICE credentials, the DTLS role, and which certificate to expect.
//!
//! The steps: [`limits`] counts lines before anything is parsed; [`lines`] splits the text; [`section`] and
//! [`transport`] read; [`offer`] puts the parts together and decides which sections can be served; [`agree`] makes
//! [`Negotiated`](super::negotiated::Negotiated); [`answer`] writes the text. All of them are pure functions that
//! return for any input, after work that is linear in the bytes of the offer.
//!
//! Unknown clients offer what the RFCs allow and a little more, so reading is lenient where that is safe. Where it is
//! not, a [`Refused`](refusal::Refused) names the line and the section. An answer has nothing that was not offered.

pub mod agree;
pub mod answer;
pub mod codecs;
pub mod data;
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
