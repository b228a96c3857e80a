//! What routers see: sound and pictures carry the traffic classes by which networks prefer calls (RFC 8837).

#![cfg(target_os = "linux")]

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{MaybeUninitSlice, MsgHdrMut, SockRef};
use strait::core::path::{Carrier, Path, TrafficClass};
use strait::net::udp::{Udp, UdpOptions};

/// A receiver that is told the traffic class of what comes.
struct Receiver(UdpSocket);

impl Receiver {
    fn open(address: &str) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        if socket.local_addr()?.is_ipv4() {
            SockRef::from(&socket).set_recv_tos_v4(true)?;
        } else {
            SockRef::from(&socket).set_recv_tclass_v6(true)?;
        }
        Ok(Self(socket))
    }

    /// The next datagram's only byte, and its traffic class.
    fn next(&self) -> io::Result<(u8, u8)> {
        let mut bytes = [MaybeUninit::new(0)];
        let mut control = [MaybeUninit::new(0u8); 64];
        let mut buffers = [MaybeUninitSlice::new(&mut bytes)];
        let mut message = MsgHdrMut::new().with_buffers(&mut buffers).with_control(&mut control);
        SockRef::from(&self.0).recvmsg(&mut message, 0)?;
        // SAFETY: all were given values above.
        #[allow(unsafe_code, reason = "the library hands out what it read as maybe uninitialised")]
        let (byte, class) = unsafe { (bytes[0].assume_init(), control[16].assume_init()) };
        Ok((byte, class))
    }
}

#[test]
fn sound_and_pictures_are_marked_and_the_rest_is_not() -> io::Result<()> {
    for (listen, reached_at) in [
        ("0.0.0.0:0", "127.0.0.1:0"),
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("[::]:0", "127.0.0.1:0"),
        ("[::]:0", "[::1]:0"),
    ] {
        for dscp in [true, false] {
            let socket = UdpSocket::bind(listen)?;
            socket.set_nonblocking(true)?;
            let bound = socket.local_addr()?;
            let socket = mio::net::UdpSocket::from_std(socket);
            let options = UdpOptions { dscp, ..UdpOptions::default() };
            let mut udp = Udp::new(socket, bound, options, IpAddr::from([127, 0, 0, 1]))?;
            let receiver = Receiver::open(reached_at)?;
            let remote = receiver.0.local_addr()?;
            let path =
                Path { carrier: Carrier::Udp, local: SocketAddr::new(remote.ip(), bound.port()), remote };
            // In the order in which they leave.
            for (byte, class) in
                [(1, TrafficClass::Control), (2, TrafficClass::Audio), (3, TrafficClass::Video)]
            {
                udp.push(path, class, &[byte]);
            }
            // Two of one class and length leave as a run.
            udp.push(path, TrafficClass::Video, &[4]);
            assert!(!udp.flush(), "the kernel takes four packets");
            let seen = [receiver.next()?, receiver.next()?, receiver.next()?, receiver.next()?];
            let (sound, pictures) = if dscp { (46 << 2, 34 << 2) } else { (0, 0) };
            assert_eq!(
                seen,
                [(1, 0), (2, sound), (3, pictures), (4, pictures)],
                "from {listen} to {reached_at}"
            );
        }
    }
    Ok(())
}
