//! Members without session descriptions: any of their commands, in any order, with parameters of any kind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use strait::core::codec_set::CodecSet;
use strait::core::command::{Command, Join, Layout, Lifeline, Preference, Priority, Source, Wish};
use strait::core::datagrams::Datagrams;
use strait::core::event::Event;
use strait::core::grants::Grants;
use strait::core::ids::{ConnectionId, DtlsSession, RequestId, TrackId, TransportId};
use strait::core::input::{Admission, DtlsEvent, SrtpProfile};
use strait::core::negotiation::transport::fingerprint;
use strait::core::ortc::{
    DtlsFingerprint, DtlsParameters, DtlsRole, RtpCapabilities, RtpParameters, TransportDirection, router,
};
use strait::core::output::DtlsRequest;
use strait::core::path::{LocalCandidate, TransportProtocol};
use strait::core::profile::Profile;
use strait::core::{Input, Output, Settings, Sfu};

use super::tape::Tape;

/// Most commands of a story.
const STEPS_MAX: usize = 200;
/// Most outputs that one input may lead to.
const OUTPUTS_MAX: usize = 2000;
/// The certificate that every client shows.
const CERTIFICATE: &[u8] = b"a certificate";

/// What a client sends of which nothing else is said: a camera in VP8, or a microphone.
fn sent(source: Source, number: u8) -> RtpParameters {
    let audio = matches!(source, Source::Microphone | Source::ScreenAudio);
    let (name, pt, rate) = if audio { ("audio/opus", 111, 48_000) } else { ("video/VP8", 96, 90_000) };
    let text = format!(
        r#"{{"codecs": [{{"mimeType": "{name}", "payloadType": {pt}, "clockRate": {rate}}}],
            "headerExtensions": [{{"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 4}}],
            "encodings": [{{"ssrc": {}}}]}}"#,
        u32::from(number) + 1
    );
    serde_json::from_str(&text).expect("parameters")
}

/// Returns what a text says in JSON; if it says nothing, what `otherwise` makes.
fn read<T: serde::de::DeserializeOwned>(text: &[u8], otherwise: impl FnOnce() -> T) -> Option<T> {
    if text.is_empty() { Some(otherwise()) } else { serde_json::from_slice(text).ok() }
}

/// What one client was told.
#[derive(Default)]
struct Client {
    has_joined: bool,
    transports: Vec<TransportId>,
    /// Sections in which it consumes, by track: with their mids and SSRCs.
    consumed: BTreeMap<TrackId, (String, u32)>,
}

struct Story {
    sfu: Sfu,
    now: Instant,
    clients: [Client; 3],
    tracks: Vec<TrackId>,
    sessions: Vec<DtlsSession>,
    asked: u64,
    /// Which requests were answered.
    answered: BTreeSet<u64>,
}

impl Story {
    fn feed(&mut self, input: Input<'_>) {
        self.sfu.handle_input(self.now, input);
        for _ in 0..OUTPUTS_MAX {
            match self.sfu.poll_output() {
                Output::Timeout(_) => return,
                Output::Media(_) => self.sfu.forward_share(&mut Datagrams::default()),
                Output::Event { connection, event } => {
                    let who = usize::try_from(connection.0).expect("a client");
                    self.hear(who, event);
                }
                Output::Dtls { session, request: DtlsRequest::Start { .. } } => self.sessions.push(session),
                Output::Dtls { .. } | Output::Transmit(_) => {}
            }
        }
        panic!("the outputs of one input never end");
    }

    fn hear(&mut self, who: usize, event: Event) {
        let client = &mut self.clients[who];
        let reply = match event {
            Event::Joined(request, _) => {
                *client = Client { has_joined: true, ..Client::default() };
                request
            }
            Event::TransportOpened(request, opened) => {
                if !client.transports.contains(&opened.transport) {
                    client.transports.push(opened.transport);
                }
                request
            }
            Event::Produced(request, track) => {
                self.tracks.push(track);
                request
            }
            Event::Consumed(request, consumed) => {
                let ours = router::capabilities(CodecSet::ALL);
                for codec in &consumed.parameters.codecs {
                    let is_known = |one: &&_| {
                        let one: &strait::core::ortc::RtpCodecCapability = one;
                        one.preferred_payload_type == Some(codec.payload_type)
                    };
                    let known = ours.codecs.iter().find(is_known).expect("a payload type of ours");
                    assert_eq!((&known.mime_type, known.kind), (&codec.mime_type, consumed.kind));
                }
                let mid = consumed.parameters.mid.clone().expect("a mid");
                let ssrc = consumed.parameters.encodings[0].ssrc.expect("an SSRC");
                client.consumed.remove(&consumed.track);
                let other = client.consumed.values().find(|other| other.0 == mid || other.1 == ssrc);
                assert_eq!(other, None, "two consumers have one section");
                client.consumed.insert(consumed.track, (mid, ssrc));
                request
            }
            Event::TrackRemoved(track, _) | Event::ConsumerEnded(track) => {
                client.consumed.remove(&track);
                None
            }
            Event::TransportEnded(id) => {
                client.transports.retain(|other| *other != id);
                None
            }
            Event::SlotMap(_) | Event::MoreSlots(_) => panic!("nobody here is told of slots"),
            Event::Closing(_) => {
                client.has_joined = false;
                None
            }
            Event::Left(request) => {
                client.has_joined = false;
                request
            }
            Event::Done(request) | Event::Refused(request, _) => request,
            _ => None,
        };
        if let Some(request) = reply {
            let number: u64 = request.0.parse().expect("a number of ours");
            assert!(self.answered.insert(number), "a request is answered once");
        }
    }

    fn request(&mut self) -> Option<RequestId> {
        self.asked += 1;
        Some(RequestId(self.asked.to_string().into()))
    }

    fn join(&mut self, who: usize, by_media: bool) {
        let mut entropy = [who as u8; 32];
        entropy[1..9].copy_from_slice(&self.asked.to_be_bytes());
        let address = "192.0.2.1:7443".parse().expect("an address");
        let candidates = vec![LocalCandidate { protocol: TransportProtocol::Udp, address }];
        let join = Join {
            room: "standup".parse().expect("a room"),
            profile: Profile::named("Somebody"),
            auto_subscribe: true,
            lifeline: if by_media { Lifeline::Media } else { Lifeline::Signalling },
            layout: Layout::Parameters,
            grants: Grants::OPEN,
            is_invited: false,
            is_vouched_for: true,
            host: None,
            can_mesh: false,
        };
        let request = self.request();
        let admission = Admission { entropy, candidates };
        let connection = ConnectionId(who as u64);
        self.feed(Input::Join { connection, request, host: None, admission, join });
    }

    /// Returns a command of a tape; `None` if it says none.
    fn command(&self, who: usize, kind: u8, tape: &mut Tape<'_>) -> Option<Command> {
        let (which, flags) = (tape.byte()?, tape.byte()?);
        let all: Vec<TransportId> =
            self.clients.iter().flat_map(|client| client.transports.clone()).collect();
        let own = &self.clients[who].transports;
        // Seldom somebody else's, or nobody's.
        let named = if flags & 0xc0 == 0xc0 { &all } else { own };
        let place = usize::from(which) % named.len().max(1);
        let transport = named.get(place).copied().unwrap_or(TransportId(u64::from(which)));
        let place = usize::from(flags & 0x3f) % self.tracks.len().max(1);
        let track = self.tracks.get(place).copied().unwrap_or(TrackId(u64::from(flags)));
        let source = Source::ALL[usize::from(flags & 3)];
        let is_set = flags & 4 != 0;
        Some(match kind % 12 {
            0 if is_set => Command::OpenTransport { direction: TransportDirection::Send },
            0 => Command::OpenTransport { direction: TransportDirection::Receive },
            1 => {
                let algorithm = "sha-256".to_owned();
                let fingerprints = vec![DtlsFingerprint { algorithm, value: fingerprint(CERTIFICATE) }];
                let otherwise = || DtlsParameters { role: DtlsRole::Client, fingerprints };
                Command::ConnectTransport { transport, dtls: read(tape.bytes()?, otherwise)? }
            }
            2 => Command::RestartTransport { transport },
            3 => Command::CloseTransport { transport },
            4 | 5 => {
                let parameters = Box::new(read(tape.bytes()?, || sent(source, which))?);
                Command::Produce { transport, kind: source.kind(), parameters, source, muted: is_set }
            }
            6 => Command::CloseProducer { track },
            7 | 8 => {
                let all = || router::capabilities(CodecSet::ALL);
                let capabilities: Box<RtpCapabilities> = Box::new(read(tape.bytes()?, all)?);
                Command::Consume { transport, track, capabilities, paused: which & 1 != 0 }
            }
            9 if is_set => Command::Pause { track, paused: which & 1 != 0 },
            9 => Command::Mute { track, muted: which & 1 != 0 },
            10 if is_set => Command::Unsubscribe(track),
            10 => {
                let height = Some(u16::from(which) * 8);
                let wish = Wish { height, priority: Priority::High, ..Wish::default() };
                Command::Prefer(vec![Preference { track, wish }])
            }
            _ if is_set => Command::Subscribe(track),
            _ => Command::Leave,
        })
    }

    /// The handshake of a transport does something.
    fn shake_hands(&mut self, which: u8, what: u8) {
        let Some(&session) = self.sessions.get(usize::from(which) % self.sessions.len().max(1)) else {
            return;
        };
        let profile = SrtpProfile::AeadAes128Gcm;
        let events = match what % 3 {
            0 => vec![
                DtlsEvent::PeerCertificate(CERTIFICATE.to_vec()),
                DtlsEvent::KeyingMaterial { profile, material: vec![what; 56] },
                DtlsEvent::Connected,
            ],
            1 => vec![DtlsEvent::PeerCertificate(vec![what; 7])],
            _ => vec![DtlsEvent::Closed(strait::core::input::DtlsEnd::Goodbye)],
        };
        for event in events {
            self.feed(Input::Dtls { session, event });
        }
    }
}

/// `parameters`: transports are opened, filled and closed in any order. Each request is answered once, a consumer is told what
/// is ours and nobody else's, and nothing is left when everybody has gone.
pub fn parameters(data: &[u8]) {
    let mut tape = Tape::new(data);
    let now = Instant::now();
    let mut story = Story {
        sfu: Sfu::new(Settings::for_trying(now)),
        now,
        clients: <[Client; 3]>::default(),
        tracks: Vec::new(),
        sessions: Vec::new(),
        asked: 0,
        answered: BTreeSet::new(),
    };
    for _ in 0..STEPS_MAX {
        let Some(kind) = tape.byte() else { break };
        let who = usize::from(kind >> 6) % 3;
        let kind = kind & 0x3f;
        match kind % 14 {
            12 => {
                let Some(tens_of_ms) = tape.short() else { break };
                story.now += Duration::from_millis(u64::from(tens_of_ms) * 10);
                story.feed(Input::Timeout);
            }
            13 => {
                let (Some(which), Some(what)) = (tape.byte(), tape.byte()) else { break };
                story.shake_hands(which, what);
            }
            _ if !story.clients[who].has_joined => story.join(who, kind & 1 != 0),
            kind => {
                let Some(command) = story.command(who, kind, &mut tape) else { continue };
                let request = story.request();
                story.feed(Input::Command { connection: ConnectionId(who as u64), request, command });
                assert!(story.answered.contains(&story.asked), "each request is answered at once");
            }
        }
    }
    for who in 0..3 {
        if story.clients[who].has_joined {
            story.feed(Input::Command {
                connection: ConnectionId(who as u64),
                request: None,
                command: Command::Leave,
            });
        }
    }
    let left = story.sfu.summary();
    assert_eq!((story.sfu.counts(), left.demux_entries, left.deadlines), ((0, 0), 0, 0), "nothing is left");
}
