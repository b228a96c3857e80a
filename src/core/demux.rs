//! Demux: finds the transport that a datagram is for, by a hash look-up on its remote address. A new address is matched
//! once, by the ufrag in its connectivity check.

use std::net::SocketAddr;

use super::fixed_hash::FixedMap;
use super::ids::{RoomKey, TransportKey};
use super::path::{Path, TransportProtocol};

/// The transport that a datagram is for, and its room.
pub type Owner = (RoomKey, TransportKey);

/// The addresses and ufrags that lead to transports. Each transport has a few, for as long as it exists.
#[derive(Debug, Default)]
pub struct Demux {
    by_remote: FixedMap<(TransportProtocol, SocketAddr), Owner>,
    by_ufrag: FixedMap<Box<[u8]>, Owner>,
    /// Who has checked last by a path that leads to somebody else who is alive.
    disputed: FixedMap<(TransportProtocol, SocketAddr), Owner>,
}

impl Demux {
    /// Returns the transport whose peer has that remote address.
    pub fn by_path(&self, path: Path) -> Option<Owner> {
        self.by_remote.get(&(path.protocol(), path.remote)).copied()
    }

    /// Returns the transport that has that ufrag.
    pub fn by_ufrag(&self, ufrag: &[u8]) -> Option<Owner> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// Makes a path lead to a transport, even if it led to another one before.
    pub fn bind_path(&mut self, path: Path, owner: Owner) {
        let key = (path.protocol(), path.remote);
        self.by_remote.insert(key, owner);
        if !self.disputed.is_empty() {
            self.disputed.remove(&key);
        }
    }

    /// Notes that a transport claims a path that leads to another one. Of several that do, the newest counts.
    pub fn dispute_path(&mut self, path: Path, owner: Owner) {
        self.disputed.insert((path.protocol(), path.remote), owner);
    }

    /// Returns the transport that claims a path that leads to another one.
    pub fn disputed_by(&self, path: Path) -> Option<Owner> {
        self.disputed.get(&(path.protocol(), path.remote)).copied()
    }

    /// Makes a path no longer lead to a transport: it leads to the one that claims it, if there is one.
    pub fn unbind_path(&mut self, path: Path, owner: Owner) {
        let key = (path.protocol(), path.remote);
        if self.disputed.get(&key) == Some(&owner) {
            self.disputed.remove(&key);
        }
        if self.by_remote.get(&key) == Some(&owner) {
            match self.disputed.remove(&key) {
                Some(next) => self.by_remote.insert(key, next),
                None => self.by_remote.remove(&key),
            };
        }
    }

    /// Makes connectivity checks with a ufrag lead to a transport.
    pub fn bind_ufrag(&mut self, ufrag: &str, owner: Owner) {
        self.by_ufrag.insert(ufrag.as_bytes().into(), owner);
    }

    /// Forgets a ufrag.
    pub fn unbind_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag.as_bytes());
    }

    /// Gives back what it has taken for more than it knows now.
    pub fn give_back(&mut self) {
        self.by_remote.shrink_to_fit();
        self.by_ufrag.shrink_to_fit();
        self.disputed.shrink_to_fit();
    }

    /// Returns how many addresses and ufrags it knows.
    pub fn len(&self) -> usize {
        self.by_remote.len() + self.by_ufrag.len() + self.disputed.len()
    }

    /// Whether it knows no address and no ufrag.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
