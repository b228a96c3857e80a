//! Demux: whose is this datagram? A hash look-up on where it came from; an address that nobody has used before is
//! matched once by the ufrag in its connectivity check.

use std::net::SocketAddr;

use super::fixed_hash::FixedMap;
use super::ids::{RoomKey, TransportKey};
use super::path::{Path, TransportProtocol};

/// Which transport a datagram is for.
pub type Owner = (RoomKey, TransportKey);

/// Addresses and ufrags. Entries come and go with their transports; each has a few.
#[derive(Debug, Default)]
pub struct Demux {
    by_remote: FixedMap<(TransportProtocol, SocketAddr), Owner>,
    by_ufrag: FixedMap<Box<[u8]>, Owner>,
}

impl Demux {
    /// The transport that has been reached from that address.
    pub fn by_path(&self, path: Path) -> Option<Owner> {
        self.by_remote.get(&(path.protocol(), path.remote)).copied()
    }

    /// The transport that has that ufrag.
    pub fn by_ufrag(&self, ufrag: &[u8]) -> Option<Owner> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// From now on datagrams by that path are for that transport, whichever the address led to before.
    pub fn bind_path(&mut self, path: Path, owner: Owner) {
        self.by_remote.insert((path.protocol(), path.remote), owner);
    }

    /// Datagrams by that path are no longer for that transport. Changes nothing if the address leads to another by now.
    pub fn unbind_path(&mut self, path: Path, owner: Owner) {
        let key = (path.protocol(), path.remote);
        if self.by_remote.get(&key) == Some(&owner) {
            self.by_remote.remove(&key);
        }
    }

    /// Checks with that ufrag are for that transport.
    pub fn bind_ufrag(&mut self, ufrag: &str, owner: Owner) {
        self.by_ufrag.insert(ufrag.as_bytes().into(), owner);
    }

    /// The ufrag is not used any more.
    pub fn unbind_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag.as_bytes());
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.by_remote.len() + self.by_ufrag.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
