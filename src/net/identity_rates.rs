//! How often whoever comes by one identity may do something, over all of their connections and from wherever they come: join,
//! send messages and offers. A token that many use, or that was stolen, gains nothing by more connections or addresses.

use std::time::Instant;

use super::shell_config::ShellConfig;
use super::swept::Swept;
use crate::signal::allowance::Allowance;
use crate::signal::native::SharedAllowance;

/// How many connections' messages and offers one identity may send. A back end's program may be in several rooms by one, and a
/// person with several devices.
const CONNECTIONS: u32 = 4;

#[derive(Debug)]
struct Allowances {
    joins: Allowance,
    sent: SharedAllowance,
}

/// The allowances of all identities that have done something lately.
#[derive(Debug)]
pub struct IdentityRates {
    joins: (u32, u32),
    messages: (u32, u32),
    offers: (u32, u32),
    known: Swept<String, Allowances>,
}

impl IdentityRates {
    /// Begins with nobody.
    pub fn new(config: &ShellConfig) -> Self {
        let of_many = |per_second: u32, burst: u32| {
            (per_second.saturating_mul(CONNECTIONS), burst.saturating_mul(CONNECTIONS))
        };
        Self {
            joins: (config.joins_per_second, config.joins_burst),
            messages: of_many(config.messages_per_second, config.messages_burst),
            offers: of_many(config.offers_per_second, config.offers_burst),
            known: Swept::default(),
        }
    }

    /// Takes a join from an identity's allowance. Returns `false` if there is not enough left.
    pub fn may_join(&mut self, now: Instant, identity: &str) -> bool {
        self.of(now, identity).joins.take(now, 1.0)
    }

    /// Returns what an identity may still send.
    pub fn sent_by(&mut self, now: Instant, identity: &str) -> &mut SharedAllowance {
        &mut self.of(now, identity).sent
    }

    fn of(&mut self, now: Instant, identity: &str) -> &mut Allowances {
        self.known.sweep(|known| known.joins.is_full(now) && known.sent.is_full(now));
        let known = &mut self.known.entries;
        let fresh = |(per_second, burst): (u32, u32)| Allowance::new(per_second, burst, now);
        // A name that is known already is not copied.
        if !known.contains_key(identity) {
            let sent = SharedAllowance { messages: fresh(self.messages), offers: fresh(self.offers) };
            known.insert(identity.to_owned(), Allowances { joins: fresh(self.joins), sent });
        }
        known.get_mut(identity).expect("it was put in just now")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::clock;
    use crate::net::swept::SWEEP_AT_LEAST;

    fn rates() -> IdentityRates {
        IdentityRates::new(&ShellConfig { joins_per_second: 1, joins_burst: 2, ..ShellConfig::default() })
    }

    #[test]
    fn each_identity_joins_as_often_as_an_address_may_and_no_more() {
        let (mut rates, now) = (rates(), clock::now());
        assert_eq!((0..5).filter(|_| rates.may_join(now, "anna")).count(), 2);
        assert!(rates.may_join(now, "ben"), "another identity is another allowance");
        assert!(rates.may_join(now + Duration::from_secs(1), "anna"));
    }

    #[test]
    fn whoever_has_done_nothing_for_long_is_forgotten() {
        let (mut rates, now) = (rates(), clock::now());
        for number in 0..SWEEP_AT_LEAST {
            rates.may_join(now, &format!("person-{number}"));
        }
        rates.may_join(now + Duration::from_secs(60), "anna");
        assert_eq!(rates.known.entries.len(), 1);
        assert!(rates.known.entries.capacity() < 4 * SWEEP_AT_LEAST);
    }
}
