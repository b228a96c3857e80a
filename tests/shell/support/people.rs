//! People in a room: a WebSocket for signalling, and str0m as the browser, over real UDP.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};
use tungstenite::{Message, WebSocket};

use super::{PATIENCE, Server};

/// Somebody's signalling.
pub struct Person {
    pub socket: WebSocket<TcpStream>,
    pub joined: Value,
    pub requests: u64,
    /// News that came while a reply was waited for.
    pub news: Vec<Value>,
}

impl Person {
    /// Connected, and nothing said yet.
    pub fn new(server: &Server) -> Self {
        Self { socket: server.web_socket(), joined: Value::Null, requests: 0, news: Vec::new() }
    }

    /// Joined.
    pub fn join(server: &Server, room: Option<&str>, name: &str) -> Self {
        let mut person = Self::new(server);
        let reply = person.ask("join", json!({"version": 1, "room": room, "name": name}));
        assert_eq!(reply["type"], "joined", "{reply}");
        person.joined = reply["data"].clone();
        person
    }

    #[allow(clippy::needless_pass_by_value, reason = "what is asked is made for the question")]
    pub fn ask(&mut self, kind: &str, data: Value) -> Value {
        self.requests += 1;
        let request = json!({"type": kind, "id": self.requests, "data": data});
        self.socket.send(Message::text(request.to_string())).expect("sent");
        loop {
            let message = self.read();
            if message["id"] == self.requests {
                return message;
            }
            self.news.push(message);
        }
    }

    pub fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("a message in time") {
                return serde_json::from_str(text.as_str()).expect("JSON");
            }
        }
    }

    /// Waits for news of a kind.
    pub fn news(&mut self, kind: &str) -> Value {
        loop {
            if let Some(index) = self.news.iter().position(|news| news["type"] == kind) {
                return self.news.remove(index)["data"].clone();
            }
            let message = self.read();
            self.news.push(message);
        }
    }

    pub fn id(&self) -> &str {
        self.joined["participantId"].as_str().expect("an id")
    }
}

/// Somebody's media: an endpoint on a UDP socket of its own.
pub struct Endpoint {
    pub rtc: Rtc,
    pub udp: UdpSocket,
    pub address: SocketAddr,
    pub microphone: Option<Mid>,
    pub received: usize,
    /// Every state that its ICE was in.
    pub ice_states: Vec<IceConnectionState>,
}

impl Endpoint {
    /// Offers an audio slot, and a microphone if wanted.
    pub fn connect(person: &mut Person, microphone: bool) -> Self {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = udp.local_addr().expect("an address");
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(Instant::now());
        rtc.add_local_candidate(Candidate::host(address, "udp").expect("a candidate"));
        let mut changes = rtc.sdp_api();
        changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let mid =
            microphone.then(|| changes.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None));
        let (offer, pending) = changes.apply().expect("something changed");
        let publications: Vec<_> =
            mid.iter().map(|mid| json!({"mid": mid.to_string(), "source": "microphone"})).collect();
        let answer = person.ask("offer", json!({"sdp": offer.to_sdp_string(), "publications": publications}));
        assert_eq!(answer["type"], "answer", "{answer}");
        let sdp = answer["data"]["sdp"].as_str().expect("a description");
        let answer = SdpAnswer::from_sdp_string(sdp).expect("an answer");
        rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
        Self { rtc, udp, address, microphone: mid, received: 0, ice_states: Vec::new() }
    }

    /// Sends what is to be sent, and takes what comes within a few milliseconds.
    pub fn step(&mut self) {
        let until = loop {
            match self.rtc.poll_output().expect("the endpoint lives") {
                Output::Timeout(at) => break at,
                Output::Transmit(transmit) => {
                    self.udp.send_to(&transmit.contents, transmit.destination).expect("sent");
                }
                Output::Event(Event::RtpPacket(_)) => self.received += 1,
                Output::Event(Event::IceConnectionStateChange(state)) => self.ice_states.push(state),
                Output::Event(_) => {}
            }
        };
        let wait = until.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(2));
        self.udp.set_read_timeout(Some(wait)).expect("set");
        let mut buffer = [0; 2000];
        let input = match self.udp.recv_from(&mut buffer) {
            Ok((length, source)) => {
                let receive = Receive::new(Protocol::Udp, source, self.address, &buffer[..length]);
                Input::Receive(Instant::now(), receive.expect("a known protocol"))
            }
            Err(_) => Input::Timeout(Instant::now()),
        };
        self.rtc.handle_input(input).expect("the endpoint lives");
    }

    pub fn speak(&mut self, sequence: u64) {
        let mid = self.microphone.expect("it publishes");
        let media = self.rtc.media(mid).expect("negotiated");
        let pts = media.remote_pts().to_vec();
        let params = self.rtc.codec_config().params().to_vec();
        let opus = params
            .iter()
            .find(|params| params.spec().clock_rate.get() == 48_000 && pts.contains(&params.pt()))
            .expect("Opus is negotiated")
            .pt();
        let now = Instant::now();
        let packet = RtpWrite::new(opus, SeqNo::from(sequence), sequence as u32 * 960, now, vec![0xfc; 60]);
        self.rtc.direct_api().stream_tx_by_mid(mid, None).expect("a stream").write_rtp(packet);
    }
}

/// Lets all run until something holds.
pub fn until(endpoints: &mut [&mut Endpoint], what: &str, condition: impl Fn(&[&mut Endpoint]) -> bool) {
    let started = Instant::now();
    while !condition(endpoints) {
        assert!(started.elapsed() < PATIENCE, "it never happened: {what}");
        for endpoint in endpoints.iter_mut() {
            endpoint.step();
        }
    }
}
