//! The virtual relayed addresses: what the core sees as the address of somebody behind the TURN server.
//!
//! They are of TEST-NET-1 (RFC 5737), which nobody's packets can come from: a datagram that claims to is dropped at the
//! socket, and what is sent there goes to the TURN server alone. So one look-up tells whose a packet is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A peer that stands for the server where a browser refuses the real candidates, or has no use for them: browsers
/// relay to it, and it never leaves the process.
pub const FICTITIOUS_PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)), 9999);

/// How many addresses of the network are used.
const ADDRESSES: u32 = 8;

/// The ports of each that are used.
const PORTS: std::ops::RangeInclusive<u16> = 1024..=u16::MAX;

/// Whether an address can only be one of ours.
pub fn is_virtual(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.octets()[..3] == [192, 0, 2])
}

/// Gives the addresses out one after the other, so that one comes again as late as possible.
#[derive(Debug, Default)]
pub struct RelayedAddresses {
    given: u32,
}

impl RelayedAddresses {
    /// One that is not taken; `None` if all are.
    pub fn next(&mut self, is_taken: impl Fn(SocketAddr) -> bool) -> Option<SocketAddr> {
        let ports = u32::from(PORTS.end() - PORTS.start()) + 1;
        for _ in 0..ADDRESSES * ports {
            let index = self.given % (ADDRESSES * ports);
            self.given = index + 1;
            // Both are within their ranges.
            let host = 1 + u8::try_from(index / ports).unwrap_or_default();
            let port = PORTS.start() + u16::try_from(index % ports).unwrap_or_default();
            let address = SocketAddr::from(([192, 0, 2, host], port));
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
        let (mut addresses, mut taken) = (RelayedAddresses::default(), HashSet::new());
        while let Some(address) = addresses.next(|address| taken.contains(&address)) {
            assert!(is_virtual(address.ip()) && address != FICTITIOUS_PEER);
            assert!(taken.insert(address));
        }
        assert_eq!(taken.len(), 8 * (65_536 - 1024));
        let freed = SocketAddr::from(([192, 0, 2, 3], 5000));
        taken.remove(&freed);
        assert_eq!(addresses.next(|address| taken.contains(&address)), Some(freed));
    }

    #[test]
    fn virtual_addresses_are_of_test_net_1_alone() {
        for (text, expected) in
            [("192.0.2.0", true), ("192.0.2.255", true), ("192.0.3.1", false), ("::1", false)]
        {
            assert_eq!(is_virtual(text.parse().expect(text)), expected, "{text}");
        }
    }
}
