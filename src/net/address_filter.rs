//! Which addresses may reach the server at all, as the operator lists them.

use std::net::IpAddr;

use super::network::Network;

/// Networks that are let in, and networks that are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressFilter {
    /// Those that are let in. If there are none, everybody is.
    pub allow: Vec<Network>,
    /// Those that are not, even if the others name them.
    pub deny: Vec<Network>,
}

impl AddressFilter {
    /// Returns whether an address is let in. This machine itself always is, unless it is denied: otherwise a list of an
    /// office's networks would shut the operator out.
    #[inline]
    pub fn admits(&self, ip: IpAddr) -> bool {
        if self.allow.is_empty() && self.deny.is_empty() {
            return true;
        }
        !Network::any_has(&self.deny, ip)
            && (self.allow.is_empty() || ip.to_canonical().is_loopback() || Network::any_has(&self.allow, ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_denied_stays_out_and_what_is_allowed_comes_in() {
        let networks = |list: &[&str]| list.iter().map(|text| text.parse().expect("a network")).collect();
        let filter = AddressFilter {
            allow: networks(&["192.0.2.0/24", "2001:db8::/32"]),
            deny: networks(&["192.0.2.66", "2001:db8:bad::/48"]),
        };
        for (ip, admitted) in [
            ("192.0.2.7", true),
            ("::ffff:192.0.2.7", true),
            ("192.0.2.66", false),
            ("198.51.100.1", false),
            ("2001:db8::1", true),
            ("2001:db8:bad::1", false),
            ("127.0.0.1", true),
            ("::1", true),
        ] {
            assert_eq!(filter.admits(ip.parse().expect("an address")), admitted, "{ip}");
        }
        let open = AddressFilter::default();
        assert!(open.admits(IpAddr::from([198, 51, 100, 1])));
        let without = AddressFilter { deny: networks(&["0.0.0.0/0", "::/0"]), ..open };
        assert!(!without.admits(IpAddr::from([127, 0, 0, 1])));
    }
}
