//! A client of the embedded TURN server, over UDP, TCP or TLS: requests signed by long-term credentials, ChannelData and
//! Send indications, and str0m's datagrams by way of them.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use turn_server_proto::types::attribute::{
    ChannelNumber, Data, Lifetime, RequestedTransport, XorPeerAddress, XorRelayedAddress,
};
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, CREATE_PERMISSION, DATA, REFRESH, SEND};
use turn_server_proto::types::stun::attribute::{ErrorCode, Nonce, Realm, Username, XorMappedAddress};
use turn_server_proto::types::stun::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageIntegrityCredentials, MessageWriteVec, Method,
};
use turn_server_proto::types::stun::prelude::{AttributeWrite, MessageWrite, MessageWriteExt};

use super::people::Person;
use super::{PATIENCE, Server, connect, tls};

pub const FICTITIOUS_PEER: &str = "192.0.2.254:9999";

/// What a user needs.
#[derive(Debug, Clone)]
pub struct Login {
    pub urls: Vec<String>,
    pub username: String,
    pub password: String,
}

impl Login {
    /// What somebody was given on joining.
    pub fn of(person: &Person) -> Self {
        Self::from(&person.joined)
    }

    /// What is in the data of `joined`.
    pub fn from(joined: &serde_json::Value) -> Self {
        let server = &joined["iceServers"][0];
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        Self {
            urls: server["urls"].as_array().expect("addresses").iter().map(text).collect(),
            username: text(&server["username"]),
            password: text(&server["credential"]),
        }
    }
}

/// How a client is connected.
pub enum Wire {
    Udp(UdpSocket),
    Stream { stream: Box<dyn Stream>, input: Vec<u8>, segment: usize },
}

/// TCP, or TLS over it.
pub trait Stream: Read + Write {
    fn set_timeout(&mut self, timeout: Duration);
}

impl Stream for std::net::TcpStream {
    fn set_timeout(&mut self, timeout: Duration) {
        self.set_read_timeout(Some(timeout)).expect("set");
    }
}

impl Stream for tls::TlsStream {
    fn set_timeout(&mut self, timeout: Duration) {
        self.sock.set_read_timeout(Some(timeout)).expect("set");
    }
}

/// What came to a client by its allocation.
#[derive(Debug, PartialEq, Eq)]
pub struct Relayed {
    pub peer: SocketAddr,
    pub data: Vec<u8>,
}

/// A client.
pub struct TurnClient {
    pub wire: Wire,
    pub login: Login,
    nonce: Option<(String, String)>,
    pub channels: Vec<(u16, SocketAddr)>,
    /// Data that came while an answer was waited for.
    pub relayed: Vec<Relayed>,
    transport: u8,
}

/// An answer: its bytes, and its error code if it is a refusal.
pub struct Answer {
    pub bytes: Vec<u8>,
    pub code: Option<u16>,
}

impl Answer {
    pub fn message(&self) -> Message<'_> {
        Message::from_bytes(&self.bytes).expect("STUN")
    }

    /// Where the allocation is.
    pub fn relayed(&self) -> SocketAddr {
        let message = self.message();
        let address = message.attribute::<XorRelayedAddress>().expect("a relayed address");
        address.addr(message.transaction_id())
    }

    /// Where the server saw the request come from.
    pub fn mapped(&self) -> SocketAddr {
        let message = self.message();
        message.attribute::<XorMappedAddress>().expect("an address").addr(message.transaction_id())
    }
}

impl TurnClient {
    fn new(wire: Wire, login: Login) -> Self {
        let nonce = None;
        Self {
            wire,
            login,
            nonce,
            channels: Vec::new(),
            relayed: Vec::new(),
            transport: RequestedTransport::UDP,
        }
    }

    pub fn udp(server: &Server, login: Login) -> Self {
        let socket = UdpSocket::bind((server.address.ip(), 0)).expect("a socket");
        socket.connect(server.address).expect("connected");
        Self::new(Wire::Udp(socket), login)
    }

    /// Sends segments of so many bytes.
    pub fn tcp(server: &Server, login: Login, segment: usize) -> Self {
        Self::tcp_at(server.address, login, segment)
    }

    /// The same, at a server that is not the test's own.
    pub fn tcp_at(address: SocketAddr, login: Login, segment: usize) -> Self {
        let stream = connect(address);
        stream.set_nodelay(true).expect("set");
        Self::new(Wire::Stream { stream: Box::new(stream), input: Vec::new(), segment }, login)
    }

    pub fn tls(server: &Server, login: Login) -> Self {
        Self::tls_at(server.address, login)
    }

    /// The same, at a server that is not the test's own.
    pub fn tls_at(address: SocketAddr, login: Login) -> Self {
        let stream = Box::new(tls::connect(address, &[]));
        Self::new(Wire::Stream { stream, input: Vec::new(), segment: usize::MAX }, login)
    }

    /// With an allocation.
    pub fn allocated(mut self) -> Self {
        let answer = self.allocate();
        assert_eq!(answer.code, None, "the allocation is refused");
        self
    }

    pub fn allocate(&mut self) -> Answer {
        let transport = RequestedTransport::new(self.transport);
        self.request(ALLOCATE, &[&transport])
    }

    pub fn permit(&mut self, peer: SocketAddr) -> Option<u16> {
        self.about_peer(CREATE_PERMISSION, peer, None)
    }

    pub fn bind(&mut self, channel: u16, peer: SocketAddr) -> Option<u16> {
        let code = self.about_peer(CHANNEL_BIND, peer, Some(channel));
        if code.is_none() {
            self.channels.push((channel, peer));
        }
        code
    }

    pub fn refresh(&mut self, seconds: u32) -> Option<u16> {
        self.request(REFRESH, &[&Lifetime::new(seconds)]).code
    }

    fn about_peer(&mut self, method: Method, peer: SocketAddr, channel: Option<u16>) -> Option<u16> {
        let number = channel.map(ChannelNumber::new);
        self.ask(method, |message| {
            let peer = XorPeerAddress::new(peer, message.transaction_id());
            message.add_attribute(&peer).expect("room");
            if let Some(number) = &number {
                message.add_attribute(number).expect("room");
            }
        })
        .code
    }

    /// A request, signed once the server has said what for.
    pub fn request(&mut self, method: Method, attributes: &[&dyn AttributeWrite]) -> Answer {
        self.ask(method, |message| {
            for attribute in attributes {
                message.add_attribute(*attribute).expect("room");
            }
        })
    }

    fn ask(&mut self, method: Method, fill: impl Fn(&mut MessageWriteVec)) -> Answer {
        for _ in 0..3 {
            let mut message = Message::builder_request(method, MessageWriteVec::new());
            fill(&mut message);
            let credentials: Option<MessageIntegrityCredentials> =
                self.nonce.as_ref().map(|(realm, nonce)| {
                    message
                        .add_attribute(&Username::new(&self.login.username).expect("a name"))
                        .expect("room");
                    message.add_attribute(&Realm::new(realm).expect("a realm")).expect("room");
                    message.add_attribute(&Nonce::new(nonce).expect("a nonce")).expect("room");
                    let Login { username, password, .. } = self.login.clone();
                    LongTermKeyCredentials::new(username, password, realm.clone()).into()
                });
            if let Some(credentials) = &credentials {
                message.add_message_integrity(credentials, IntegrityAlgorithm::Sha1).expect("room");
            }
            let request = message.finish();
            self.send(&request);
            let answer = self.answer_to(&request);
            let first = credentials.is_none();
            if matches!(answer.code, Some(401)) && first || answer.code == Some(438) {
                let message = answer.message();
                let realm = message.attribute::<Realm>().expect("a realm").realm().to_owned();
                let nonce = message.attribute::<Nonce>().expect("a nonce").nonce().to_owned();
                self.nonce = Some((realm, nonce));
                continue;
            }
            if let (Some(credentials), Some(code)) = (&credentials, answer.code)
                && code != 401
            {
                answer.message().validate_integrity(credentials).expect("a refusal is signed");
            }
            return answer;
        }
        panic!("the server goes on asking for other credentials");
    }

    fn answer_to(&mut self, request: &[u8]) -> Answer {
        let wanted = request[4..20].to_vec();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let Some(bytes) = self.read(Duration::from_millis(500)) else { continue };
            if bytes[0] < 0x40 && bytes[4..20] == wanted {
                let code = Message::from_bytes(&bytes).expect("STUN").attribute::<ErrorCode>();
                let code = code.ok().map(|error| error.code());
                return Answer { bytes, code };
            }
            self.relayed.extend(self.data_of(&bytes));
        }
        panic!("no answer");
    }

    /// Data by a channel.
    pub fn send_by_channel(&mut self, channel: u16, data: &[u8]) {
        let length = u16::try_from(data.len()).expect("a datagram");
        let mut message = [channel.to_be_bytes(), length.to_be_bytes()].concat();
        message.extend_from_slice(data);
        self.send(&message);
    }

    /// Data by a Send indication.
    pub fn send_to(&mut self, peer: SocketAddr, data: &[u8]) {
        let mut message = Message::builder_indication(SEND, MessageWriteVec::new());
        let peer = XorPeerAddress::new(peer, message.transaction_id());
        message.add_attribute(&peer).expect("room");
        message.add_attribute(&Data::new(data)).expect("room");
        let message = message.finish();
        self.send(&message);
    }

    /// A message, with its padding.
    pub fn send(&mut self, message: &[u8]) {
        match &mut self.wire {
            Wire::Udp(socket) => {
                socket.send(message).expect("sent");
            }
            Wire::Stream { stream, segment, .. } => {
                let mut padded = message.to_vec();
                padded.resize(message.len().next_multiple_of(4), 0);
                for segment in padded.chunks(*segment) {
                    stream.write_all(segment).expect("written");
                }
                stream.flush().expect("written");
            }
        }
    }

    /// Data that came by the allocation, within a time.
    pub fn receive(&mut self, within: Duration) -> Option<Relayed> {
        if !self.relayed.is_empty() {
            return Some(self.relayed.remove(0));
        }
        let message = self.read(within)?;
        self.data_of(&message)
    }

    fn data_of(&self, message: &[u8]) -> Option<Relayed> {
        if message[0] >= 0x40 {
            let channel = u16::from_be_bytes([message[0], message[1]]);
            let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
            let peer =
                self.channels.iter().find(|(known, _)| *known == channel).expect("a channel of ours").1;
            return Some(Relayed { peer, data: message[4..4 + length].to_vec() });
        }
        let message = Message::from_bytes(message).expect("STUN");
        if message.method() != DATA {
            return None;
        }
        let peer = message.attribute::<XorPeerAddress>().expect("a peer").addr(message.transaction_id());
        Some(Relayed { peer, data: message.attribute::<Data>().expect("data").data().to_vec() })
    }

    /// The next message, if one comes in time. A stream that ended gives none any more.
    fn read(&mut self, within: Duration) -> Option<Vec<u8>> {
        let mut buffer = [0; 4096];
        match &mut self.wire {
            Wire::Udp(socket) => {
                socket.set_read_timeout(Some(within)).expect("set");
                let length = socket.recv(&mut buffer).ok()?;
                Some(buffer[..length].to_vec())
            }
            Wire::Stream { stream, input, .. } => loop {
                if let Some(header) = input.first_chunk::<4>() {
                    let value = usize::from(u16::from_be_bytes([header[2], header[3]]));
                    let length = if header[0] < 0x40 { 20 + value } else { 4 + value };
                    if input.len() >= length.next_multiple_of(4) {
                        let message = input.drain(..length.next_multiple_of(4)).take(length).collect();
                        return Some(message);
                    }
                }
                stream.set_timeout(within);
                match stream.read(&mut buffer) {
                    Ok(0) => return None,
                    Ok(count) => input.extend_from_slice(&buffer[..count]),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        return None;
                    }
                    Err(_) => return None,
                }
            },
        }
    }

    /// Whether the server has closed the connection; waits for it.
    pub fn is_closed(&mut self) -> bool {
        let Wire::Stream { stream, .. } = &mut self.wire else { return false };
        stream.set_timeout(PATIENCE);
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }
}
