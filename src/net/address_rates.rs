//! How often each address may do something: join, or have an offer read. It counts over all connections of an address,
//! so opening many gains nothing.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use super::swept::Swept;
use crate::signal::allowance::Allowance;

/// The allowances of all addresses that have done something lately. An address is an IPv4 address or an IPv6 /64, as
/// [`host_of`] makes it.
#[derive(Debug)]
pub struct AddressRates {
    per_second: u32,
    burst: u32,
    allowances: Swept<IpAddr, Allowance>,
}

impl AddressRates {
    /// Begins with nobody. Each address may do `burst` things at once, and `per_second` in the long run.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { per_second, burst, allowances: Swept::default() }
    }

    /// Takes what something costs from an address's allowance. Returns `false` if there is not enough left.
    pub fn take(&mut self, now: Instant, host: IpAddr, cost: f64) -> bool {
        self.allowances.sweep(|allowance| allowance.is_full(now));
        let (per_second, burst) = (self.per_second, self.burst);
        let allowance =
            self.allowances.entries.entry(host).or_insert_with(|| Allowance::new(per_second, burst, now));
        allowance.take(now, cost)
    }
}

/// Returns the address that counts as one client: an IPv4 address, or the /64 network of an IPv6 address, because an
/// IPv6 host is usually given a whole one.
pub fn host_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::net::clock;
    use crate::net::swept::SWEEP_AT_LEAST;

    #[test]
    fn an_ipv6_host_counts_as_one_whatever_address_it_takes() {
        let host = |text: &str| host_of(text.parse().expect("an address"));
        assert_eq!(host("2001:db8:0:7::1"), host("2001:db8:0:7:ffff::2"));
        assert_ne!(host("2001:db8:0:7::1"), host("2001:db8:0:8::1"));
        assert_ne!(host("192.0.2.1"), host("192.0.2.2"));
    }

    #[test]
    fn each_address_has_its_own_allowance_and_is_forgotten_when_it_is_full() {
        let now = clock::now();
        let mut rates = AddressRates::new(1, 2);
        let (anna, ben) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        assert_eq!((0..5).filter(|_| rates.take(now, anna, 1.0)).count(), 2);
        assert!(rates.take(now, ben, 1.0), "another address is another allowance");
        // As many as there may be before somebody looks for those that can be forgotten, Anna and Ben among them.
        for number in 0..SWEEP_AT_LEAST as u32 - 2 {
            rates.take(now, IpAddr::from(number.to_be_bytes()), 1.0);
        }
        rates.take(now + Duration::from_secs(3), anna, 1.0);
        assert_eq!(rates.allowances.entries.len(), 1, "the others have not been seen for long enough");
        assert!(rates.allowances.entries.capacity() < 4 * SWEEP_AT_LEAST);
    }
}
