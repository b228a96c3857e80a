//! Alerts that anybody could have forged. Until a handshake has keys, its records are not authenticated, so somebody
//! who can send from a client's address, or who sees its datagrams and is faster, can give up in the client's name. A
//! fatal alert in plaintext therefore only raises a doubt: it ends the handshake unless the client goes on with it.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use super::record::{ALERT, Record, Records};

/// How long the client has to go on. It repeats a lost flight after a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// The level of an alert that ends a connection (RFC 5246, section 7.2).
const FATAL: u8 = 2;

/// Whether the client still wants the handshake.
#[derive(Debug, Default)]
pub(super) struct Doubt(Option<Alert>);

#[derive(Debug, Clone, Copy)]
struct Alert {
    description: u8,
    ends: Instant,
}

impl Doubt {
    /// Returns a datagram without its plaintext alerts, for the library.
    pub(super) fn sift<'a>(&mut self, now: Instant, datagram: &'a [u8]) -> Cow<'a, [u8]> {
        let Self(doubt) = self;
        let mut description = None;
        let mut rest = Vec::new();
        for record in Records::new(datagram) {
            if record.content_type() == ALERT && record.epoch() == 0 {
                if let Some([FATAL, said, ..]) = record.body() {
                    description = Some(*said);
                }
            } else {
                rest.push(record);
            }
        }
        if let Some(description) = description {
            doubt.get_or_insert(Alert { description, ends: now + PATIENCE });
        } else if !rest.is_empty() {
            *doubt = None;
        }
        let sifted: usize = rest.iter().map(|record| record.bytes().len()).sum();
        if sifted == datagram.len() {
            return Cow::Borrowed(datagram);
        }
        Cow::Owned(rest.iter().flat_map(Record::bytes).copied().collect())
    }

    /// Returns when the handshake ends, and why; `None` if there is no doubt.
    pub(super) fn ends(&self) -> Option<(Instant, dimpl::Error)> {
        let Self(doubt) = self;
        doubt.map(|Alert { description, ends }| {
            (ends, dimpl::Error::SecurityError(dimpl::SecurityError::FatalAlert { description }))
        })
    }
}
