//! Session: the half of a participant that negotiates: SDP, ICE and DTLS by one `str0m::Rtc`, a few packets a minute.
//! Media never enters it, and what it would send as RTP or RTCP never leaves it.
//!
//! **After every mutation the engine is polled until it returns a timeout.** `Session::mutate` is the only place
//! that touches it, so that cannot be broken.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::change::SdpOffer;
use str0m::config::DtlsCert;
use str0m::net::{Protocol, Receive, TcpType};
use str0m::{Candidate, IceCreds, Input, Output, Rtc, RtcConfig, RtcError};

use super::engine::{egress_ssrcs, engine_address, read_negotiated, with_extensions};
use super::handshake::{self, Mailbox};
use super::ids::{Mid, Ssrc};
use super::input::{DtlsEvent, SrtpProfile};
use super::negotiated::Negotiated;
use super::output::DtlsRequest;
use super::path::{LocalCandidate, Transport};
use super::rng::{EngineRng, Rng};
use super::sdp::{AnswerPatch, BadOffer, Offer, patch_answer};
use crate::wire::classify::{Kind, classify};

/// Characters of a ufrag: the room's tag and 12 that are random (RFC 8445 §5.3 asks for 24 bits).
const UFRAG_RANDOM_CHARS: usize = 12;
/// Characters of an ICE password, 5 bits each (RFC 8445 §5.3 asks for 128 bits).
const PASSWORD_CHARS: usize = 26;
/// The engine's reports are never sent; this keeps it from writing any. It counts from an hour before the process began,
/// so this is longer than any process lives: else a trace of a server that had run for longer would not replay.
const NO_REPORTS: Duration = Duration::from_secs(50 * 365 * 86_400);
/// The engine reads certificates into a buffer of this size.
const CERTIFICATE_BYTES_MAX: usize = 2000;

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
    /// Send a DTLS datagram. The way is the participant's; `to` is the engine's guess.
    Dtls {
        /// Where the engine believes the peer to be.
        to: SocketAddr,
        /// The bytes of the datagram.
        bytes: Vec<u8>,
    },
    /// Something for the handshake in the shell.
    Handshake(DtlsRequest),
    /// The peer is who the offer said it is, and here are the keys.
    Connected {
        /// The protection profile that was negotiated.
        profile: SrtpProfile,
        /// The exported keying material.
        material: Vec<u8>,
    },
    /// The transport is gone: the peer closed it, or is not who the offer said.
    Closed(String),
}

/// An answer, and what was agreed.
#[derive(Debug)]
pub struct Answer {
    /// The text for the client.
    pub sdp: String,
    /// What offer and answer agree on.
    pub negotiated: Negotiated,
    /// Whether our ICE credentials changed (an ICE restart).
    pub restarted: bool,
}

/// One participant's negotiating half.
pub struct Session {
    /// Boxed: it is ten kilobytes, and a room's table has places for up to twice as many as there are.
    rtc: Box<Rtc>,
    engine_rng: EngineRng,
    mailbox: Mailbox,
    /// Streams that the engine would send, by section. It has them only while it answers: each holds buffers for media
    /// that it never sees.
    egress: Vec<(Mid, Ssrc, Option<Ssrc>)>,
    tag: String,
    credentials: IceCreds,
    keys: Option<(SrtpProfile, Vec<u8>)>,
    certificate_seen: bool,
    handshake_done: bool,
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
    /// A session that waits for an offer. `tag` opens its ufrags and names its room.
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
                .clear_codecs()
                .enable_opus(true, true)
                .enable_vp8(true)
                .enable_h264(true)
                .enable_vp9(true)
                .enable_av1(true);
            Box::new(with_extensions(config).build(now))
        });
        let mailbox = handshake::take_last_made().expect("building an engine makes its handshake");
        engine_rng.within(|| {
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
            egress: Vec::new(),
            tag: tag.to_owned(),
            credentials,
            keys: None,
            certificate_seen: false,
            handshake_done: false,
            alive: true,
            deadline: None,
            effects: Vec::new(),
        };
        let _ = session.mutate(now, |_| Ok(()));
        session
    }

    /// The ufrag by which an unknown address is known to be this participant's.
    pub fn ufrag(&self) -> &str {
        &self.credentials.ufrag
    }

    /// The password by which checks to it are signed.
    pub fn password(&self) -> &str {
        &self.credentials.pass
    }

    /// Whether we are the DTLS client: an offer of `setup:passive` made us so.
    pub fn is_dtls_client(&self) -> bool {
        self.mailbox.is_active()
    }

    /// When [`Session::handle_timeout`] wants to be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// What the last mutations asked for, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Answers an offer.
    pub fn accept_offer(
        &mut self,
        now: Instant,
        offer: &Offer,
        candidates: &[LocalCandidate],
        rng: &mut Rng,
        streams: impl FnOnce(&Negotiated) -> Vec<(Mid, String)>,
    ) -> Result<Answer, BadOffer> {
        let parsed = parse_offer(offer)?;
        self.return_streams(now);
        let answer = self.mutate(now, |rtc| rtc.sdp_api().accept_offer(parsed));
        let made_up = self.mutate(now, |rtc| Ok(rtc.direct_api().local_ice_credentials())).ok();
        let restarted = made_up.is_some_and(|creds| creds.ufrag != self.credentials.ufrag);
        if restarted {
            // The engine restarts ICE before it finds fault with the rest: of a refused offer nothing may stay.
            if answer.is_ok() {
                self.credentials = new_credentials(&self.tag, rng);
            }
            let own = self.credentials.clone();
            let set = self.mutate(now, |rtc| {
                rtc.direct_api().set_local_ice_credentials(own);
                Ok(())
            });
            set.map_err(|e| format!("the ICE restart failed: {e}"))?;
        }
        let answer = answer.map_err(|e| format!("the offer cannot be answered: {e}"))?.to_sdp_string();
        let negotiated = self
            .mutate(now, |rtc| Ok(read_negotiated(rtc, offer)))
            .map_err(|e| format!("the session is closed: {e}"))?;
        self.take_streams(now, &negotiated);
        let streams = streams(&negotiated);
        let patch = AnswerPatch {
            candidates,
            ufrag: &self.credentials.ufrag,
            password: &self.credentials.pass,
            streams: &streams,
        };
        Ok(Answer { sdp: patch_answer(&answer, offer, &patch), negotiated, restarted })
    }

    /// Gives the engine the streams back that it had when it answered last, so that their SSRCs stay what they were.
    fn return_streams(&mut self, now: Instant) {
        let streams = std::mem::take(&mut self.egress);
        let _ = self.mutate(now, |rtc| {
            for (mid, ssrc, rtx) in streams {
                if rtc.media(mid).is_some() {
                    let rtx = rtx.map(|rtx| rtx.0.into());
                    rtc.direct_api().declare_stream_tx(ssrc.0.into(), rtx, mid, None);
                }
            }
            Ok(())
        });
    }

    /// Takes the streams away from the engine until the next offer.
    fn take_streams(&mut self, now: Instant, negotiated: &Negotiated) {
        let taken = self.mutate(now, |rtc| {
            let mut taken = Vec::new();
            for section in &negotiated.sections {
                if let Some((ssrc, rtx)) = egress_ssrcs(rtc, section.mid) {
                    rtc.direct_api().remove_stream_tx(ssrc.0.into());
                    taken.push((section.mid, ssrc, rtx));
                }
            }
            Ok(taken)
        });
        self.egress = taken.unwrap_or_default();
    }

    /// Takes a STUN message. Only a check with the right credentials makes the engine answer, which is how the
    /// caller knows that it was one.
    pub fn handle_stun(&mut self, now: Instant, transport: Transport, remote: SocketAddr, bytes: &[u8]) {
        let proto = match transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
        };
        let Ok(receive) = Receive::new(proto, remote, engine_address(remote), bytes) else { return };
        let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Receive(now, receive)));
    }

    /// Takes a DTLS datagram.
    pub fn handle_dtls(&mut self, now: Instant, remote: SocketAddr, bytes: &[u8]) {
        let Ok(receive) = Receive::new(Protocol::Udp, remote, engine_address(remote), bytes) else { return };
        let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Receive(now, receive)));
    }

    /// Takes what the handshake in the shell did.
    pub fn handle_handshake(&mut self, now: Instant, event: DtlsEvent) {
        match &event {
            DtlsEvent::PeerCertificate(der) if der.len() > CERTIFICATE_BYTES_MAX => {
                self.close("the peer's certificate is too large");
                return;
            }
            DtlsEvent::PeerCertificate(_) => self.certificate_seen = true,
            DtlsEvent::KeyingMaterial { profile, material } => {
                self.keys = Some((*profile, material.clone()));
                return;
            }
            DtlsEvent::Connected => self.handshake_done = true,
            DtlsEvent::Packet(_) | DtlsEvent::Closed => {}
        }
        self.mailbox.deliver(event);
        let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Timeout(now)));
        if self.alive
            && self.certificate_seen
            && self.handshake_done
            && let Some((profile, material)) = self.keys.take()
        {
            self.effects.push(Effect::Connected { profile, material });
        }
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = self.mutate(now, |rtc| rtc.handle_input(Input::Timeout(now)));
    }

    fn close(&mut self, why: &str) {
        if self.alive {
            self.alive = false;
            self.effects.push(Effect::Closed(why.to_owned()));
        }
    }

    /// The only borrow of the engine: one mutation, then everything it wants, until it names its next deadline.
    fn mutate<R>(
        &mut self,
        now: Instant,
        mutation: impl FnOnce(&mut Rtc) -> Result<R, RtcError>,
    ) -> Result<R, RtcError> {
        let Self { rtc, engine_rng, .. } = self;
        let mut closed = None;
        let mut datagrams = Vec::new();
        let (result, deadline) = engine_rng.within(|| {
            let result = mutation(rtc);
            let deadline = loop {
                match rtc.poll_output() {
                    Ok(Output::Timeout(at)) => break Some(at),
                    Ok(Output::Transmit(transmit)) => {
                        datagrams.push((transmit.destination, transmit.contents.to_vec()));
                    }
                    Ok(Output::Event(str0m::Event::Closed)) => {
                        closed = Some("the peer closed the transport".to_owned());
                    }
                    Ok(Output::Event(_)) => {}
                    Err(error) => {
                        closed = Some(error.to_string());
                        break None;
                    }
                }
            };
            (result, deadline)
        });
        let alive = rtc.is_alive();
        // Waking sooner than a millisecond from now would only spin; the engine asks for that while it is idle.
        self.deadline = deadline.map(|at| at.max(now + Duration::from_millis(1)));
        for (to, bytes) in datagrams {
            match classify(&bytes) {
                Kind::Stun => self.effects.push(Effect::Stun { to, bytes }),
                Kind::Dtls => self.effects.push(Effect::Dtls { to, bytes }),
                // Reports of the engine would be sealed with our keys and its own counter: never send them.
                Kind::Rtp | Kind::Rtcp | Kind::TurnChannel | Kind::Unknown => {}
            }
        }
        while let Some(request) = self.mailbox.take_request() {
            self.effects.push(Effect::Handshake(request));
        }
        if closed.is_some() || !alive {
            self.close(&closed.unwrap_or_else(|| "the session ended".to_owned()));
            self.deadline = None;
        }
        result
    }
}

/// Whether the engine can read an offer. What comes of it is not known before it is answered.
pub fn check_offer(offer: &Offer) -> Result<(), BadOffer> {
    parse_offer(offer).map(|_| ())
}

/// The engine says where a description breaks by an address in memory: nobody's business, and another in each process.
fn parse_offer(offer: &Offer) -> Result<SdpOffer, BadOffer> {
    let parsed = SdpOffer::from_sdp_string(&offer.text).map_err(|error| {
        let error = error.to_string();
        let words: Vec<&str> = error.lines().filter(|line| !line.contains("PointerOffset")).collect();
        format!("the SDP does not parse: {}", words.join(", "))
    })?;
    // It stops without a word where it understands nothing; an answer must have all sections (RFC 3264 §6).
    let read = parsed.to_sdp_string().lines().filter(|line| line.starts_with("m=")).count();
    if read != offer.sections.len() {
        return Err(format!("the SDP does not parse behind section {read} of {}", offer.sections.len()));
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_engines_is_due_because_the_process_has_run_for_long() {
        let now = Instant::now() + Duration::from_secs(100_000);
        let mut rng = Rng::new([7; 32]);
        let mut session = Session::new(now, "aaaa", &[0x30; 64], &mut rng);
        let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
            a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AB\r\na=setup:actpass\r\na=mid:0\r\n\
            a=sendonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=msid:s t\r\na=ssrc:5 cname:c\r\n";
        let offer = Offer::read(text).expect("an offer");
        session.accept_offer(now, &offer, &[], &mut rng, |_| Vec::new()).expect("an answer");
        let deadline = session.deadline().expect("the engine always has one");
        assert!(deadline > now + Duration::from_secs(24 * 3600), "{:?}", deadline - now);
    }

    #[test]
    fn a_refused_offer_is_told_what_is_wrong_and_no_address_in_memory() {
        let text = "v=0\r\nnonsense\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n";
        let said = check_offer(&Offer::read(text).expect("it has a section")).expect_err("nonsense");
        assert!(said.contains("Unexpected `n`") && !said.contains("0x") && !said.contains('\n'), "{said}");
    }

    #[test]
    fn an_offer_of_which_the_engine_would_read_a_part_is_refused() {
        let section = |mid| {
            format!(
                "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
                a=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 AB\r\na=setup:actpass\r\n\
                a=mid:{mid}\r\na=sendonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
            )
        };
        let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
        let whole = format!("{head}{}{}", section(0), section(1));
        assert_eq!(check_offer(&Offer::read(&whole).expect("two sections")), Ok(()));
        let strange = format!("{head}{}{}", section(0), section(1).replace("UDP/TLS/RTP/SAVPF", "X"));
        let said = check_offer(&Offer::read(&strange).expect("two sections")).expect_err("one is read");
        assert!(said.contains("does not parse behind section 1 of 2"), "{said}");
    }
}
