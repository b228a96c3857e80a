//! One person's UDP socket.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use quinn_udp::{RecvMeta, UdpSocketState};

/// Bytes to ask of the kernel for what a person receives.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A UDP socket that talks to the server alone.
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
        // More is better, less is what it was before.
        let _ = state.set_recv_buffer_size((&socket).into(), RECEIVE_BUFFER_BYTES);
        Ok(Self { socket, state, to })
    }

    /// Returns our own address; `None` if the system does not tell.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()
    }

    /// Whether the kernel took it.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        self.socket.send(bytes).is_ok()
    }

    /// Reads a batch; how many messages, each perhaps of several datagrams.
    pub(super) fn receive(&self, slices: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        self.state.recv((&self.socket).into(), slices, metas).unwrap_or(0)
    }
}
