//! Session: the negotiating half of a transport. [`negotiation`](super::negotiation) reads and answers session
//! descriptions; a `str0m::Rtc`, the engine, does ICE and the state of DTLS, which is a few packets a minute. No media
//! enters the engine, and no RTP or RTCP of the engine is ever sent.
//!
//! **After every mutation the engine must be polled until it returns a timeout.** `Session::mutate` sees to that, and
//! nothing else touches the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::config::DtlsCert;
use str0m::net::{Protocol, Receive, TcpType};
use str0m::{Candidate, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};

use super::channels::ChannelRequest;
use super::engine::{certificate_stand_in, engine_address, expect_certificate, restart_ice};
use super::handshake::{self, Mailbox};
use super::ids::{Mid, Ssrc};
use super::input::{DtlsEnd, DtlsEvent, SrtpProfile};
use super::negotiated::Negotiated;
use super::negotiation::agree::agree;
use super::negotiation::answer::{self, Naming, Us};
use super::negotiation::offer::Offer;
use super::negotiation::refusal::Refused;
use super::negotiation::section::Section;
use super::negotiation::transport::{Fingerprint, Setup, Transport as OfferedTransport, is_promised};
use super::output::DtlsRequest;
use super::path::{LocalCandidate, TransportProtocol};
use super::rng::{EngineRng, Rng};
use crate::limits::{CERTIFICATE_BYTES_MAX, SDP_SECTIONS_EVER_MAX};
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::stun_check::write_question;
use crate::wire::stun_refusal::is_signed;

/// How many characters of a ufrag, behind the room's tag, are random (RFC 8445 §5.3 asks for 24 bits).
const UFRAG_RANDOM_CHARS: usize = 12;
/// How many characters an ICE password has, of 5 bits each (RFC 8445 §5.3 asks for 128 bits).
const PASSWORD_CHARS: usize = 26;
/// The engine's report interval. Its reports are never sent, so it should not write any. It counts from an hour before
/// the process began, so the interval must be longer than any process lives: otherwise the trace of a server that had
/// run for longer would not replay.
const NO_REPORTS: Duration = Duration::from_secs(50 * 365 * 86_400);
/// What the engine wants done after a mutation.
#[derive(Debug)]
pub enum Effect {
    /// Send a STUN message.
    Stun {
        /// The address that asked.
        to: SocketAddr,
        /// The bytes of the message.
        bytes: Vec<u8>,
    },
    /// Send a DTLS datagram by the transport's path, or to `to` while there is none.
    Dtls {
        /// Where the engine believes the peer to be; `None` once the handshake is done.
        to: Option<SocketAddr>,
        /// The bytes of the datagram.
        bytes: Vec<u8>,
    },
    /// Ask something of the handshake in the shell.
    Handshake(DtlsRequest),
    /// The handshake is done, the peer has the promised certificate, and there are keys.
    Connected {
        /// The protection profile that was negotiated.
        profile: SrtpProfile,
        /// The exported keying material.
        material: Vec<u8>,
    },
    /// The transport has ended, for this reason.
    Closed(SessionEnd),
}

/// Why a session has ended. It cannot be resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// The peer closed it after the handshake, with a goodbye or by the fatal alert of that number.
    ClosedByPeer(Option<u8>),
    /// The peer's certificate is not the one whose fingerprint the offer names; in words, how.
    FingerprintMismatch(String),
    /// The handshake failed. The text is for the log.
    HandshakeFailed(String),
    /// The engine reported an error after the handshake.
    Broken(String),
}

/// What an offer led to, from which its answer is written.
#[derive(Debug)]
pub struct Agreement {
    /// What offer and answer agree on.
    pub negotiated: Negotiated,
    /// Whether our ICE credentials changed (an ICE restart).
    pub restarted: bool,
}

/// What must stay the same from the first answer to the end, because a DTLS association cannot be restarted.
#[derive(Debug)]
struct Association {
    /// The section whose transport carries all others. Browsers end the transport with this section.
    section: Mid,
    /// The client's ICE credentials.
    remote: IceCreds,
    /// The client's certificate must have one of these.
    fingerprints: Vec<Fingerprint>,
}

/// The negotiating half of one transport.
pub struct Session {
    /// Boxed because it has ten kilobytes, and a room's table has room for more transports than there are.
    rtc: Box<Rtc>,
    engine_rng: EngineRng,
    mailbox: Mailbox,
    /// The session id in the `o=` line of our answers.
    id: u64,
    answers: u64,
    association: Option<Association>,
    /// The client's sections that can be served, as of the last answer; `sections_made` counts all that there ever
    /// were.
    sections: BTreeSet<Mid>,
    sections_made: usize,
    /// The mid at each place of the last offer; `None` where the section was stopped or rejected, so that the client may use
    /// the place for another.
    places: Vec<Option<Mid>>,
    /// The SSRCs that we send in each section, media and retransmission. They stay while the section does, whatever its
    /// direction.
    egress: BTreeMap<Mid, (Ssrc, Ssrc)>,
    tag: String,
    credentials: IceCreds,
    keys: Option<(SrtpProfile, Vec<u8>)>,
    /// The certificate that the client has shown, DER.
    certificate: Option<Box<[u8]>>,
    handshake_done: bool,
    /// How the handshake in the shell has ended, if it has.
    dtls_end: Option<DtlsEnd>,
    alive: bool,
    deadline: Option<Instant>,
    effects: Vec<Effect>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("ufrag", &self.credentials.ufrag).finish_non_exhaustive()
    }
}

fn new_credentials(tag: &str, rng: &mut Rng) -> IceCreds {
    IceCreds {
        ufrag: format!("{tag}{}", rng.ice_text(UFRAG_RANDOM_CHARS)),
        pass: rng.ice_text(PASSWORD_CHARS),
    }
}

impl Session {
    /// Makes a session that waits for an offer. Its ufrags begin with `tag`, which names its room.
    pub fn new(now: Instant, tag: &str, certificate: &[u8], rng: &mut Rng) -> Self {
        let mut engine_rng = EngineRng::new(rng);
        let credentials = new_credentials(tag, rng);
        let mut rtc = engine_rng.within(|| {
            let config = RtcConfig::new()
                .set_ice_lite(true)
                .set_rtp_mode(true)
                .set_crypto_provider(Arc::new(handshake::provider()))
                // The private key stays with the shell, which runs the handshake.
                .set_dtls_cert(DtlsCert { certificate: certificate.to_vec(), private_key: Vec::new() })
                .set_local_ice_credentials(credentials.clone())
                .set_rtcp_report_interval_audio(NO_REPORTS)
                .set_rtcp_report_interval_video(NO_REPORTS)
                .clear_codecs();
            Box::new(config.build(now))
        });
        let mailbox = handshake::take_last_made().expect("building an engine makes its handshake");
        let id = rng.u64() >> 1;
        engine_rng.within(|| {
            // The client sends checks, and we answer them (RFC 8445 §6.1.1).
            rtc.direct_api().set_ice_controlling(false);
            for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
                let address = engine_address(SocketAddr::new(ip, 0));
                for candidate in [
                    Candidate::builder().udp().host(address).build(),
                    Candidate::builder().tcp().host(address).tcptype(TcpType::Passive).build(),
                ] {
                    rtc.add_local_candidate(candidate.expect("a constant address makes a candidate"));
                }
            }
        });
        let mut session = Self {
            rtc,
            engine_rng,
            mailbox,
            id,
            answers: 0,
            association: None,
            sections: BTreeSet::new(),
            sections_made: 0,
            places: Vec::new(),
            egress: BTreeMap::new(),
            tag: tag.to_owned(),
            credentials,
            keys: None,
            certificate: None,
            handshake_done: false,
            dtls_end: None,
            alive: true,
            deadline: None,
            effects: Vec::new(),
        };
        let _ = session.mutate(now, |_| Ok(()));
        session
    }

    /// Returns our ufrag, by which checks from unknown addresses lead to this transport.
    pub fn ufrag(&self) -> &str {
        &self.credentials.ufrag
    }

    /// Returns our ICE password, which signs checks.
    pub fn password(&self) -> &str {
        &self.credentials.pass
    }

    /// Whether we are the DTLS client, because the offer said `setup:passive`.
    pub fn is_dtls_client(&self) -> bool {
        self.mailbox.is_active()
    }

    /// Returns when to call [`Session::handle_timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes what the last mutations asked for, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Returns whether an offer is that of another peer connection than those before: it shows other certificates. Before the
    /// first offer none is.
    pub fn is_of_another(&self, offer: &Offer<'_>) -> bool {
        let known = self.association.as_ref();
        known.is_some_and(|known| {
            offer.transport.fingerprints.iter().all(|one| !known.fingerprints.contains(one))
        })
    }

    /// Takes an offer, which [`answer`](Self::answer) answers. A refused offer changes nothing.
    pub fn accept_offer(
        &mut self,
        now: Instant,
        offer: &Offer<'_>,
        rng: &mut Rng,
    ) -> Result<Agreement, Refused> {
        let is_active = self.check(offer)?;
        let restarted = self.take_transport(now, &offer.transport, is_active, rng)?;
        let first = offer.bundle.first().map_or(Mid::NONE, |first| offer.sections[*first].mid);
        let remote = remote_credentials(&offer.transport);
        let fingerprints = offer.transport.fingerprints.clone();
        let section = self.association.as_ref().map_or(first, |association| association.section);
        self.association = Some(Association { section, remote, fingerprints });
        let negotiated = self.agree(offer, rng);
        if let Some(message_bytes_max) = negotiated.channel_message_bytes_max {
            let enable = ChannelRequest::Enable { message_bytes_max };
            self.effects.push(Effect::Handshake(DtlsRequest::Channel(enable)));
        }
        Ok(Agreement { negotiated, restarted })
    }

    /// Writes the answer to an offer that was accepted last. `naming` names the streams and tracks of the sections in which we
    /// send.
    pub fn answer(
        &mut self,
        now: Instant,
        offer: &Offer<'_>,
        negotiated: &Negotiated,
        candidates: &[LocalCandidate],
        start_kbps: Option<u32>,
        naming: &Naming,
    ) -> String {
        let fingerprint = self
            .mutate(now, |rtc| Ok(rtc.direct_api().local_dtls_fingerprint().to_string()))
            .unwrap_or_default();
        self.answers += 1;
        let us = Us {
            session: self.id,
            version: self.answers,
            ufrag: &self.credentials.ufrag,
            password: &self.credentials.pass,
            fingerprint: &fingerprint,
            is_active: self.mailbox.is_active(),
            candidates,
            naming,
            start_kbps,
        };
        answer::answer(offer, negotiated, &us)
    }

    /// Refuses an offer that contradicts what was agreed before. Returns whether we are the DTLS client.
    fn check(&self, offer: &Offer<'_>) -> Result<bool, Refused> {
        let news = offer.served().filter(|section| !self.sections.contains(&section.mid)).count();
        if self.sections_made + news > SDP_SECTIONS_EVER_MAX {
            return Err(Refused::too_large(format!(
                "with this offer the participant would have had more than {SDP_SECTIONS_EVER_MAX} sections"
            )));
        }
        let Some(association) = &self.association else { return Ok(offer.transport.setup == Setup::Passive) };
        let is_there = offer.served().any(|section| section.mid == association.section);
        if !is_there {
            let mid: &str = &association.section;
            return Err(Refused::unserved(format!(
                "the section with mid {mid:?} is stopped or gone, and it carries the transport of all"
            )));
        }
        self.check_places(offer)?;
        let is_active = self.mailbox.is_active();
        let fits = match offer.transport.setup {
            Setup::ActPass => true,
            Setup::Active => !is_active,
            Setup::Passive => is_active,
        };
        if !fits {
            return Err(Refused::unserved(
                "a=setup contradicts the roles of the DTLS association, which cannot be begun anew; offer actpass",
            ));
        }
        let is_other = |shown: &[u8]| !is_promised(&offer.transport.fingerprints, shown);
        if self.certificate.as_deref().is_some_and(is_other) {
            return Err(Refused::unserved(
                "a=fingerprint is not that of the certificate that was shown; DTLS cannot be begun anew: join again",
            ));
        }
        Ok(is_active)
    }

    /// Refuses an offer in which a section stands at the place of another that is still in use.
    fn check_places(&self, offer: &Offer<'_>) -> Result<(), Refused> {
        for (before, section) in self.places.iter().zip(&offer.sections) {
            // A stopped section may leave its mid out.
            if section.mid_text.is_some() && before.is_some_and(|before| before != section.mid) {
                let mid = before.unwrap_or(Mid::NONE);
                return Err(Refused::malformed(format!(
                    "{} stands where the section with mid {:?} was: a place is free for another one once its section \
                     was offered with port 0, or rejected (RFC 9429 §5.2.2)",
                    section.place(),
                    mid.as_str(),
                )));
            }
        }
        Ok(())
    }

    /// Tells the engine the client's credentials. Returns whether that restarts ICE (RFC 8445 §9).
    fn take_transport(
        &mut self,
        now: Instant,
        transport: &OfferedTransport,
        is_active: bool,
        rng: &mut Rng,
    ) -> Result<bool, Refused> {
        let remote = remote_credentials(transport);
        let failed = |error: RtcError| Refused::unserved(format!("the session is closed: {error}"));
        match self.association.as_ref().map(|association| association.remote == remote) {
            Some(true) => Ok(false),
            Some(false) => {
                let local = new_credentials(&self.tag, rng);
                self.credentials = local.clone();
                self.mutate(now, |rtc| restart_ice(rtc, local, remote)).map_err(failed)?;
                Ok(true)
            }
            None => {
                let begun = self.mutate(now, |rtc| {
                    rtc.direct_api().set_remote_ice_credentials(remote);
                    rtc.direct_api().start_dtls(is_active)
                });
                begun.map_err(failed)?;
                Ok(false)
            }
        }
    }

    /// Agrees to what is offered. Sections keep their SSRCs; those of sections that are gone are forgotten.
    fn agree(&mut self, offer: &Offer<'_>, rng: &mut Rng) -> Negotiated {
        let sections: BTreeSet<Mid> = offer.served().map(|section| section.mid).collect();
        self.sections_made += sections.difference(&self.sections).count();
        self.sections = sections;
        let mid_of = |section: &Section<'_>| section.rejected.is_none().then_some(section.mid);
        self.places = offer.sections.iter().map(mid_of).collect();
        self.egress.retain(|mid, _| self.sections.contains(mid));
        let mut taken: BTreeSet<Ssrc> = self.egress.values().flat_map(|(main, rtx)| [*main, *rtx]).collect();
        for section in offer.served() {
            taken.extend(section.streams.all());
        }
        let mut draw = || loop {
            let ssrc = Ssrc(rng.u32());
            if ssrc.0 != 0 && taken.insert(ssrc) {
                break ssrc;
            }
        };
        let egress = &mut self.egress;
        agree(offer, |mid| *egress.entry(mid).or_insert_with(|| (draw(), draw())))
    }

    /// Takes a STUN message. The engine answers only checks with the right credentials, and by the answer the caller
    /// knows that it was one.
    pub fn handle_stun(
        &mut self,
        now: Instant,
        protocol: TransportProtocol,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        let protocol = match protocol {
            TransportProtocol::Udp => Protocol::Udp,
            TransportProtocol::Tcp => Protocol::Tcp,
        };
        let Ok(receive) = Receive::new(protocol, remote, engine_address(remote), bytes) else { return };
        let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Receive(now, receive)));
    }

    /// Writes a check that asks the peer whether it receives at an address; `None` before its first offer.
    pub fn question(&self, transaction: [u8; 12]) -> Option<Vec<u8>> {
        let remote = &self.association.as_ref()?.remote;
        let username = format!("{}:{}", remote.ufrag, self.credentials.ufrag);
        let mut bytes = Vec::with_capacity(128);
        write_question(&mut bytes, transaction, &username, &remote.pass);
        Some(bytes)
    }

    /// Whether a STUN message is signed with the peer's password, as its answers are.
    pub fn is_signed_by_peer(&self, message: &[u8]) -> bool {
        self.association.as_ref().is_some_and(|association| is_signed(message, &association.remote.pass))
    }

    /// Takes a DTLS datagram. The engine needs none once the handshake is done, and data would only pass through it.
    pub fn handle_dtls(&mut self, now: Instant, remote: SocketAddr, bytes: &[u8]) {
        if self.handshake_done && self.alive {
            self.effects.push(Effect::Handshake(DtlsRequest::Packet(bytes.to_vec())));
            return;
        }
        let Ok(receive) = Receive::new(Protocol::Udp, remote, engine_address(remote), bytes) else { return };
        let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Receive(now, receive)));
    }

    /// Takes what the handshake in the shell did.
    pub fn handle_handshake(&mut self, now: Instant, mut event: DtlsEvent) {
        let mut is_for_engine = true;
        match &mut event {
            DtlsEvent::PeerCertificate(der) if der.len() > CERTIFICATE_BYTES_MAX => {
                let detail = format!("the peer's certificate has more than {CERTIFICATE_BYTES_MAX} bytes");
                self.close(SessionEnd::HandshakeFailed(detail));
                return;
            }
            DtlsEvent::PeerCertificate(der) => {
                let promised =
                    self.association.as_ref().map(|association| association.fingerprints.as_slice());
                if !is_promised(promised.unwrap_or_default(), der) {
                    let detail = "it was offered by another fingerprint".to_owned();
                    self.close(SessionEnd::FingerprintMismatch(detail));
                    return;
                }
                // The engine has room for small certificates only, and ours is the comparison that counts.
                let stand_in = certificate_stand_in(der);
                let _ = self.mutate(now, |rtc| {
                    expect_certificate(rtc, &stand_in);
                    Ok(())
                });
                self.certificate = Some(std::mem::replace(der, stand_in).into());
            }
            DtlsEvent::KeyingMaterial { profile, material } => {
                self.keys = Some((*profile, material.clone()));
                is_for_engine = false;
            }
            DtlsEvent::Connected => self.handshake_done = true,
            DtlsEvent::Closed(end) => self.dtls_end = Some(end.clone()),
            // Nothing else may leave for a client by this way.
            DtlsEvent::Packet(bytes) if classify(bytes) != DatagramKind::Dtls => return,
            DtlsEvent::Packet(bytes) if self.handshake_done && self.alive => {
                self.effects.push(Effect::Dtls { to: None, bytes: std::mem::take(bytes) });
                is_for_engine = false;
            }
            DtlsEvent::Packet(_) => {}
            // It is the room's to read.
            DtlsEvent::Channel(_) => return,
        }
        if is_for_engine {
            self.mailbox.deliver(event);
            let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Timeout(now)));
        }
        // Its parts come in any order.
        if self.alive
            && self.certificate.is_some()
            && self.handshake_done
            && let Some((profile, material)) = self.keys.take()
        {
            self.effects.push(Effect::Connected { profile, material });
        }
    }

    /// Does what the engine has to do by [`deadline`](Self::deadline).
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Timeout(now)));
    }

    fn close(&mut self, end: SessionEnd) {
        if self.alive {
            self.alive = false;
            self.effects.push(Effect::Closed(end));
        }
    }

    /// Returns why the session ends, now that the engine has ended with this error, if any.
    fn end_of(&self, error: Option<RtcError>) -> SessionEnd {
        let ours = match (error, &self.dtls_end) {
            (Some(error), _) => Some(error.to_string()),
            (None, Some(DtlsEnd::Failed(why))) => Some(why.clone()),
            (None, _) => None,
        };
        let alert = if let Some(DtlsEnd::Alert(number)) = self.dtls_end { Some(number) } else { None };
        match (ours, alert) {
            (Some(why), _) if self.handshake_done => SessionEnd::Broken(why),
            (Some(why), _) => SessionEnd::HandshakeFailed(why),
            (None, alert) if self.handshake_done => SessionEnd::ClosedByPeer(alert),
            (None, Some(alert)) => {
                SessionEnd::HandshakeFailed(format!("the client gave up, by alert {alert} (RFC 5246 §7.2)"))
            }
            (None, None) => {
                SessionEnd::HandshakeFailed("the client closed it before it was complete".to_owned())
            }
        }
    }

    /// Mutates the engine and then takes everything it wants, until it names its next deadline. The engine is borrowed
    /// here only.
    fn mutate<R>(
        &mut self,
        now: Instant,
        mutation: impl FnOnce(&mut Rtc) -> Result<R, RtcError>,
    ) -> Result<R, RtcError> {
        let Self { rtc, engine_rng, .. } = self;
        let (mut closed, mut failure) = (false, None);
        let mut datagrams = Vec::new();
        let (result, deadline) = engine_rng.within(|| {
            let result = mutation(rtc);
            let deadline = loop {
                match rtc.poll_output() {
                    Ok(Output::Timeout(at)) => break Some(at),
                    Ok(Output::Transmit(transmit)) => {
                        datagrams.push((transmit.destination, transmit.contents.to_vec()));
                    }
                    Ok(Output::Event(str0m::Event::Closed)) => closed = true,
                    Ok(Output::Event(_)) => {}
                    Err(error) => {
                        failure = Some(error);
                        break None;
                    }
                }
            };
            (result, deadline)
        });
        let alive = rtc.is_alive();
        // An idle engine asks to be woken at once, which would only spin: it is woken a millisecond from now at the
        // earliest.
        self.deadline = deadline.map(|at| at.max(now + Duration::from_millis(1)));
        for (to, bytes) in datagrams {
            match classify(&bytes) {
                DatagramKind::Stun => self.effects.push(Effect::Stun { to, bytes }),
                DatagramKind::Dtls => self.effects.push(Effect::Dtls { to: Some(to), bytes }),
                // The engine's RTCP must never be sent: it would be encrypted with our keys under the engine's own
                // counter.
                DatagramKind::Rtp
                | DatagramKind::Rtcp
                | DatagramKind::TurnChannel
                | DatagramKind::Unknown => {}
            }
        }
        while let Some(request) = self.mailbox.take_request() {
            self.effects.push(Effect::Handshake(request));
        }
        if closed || failure.is_some() || !alive {
            let end = self.end_of(failure);
            self.close(end);
            self.deadline = None;
        }
        result
    }
}

fn remote_credentials(transport: &OfferedTransport) -> IceCreds {
    IceCreds { ufrag: transport.ufrag.clone(), pass: transport.password.clone() }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{SHA384, digest};

    use super::*;

    const CERTIFICATE: &[u8] = b"the client's certificate";

    /// Returns an offer of audio sections, given by mid and direction, with those credentials and that role.
    fn offer(ufrag: &str, setup: &str, sections: &[(&str, &str)]) -> String {
        offer_with(ufrag, setup, sections, CERTIFICATE)
    }

    /// The same from somebody who has that certificate.
    fn offer_with(ufrag: &str, setup: &str, sections: &[(&str, &str)], certificate: &[u8]) -> String {
        let bytes = digest(&SHA384, certificate);
        let hex: Vec<String> = bytes.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let mids: Vec<&str> = sections.iter().map(|(mid, _)| *mid).collect();
        let mut text = format!("v=0\r\na=group:BUNDLE {}\r\n", mids.join(" "));
        for (mid, direction) in sections {
            text += &format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\n\
                 a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-384 {}\r\na=setup:{setup}\r\n\
                 a=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n",
                hex.join(":")
            );
        }
        text
    }

    #[derive(Debug)]
    struct Answer {
        sdp: String,
        negotiated: Negotiated,
        restarted: bool,
    }

    struct Negotiating {
        session: Session,
        rng: Rng,
        now: Instant,
    }

    impl Negotiating {
        fn new() -> Self {
            let now = Instant::now() + Duration::from_secs(100_000);
            let mut rng = Rng::new([7; 32]);
            Self { session: Session::new(now, "aaaa", &[0x30; 64], &mut rng), rng, now }
        }

        fn offer(&mut self, text: &str) -> Result<Answer, Refused> {
            let offer = Offer::read(text)?;
            let Agreement { negotiated, restarted } =
                self.session.accept_offer(self.now, &offer, &mut self.rng)?;
            let naming = Naming::Slots(Vec::new());
            let sdp = self.session.answer(self.now, &offer, &negotiated, &[], None, &naming);
            Ok(Answer { sdp, negotiated, restarted })
        }

        fn handshake(&mut self, event: DtlsEvent) -> Vec<Effect> {
            self.session.handle_handshake(self.now, event);
            self.session.take_effects()
        }

        fn shows(&mut self, certificate: &[u8]) -> Vec<Effect> {
            let profile = SrtpProfile::AeadAes128Gcm;
            self.handshake(DtlsEvent::KeyingMaterial { profile, material: vec![1; 56] });
            let mut effects = self.handshake(DtlsEvent::PeerCertificate(certificate.to_vec()));
            effects.extend(self.handshake(DtlsEvent::Connected));
            effects
        }
    }

    fn egress(answer: &Answer, mid: &str) -> Option<Ssrc> {
        answer.negotiated.section(Mid::from(mid))?.egress.map(|(main, _)| main)
    }

    #[test]
    fn nothing_of_the_engines_is_due_because_the_process_has_run_for_long() {
        let mut us = Negotiating::new();
        us.offer(&offer("abcd", "actpass", &[("0", "sendonly")])).expect("an answer");
        let deadline = us.session.deadline().expect("the engine always has one");
        assert!(deadline > us.now + Duration::from_secs(24 * 3600), "{:?}", deadline - us.now);
    }

    #[test]
    fn who_shows_the_promised_certificate_is_connected_and_nobody_else() {
        for (certificate, connects) in [(CERTIFICATE, true), (b"another certificate".as_slice(), false)] {
            let mut us = Negotiating::new();
            us.offer(&offer("abcd", "actpass", &[("0", "sendonly")])).expect("an answer");
            let effects = us.shows(certificate);
            let connected = effects.iter().any(|effect| matches!(effect, Effect::Connected { .. }));
            let closed = effects.iter().any(|effect| matches!(effect, Effect::Closed(_)));
            assert_eq!((connected, closed), (connects, !connects), "{effects:?}");
        }
    }

    #[test]
    fn a_certificate_may_be_as_long_as_companies_make_them() {
        for (length, connects) in
            [(3000, true), (CERTIFICATE_BYTES_MAX, true), (CERTIFICATE_BYTES_MAX + 1, false)]
        {
            let certificate = vec![0x30; length];
            let mut us = Negotiating::new();
            us.offer(&offer_with("abcd", "actpass", &[("0", "sendonly")], &certificate)).expect("an answer");
            let effects = us.shows(&certificate);
            let connected = effects.iter().any(|effect| matches!(effect, Effect::Connected { .. }));
            let closed = effects.iter().any(|effect| matches!(effect, Effect::Closed(_)));
            assert_eq!((connected, closed), (connects, !connects), "{length}");
        }
    }

    #[test]
    fn a_passive_client_is_called() {
        let mut us = Negotiating::new();
        let answer = us.offer(&offer("abcd", "passive", &[("0", "sendonly")])).expect("an answer");
        assert!(us.session.is_dtls_client() && answer.sdp.contains("a=setup:active"));
        let said = us.offer(&offer("abcd", "active", &[("0", "sendonly")])).expect_err("other roles");
        assert!(said.message.contains("a=setup"), "{said}");
        us.offer(&offer("abcd", "actpass", &[("0", "sendonly")])).expect("the roles stay");
    }

    #[test]
    fn new_credentials_of_the_client_begin_ice_anew() {
        let mut us = Negotiating::new();
        let first = us.offer(&offer("abcd", "actpass", &[("0", "sendonly")])).expect("an answer");
        let ufrag = us.session.ufrag().to_owned();
        let again = us.offer(&offer("abcd", "actpass", &[("0", "sendonly")])).expect("an answer");
        assert!(!first.restarted && !again.restarted && us.session.ufrag() == ufrag);
        let restarted = us.offer(&offer("efgh", "actpass", &[("0", "sendonly")])).expect("an answer");
        assert!(restarted.restarted && us.session.ufrag() != ufrag);
        assert!(restarted.sdp.contains(us.session.ufrag()), "{}", restarted.sdp);
        assert_eq!(us.mutated_ufrag(), us.session.ufrag(), "the engine knows, too");
    }

    impl Negotiating {
        fn mutated_ufrag(&mut self) -> String {
            let now = self.now;
            let credentials = self.session.mutate(now, |rtc| Ok(rtc.direct_api().local_ice_credentials()));
            credentials.expect("it lives").ufrag
        }
    }

    #[test]
    fn streams_outlive_a_direction_and_go_with_their_section() {
        let mut us = Negotiating::new();
        let first =
            us.offer(&offer("u", "actpass", &[("0", "recvonly"), ("1", "recvonly")])).expect("an answer");
        let kept = egress(&first, "1").expect("a stream");
        let paused =
            us.offer(&offer("u", "actpass", &[("0", "recvonly"), ("1", "inactive")])).expect("an answer");
        assert_eq!(egress(&paused, "1"), None);
        let back =
            us.offer(&offer("u", "actpass", &[("0", "recvonly"), ("1", "recvonly")])).expect("an answer");
        assert_eq!(egress(&back, "1"), Some(kept));
        us.offer(&offer("u", "actpass", &[("0", "recvonly")])).expect("an answer");
        assert_eq!(us.session.egress.len(), 1, "nothing is kept of a section that is gone");
        let anew =
            us.offer(&offer("u", "actpass", &[("0", "recvonly"), ("1", "recvonly")])).expect("an answer");
        assert_ne!(egress(&anew, "1"), Some(kept));
    }

    #[test]
    fn the_section_that_carries_the_transport_stays() {
        let mut us = Negotiating::new();
        us.offer(&offer("u", "actpass", &[("0", "recvonly"), ("1", "recvonly")])).expect("an answer");
        let said = us.offer(&offer("u", "actpass", &[("1", "recvonly")])).expect_err("0 is gone");
        assert!(said.message.contains("mid \"0\"") && said.message.contains("transport"), "{said}");
    }

    #[test]
    fn a_place_is_free_for_another_section_once_its_own_was_stopped_or_rejected() {
        let mut us = Negotiating::new();
        let with = |mid: &str| offer("u", "actpass", &[("0", "recvonly"), (mid, "sendonly")]);
        us.offer(&with("1")).expect("an answer");
        let said = us.offer(&with("2")).expect_err("1 is not stopped");
        assert!(
            said.message.contains("section 1 (mid \"2\")") && said.message.contains("mid \"1\""),
            "{said}"
        );
        let own_line = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
        let stopped = |text: String, line: &str| {
            let at = text.rfind(own_line).expect("a section");
            format!("{}{line}{}", &text[..at], &text[at + own_line.len()..])
        };
        // As browsers do it: port 0 first, and another mid in the next offer.
        us.offer(&stopped(with("1"), "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\n")).expect("an answer");
        us.offer(&with("2")).expect("an answer");
        us.offer(&with("2")).expect("the same again");
        // One that has just been rejected need not be stopped.
        us.offer(&stopped(with("2"), "m=application 9 UDP/DTLS/SCTP x\r\n")).expect("an answer");
        us.offer(&with("3")).expect("an answer");
    }

    #[test]
    fn nobody_makes_sections_for_ever() {
        let mut us = Negotiating::new();
        let mut made = 1;
        for round in 0.. {
            let mids: Vec<String> = (0..150).map(|n| format!("{round}-{n}")).collect();
            let mut sections = vec![("0", "recvonly")];
            sections.extend(mids.iter().map(|mid| (mid.as_str(), "inactive")));
            match us.offer(&offer("u", "actpass", &sections)) {
                Ok(_) => {
                    made += 150;
                    us.offer(&offer("u", "actpass", &[("0", "recvonly")])).expect("the places are free");
                }
                Err(said) => {
                    assert!(said.message.contains("sections"), "{said}");
                    break;
                }
            }
        }
        assert!(made <= SDP_SECTIONS_EVER_MAX && made > SDP_SECTIONS_EVER_MAX - 150, "{made}");
    }

    #[test]
    fn another_certificate_cannot_be_promised_once_one_was_shown() {
        let mut us = Negotiating::new();
        let text = offer("u", "actpass", &[("0", "recvonly")]);
        us.offer(&text).expect("an answer");
        us.shows(CERTIFICATE);
        us.offer(&text).expect("the same");
        let (head, tail) = text.split_once("sha-384 ").expect("a fingerprint");
        let other = format!("{head}sha-384 00{}", &tail[2..]);
        let said = us.offer(&other).expect_err("another");
        assert!(said.message.contains("a=fingerprint"), "{said}");
    }
}
