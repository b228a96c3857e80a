//! Counts the participants of each address over all rooms. Participants whose signalling broke count too while they may
//! come back: otherwise somebody who joins and vanishes again and again from one address could take every place on the
//! server.

use std::net::IpAddr;

use super::event::{Refusal, RefusalCode};
use super::fixed_hash::FixedMap;

/// The addresses that have participants.
#[derive(Debug, Default)]
pub struct AddressCounts {
    counts: FixedMap<IpAddr, usize>,
}

impl AddressCounts {
    /// Checks whether an address may have another participant. Returns the refusal if it may not.
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

    /// Gives back what was taken for more addresses than there are now.
    pub fn give_back(&mut self) {
        self.counts.shrink_to_fit();
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
