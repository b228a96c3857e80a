//! People in a room, through the whole shell: a WebSocket for signalling, and str0m as the browser, over real UDP.

mod shell_support;

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shell_support::{Server, close_code, config};
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};
use strait::net::ShellConfig;
use tungstenite::{Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody's signalling.
struct Person {
    socket: WebSocket<TcpStream>,
    joined: Value,
    requests: u64,
    /// News that came while a reply was waited for.
    news: Vec<Value>,
}

impl Person {
    fn join(server: &Server, room: Option<&str>, name: &str) -> Self {
        let mut person =
            Self { socket: server.web_socket(), joined: Value::Null, requests: 0, news: Vec::new() };
        let reply = person.ask("join", json!({"version": 1, "room": room, "name": name}));
        assert_eq!(reply["type"], "joined", "{reply}");
        person.joined = reply["data"].clone();
        person
    }

    fn ask(&mut self, kind: &str, data: Value) -> Value {
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

    fn read(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("a message in time") {
                return serde_json::from_str(text.as_str()).expect("JSON");
            }
        }
    }

    /// Waits for news of a kind.
    fn news(&mut self, kind: &str) -> Value {
        loop {
            if let Some(index) = self.news.iter().position(|news| news["type"] == kind) {
                return self.news.remove(index)["data"].clone();
            }
            let message = self.read();
            self.news.push(message);
        }
    }

    fn id(&self) -> &str {
        self.joined["participantId"].as_str().expect("an id")
    }
}

/// Somebody's media: an endpoint on a UDP socket of its own.
struct Endpoint {
    rtc: Rtc,
    udp: UdpSocket,
    address: SocketAddr,
    microphone: Option<Mid>,
    received: usize,
}

impl Endpoint {
    /// Offers an audio slot, and a microphone if wanted.
    fn connect(person: &mut Person, microphone: bool) -> Self {
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
        Self { rtc, udp, address, microphone: mid, received: 0 }
    }

    /// Sends what is to be sent, and takes what comes within a few milliseconds.
    fn step(&mut self) {
        let until = loop {
            match self.rtc.poll_output().expect("the endpoint lives") {
                Output::Timeout(at) => break at,
                Output::Transmit(transmit) => {
                    self.udp.send_to(&transmit.contents, transmit.destination).expect("sent");
                }
                Output::Event(Event::RtpPacket(_)) => self.received += 1,
                Output::Event(_) => {}
            }
        };
        let wait = until.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(5));
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

    fn speak(&mut self, sequence: u64) {
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
fn until(endpoints: &mut [&mut Endpoint], what: &str, condition: impl Fn(&[&mut Endpoint]) -> bool) {
    let started = Instant::now();
    while !condition(endpoints) {
        assert!(started.elapsed() < PATIENCE, "it never happened: {what}");
        for endpoint in endpoints.iter_mut() {
            endpoint.step();
        }
    }
}

fn call(config: ShellConfig) {
    let server = Server::start(config);
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let mut ben = Person::join(&server, Some("standup"), "Ben");
    assert_eq!(anna.news("participant-joined")["participantId"], ben.id());
    let mut speaker = Endpoint::connect(&mut anna, true);
    let mut listener = Endpoint::connect(&mut ben, false);
    until(&mut [&mut speaker, &mut listener], "both are connected", |endpoints| {
        endpoints.iter().all(|endpoint| endpoint.rtc.is_connected())
    });
    let mut sequence = 1000;
    let started = Instant::now();
    while listener.received < 50 {
        assert!(started.elapsed() < PATIENCE, "{} packets were heard", listener.received);
        speaker.speak(sequence);
        sequence += 1;
        speaker.step();
        listener.step();
    }
    let stats = server.get("/admin/v1/stats").json();
    assert_eq!(stats["shell"]["dtlsSessions"], 2, "{stats}");
    assert_eq!(stats["rooms"][0]["participants"][0]["mediaConnected"], true, "{stats}");

    // The operator removes the speaker, who is told; nothing of the handshake is left behind.
    let path = format!("rooms/standup/participants/{}", anna.id());
    let removed = server.request(&format!("DELETE /admin/v1/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_eq!(removed.status, 204);
    assert_eq!(anna.news("closing")["reason"], "removed");
    assert_eq!(close_code(&mut anna.socket), Some(1000));
    assert_eq!(ben.news("participant-left")["reason"], "removed");
    ben.socket.close(None).expect("closed");
    let started = Instant::now();
    while server.get("/admin/v1/stats").json()["shell"]["dtlsSessions"] != 1 {
        assert!(started.elapsed() < PATIENCE, "the handshake is never forgotten");
    }
}

#[test]
fn two_people_talk_through_batched_udp() {
    call(config());
}

#[test]
fn two_people_talk_through_portable_udp_and_ipv6() {
    call(ShellConfig { force_portable_udp: true, ..config() });
    call(ShellConfig { listen: "[::]:0".parse().expect("an address"), ..config() });
}

#[test]
fn a_room_without_a_name_gets_one_that_cannot_be_guessed() {
    let server = Server::start(config());
    let rooms: Vec<_> = (0..2).map(|_| Person::join(&server, None, "Anna").joined["room"].clone()).collect();
    assert_eq!(rooms[0].as_str().map(str::len), Some(22));
    assert_ne!(rooms[0], rooms[1]);
}

#[test]
fn a_goodbye_leaves_at_once_and_a_broken_connection_can_come_back() {
    let server = Server::start(config());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut ben = Person::join(&server, Some("r"), "Ben");
    let carl = Person::join(&server, Some("r"), "Carl");
    let away = tungstenite::protocol::CloseFrame {
        code: tungstenite::protocol::frame::coding::CloseCode::Away,
        reason: "".into(),
    };
    ben.socket.close(Some(away)).expect("closed");
    let left = anna.news("participant-left");
    assert_eq!((left["participantId"].as_str(), left["reason"].as_str()), (Some(ben.id()), Some("left")));

    let secret = carl.joined["secret"].clone();
    let id = carl.id().to_string();
    drop(carl);
    assert_eq!(anna.news("participant-reconnecting")["participantId"], id.as_str());
    let mut back = Person { socket: server.web_socket(), joined: Value::Null, requests: 0, news: Vec::new() };
    let reply = back.ask("resume", json!({"version": 1, "room": "r", "participantId": id, "secret": secret}));
    assert_eq!(reply["type"], "resumed", "{reply}");
    assert_eq!(anna.news("participant-resumed")["participantId"], id.as_str());

    let bye = back.ask("leave", json!({}));
    assert_eq!(bye["type"], "ok", "{bye}");
    assert_eq!(close_code(&mut back.socket), Some(1000));
    assert_eq!(anna.news("participant-left")["reason"], "left");
}

#[test]
fn a_stopping_server_tells_everyone_who_joined() {
    let mut server = Server::start(config());
    let mut anna = Person::join(&server, Some("r"), "Anna");
    server.stop.stop();
    let closing = anna.news("closing");
    assert_eq!((closing["reason"].as_str(), closing["rejoin"].as_bool()), (Some("shutdown"), Some(true)));
    assert_eq!(close_code(&mut anna.socket), Some(1001));
    server.join();
}
