//! Addresses: one form for every peer, and the list of candidates that answers carry.
//!
//! The core only ever sees canonical addresses: IPv4 as IPv4 (never mapped into IPv6), no flow labels, and a scope only
//! where one is needed.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use super::relayed_network::RelayedNetwork;
use crate::core::path::{LocalCandidate, TransportProtocol};

/// How long a list of the machine's interfaces is used before it is read again. Reading costs a few system calls, and a
/// laptop changes networks while the server runs.
const INTERFACES_FRESH_FOR: Duration = Duration::from_secs(5);

/// Returns the canonical form of an address.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => address,
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => {
                let scope = if v6.ip().is_unicast_link_local() { v6.scope_id() } else { 0 };
                SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope).into()
            }
        },
    }
}

/// Returns an address as the socket wants it: an IPv6 socket takes IPv4 addresses mapped.
pub fn for_socket(address: SocketAddr, socket_is_v6: bool) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if socket_is_v6 => {
            SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
        }
        _ => address,
    }
}

/// Chooses a network for the TURN server's relayed addresses: one in which this machine has no address, and from which
/// it is known by none.
pub fn unused_network(public: &[IpAddr], bound: SocketAddr) -> RelayedNetwork {
    let interfaces = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the machine's network interfaces cannot be read");
        Vec::new()
    });
    let known = public.iter().copied().chain([bound.ip()]);
    RelayedNetwork::without(known.chain(interfaces.iter().map(if_addrs::Interface::ip)))
}

/// The addresses at which clients can reach us.
#[derive(Debug)]
pub struct Candidates {
    public: Vec<IpAddr>,
    bound: SocketAddr,
    /// The network of the TURN server's relayed addresses, if there is a TURN server.
    turn: Option<RelayedNetwork>,
    interfaces: Vec<IpAddr>,
    read_at: Option<Instant>,
}

impl Candidates {
    /// Makes the list. `bound` is the listener's address, `public` holds the addresses that clients see according to
    /// the operator, and `turn` is the network of relayed addresses, if there is a TURN server.
    pub fn new(public: Vec<IpAddr>, bound: SocketAddr, turn: Option<RelayedNetwork>) -> Self {
        let public = public.into_iter().map(|ip| ip.to_canonical()).collect();
        Self { public, bound: canonical(bound), turn, interfaces: Vec::new(), read_at: None }
    }

    /// Returns whether people beyond this machine's own networks can come in.
    pub fn is_public(&mut self, now: Instant) -> bool {
        if !self.public.is_empty() {
            return self.public.iter().any(|ip| is_global(*ip));
        }
        self.refresh(now);
        self.interfaces.iter().any(|ip| is_global(*ip))
    }

    /// Returns all addresses by which others may know us.
    pub fn ips(&mut self, now: Instant) -> Vec<IpAddr> {
        self.refresh(now);
        self.public.iter().chain(&self.interfaces).copied().collect()
    }

    /// Returns the candidates for one client, best first, never empty. `remote` and `local` are the ends of its
    /// signalling connection; `proxied` says that a reverse proxy is at the other end of it.
    pub fn for_client(
        &mut self,
        now: Instant,
        remote: IpAddr,
        local: IpAddr,
        proxied: bool,
    ) -> Vec<LocalCandidate> {
        let mut ips = self.public.clone();
        if ips.is_empty() {
            self.refresh(now);
            // The address at which the client's signalling arrived works for this client, even if the list of
            // interfaces does not have it yet; others may not. The address at which a proxy's arrived may only work for
            // the proxy.
            let usable = |ip: &IpAddr| {
                if proxied { self.interfaces.contains(ip) } else { ip.is_loopback() || reachable(*ip) }
            };
            ips.extend(Some(local).filter(usable));
            if remote.is_loopback() && !proxied {
                ips.extend(self.loopbacks().into_iter().filter(|ip| *ip != local));
            }
            ips.extend(self.interfaces.iter().filter(|ip| **ip != local));
            // A client without any candidate could never connect.
            if ips.is_empty() {
                ips.push(local);
            }
        }
        let port = self.bound.port();
        // UDP first: TCP is for networks that let nothing else through.
        let by = |protocol: TransportProtocol| {
            ips.iter().map(move |ip| LocalCandidate { protocol, address: SocketAddr::new(*ip, port) })
        };
        let relay_needed = self.turn.filter(|_| !ips.iter().any(|ip| is_relay_peer(*ip, port)));
        let fictitious = relay_needed.map(|network| LocalCandidate {
            protocol: TransportProtocol::Udp,
            address: network.fictitious_peer(),
        });
        by(TransportProtocol::Udp).chain(by(TransportProtocol::Tcp)).chain(fictitious).collect()
    }

    fn loopbacks(&self) -> Vec<IpAddr> {
        let v4 = IpAddr::from([127, 0, 0, 1]);
        match self.bound.ip() {
            IpAddr::V6(ip) if ip.is_unspecified() => vec![v4, Ipv6Addr::LOCALHOST.into()],
            ip if ip.is_unspecified() => vec![v4],
            ip if ip.is_loopback() => vec![ip],
            _ => Vec::new(),
        }
    }

    fn refresh(&mut self, now: Instant) {
        if self.read_at.is_some_and(|at| now < at + INTERFACES_FRESH_FOR) {
            return;
        }
        // Set even if reading fails, so that a machine that cannot tell is not asked for every client.
        self.read_at = Some(now);
        let bound = self.bound.ip();
        if !bound.is_unspecified() {
            self.interfaces = if bound.is_loopback() { Vec::new() } else { vec![bound] };
            return;
        }
        match if_addrs::get_if_addrs() {
            Ok(interfaces) => {
                self.interfaces = interfaces
                    .iter()
                    .map(if_addrs::Interface::ip)
                    .filter(|ip| reachable(*ip) && (ip.is_ipv4() || bound.is_ipv6()))
                    .collect();
                // IPv4 first, because every guest's network has it.
                self.interfaces.sort_by_key(|ip| (!ip.is_ipv4(), !is_global(*ip)));
                self.interfaces.dedup();
            }
            Err(error) => tracing::warn!(
                %error,
                "the machine's network interfaces cannot be read; name its addresses with --public-address"
            ),
        }
    }
}

/// Returns whether Chromium accepts a candidate as a peer to relay to. It asks TURN servers for IPv4 only. It ignores
/// ports below 1024 except those of the web, and takes those for an attack if the address is private.
fn is_relay_peer(ip: IpAddr, port: u16) -> bool {
    let IpAddr::V4(v4) = ip else { return false };
    let [a, b, ..] = v4.octets();
    let is_shared = a == 100 && (64..128).contains(&b);
    let is_private = v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared;
    port >= 1024 || (matches!(port, 80 | 443) && !is_private)
}

/// Returns whether other machines can use an interface's address.
fn reachable(ip: IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || link_local)
}

/// Returns whether an address is routed on the public internet. This is near enough: carrier NAT and test networks are
/// rare.
fn is_global(ip: IpAddr) -> bool {
    reachable(ip)
        && match ip {
            IpAddr::V4(v4) => {
                let [a, b, ..] = v4.octets();
                !(v4.is_private() || v4.is_documentation() || (a == 100 && (64..128).contains(&b)))
            }
            IpAddr::V6(v6) => !v6.is_unique_local(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURN: Option<RelayedNetwork> = Some(RelayedNetwork::FIRST);

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// Returns the addresses of the UDP candidates. Checks that the TCP candidates follow and have the same.
    fn ips(candidates: &[LocalCandidate]) -> Vec<IpAddr> {
        let (udp, tcp) = candidates.split_at(candidates.len() / 2);
        assert!(udp.iter().all(|candidate| candidate.protocol == TransportProtocol::Udp));
        assert!(tcp.iter().all(|candidate| candidate.protocol == TransportProtocol::Tcp));
        let addresses =
            |half: &[LocalCandidate]| -> Vec<_> { half.iter().map(|candidate| candidate.address).collect() };
        assert_eq!(addresses(udp), addresses(tcp));
        udp.iter().map(|candidate| candidate.address.ip()).collect()
    }

    #[test]
    fn a_mapped_address_is_ipv4_to_the_core_and_mapped_to_the_socket() {
        let mapped = address("[::ffff:192.0.2.7]:9");
        assert_eq!(canonical(mapped), address("192.0.2.7:9"));
        assert_eq!(for_socket(canonical(mapped), true), mapped);
        assert_eq!(for_socket(canonical(mapped), false), address("192.0.2.7:9"));
        let labelled = SocketAddrV6::new("2001:db8::1".parse().expect("an address"), 9, 5, 6).into();
        assert_eq!(canonical(labelled), address("[2001:db8::1]:9"));
    }

    #[test]
    fn configured_addresses_are_the_only_candidates() {
        let now = crate::net::clock::now();
        let public = vec!["203.0.113.5".parse().expect("an address")];
        let mut candidates = Candidates::new(public.clone(), address("[::]:7443"), TURN);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(ips(&candidates.for_client(now, loopback, loopback, false)), public);
    }

    #[test]
    fn a_peer_to_relay_to_is_made_up_only_where_browsers_refuse_the_real_ones() {
        let now = crate::net::clock::now();
        let has_fictitious = |ip: &str, port: u16, turn: bool| {
            let public: Vec<IpAddr> = ip.split(' ').map(|ip| ip.parse().expect("an address")).collect();
            let bound = SocketAddr::new(IpAddr::from([0; 16]), port);
            let mut candidates = Candidates::new(public.clone(), bound, TURN.filter(|_| turn));
            let given = candidates.for_client(now, public[0], public[0], false);
            let found = given
                .iter()
                .filter(|candidate| candidate.address == RelayedNetwork::FIRST.fictitious_peer())
                .count();
            assert_eq!(given.len(), 2 * public.len() + found);
            found == 1
        };
        for (ip, port) in [("10.0.0.1", 443), ("127.0.0.1", 80), ("203.0.113.5", 1000), ("2001:db8::1", 7443)]
        {
            assert!(has_fictitious(ip, port, true), "{ip} {port}");
            assert!(!has_fictitious(ip, port, false), "{ip} {port}, without TURN");
        }
        for (ip, port) in [
            ("10.0.0.1", 7443),
            ("203.0.113.5", 443),
            ("10.0.0.1 203.0.113.5", 80),
            ("2001:db8::1 10.0.0.1", 1024),
        ] {
            assert!(!has_fictitious(ip, port, true), "{ip} {port}");
        }
    }

    #[test]
    fn loopback_is_offered_to_loopback_alone_and_first() {
        let now = crate::net::clock::now();
        let mut candidates = Candidates::new(Vec::new(), address("[::]:7443"), TURN);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let near = ips(&candidates.for_client(now, loopback, loopback, false));
        assert_eq!(near[0], loopback);
        assert_eq!(near.iter().filter(|ip| **ip == loopback).count(), 1);

        let (far, local) = (IpAddr::from([192, 0, 2, 9]), IpAddr::from([192, 0, 2, 1]));
        let seen = ips(&candidates.for_client(now, far, local, false));
        assert!(seen.iter().all(|ip| !ip.is_loopback()), "{seen:?}");
        assert_eq!(seen[0], local, "the interface may be newer than the list");
        assert!(!ips(&candidates.for_client(now, far, local, true)).contains(&local));
    }

    #[test]
    fn a_server_bound_to_loopback_still_has_a_candidate() {
        let now = crate::net::clock::now();
        let mut candidates = Candidates::new(Vec::new(), address("127.0.0.1:7443"), TURN);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(ips(&candidates.for_client(now, loopback, loopback, false)), [loopback]);
        assert_eq!(ips(&candidates.for_client(now, loopback, loopback, true)), [loopback]);
    }
}
