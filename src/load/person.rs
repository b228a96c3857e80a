//! One person: joins over a WebSocket, checks connectivity, does the handshake, sends and receives. This file decides
//! what each step leads to; the generator knows when it happens and which sockets are ready.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::{Registry, Token};
use serde_json::Value;

use super::dialogue::{Dialogue, Step};
use super::incoming::{DatagramTimes, Incoming};
use super::options::{PersonPlan, ServerKind};
use super::sdp::{self, ClientOffer, Published, ServerAnswer, Us};
use super::sender::Sender;
use super::shared::{Shared, Timer};
use super::signalling::Signalling;
use super::udp_end::UdpEnd;
use crate::core::command::MediaKind;
use crate::core::ids::{DtlsSession, Ssrc};
use crate::core::input::DtlsEvent;
use crate::core::media::rtcp::{self, RtcpItem, RtcpWriter};
use crate::core::media::srtp::{RTCP_OVERHEAD_MAX, SrtpReceiver, SrtpSender, contexts};
use crate::core::negotiation::transport::fingerprint;
use crate::core::output::DtlsRequest;
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::rtp::RtpHeader;
use crate::wire::stun::{StunPeek, peek as stun_peek};
use crate::wire::stun_check::{self as stun, Credentials};

/// After how long the first check is repeated. Each further time is twice as long.
const CHECK_AGAIN: u64 = 50_000_000;
/// The time between checks that renew consent, as in browsers (RFC 7675).
const CHECK_INTERVAL: u64 = 2_500_000_000;
/// How long to wait before repeating a request for something that is not there yet.
const ASK_AGAIN: u64 = 20_000_000;

/// How far somebody has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// They have not begun to join.
    Waiting,
    /// The WebSocket is being opened.
    Connecting,
    /// `join` is sent, and not answered yet.
    Joining,
    /// `offer` is sent, and not answered yet.
    Offering,
    /// Connectivity checks are sent, and none is answered yet.
    Checking,
    /// The DTLS handshake is under way.
    Handshaking,
    /// The handshake is done, and media may flow.
    Ready,
    /// They gave up, for this reason.
    Failed(String),
}

/// One person: a WebSocket, a UDP socket, and the state of both.
pub(super) struct Person {
    /// Their place among all people of the run.
    pub index: usize,
    pub plan: PersonPlan,
    /// How far they are.
    pub stage: Stage,
    /// The streams that they send.
    pub senders: Vec<Sender>,
    /// The streams that they receive, as the server's answer announced them.
    pub incoming: Vec<Incoming>,
    /// Their socket for media.
    pub udp: Option<UdpEnd>,
    /// Their keys for sending.
    pub sealer: Option<SrtpSender>,
    /// The next transport-wide sequence number, if transport-wide congestion control is on.
    pub transport_sequence: Option<u16>,
    /// How many tracks they have slots for.
    pub slots: usize,
    /// How many more slots they would need, which the server does not allow.
    pub denied_slots: usize,
    opener: Option<SrtpReceiver>,
    signalling: Option<Signalling>,
    dialogue: Dialogue,
    /// The request that has to be sent again.
    pending: Option<Value>,
    answer: Option<ServerAnswer>,
    /// Whether they are the DTLS client, which begins the handshake.
    is_active: bool,
    credentials: Option<Credentials>,
    transaction: [u8; 12],
    check_after: u64,
    ufrag: String,
    password: String,
    begun: u64,
    offered: u64,
    ready: u64,
    /// Whether somebody was sending in the room when they came; only then does the time to the first packet count.
    found_media: bool,
    had_packet: bool,
    had_frame: bool,
    last_found: usize,
}

impl Person {
    /// Returns somebody who has not begun to join.
    pub(super) fn new(index: usize, plan: PersonPlan, senders: Vec<Sender>, shared: &mut Shared) -> Self {
        let room = (shared.room_name(plan.room), shared.room_number(plan.room));
        Self {
            index,
            plan,
            stage: Stage::Waiting,
            senders,
            incoming: Vec::new(),
            udp: None,
            sealer: None,
            transport_sequence: shared.options.transport_cc.then_some(0),
            slots: 0,
            denied_slots: 0,
            opener: None,
            signalling: None,
            dialogue: Dialogue::new(&shared.options, index, plan, &room),
            pending: None,
            answer: None,
            is_active: true,
            credentials: None,
            transaction: [0; 12],
            check_after: CHECK_AGAIN,
            ufrag: shared.text(8),
            password: shared.text(24),
            begun: 0,
            offered: 0,
            ready: 0,
            found_media: false,
            had_packet: false,
            had_frame: false,
            last_found: 0,
        }
    }

    /// Opens the WebSocket, with which joining begins.
    pub(super) fn begin(
        &mut self,
        now: u64,
        registry: &Registry,
        token: Token,
        shared: &Shared,
    ) -> Result<(), String> {
        self.begun = now;
        self.found_media = shared.live.get(self.plan.room).is_some_and(|live| *live > 0);
        self.stage = Stage::Connecting;
        let from = shared.source_address(self.index).map(|ip| SocketAddr::new(ip, 0));
        let signalling = Signalling::connect(&shared.options, from, registry, token)
            .map_err(|error| format!("cannot connect to {}: {error}", shared.options.address))?;
        self.signalling = Some(signalling);
        Ok(())
    }

    /// Continues with the WebSocket, which is ready for something.
    pub(super) fn on_signalling(
        &mut self,
        registry: &Registry,
        udp_token: Token,
        shared: &mut Shared,
    ) -> Result<(), String> {
        let Some(signalling) = &mut self.signalling else { return Ok(()) };
        let mut messages = std::mem::take(&mut shared.messages);
        let result = signalling.ready(&mut messages);
        // Messages that came before an error may tell its reason, so they are read first.
        let mut outcome = Ok(());
        for message in messages.drain(..) {
            outcome = outcome.and_then(|()| self.on_message(&message, registry, udp_token, shared));
        }
        shared.messages = messages;
        outcome?;
        if result? {
            let hello = self.dialogue.open();
            self.say(&hello)?;
            self.stage = Stage::Joining;
        }
        Ok(())
    }

    fn say(&mut self, message: &Value) -> Result<(), String> {
        self.signalling.as_mut().map_or(Ok(()), |signalling| signalling.send(message))
    }

    /// Sends the request that has to be sent again.
    pub(super) fn ask_again(&mut self) -> Result<(), String> {
        self.pending.take().map_or(Ok(()), |message| self.say(&message))
    }

    /// Leaves, if signalling still works.
    pub(super) fn leave(&mut self) {
        for message in self.dialogue.leave() {
            let _ = self.say(&message);
        }
    }

    fn on_message(
        &mut self,
        message: &Value,
        registry: &Registry,
        udp_token: Token,
        shared: &mut Shared,
    ) -> Result<(), String> {
        let step = self.dialogue.hear(message)?;
        let now = shared.clock.now();
        match step {
            Step::Nothing => Ok(()),
            Step::Send(next) => {
                self.offered = now;
                self.say(&next)
            }
            Step::Later(next) => {
                self.pending = Some(next);
                shared.timers.push(now + ASK_AGAIN, Timer::Again(self.index));
                Ok(())
            }
            Step::MayOffer(audio, video) => self.offer((audio, video), shared),
            Step::Answered(sdp) => {
                shared.meters.signalling.record(now - self.begun);
                self.check_first(now, ServerAnswer::read(&sdp)?, registry, udp_token, shared)
            }
            Step::Offered(sdp) => {
                shared.meters.signalling.record(now - self.begun);
                let mut theirs = ServerAnswer::read(&sdp)?;
                theirs.is_active = true;
                self.slots = theirs.media.len();
                let us =
                    Us { ufrag: &self.ufrag, password: &self.password, fingerprint: &shared.fingerprint };
                let answer = self.dialogue.answer(&sdp::answer(&sdp, us));
                self.say(&answer)?;
                self.check_first(now, theirs, registry, udp_token, shared)
            }
        }
    }

    /// Makes an offer, with at most `most` slots for audio and for video.
    fn offer(&mut self, most: (usize, usize), shared: &mut Shared) -> Result<(), String> {
        let wanted = |kind: MediaKind| if self.plan.receives { shared.wanted_slots(kind) } else { 0 };
        let audio = wanted(MediaKind::Audio).min(most.0);
        let video = wanted(MediaKind::Video).min(most.1);
        self.slots = audio + video;
        let denied = wanted(MediaKind::Audio) + wanted(MediaKind::Video) - self.slots;
        // Where the server chooses, tracks share the slots that there are.
        self.denied_slots = if shared.options.shown.is_some() { 0 } else { denied };
        let tracks = if self.plan.publishes { shared.tracks.clone() } else { Vec::new() };
        let mut senders = self.senders.iter_mut();
        let mut of_track = Vec::new();
        for track in &tracks {
            of_track.push(senders.by_ref().take(track.encodings.len()).collect::<Vec<_>>());
        }
        let published: Vec<Published> = tracks
            .iter()
            .zip(&of_track)
            .map(|(track, senders)| Published {
                kind: track.kind,
                ssrc: senders.first().map_or(0, |sender| sender.ssrc),
                rids: track.encodings.iter().filter_map(|encoding| encoding.rid).collect(),
            })
            .collect();
        let offer = ClientOffer {
            ufrag: &self.ufrag,
            password: &self.password,
            fingerprint: &shared.fingerprint,
            // With Strait the first section must be an audio slot, because its transport carries all sections.
            slots: (audio.max(usize::from(shared.options.server_kind == ServerKind::Strait)), video),
            published: &published,
            transport_cc: shared.options.transport_cc,
        };
        let mut publications = Vec::new();
        for (index, (published, senders)) in published.iter().zip(of_track).enumerate() {
            let mid = offer.published_mid(index);
            senders.into_iter().for_each(|sender| sender.set_mid(mid.clone()));
            publications.push((mid, published.kind));
        }
        let offer = self.dialogue.offer(&offer.text(), &publications);
        self.offered = shared.clock.now();
        self.stage = Stage::Offering;
        self.say(&offer)
    }

    fn check_first(
        &mut self,
        now: u64,
        answer: ServerAnswer,
        registry: &Registry,
        udp_token: Token,
        shared: &mut Shared,
    ) -> Result<(), String> {
        let server = answer.candidate_near(shared.options.address.ip()).ok_or("no candidate")?;
        let any: IpAddr = if server.is_ipv4() { [0u8; 4].into() } else { [0u8; 16].into() };
        let from = shared.source_address(self.index).filter(|_| server.ip().is_loopback()).unwrap_or(any);
        let udp = UdpEnd::open(from, server, registry, udp_token)
            .map_err(|error| format!("cannot open a UDP socket to {server}: {error}"))?;
        if let Some(message) = udp.address().and_then(|ours| self.dialogue.candidate(ours)) {
            self.say(&message)?;
        }
        self.udp = Some(udp);
        self.credentials = Some(Credentials {
            username: format!("{}:{}", answer.ufrag, self.ufrag),
            password: answer.password.clone(),
            // The greatest, so that we control even if the server makes the offer.
            tie_breaker: u64::MAX,
        });
        let received = if self.plan.receives { answer.media.as_slice() } else { &[] };
        self.incoming = received.iter().map(|(ssrc, kind)| Incoming::new(*ssrc, *kind)).collect();
        for sender in &mut self.senders {
            sender.set_levels(answer.takes_levels);
        }
        self.is_active = !answer.is_active;
        self.answer = Some(answer);
        self.stage = Stage::Checking;
        if !self.is_active {
            // It may begin before our check is granted.
            let instant = shared.clock.instant(now);
            shared.handshake(instant, self.session(), DtlsRequest::Start { active: false });
        }
        self.check(now, shared);
        Ok(())
    }

    /// Sends a connectivity check, and sets the timer for the next.
    pub(super) fn check(&mut self, now: u64, shared: &mut Shared) {
        let (Some(udp), Some(credentials)) = (&self.udp, &self.credentials) else { return };
        // The transaction id stays the same until a check is answered, so that the answer to any copy counts.
        if self.transaction == [0; 12] || self.stage == Stage::Ready {
            self.transaction = std::array::from_fn(|_| shared.random.u8(..));
        }
        stun::write_check(&mut shared.buffer, self.transaction, credentials);
        udp.send(&shared.buffer);
        let again = match self.stage {
            Stage::Checking => self.check_after,
            _ => CHECK_INTERVAL,
        };
        self.check_after = again.min(CHECK_INTERVAL) * 2;
        shared.timers.push(now + again.min(CHECK_INTERVAL), Timer::Check(self.index));
    }

    /// Takes a datagram that came, whatever its protocol.
    pub(super) fn on_datagram(&mut self, arrived: DatagramTimes, bytes: &mut [u8], shared: &mut Shared) {
        match classify(bytes) {
            DatagramKind::Rtp => self.on_rtp(arrived, bytes, shared),
            DatagramKind::Rtcp => self.on_rtcp(arrived, bytes, shared),
            DatagramKind::Stun if self.stage == Stage::Checking && stun::grants(bytes, self.transaction) => {
                self.stage = Stage::Handshaking;
                if self.is_active {
                    shared.handshake(arrived.instant, self.session(), DtlsRequest::Start { active: true });
                }
            }
            // A server that is not ICE-lite sends checks, too.
            DatagramKind::Stun => {
                if let Some(request) = stun_peek(bytes).filter(StunPeek::is_binding_request)
                    && let Some(udp) = &self.udp
                {
                    stun::write_grant(&mut shared.buffer, request.transaction, udp.to, &self.password);
                    udp.send(&shared.buffer);
                }
            }
            DatagramKind::Dtls => {
                shared.handshake(arrived.instant, self.session(), DtlsRequest::Packet(bytes.to_vec()));
            }
            _ => {}
        }
    }

    fn session(&self) -> DtlsSession {
        DtlsSession(self.index as u64)
    }

    fn on_rtp(&mut self, arrived: DatagramTimes, bytes: &mut [u8], shared: &mut Shared) {
        let Some(opener) = &mut self.opener else { return };
        let Ok(header) = RtpHeader::parse(bytes) else { return };
        // Packets of one stream come in runs, so the stream of the last packet is tried first.
        let found = match self.incoming.get(self.last_found) {
            Some(incoming) if incoming.ssrc() == header.ssrc => Some(self.last_found),
            _ => self.incoming.iter().position(|incoming| incoming.ssrc() == header.ssrc),
        };
        let Some(incoming) = found.and_then(|index| self.incoming.get_mut(index)) else {
            // Retransmissions are never asked for, so nothing else is expected.
            return;
        };
        self.last_found = found.unwrap_or_default();
        let Shared { meters, streams, options, .. } = shared;
        let interval = |stream: u32| streams.get(stream as usize).map(|stream| stream.interval);
        let every = options.decrypt_every;
        let brought = incoming.on_packet(arrived, (&header, bytes), opener, every, meters, interval);
        if brought.media && !self.had_packet {
            self.had_packet = true;
            if self.found_media {
                meters.first_packet.record(arrived.now.saturating_sub(self.ready));
            }
        }
        if brought.frame && !self.had_frame && (incoming.is_video() || !shared.has_video) {
            self.had_frame = true;
            if self.found_media {
                shared.meters.first_frame.record(arrived.now.saturating_sub(self.begun));
            }
        }
        if brought.wants_keyframe {
            shared.meters.keyframe_requests += 1;
            let media = Ssrc(header.ssrc);
            self.send_rtcp(shared, |own, writer| writer.pli(own, media));
        }
    }

    fn on_rtcp(&mut self, arrived: DatagramTimes, bytes: &mut [u8], shared: &mut Shared) {
        let Some(opener) = &mut self.opener else { return };
        let Ok(length) = opener.open_rtcp(bytes) else {
            shared.meters.unopened += 1;
            return;
        };
        let Self { senders, incoming, .. } = self;
        rtcp::parse(&bytes[..length], &mut |item| match item {
            RtcpItem::Pli { media } | RtcpItem::Fir { media, .. } => {
                if let Some(sender) = senders.iter_mut().find(|sender| sender.ssrc == media.0) {
                    sender.wants_key = true;
                }
            }
            RtcpItem::SenderReport { ssrc, ntp, .. } => {
                if let Some(incoming) = incoming.iter_mut().find(|incoming| incoming.ssrc() == ssrc.0) {
                    incoming.on_sender_report(arrived.instant, ntp);
                }
            }
            _ => {}
        });
    }

    /// Takes an event of the handshake.
    pub(super) fn on_handshake(
        &mut self,
        now: u64,
        event: DtlsEvent,
        shared: &mut Shared,
    ) -> Result<(), String> {
        match event {
            DtlsEvent::Packet(bytes) => {
                if let Some(udp) = &self.udp {
                    udp.send(&bytes);
                }
            }
            DtlsEvent::PeerCertificate(certificate) => {
                // Like a browser, it only accepts the certificate that signalling has named.
                let expected = self.answer.as_ref().map(|answer| answer.fingerprint.as_str());
                if expected != Some(fingerprint(&certificate).as_str()) {
                    return Err("the server's certificate is not that of its answer".into());
                }
            }
            DtlsEvent::KeyingMaterial { profile, material } => {
                let pair = contexts(profile, &material, self.is_active);
                let (opener, sealer) = pair.map_err(|_| "the keys have the wrong length")?;
                (self.opener, self.sealer) = (Some(opener), Some(sealer));
                shared.srtp_profile = Some(profile);
            }
            DtlsEvent::Connected if matches!(self.stage, Stage::Checking | Stage::Handshaking) => {
                self.stage = Stage::Ready;
                self.ready = now;
                shared.meters.ready.record(now - self.offered);
                shared.timers.push(now + shared.report_interval(), Timer::Report(self.index));
                for (place, sender) in self.senders.iter_mut().enumerate() {
                    sender.begin(now + shared.phase(sender.stream, sender.period()));
                    let first = sender.schedule.map_or(now, |schedule| schedule.next());
                    shared.timers.push(first, Timer::Send(self.index, place));
                    if let Some(live) = shared.live.get_mut(self.plan.room) {
                        *live += 1;
                    }
                }
            }
            DtlsEvent::Connected | DtlsEvent::Channel(_) => {}
            DtlsEvent::Closed(end) => return Err(format!("the media path is closed: {end:?}")),
        }
        Ok(())
    }

    /// Sends reports, and sets the timer for the next.
    pub(super) fn report(&mut self, now: u64, shared: &mut Shared) {
        if let Some(message) = self.dialogue.keep_alive() {
            // If this fails, the socket will tell why.
            let _ = self.say(&message);
        }
        let instant = shared.clock.instant(now);
        let ntp = shared.clock.ntp(now);
        let Self { senders, incoming, .. } = self;
        let blocks: Vec<_> = incoming.iter_mut().filter_map(|stream| stream.report_block(instant)).collect();
        let mut plain = std::mem::take(&mut shared.reports);
        let mut writer = RtcpWriter::new(&mut plain);
        senders.iter().for_each(|sender| sender.report(now, ntp, &mut writer));
        let own = Ssrc(senders.first().map_or(1, |sender| sender.ssrc));
        if !blocks.is_empty() || senders.is_empty() {
            writer.receiver_report(own, &blocks);
        }
        writer.sdes_cname(own, "load");
        self.seal_and_send(&mut plain);
        shared.reports = plain;
        shared.timers.push(now + shared.report_interval(), Timer::Report(self.index));
    }

    fn send_rtcp(&mut self, shared: &mut Shared, write: impl FnOnce(Ssrc, &mut RtcpWriter<'_>)) {
        let own = Ssrc(self.senders.first().map_or(1, |sender| sender.ssrc));
        let mut plain = std::mem::take(&mut shared.reports);
        write(own, &mut RtcpWriter::new(&mut plain));
        self.seal_and_send(&mut plain);
        shared.reports = plain;
    }

    /// Encrypts and sends an RTCP compound, and empties its buffer.
    fn seal_and_send(&mut self, plain: &mut Vec<u8>) {
        let length = plain.len();
        plain.resize(length + RTCP_OVERHEAD_MAX, 0);
        if let (Some(sealer), Some(udp)) = (&mut self.sealer, &self.udp)
            && let Some(sealed) = sealer.seal_rtcp(plain, length)
        {
            udp.send(&plain[..sealed]);
        }
        plain.clear();
    }

    /// Returns how many tracks have brought packets.
    pub(super) fn flowing(&self) -> usize {
        self.incoming.iter().filter(|incoming| incoming.source.is_some()).count()
    }

    /// Returns how many tracks flow at `now`; none if the person has failed.
    pub(super) fn flowing_at(&self, now: u64, shared: &Shared) -> usize {
        if matches!(self.stage, Stage::Failed(_)) {
            return 0;
        }
        let interval = |stream: u32| shared.streams.get(stream as usize).map_or(0, |stream| stream.interval);
        let flows = |incoming: &&Incoming| incoming.flows_at(now, incoming.source.map_or(0, interval));
        self.incoming.iter().filter(flows).count()
    }

    /// Returns how long somebody who is not ready yet has been trying.
    pub(super) fn waiting_for(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.begun))
    }
}
