//! One person's UDP socket.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_udp::{RecvMeta, UdpSocketState};

/// The size of the receive buffer to ask of the kernel, in bytes.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A UDP socket that only talks to the server.
pub(super) struct UdpEnd {
    socket: UdpSocket,
    state: UdpSocketState,
    /// The server's address for media.
    pub to: SocketAddr,
}

impl UdpEnd {
    /// Opens it for one server.
    pub(super) fn open(from: IpAddr, to: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut socket = UdpSocket::bind(SocketAddr::new(from, 0))?;
        socket.connect(to)?;
        registry.register(&mut socket, token, Interest::READABLE)?;
        let state = UdpSocketState::new((&socket).into())?;
        // If it fails, the default size stays.
        let _ = state.set_recv_buffer_size((&socket).into(), RECEIVE_BUFFER_BYTES);
        Ok(Self { socket, state, to })
    }

    /// Returns our own address; `None` if the system does not tell.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Sends a datagram. Returns whether the kernel took it.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        self.socket.send(bytes).is_ok()
    }

    /// Reads a batch. Returns how many messages came, each of which may have several datagrams.
    pub(super) fn receive(&self, slices: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        self.state.recv((&self.socket).into(), slices, metas).unwrap_or(0)
    }
}
