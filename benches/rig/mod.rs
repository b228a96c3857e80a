//! A crowd without sockets: the core, and people who are little more than their keys. It is what the benches and the
//! tests of costs measure with: an endpoint of somebody else's making would cost more than what is to be measured.
//!
//! Signalling, SDP, ICE checks and SRTP are real. Handshakes are not: each person's keys are handed in as if a
//! handshake had agreed on them. Time is virtual and moves when the caller says so.

#![allow(dead_code, missing_docs, reason = "each program that includes this uses a part of it")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use strait::core::command::{Command, Join, Layout, Lifeline, MediaKind, PublicationRequest, Source};
use strait::core::datagrams::Datagrams;
use strait::core::event::{Event, SlotCounts};
use strait::core::grants::Grants;
use strait::core::ids::{ConnectionId, DtlsSession, Mid, RequestId, Ssrc};
use strait::core::input::{Admission, DtlsEvent, SrtpProfile};
use strait::core::media::rtcp::{ReportBlock, RtcpWriter};
use strait::core::media::srtp::{RTCP_OVERHEAD_MAX, RTP_OVERHEAD_MAX, SrtpReceiver, SrtpSender, contexts};
use strait::core::output::Transmit;
use strait::core::path::{Carrier, LocalCandidate, Path, TransportProtocol};
use strait::core::profile::Profile;
use strait::core::{Input, Output, Settings, Sfu};
use strait::load::sdp::{ClientOffer, OPUS, Published, ServerAnswer, VP8};
use strait::wire::rtp::{RtpFields, write_header};
use strait::wire::rtp_extensions::ExtensionBlock;
use strait::wire::stun::{self, StunPeek};
use strait::wire::stun_check::{Credentials, write_check, write_grant};

/// Everybody's own ICE password.
const PASSWORD: &str = "0123456789abcdefghijkl";
/// What the people say their certificate is. Nobody looks into it.
const CERTIFICATE: &[u8] = b"a certificate";
/// The SRTP profile that Chromium negotiates.
const PROFILE: SrtpProfile = SrtpProfile::AeadAes256Gcm;
/// Bytes of keying material that the profile takes.
const MATERIAL_BYTES: u8 = 88;
/// Packets are sent like this, so that ten are a frame: every so many one begins, and the first is a key frame.
const FRAME: u64 = 10;

/// One published track of a person.
pub struct Track {
    kind: MediaKind,
    ssrc: u32,
    index: u64,
    timestamp: u32,
}

/// One person in the room.
pub struct Person {
    pub path: Path,
    connection: ConnectionId,
    sender: SrtpSender,
    pub receiver: SrtpReceiver,
    tracks: Vec<Track>,
    /// The streams by which they receive, in the order of slots.
    pub slots: Vec<(u32, MediaKind)>,
}

/// The core and everyone in it.
pub struct Crowd {
    pub sfu: Sfu,
    media: Datagrams,
    pub now: Instant,
    pub people: Vec<Person>,
    /// Whether those who join from now on take transport-wide numbers. They never report on them.
    pub takes_numbers: bool,
    buffer: Vec<u8>,
    plain: Vec<u8>,
}

/// What came out of the core.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    pub packets: u64,
    pub bytes: u64,
}

fn server() -> SocketAddr {
    SocketAddr::from(([10, 255, 0, 1], 7443))
}

impl Default for Crowd {
    fn default() -> Self {
        Self::new()
    }
}

impl Crowd {
    /// A server without rooms.
    pub fn new() -> Self {
        let now = Instant::now();
        let settings = Settings {
            rooms_max: 10_000,
            participants_per_room_max: 1000,
            slots_max: SlotCounts { audio: 50, video: 50 },
            // Far away: nobody here checks again.
            media_timeout: Duration::from_secs(1_000_000),
            certificate: CERTIFICATE.to_vec(),
            ..Settings::for_trying(now)
        };
        Self {
            sfu: Sfu::new(settings),
            media: Datagrams::default(),
            now,
            people: Vec::new(),
            takes_numbers: false,
            buffer: vec![0; 2048],
            plain: Vec::new(),
        }
    }

    /// Rooms of so many people who all publish and receive a kind.
    pub fn conference(rooms: usize, people: usize, kind: MediaKind) -> Self {
        let mut crowd = Self::new();
        let slots = if kind == MediaKind::Audio { (people - 1, 0) } else { (1, people - 1) };
        for room in 0..rooms {
            for _ in 0..people {
                crowd.join(&format!("room-{room}"), &[kind], slots);
            }
        }
        crowd
    }

    /// One room of one person who publishes and so many who receive.
    pub fn audience(viewers: usize, kind: MediaKind) -> Self {
        Self::new().with_audience(viewers, kind)
    }

    /// The same of people who take transport-wide numbers.
    pub fn numbered_audience(viewers: usize, kind: MediaKind) -> Self {
        Self { takes_numbers: true, ..Self::new() }.with_audience(viewers, kind)
    }

    fn with_audience(mut self, viewers: usize, kind: MediaKind) -> Self {
        self.join("room", &[kind], (1, 0));
        let slots = if kind == MediaKind::Audio { (1, 0) } else { (1, 1) };
        for _ in 0..viewers {
            self.join("room", &[], slots);
        }
        self
    }

    /// Lets somebody join, and takes them to where media flows: negotiated, checked, and with keys. Returns their index.
    pub fn join(&mut self, room: &str, publishes: &[MediaKind], slots: (usize, usize)) -> usize {
        let index = self.people.len();
        let connection = ConnectionId(index as u64 + 1);
        let remote = SocketAddr::from(([10, 0, (index >> 8) as u8, index as u8], 5000));
        let path = Path { carrier: Carrier::Udp, local: server(), remote };
        let mut entropy = [7; 32];
        entropy[..8].copy_from_slice(&(index as u64).to_le_bytes());
        let candidates = vec![LocalCandidate { protocol: TransportProtocol::Udp, address: server() }];
        let join = Join {
            room: room.parse().expect("a room id"),
            profile: Profile::named(format!("person {index}")),
            auto_subscribe: true,
            lifeline: Lifeline::Signalling,
            layout: Layout::Slots,
            grants: Grants::OPEN,
            is_invited: false,
            is_vouched_for: true,
            can_mesh: false,
            host: None,
        };
        let admission = Admission { entropy, candidates };
        self.sfu
            .handle_input(self.now, Input::Join { connection, request: None, host: None, admission, join });
        let track = |(number, kind): (usize, &MediaKind)| Track {
            kind: *kind,
            ssrc: (index as u32 + 1) * 16 + number as u32,
            index: 1000,
            timestamp: 0,
        };
        let tracks: Vec<Track> = publishes.iter().enumerate().map(track).collect();
        let answer = self.negotiate(connection, &tracks, slots);
        self.check(index as u64, path, &answer);
        let (receiver, sender) = self.exchange_keys(index);
        self.people.push(Person { path, connection, sender, receiver, tracks, slots: answer.media });
        index
    }

    fn negotiate(
        &mut self,
        connection: ConnectionId,
        tracks: &[Track],
        slots: (usize, usize),
    ) -> ServerAnswer {
        let published: Vec<Published> = tracks
            .iter()
            .map(|track| Published { kind: track.kind, ssrc: track.ssrc, rids: Vec::new() })
            .collect();
        let fingerprint = strait::core::negotiation::transport::fingerprint(CERTIFICATE);
        let offer = ClientOffer {
            ufrag: "four",
            password: PASSWORD,
            fingerprint: &fingerprint,
            slots,
            published: &published,
            transport_cc: self.takes_numbers,
        };
        let publications = (0..published.len()).map(|number| PublicationRequest {
            mid: Mid::from(offer.published_mid(number).as_str()),
            source: if published[number].kind == MediaKind::Audio {
                Source::Microphone
            } else {
                Source::Camera
            },
            muted: false,
            encodings: Vec::new(),
            track: None,
        });
        let command = Command::Offer { sdp: offer.text(), publications: publications.collect() };
        let request = Some(RequestId("offer".into()));
        self.sfu.handle_input(self.now, Input::Command { connection, request, command });
        self.answer(connection)
    }

    fn check(&mut self, number: u64, path: Path, answer: &ServerAnswer) {
        let credentials = Credentials {
            username: format!("{}:four", answer.ufrag),
            password: answer.password.clone(),
            tie_breaker: number,
        };
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&number.to_le_bytes());
        let mut check = Vec::new();
        write_check(&mut check, transaction, &credentials);
        self.sfu.handle_input(self.now, Input::Datagram { path, bytes: &mut check });
        let mut question = None;
        let drained = self.drain_with(|transmit| {
            let message = stun::peek(transmit.bytes).filter(StunPeek::is_binding_request);
            question = message.map(|message| message.transaction).or(question);
        });
        assert_eq!(
            drained.packets, 2,
            "the check is granted, and the server asks whether they receive there"
        );
        let mut answer = Vec::new();
        write_grant(&mut answer, question.expect("a question"), path.local, PASSWORD);
        self.sfu.handle_input(self.now, Input::Datagram { path, bytes: &mut answer });
        self.drain();
    }

    fn exchange_keys(&mut self, index: usize) -> (SrtpReceiver, SrtpSender) {
        // The core counts its handshakes from one, and everyone here has one.
        let session = DtlsSession(index as u64 + 1);
        let material: Vec<u8> = (0..MATERIAL_BYTES).map(|byte| byte ^ index as u8).collect();
        for event in [
            DtlsEvent::PeerCertificate(CERTIFICATE.to_vec()),
            DtlsEvent::KeyingMaterial { profile: PROFILE, material: material.clone() },
            DtlsEvent::Connected,
        ] {
            self.sfu.handle_input(self.now, Input::Dtls { session, event });
        }
        self.drain();
        contexts(PROFILE, &material, true).expect("the length is right")
    }

    fn answer(&mut self, connection: ConnectionId) -> ServerAnswer {
        let mut answer = None;
        loop {
            match self.sfu.poll_output() {
                Output::Timeout(_) => return answer.expect("the offer is answered"),
                Output::Event { connection: to, event: Event::Answer { sdp, .. } } if to == connection => {
                    answer = Some(ServerAnswer::read(&sdp).expect("a whole answer"));
                }
                Output::Event { event: Event::Refused(_, refusal), .. } => panic!("refused: {refusal:?}"),
                Output::Media(_) => self.sfu.forward_share(&mut self.media),
                _ => {}
            }
        }
    }

    /// Somebody's next packet of a track reaches the core.
    pub fn send(&mut self, who: usize, track: usize, payload_bytes: usize) {
        let length = self.seal_packet(who, track, payload_bytes);
        let path = self.people[who].path;
        let bytes = &mut self.buffer[..length];
        self.sfu.handle_input(self.now, Input::Datagram { path, bytes });
    }

    /// Somebody's next packet of a track, as it is on the wire.
    pub fn packet(&mut self, who: usize, track: usize, payload_bytes: usize) -> Vec<u8> {
        let length = self.seal_packet(who, track, payload_bytes);
        self.buffer[..length].to_vec()
    }

    /// Somebody's next packet of a track is lost on the way.
    pub fn lose(&mut self, who: usize, track: usize) {
        self.people[who].tracks[track].index += 1;
    }

    fn seal_packet(&mut self, who: usize, track: usize, payload_bytes: usize) -> usize {
        let Self { people, buffer, .. } = self;
        let person = &mut people[who];
        let track = &mut person.tracks[track];
        let in_frame = track.index % FRAME;
        let (payload_type, marker, first, step) = match track.kind {
            MediaKind::Audio => (OPUS, false, true, 960),
            MediaKind::Video => (VP8, in_frame == FRAME - 1, in_frame == 0, 3600),
        };
        if first {
            track.timestamp = track.timestamp.wrapping_add(step);
        }
        let fields = RtpFields {
            marker,
            payload_type,
            sequence: track.index as u16,
            timestamp: track.timestamp,
            ssrc: track.ssrc,
            has_padding: false,
        };
        let header = write_header(buffer, &fields, &ExtensionBlock::new()).expect("there is room");
        let end = header + payload_bytes;
        assert!(payload_bytes >= 5 && end + RTP_OVERHEAD_MAX <= buffer.len());
        buffer[header..end].fill(0x5a);
        if track.kind == MediaKind::Video {
            let picture = ((track.index / FRAME) as u16 & 0x7fff | 0x8000).to_be_bytes();
            let delta = u8::from(track.index != 1000);
            buffer[header..header + 5].copy_from_slice(&[
                if first { 0x90 } else { 0x80 },
                0x80,
                picture[0],
                picture[1],
                delta,
            ]);
        }
        let index = track.index;
        track.index += 1;
        person.sender.seal_rtp(buffer, header, end, index).expect("it can be sealed")
    }

    /// Somebody sends an RTCP compound.
    pub fn report(&mut self, who: usize, write: impl FnOnce(&mut RtcpWriter<'_>)) {
        let Self { people, plain, sfu, now, .. } = self;
        let person = &mut people[who];
        plain.clear();
        write(&mut RtcpWriter::new(plain));
        let length = plain.len();
        plain.resize(length + RTCP_OVERHEAD_MAX, 0);
        let sealed = person.sender.seal_rtcp(plain, length).expect("it can be sealed");
        sfu.handle_input(*now, Input::Datagram { path: person.path, bytes: &mut plain[..sealed] });
    }

    /// Everyone reports once: publishers on what they send, the others on what they receive.
    pub fn exchange_reports(&mut self) {
        for who in 0..self.people.len() {
            let own = Ssrc(self.people[who].tracks.first().map_or(1, |track| track.ssrc));
            let timestamp = self.people[who].tracks.first().map(|track| track.timestamp);
            let block = self.people[who].slots.first().map(|(ssrc, _)| ReportBlock {
                ssrc: Ssrc(*ssrc),
                fraction_lost: 0,
                cumulative_lost: 0,
                highest_sequence: 0,
                jitter: 0,
                last_sr: 0,
                delay_since_last_sr: 0,
            });
            self.report(who, |writer| {
                match timestamp {
                    Some(timestamp) => writer.sender_report(own, 1 << 40, timestamp, 1, 1, block.as_slice()),
                    None => writer.receiver_report(own, block.as_slice()),
                };
                writer.sdes_cname(own, "person");
            });
        }
    }

    /// Takes everything out of the core.
    pub fn drain(&mut self) -> Drained {
        self.drain_with(|_| {})
    }

    /// Takes everything out of the core, and shows the datagrams.
    pub fn drain_with(&mut self, mut on_transmit: impl FnMut(&Transmit<'_>)) -> Drained {
        let mut drained = Drained::default();
        loop {
            match self.sfu.poll_output() {
                Output::Timeout(_) => return drained,
                Output::Transmit(transmit) => {
                    drained.packets += 1;
                    drained.bytes += transmit.bytes.len() as u64;
                    on_transmit(&transmit);
                }
                Output::Media(_) => {
                    self.sfu.forward_share(&mut self.media);
                    while let Some(transmit) = self.media.take_next() {
                        drained.packets += 1;
                        drained.bytes += transmit.bytes.len() as u64;
                        on_transmit(&transmit);
                    }
                }
                Output::Event { .. } | Output::Dtls { .. } => {}
            }
        }
    }

    /// Time passes, and the core hears of it.
    pub fn pass(&mut self, time: Duration) -> Drained {
        self.now += time;
        self.sfu.handle_input(self.now, Input::Timeout);
        self.drain()
    }
}
