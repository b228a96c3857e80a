//! The network of the TURN server's virtual relayed addresses.
//!
//! It is a network for documentation (RFC 5737), from which no packets should come. A datagram that claims to come from
//! it is dropped at the socket, and datagrams to it only go to the TURN server, so the address alone tells which
//! packets are relayed. Some machines use such a network for their own interfaces; another one is taken there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A network of relayed addresses, named by its first 24 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayedNetwork([u8; 3]);

impl RelayedNetwork {
    /// TEST-NET-1, which is taken unless the machine uses it.
    pub const FIRST: Self = Self([192, 0, 2]);

    /// The networks to choose from: TEST-NET-1 to 3.
    const ALL: [Self; 3] = [Self::FIRST, Self([198, 51, 100]), Self([203, 0, 113])];

    /// Returns the first network that holds none of these addresses, or TEST-NET-1 if each holds one.
    pub fn without(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses: Vec<IpAddr> = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
        let is_free = |network: &&Self| !addresses.iter().any(|ip| network.contains(*ip));
        Self::ALL.iter().find(is_free).copied().unwrap_or(Self::FIRST)
    }

    /// Returns whether an address, in its canonical form, can only be a relayed one.
    pub fn contains(self, ip: IpAddr) -> bool {
        matches!(ip, IpAddr::V4(v4) if v4.octets()[..3] == self.0)
    }

    /// Returns a made-up peer address that stands for the server if a browser refuses the real candidates or cannot use
    /// them. Browsers relay to it, and what they relay never leaves the process.
    pub fn fictitious_peer(self) -> SocketAddr {
        self.address(254, 9999)
    }

    /// Returns one of the network's addresses.
    pub fn address(self, host: u8, port: u16) -> SocketAddr {
        let [a, b, c] = self.0;
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(a, b, c, host)), port)
    }
}

impl Default for RelayedNetwork {
    fn default() -> Self {
        Self::FIRST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_taken_that_the_machine_has_no_address_in() {
        let network = |addresses: &[&str]| {
            let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().expect(text));
            RelayedNetwork::without(addresses).fictitious_peer().to_string()
        };
        let first = "192.0.2.254:9999";
        assert_eq!(network(&["10.0.0.1", "192.0.3.1", "::1"]), first);
        assert_eq!(network(&["192.0.2.2", "fd00::2"]), "198.51.100.254:9999");
        assert_eq!(network(&["198.51.100.1", "::ffff:192.0.2.2"]), "203.0.113.254:9999");
        assert_eq!(network(&["192.0.2.2", "198.51.100.1", "203.0.113.255"]), first, "there is no better one");
    }
}
