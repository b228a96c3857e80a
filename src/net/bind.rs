//! Binding one UDP socket and one TCP listener to the same port number.
//!
//! `[::]` is opened dual stack, and becomes `0.0.0.0` where there is no IPv6. Errors say which half failed and what to
//! do.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tracing::{info, warn};

/// How many connections the kernel queues for us between two passes of the loop.
const BACKLOG: i32 = 1024;

/// How often, with port 0, to look for a number that is free on both UDP and TCP.
const ATTEMPTS_MAX: usize = 16;

/// The UDP buffers to ask of the kernel, bytes.
#[derive(Debug, Clone, Copy)]
pub struct UdpBuffers {
    /// The buffer for what arrives between two passes of the loop.
    pub receive: usize,
    /// The buffer for what the network card has not taken yet.
    pub send: usize,
}

/// Both halves of the one port.
#[derive(Debug)]
pub struct Bound {
    /// The UDP socket, non-blocking.
    pub udp: mio::net::UdpSocket,
    /// The TCP listener, non-blocking.
    pub tcp: mio::net::TcpListener,
    /// The address of both.
    pub address: SocketAddr,
}

/// Opens both halves of the port.
pub fn bind(listen: SocketAddr, buffers: UdpBuffers) -> io::Result<Bound> {
    let wildcard_v6 = listen.is_ipv6() && listen.ip().is_unspecified();
    match bind_pair(listen, buffers) {
        Err(error) if wildcard_v6 && no_ipv6(&error) => {
            let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, listen.port()));
            info!("no IPv6 on this machine: listening on {listen}");
            bind_pair(listen, buffers)
        }
        result => result,
    }
}

/// Opens a TCP listener alone, for management.
pub fn bind_tcp(listen: SocketAddr) -> io::Result<(mio::net::TcpListener, SocketAddr)> {
    let tcp = open(listen, Type::STREAM).map_err(|error| explain(error, "TCP, admin.listen", listen))?;
    let address = local_address(&tcp)?;
    tcp.listen(BACKLOG)?;
    Ok((mio::net::TcpListener::from_std(tcp.into()), address))
}

fn no_ipv6(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// "Address family not supported", on Linux and on the BSDs.
const EAFNOSUPPORT: i32 = if cfg!(target_os = "linux") { 97 } else { 47 };

fn bind_pair(listen: SocketAddr, buffers: UdpBuffers) -> io::Result<Bound> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        // TCP goes first: with port 0 it chooses the number that UDP then has to get as well.
        let tcp = open(listen, Type::STREAM).map_err(|error| explain(error, "TCP", listen))?;
        let address = local_address(&tcp)?;
        match open(address, Type::DGRAM) {
            Ok(udp) => {
                tcp.listen(BACKLOG)?;
                size_buffers(&udp, buffers);
                return Ok(Bound {
                    udp: mio::net::UdpSocket::from_std(udp.into()),
                    tcp: mio::net::TcpListener::from_std(tcp.into()),
                    address,
                });
            }
            Err(_) if listen.port() == 0 && attempts < ATTEMPTS_MAX => {}
            Err(error) => return Err(explain(error, "UDP", address)),
        }
    }
}

fn open(address: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    if kind == Type::STREAM {
        // Otherwise a restart would wait a minute for the last connections of the previous server.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn local_address(socket: &Socket) -> io::Result<SocketAddr> {
    let address = socket.local_addr()?;
    address.as_socket().ok_or_else(|| io::Error::other("a bound socket has no internet address"))
}

fn explain(error: io::Error, half: &str, address: SocketAddr) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has it; stop that, or choose another port with --listen".to_string()
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose another with --listen"
                .to_string()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have that address; see --listen".to_string()
        }
        // Returned unchanged, so that the caller can tell why.
        _ => return error,
    };
    let message = format!("cannot listen on {address} ({half}): {advice} ({error})");
    // An unavailable wildcard means that there is no IPv6, which the caller handles by this kind.
    io::Error::new(error.kind(), message)
}

fn size_buffers(udp: &Socket, wanted: UdpBuffers) {
    // Linux reports twice what was granted, counting its own bookkeeping.
    let reported = if cfg!(target_os = "linux") { 2 } else { 1 };
    let check = |what: &str, sysctl: &str, wanted: usize, got: io::Result<usize>| match got {
        Ok(got) if got / reported < wanted => warn!(
            wanted,
            got = got / reported,
            "the kernel gives the UDP socket a smaller {what} buffer than asked; bursts may be lost. \
             Raise it: sysctl -w {sysctl}={wanted}"
        ),
        Ok(_) => {}
        Err(error) => warn!(%error, "the UDP socket's {what} buffer cannot be read"),
    };
    if let Err(error) = udp.set_recv_buffer_size(wanted.receive) {
        warn!(%error, "the UDP socket's receive buffer cannot be sized");
    }
    if let Err(error) = udp.set_send_buffer_size(wanted.send) {
        warn!(%error, "the UDP socket's send buffer cannot be sized");
    }
    check("receive", "net.core.rmem_max", wanted.receive, udp.recv_buffer_size());
    check("send", "net.core.wmem_max", wanted.send, udp.send_buffer_size());
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUFFERS: UdpBuffers = UdpBuffers { receive: 65536, send: 65536 };

    #[test]
    fn both_halves_get_the_same_number() -> io::Result<()> {
        let bound = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), BUFFERS)?;
        assert_eq!(bound.udp.local_addr()?, bound.address);
        assert_eq!(bound.tcp.local_addr()?, bound.address);
        assert_ne!(bound.address.port(), 0);
        Ok(())
    }

    #[test]
    fn a_port_in_use_is_said_with_what_to_do() -> io::Result<()> {
        let bound = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), BUFFERS)?;
        let error = bind(bound.address, BUFFERS).expect_err("the port is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("--listen"), "{error}");
        Ok(())
    }
}
