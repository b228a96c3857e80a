//! The virtual relayed addresses, which the core sees as the addresses of clients behind the TURN server.
//! `relayed_network` says why they cannot be confused with others.

use std::net::SocketAddr;

use crate::net::relayed_network::RelayedNetwork;

/// How many hosts of the network are used.
const ADDRESSES: u32 = 8;

/// The ports of each host that are used.
const PORTS: std::ops::RangeInclusive<u16> = 1024..=u16::MAX;

/// Hands out the addresses one after the other, so that each is used again as late as possible.
#[derive(Debug)]
pub struct RelayedAddresses {
    network: RelayedNetwork,
    given: u32,
}

impl RelayedAddresses {
    /// Begins with all addresses of a network.
    pub fn of(network: RelayedNetwork) -> Self {
        Self { network, given: 0 }
    }

    /// Returns the network that they are of.
    pub fn network(&self) -> RelayedNetwork {
        self.network
    }

    /// Returns an address that is not taken, or `None` if all are.
    pub fn next(&mut self, is_taken: impl Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
        let ports = u32::from(PORTS.end() - PORTS.start()) + 1;
        for _ in 0..ADDRESSES * ports {
            // Hosts change slowest, so that ports of one host are used up first.
            let index = self.given % (ADDRESSES * ports);
            self.given = index + 1;
            // Both are within their ranges.
            let host = 1 + u8::try_from(index / ports).unwrap_or_default();
            let port = PORTS.start() + u16::try_from(index % ports).unwrap_or_default();
            let address = self.network.address(host, port);
            if !is_taken(address) {
                return Some(address);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_address_comes_twice_while_it_is_taken_and_all_come_once() {
        let (mut addresses, mut taken) = (RelayedAddresses::of(RelayedNetwork::FIRST), HashSet::new());
        while let Some(address) = addresses.next(|address| taken.contains(&address)) {
            let network = addresses.network();
            assert!(network.contains(address.ip()) && address != network.fictitious_peer());
            assert!(taken.insert(address));
        }
        assert_eq!(taken.len(), 8 * (65_536 - 1024));
        let freed = SocketAddr::from(([192, 0, 2, 3], 5000));
        taken.remove(&freed);
        assert_eq!(addresses.next(|address| taken.contains(&address)), Some(freed));
    }
}
