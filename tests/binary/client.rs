//! A participant: a WebSocket for signalling, a UDP socket and a whole str0m endpoint for media.

use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Instant;

use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind, Mid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};
use tungstenite::{Message, WebSocket};

use super::server::connect;

/// What is kept of the datagrams that went and came, newest last.
const REMEMBERED: usize = 400;

/// A client of one server.
pub struct Client {
    /// `None` when it has none, or its end was seen.
    pub socket: Option<WebSocket<TcpStream>>,
    /// The code of the close frame that came.
    pub closed: Option<u16>,
    pub udp: UdpSocket,
    pub rtc: Rtc,
    /// The data of `joined` or `resumed`.
    pub joined: Value,
    /// Every message that came and was no reply.
    pub news: Vec<Value>,
    /// The data of the newest slot map.
    pub slot_map: Value,
    /// What the answer says of one's own tracks.
    pub publications: Value,
    /// Packets that came, not yet looked at.
    pub received: Vec<RtpPacket>,
    /// Datagrams that went or came, as they were on the wire.
    pub remembered: VecDeque<Vec<u8>>,
    server: SocketAddr,
    sending: Vec<(Mid, &'static str)>,
    pending: Option<SdpPendingOffer>,
    replies: BTreeMap<u64, Value>,
    requests: u64,
    sequence: u64,
    started: Instant,
    deadline: Instant,
}

impl Client {
    /// Connected to a server, and nobody yet.
    pub fn new(server: SocketAddr) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        udp.set_nonblocking(true).expect("set");
        let now = Instant::now();
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(now);
        let address = udp.local_addr().expect("bound");
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        let mut client = Self {
            socket: None,
            closed: None,
            udp,
            rtc,
            joined: Value::Null,
            news: Vec::new(),
            slot_map: Value::Null,
            publications: Value::Null,
            received: Vec::new(),
            remembered: VecDeque::new(),
            server,
            sending: Vec::new(),
            pending: None,
            replies: BTreeMap::new(),
            requests: 0,
            sequence: 0,
            started: now,
            deadline: now,
        };
        client.connect();
        client
    }

    /// Opens a WebSocket, in place of the one there was.
    pub fn connect(&mut self) {
        let (socket, _) = tungstenite::client(format!("ws://{}/ws", self.server), connect(self.server))
            .expect("the upgrade is accepted");
        socket.get_ref().set_nonblocking(true).expect("set");
        socket.get_ref().set_nodelay(true).expect("set");
        self.socket = Some(socket);
        self.closed = None;
    }

    /// Drops the TCP connection without a goodbye.
    pub fn cut(&mut self) {
        self.socket = None;
    }

    /// Says goodbye on the WebSocket; the end is seen later.
    pub fn close(&mut self) {
        let goodbye = tungstenite::protocol::CloseFrame { code: 1000.into(), reason: "".into() };
        self.socket.as_mut().expect("connected").close(Some(goodbye)).expect("sent");
    }

    /// Who it is.
    pub fn id(&self) -> &str {
        self.joined["participantId"].as_str().expect("joined")
    }

    /// The track that the answer gave to a source.
    pub fn track(&self, source: &str) -> String {
        let own = self.publications.as_array().expect("answered");
        let found = own.iter().find(|publication| publication["source"] == source);
        found.expect("it publishes that")["trackId"].as_str().expect("a track").to_owned()
    }

    /// Sends text as it is.
    pub fn say(&mut self, text: &str) {
        let socket = self.socket.as_mut().expect("connected");
        // Long texts may have to wait for the server to read.
        socket.get_ref().set_nonblocking(false).expect("set");
        socket.send(Message::text(text)).expect("sent");
        socket.get_ref().set_nonblocking(true).expect("set");
    }

    /// Sends a request; the number under which [`Client::reply`] finds the answer.
    pub fn request(&mut self, kind: &str, data: &Value) -> u64 {
        self.requests += 1;
        self.say(&json!({"type": kind, "id": self.requests, "data": data}).to_string());
        self.requests
    }

    /// The answer to a request, if it is there.
    pub fn reply(&mut self, request: u64) -> Option<Value> {
        self.replies.remove(&request)
    }

    /// Forgets all replies and news; how many there were.
    pub fn take_answers(&mut self) -> usize {
        std::mem::take(&mut self.replies).len() + std::mem::take(&mut self.news).len()
    }

    /// News of one type, oldest first.
    pub fn told(&self, kind: &str) -> Vec<&Value> {
        self.news.iter().filter(|message| message["type"] == kind).map(|message| &message["data"]).collect()
    }

    /// Prepares an offer of `slots` sections of each kind to receive by, and these sources to send.
    pub fn offer(&mut self, slots: usize, sources: &[&'static str]) -> Value {
        let mut changes = self.rtc.sdp_api();
        for _ in 0..slots {
            changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
            changes.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        }
        for &source in sources {
            let sound = matches!(source, "microphone" | "screen-audio");
            let kind = if sound { MediaKind::Audio } else { MediaKind::Video };
            self.sending.push((changes.add_media(kind, Direction::SendOnly, None, None, None), source));
        }
        let (offer, pending) = changes.apply().expect("something changed");
        self.pending = Some(pending);
        let publications =
            self.sending.iter().map(|(mid, source)| json!({"mid": mid.to_string(), "source": source}));
        json!({"sdp": offer.to_sdp_string(), "publications": publications.collect::<Vec<_>>()})
    }

    /// Prepares an offer of one section to receive by, and a camera in these encodings, each with its height.
    pub fn offer_layers(&mut self, layers: &[(&str, u16)]) -> Value {
        let mut changes = self.rtc.sdp_api();
        changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let send = layers.iter().map(|(rid, _)| SimulcastLayer::new(rid)).collect();
        let simulcast = Simulcast { send, recv: Vec::new() };
        let mid = changes.add_media(MediaKind::Video, Direction::SendOnly, None, None, Some(simulcast));
        self.sending.push((mid, "camera"));
        let (offer, pending) = changes.apply().expect("something changed");
        self.pending = Some(pending);
        let encodings = layers
            .iter()
            .map(|(rid, height)| json!({"rid": rid, "width": height * 16 / 9, "height": height}));
        let encodings: Vec<_> = encodings.collect();
        let publication = json!({"mid": mid.to_string(), "source": "camera", "encodings": encodings});
        json!({"sdp": offer.to_sdp_string(), "publications": [publication]})
    }

    /// Sends one packet of a source: a VP8 key frame, or a bit of Opus.
    pub fn send(&mut self, source: &str) {
        self.send_encoding(source, None, 0);
    }

    /// The same of one encoding of a simulcast, with its number behind the headers of the payload.
    pub fn send_encoding(&mut self, source: &str, rid: Option<&str>, number: u8) {
        let (mid, _) = *self.sending.iter().find(|(_, other)| *other == source).expect("it publishes that");
        let media = self.rtc.media(mid).expect("negotiated");
        let (codec, clock, payload): (_, u128, Vec<u8>) = match media.kind() {
            MediaKind::Audio => ("opus", 48, vec![0xfc; 60]),
            MediaKind::Video => ("VP8", 90, [vec![0x10, 0, number], vec![7; 400]].concat()),
        };
        let payload_types = media.remote_pts().to_vec();
        let params = self.rtc.codec_config().params().iter().find(|params| {
            let named = params.spec().codec.to_string().eq_ignore_ascii_case(codec);
            named && payload_types.contains(&params.pt())
        });
        let payload_type = params.expect("the codec is negotiated").pt();
        self.sequence += 1;
        let now = Instant::now();
        let timestamp = ((now - self.started).as_millis() * clock) as u32;
        let packet = RtpWrite::new(payload_type, SeqNo::from(self.sequence), timestamp, now, payload)
            .marker(true)
            .nackable(true);
        self.rtc.direct_api().stream_tx_by_mid(mid, rid.map(Into::into)).expect("a stream").write_rtp(packet);
        self.deadline = now;
        self.drain();
    }

    /// Where a track is shown: the section's mid.
    pub fn slot_of(&self, track: &str) -> Option<Mid> {
        let slots = self.slot_map["slots"].as_array()?;
        let slot = slots.iter().find(|slot| slot["trackId"] == track)?;
        slot["mid"].as_str().map(Mid::from)
    }

    /// Takes the packets that came in the slot that shows a track.
    pub fn take_received(&mut self, track: &str) -> Vec<RtpPacket> {
        let Some(mid) = self.slot_of(track) else { return Vec::new() };
        let Some(ssrc) = self.rtc.direct_api().stream_rx_by_mid(mid, None).map(|stream| stream.ssrc()) else {
            return Vec::new();
        };
        self.received.extract_if(.., |packet| packet.header.ssrc == ssrc).collect()
    }

    /// Does all that can be done now. Whether there was anything.
    pub fn turn(&mut self) -> bool {
        self.turn_signalling() | self.turn_media()
    }

    fn turn_signalling(&mut self) -> bool {
        let mut busy = false;
        while let Some(socket) = &mut self.socket {
            match socket.read() {
                Ok(Message::Text(text)) => {
                    let message = serde_json::from_str(&text).expect("the server speaks JSON");
                    self.take_message(message);
                }
                Ok(Message::Close(frame)) => self.closed = frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return busy,
                Err(_) => self.socket = None,
            }
            busy = true;
        }
        busy
    }

    fn take_message(&mut self, mut message: Value) {
        let data = message["data"].clone();
        match message["type"].as_str().expect("a type") {
            "joined" => self.joined = data,
            "resumed" => {
                self.slot_map = data["slotMap"].clone();
                self.publications = data["publications"].clone();
                self.joined = data;
            }
            "answer" => {
                let sdp = data["sdp"].as_str().expect("an answer");
                // None is on its way if the offer was not the endpoint's own.
                if let Some(pending) = self.pending.take() {
                    let answer = SdpAnswer::from_sdp_string(sdp).expect("an answer that parses");
                    self.rtc.sdp_api().accept_answer(pending, answer).expect("an answer that fits the offer");
                }
                self.publications = data["publications"].clone();
                self.deadline = Instant::now();
            }
            "slot-map" => self.slot_map = data,
            _ => {}
        }
        match message["id"].as_u64() {
            Some(id) => drop(self.replies.insert(id, message.take())),
            None => self.news.push(message),
        }
    }

    fn turn_media(&mut self) -> bool {
        let mut busy = false;
        let mut buffer = [0; 2048];
        // A server that is gone shows as a refusal, and is seen at the WebSocket.
        while let Ok((length, from)) = self.udp.recv_from(&mut buffer) {
            busy = true;
            let own = self.udp.local_addr().expect("bound");
            self.remember(&buffer[..length]);
            if let Ok(receive) = Receive::new(Protocol::Udp, from, own, &buffer[..length]) {
                let _ = self.rtc.handle_input(Input::Receive(Instant::now(), receive));
                self.drain();
            }
        }
        let now = Instant::now();
        if self.deadline <= now {
            let _ = self.rtc.handle_input(Input::Timeout(now));
            self.drain();
        }
        busy
    }

    fn remember(&mut self, datagram: &[u8]) {
        if self.remembered.len() == REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back(datagram.to_vec());
    }

    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output().expect("a client's engine goes on") {
                Output::Timeout(at) => {
                    self.deadline = at;
                    return;
                }
                Output::Transmit(transmit) => {
                    self.remember(&transmit.contents);
                    let _ = self.udp.send_to(&transmit.contents, transmit.destination);
                }
                Output::Event(Event::RtpPacket(packet)) => self.received.push(packet),
                Output::Event(_) => {}
            }
        }
    }
}
