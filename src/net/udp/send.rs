//! The system call that sends one datagram, or a run of equally long ones (UDP GSO). Beside the bytes, the kernel is
//! told where each datagram ends, from which of our addresses they leave, and how routers may prefer them (DSCP, RFC
//! 8837).
//!
//! On Linux the message is put together here, because quinn-udp always sets the whole traffic class byte but only
//! offers its two ECN bits. Elsewhere quinn-udp sends, and nothing is marked.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;
use quinn_udp::UdpSocketState;
use tracing::info;

use super::batch::Run;
use crate::core::path::TrafficClass;
use crate::net::address::for_socket;

/// "I/O error", which is what some network cards answer to GSO.
const EIO: i32 = 5;

/// How to send on a socket.
#[derive(Debug)]
pub struct Sending {
    bound: SocketAddr,
    /// Length of the longest run in packets; 1 where the system cannot send runs.
    pub segments_max: usize,
    /// Whether packets are marked by their class.
    marks: bool,
}

impl Sending {
    /// Prepares to send on a socket that is bound to that address.
    pub fn new(bound: SocketAddr, state: &UdpSocketState, marks: bool) -> Self {
        Self { bound, segments_max: state.max_gso_segments(), marks }
    }

    /// Sends one run. If this system turns out not to send runs, the packets go one by one, and there are no runs from
    /// then on.
    pub fn send(&mut self, socket: &UdpSocket, state: &UdpSocketState, run: Run<'_>) -> io::Result<()> {
        let result = self.try_send(socket, state, run);
        let Err(error) = &result else { return result };
        if run.packets() == 1
            || (error.kind() != io::ErrorKind::InvalidInput && error.raw_os_error() != Some(EIO))
        {
            return result;
        }
        // Either the kernel or the card cannot send runs, or something is wrong with the addresses. Sending one by one
        // shows which.
        let outcome = run.singles().try_for_each(|single| self.try_send(socket, state, single));
        if outcome.is_ok() {
            info!("this system cannot send runs of datagrams (UDP GSO): sending them one by one");
            self.segments_max = 1;
        }
        outcome
    }

    /// Returns the address to send from, if the socket does not imply it.
    fn source(&self, run: &Run<'_>) -> Option<IpAddr> {
        // A socket that is bound to one address sends from there anyway.
        let source = self.bound.ip().is_unspecified().then(|| run.path.local.ip());
        source.filter(|ip| !ip.is_unspecified())
    }

    #[cfg(target_os = "linux")]
    fn try_send(&self, socket: &UdpSocket, _state: &UdpSocketState, run: Run<'_>) -> io::Result<()> {
        let mut control = control::Messages::new();
        let is_ipv4 = run.path.remote.is_ipv4();
        if self.marks
            && let Some(traffic_class) = traffic_class(run.class)
        {
            control.traffic_class(is_ipv4, traffic_class);
        }
        if run.packets() > 1 {
            control.segment(u16::try_from(run.segment).map_err(|_| io::ErrorKind::InvalidInput)?);
        }
        if let Some(source) = self.source(&run) {
            control.source(source);
        }
        let to = for_socket(run.path.remote, self.bound.is_ipv6()).into();
        let buffers = [io::IoSlice::new(run.bytes)];
        let message = socket2::MsgHdr::new().with_addr(&to).with_buffers(&buffers);
        let message = if control.is_empty() { message } else { message.with_control(control.bytes()) };
        socket2::SockRef::from(socket).sendmsg(&message, 0).map(|_| ())
    }

    #[cfg(not(target_os = "linux"))]
    fn try_send(&self, socket: &UdpSocket, state: &UdpSocketState, run: Run<'_>) -> io::Result<()> {
        state.try_send(
            socket.into(),
            &quinn_udp::Transmit {
                destination: for_socket(run.path.remote, self.bound.is_ipv6()),
                ecn: None,
                contents: run.bytes,
                segment_size: (run.packets() > 1).then_some(run.segment),
                src_ip: self.source(&run),
            },
        )
    }
}

/// Returns the byte that routers read, with the code point in the upper six bits (RFC 2474). Audio is "expedited
/// forwarding" (RFC 3246) and video "assured forwarding" 4.1 (RFC 2597), as RFC 8837 §5 recommends for interactive
/// calls. Data is best effort, like everything that is not marked.
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "packets are marked on Linux alone"))]
fn traffic_class(class: TrafficClass) -> Option<u8> {
    match class {
        TrafficClass::Control | TrafficClass::Data => None,
        TrafficClass::Audio => Some(46 << 2),
        TrafficClass::Video => Some(34 << 2),
    }
}

/// Control messages (`cmsg(3)`), put together as bytes.
#[cfg(target_os = "linux")]
mod control {
    use std::net::IpAddr;

    const IPPROTO_IP: i32 = 0;
    const IPPROTO_IPV6: i32 = 41;
    const SOL_UDP: i32 = 17;
    const IP_TOS: i32 = 1;
    const IP_PKTINFO: i32 = 8;
    const IPV6_PKTINFO: i32 = 50;
    const IPV6_TCLASS: i32 = 67;
    const UDP_SEGMENT: i32 = 103;

    /// Size of a message's head: its length, level and type.
    const HEADER: usize = size_of::<usize>() + 2 * size_of::<i32>();
    /// What a traffic class, a segment size and an IPv6 source take together on a system of 64 bits.
    const BYTES_MAX: usize = 88;

    /// Control messages, one after the other, each aligned to a word.
    pub struct Messages {
        bytes: [u8; BYTES_MAX],
        used: usize,
    }

    impl Messages {
        pub fn new() -> Self {
            Self { bytes: [0; BYTES_MAX], used: 0 }
        }

        pub fn is_empty(&self) -> bool {
            self.used == 0
        }

        pub fn bytes(&self) -> &[u8] {
            self.bytes.get(..self.used).unwrap_or_default()
        }

        pub fn traffic_class(&mut self, is_ipv4: bool, value: u8) {
            let (level, kind) = if is_ipv4 { (IPPROTO_IP, IP_TOS) } else { (IPPROTO_IPV6, IPV6_TCLASS) };
            self.push(level, kind, &i32::from(value).to_ne_bytes());
        }

        pub fn segment(&mut self, bytes: u16) {
            self.push(SOL_UDP, UDP_SEGMENT, &bytes.to_ne_bytes());
        }

        /// Adds `in_pktinfo` or `in6_pktinfo`: the interface, the address to send from, and for IPv4 one that is not
        /// used.
        pub fn source(&mut self, ip: IpAddr) {
            match ip {
                IpAddr::V4(ip) => {
                    let mut info = [0; 12];
                    info[4..8].copy_from_slice(&ip.octets());
                    self.push(IPPROTO_IP, IP_PKTINFO, &info);
                }
                IpAddr::V6(ip) => {
                    let mut info = [0; 20];
                    info[..16].copy_from_slice(&ip.octets());
                    self.push(IPPROTO_IPV6, IPV6_PKTINFO, &info);
                }
            }
        }

        fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
            let length = HEADER + data.len();
            let Some(room) =
                self.bytes.get_mut(self.used..self.used + length.next_multiple_of(size_of::<usize>()))
            else {
                return;
            };
            let (length_room, rest) = room.split_at_mut(size_of::<usize>());
            length_room.copy_from_slice(&length.to_ne_bytes());
            rest[..4].copy_from_slice(&level.to_ne_bytes());
            rest[4..8].copy_from_slice(&kind.to_ne_bytes());
            rest[8..8 + data.len()].copy_from_slice(data);
            self.used += room.len();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn everything_that_can_be_said_at_once_fits() {
            let mut messages = Messages::new();
            messages.traffic_class(false, 0xb8);
            messages.segment(1200);
            messages.source(IpAddr::from([1u16; 8]));
            let word = size_of::<usize>();
            let lengths = [4, 2, 20].map(|data: usize| (HEADER + data).next_multiple_of(word));
            assert_eq!(messages.bytes().len(), lengths.iter().sum::<usize>());
        }
    }
}
