//! Somebody's media over ICE-TCP alone: str0m, and RFC 4571 framing of the test's own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive, TcpType};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::people::Person;
use super::{PATIENCE, Server};

/// An endpoint whose only way is a TCP connection.
pub struct TcpEndpoint {
    pub rtc: Rtc,
    pub received: usize,
    pub stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    microphone: Option<Mid>,
    input: Vec<u8>,
    /// How many bytes go into one segment.
    segment: usize,
}

impl TcpEndpoint {
    /// Offers an audio slot, and a microphone if wanted. Sends segments of so many bytes.
    pub fn connect(server: &Server, person: &mut Person, microphone: bool, segment: usize) -> Self {
        let stream = super::connect(server.address);
        stream.set_nodelay(true).expect("set");
        let (local, remote) = (stream.local_addr().expect("ours"), stream.peer_addr().expect("theirs"));
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(Instant::now());
        let own = Candidate::builder().tcp().host(local).tcptype(TcpType::Active).build();
        rtc.add_local_candidate(own.expect("a candidate"));
        let mut changes = rtc.sdp_api();
        changes.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let mid =
            microphone.then(|| changes.add_media(MediaKind::Audio, Direction::SendOnly, None, None, None));
        let (offer, pending) = changes.apply().expect("something changed");
        let publications: Vec<_> =
            mid.iter().map(|mid| json!({"mid": mid.to_string(), "source": "microphone"})).collect();
        let answer = person.ask("offer", json!({"sdp": offer.to_sdp_string(), "publications": publications}));
        let sdp = answer["data"]["sdp"].as_str().expect("a description");
        let udp = sdp.find(" udp ").expect("a UDP candidate");
        let tcp = sdp.find("typ host tcptype passive").expect("a TCP candidate");
        assert!(udp < tcp, "UDP comes first: {sdp}");
        let answer = SdpAnswer::from_sdp_string(sdp).expect("an answer");
        rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
        Self { rtc, received: 0, stream, local, remote, microphone: mid, input: Vec::new(), segment }
    }

    /// Sends what is to be sent, and takes what comes within a few milliseconds.
    pub fn step(&mut self) {
        let until = loop {
            match self.rtc.poll_output().expect("the endpoint lives") {
                Output::Timeout(at) => break at,
                Output::Transmit(transmit) => {
                    assert_eq!((transmit.proto, transmit.destination), (Protocol::Tcp, self.remote));
                    let length = u16::try_from(transmit.contents.len()).expect("a datagram");
                    let mut frame = length.to_be_bytes().to_vec();
                    frame.extend_from_slice(&transmit.contents);
                    for segment in frame.chunks(self.segment) {
                        self.stream.write_all(segment).expect("written");
                    }
                }
                Output::Event(Event::RtpPacket(_)) => self.received += 1,
                Output::Event(_) => {}
            }
        };
        let wait = until.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(2));
        self.stream.set_read_timeout(Some(wait)).expect("set");
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => panic!("the server closed the connection"),
            Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
        while let Some(head) = self.input.first_chunk::<2>() {
            let length = usize::from(u16::from_be_bytes(*head));
            if self.input.len() < 2 + length {
                break;
            }
            let frame: Vec<u8> = self.input.drain(..2 + length).collect();
            let receive = Receive::new(Protocol::Tcp, self.remote, self.local, &frame[2..]);
            let input = Input::Receive(Instant::now(), receive.expect("a known protocol"));
            self.rtc.handle_input(input).expect("the endpoint lives");
        }
        self.rtc.handle_input(Input::Timeout(Instant::now())).expect("the endpoint lives");
    }

    /// Sends a packet of sound.
    pub fn speak(&mut self, sequence: u64) {
        let mid = self.microphone.expect("it publishes");
        let pts = self.rtc.media(mid).expect("negotiated").remote_pts().to_vec();
        let params = self.rtc.codec_config().params().to_vec();
        let opus = params.iter().find(|it| it.spec().clock_rate.get() == 48_000 && pts.contains(&it.pt()));
        let (pt, now) = (opus.expect("Opus is negotiated").pt(), Instant::now());
        let packet = RtpWrite::new(pt, SeqNo::from(sequence), sequence as u32 * 960, now, vec![0xfc; 60]);
        self.rtc.direct_api().stream_tx_by_mid(mid, None).expect("a stream").write_rtp(packet);
    }
}

/// Lets the speaker speak until the listener has heard so many packets more.
pub fn heard(speaker: &mut TcpEndpoint, listener: &mut TcpEndpoint, sequence: &mut u64, packets: usize) {
    let (before, started) = (listener.received, Instant::now());
    while listener.received < before + packets {
        assert!(started.elapsed() < PATIENCE, "{} packets were heard", listener.received - before);
        if speaker.rtc.is_connected() {
            speaker.speak(*sequence);
            *sequence += 1;
        }
        speaker.step();
        listener.step();
    }
}
