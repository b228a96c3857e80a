//! Somebody's media by way of the TURN server alone: str0m behind a relayed address.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpWrite, SeqNo};
use str0m::{Candidate, Event, Input, Output, Rtc};

use super::PATIENCE;
use super::people::Person;
use super::turn::TurnClient;

/// An endpoint whose only way is an allocation.
pub struct RelayedEndpoint {
    pub rtc: Rtc,
    pub received: usize,
    pub turn: TurnClient,
    relayed: SocketAddr,
    peer: SocketAddr,
    microphone: Option<Mid>,
}

impl RelayedEndpoint {
    /// Offers an audio slot, and a microphone if wanted. Relays to the answer's candidate that `choose` likes, by a channel
    /// or by indications.
    pub fn connect(
        person: &mut Person,
        mut turn: TurnClient,
        microphone: bool,
        by_channel: bool,
        choose: impl Fn(&SocketAddr) -> bool,
    ) -> Self {
        let allocation = turn.allocate();
        assert_eq!(allocation.code, None);
        let relayed = allocation.relayed();
        let mut rtc = Rtc::builder().set_rtp_mode(true).build(Instant::now());
        let own = Candidate::relayed(relayed, "192.0.2.77:7".parse().expect("an address"), "udp");
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
        let peer = candidates(sdp).into_iter().find(choose).unwrap_or_else(|| panic!("none in {sdp}"));
        let answer = SdpAnswer::from_sdp_string(sdp).expect("an answer");
        rtc.sdp_api().accept_answer(pending, answer).expect("accepted");
        let refused = if by_channel { turn.bind(0x4001, peer) } else { turn.permit(peer) };
        assert_eq!(refused, None);
        Self { rtc, received: 0, turn, relayed, peer, microphone: mid }
    }

    /// Sends what is to be sent, and takes what comes within a few milliseconds.
    pub fn step(&mut self) {
        let until = loop {
            match self.rtc.poll_output().expect("the endpoint lives") {
                Output::Timeout(at) => break at,
                Output::Transmit(transmit) if transmit.destination == self.peer => {
                    match self.turn.channels.first() {
                        Some(&(channel, _)) => self.turn.send_by_channel(channel, &transmit.contents),
                        None => self.turn.send_to(self.peer, &transmit.contents),
                    }
                }
                Output::Transmit(_) => {}
                Output::Event(Event::RtpPacket(_)) => self.received += 1,
                Output::Event(_) => {}
            }
        };
        let wait = until.saturating_duration_since(Instant::now());
        let wait = wait.clamp(Duration::from_millis(1), Duration::from_millis(2));
        while let Some(relayed) = self.turn.receive(wait) {
            let receive = Receive::new(Protocol::Udp, relayed.peer, self.relayed, &relayed.data);
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

/// The UDP candidates of an answer.
pub fn candidates(sdp: &str) -> Vec<SocketAddr> {
    sdp.lines()
        .filter(|line| line.starts_with("a=candidate:") && line.contains(" udp "))
        .map(|line| {
            let fields: Vec<&str> = line.split(' ').collect();
            SocketAddr::new(fields[4].parse().expect("an address"), fields[5].parse().expect("a port"))
        })
        .collect()
}

/// Lets the speaker speak until the listener has heard so many packets.
pub fn heard(speaker: &mut RelayedEndpoint, listener: &mut RelayedEndpoint, packets: usize) {
    let started = Instant::now();
    let mut sequence = 1000;
    while listener.received < packets {
        assert!(started.elapsed() < PATIENCE, "{} packets were heard", listener.received);
        if speaker.rtc.is_connected() {
            speaker.speak(sequence);
            sequence += 1;
        }
        speaker.step();
        listener.step();
    }
}
