//! How many participants each address has, over all rooms, with those who linger: whose signalling broke and who may come
//! back. Somebody who joins and is gone again and again from one address would else take every place there is.

use std::net::IpAddr;

use super::event::{Refusal, RefusalCode};
use super::fixed_hash::FixedMap;

/// The addresses that have participants.
#[derive(Debug, Default)]
pub struct AddressCounts {
    counts: FixedMap<IpAddr, usize>,
}

impl AddressCounts {
    /// Returns why an address may not have another participant; `Ok` if it may.
    pub fn check(&self, host: IpAddr, participants_max: usize) -> Result<(), Refusal> {
        if self.counts.get(&host).is_none_or(|count| *count < participants_max) {
            return Ok(());
        }
        Err(Refusal::new(
            RefusalCode::TooManyParticipants,
            format!("{participants_max} participants have joined from this address, as many as may"),
            "leave with one of them, or ask the operator to raise signalling.max_participants_per_address",
        ))
    }

    /// Counts one participant more.
    pub fn add(&mut self, host: IpAddr) {
        *self.counts.entry(host).or_insert(0) += 1;
    }

    /// Counts one participant fewer.
    pub fn remove(&mut self, host: IpAddr) {
        let Some(count) = self.counts.get_mut(&host) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&host);
        }
    }
}
