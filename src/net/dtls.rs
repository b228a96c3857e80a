//! The live DTLS handshakes, which are effects of the core: it posts [`DtlsRequest`]s, and what the handshakes do
//! comes back to it as [`DtlsEvent`]s, so that a replay needs no DTLS code at all.
//!
//! Owns the process's certificate and private key. Must never touch a socket: flights travel through the core.
//! DTLS 1.2 only: with 1.3 the library negotiates the dearer SRTP profile (`docs/architecture.md`).

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::{Config, Dtls, DtlsCertificate};
use tracing::{debug, error, trace, warn};

use super::deadlines::{Alarm, Deadlines};
use crate::core::ids::DtlsSession;
use crate::core::input::{DtlsEvent, SrtpProfile};
use crate::core::output::DtlsRequest;

/// Largest flight datagram: leaves room for any tunnel on the way.
const MTU: usize = 1200;

/// Room for any single output of the library: a certificate or a datagram.
const OUTPUT_BYTES: usize = 4096;

/// What handshakes did, in order; the event loop feeds it to the core.
pub type DtlsEvents = Vec<(DtlsSession, DtlsEvent)>;

struct Handshake {
    dtls: Dtls,
    alarm: Alarm,
}

/// All handshakes of the process.
pub struct Handshakes {
    config: Arc<Config>,
    certificate: DtlsCertificate,
    /// Boxed: one is some kilobytes, and the table never shrinks.
    sessions: HashMap<DtlsSession, Box<Handshake>>,
    deadlines: Deadlines<DtlsSession>,
    output: Vec<u8>,
}

impl Handshakes {
    /// Makes the process's certificate and the configuration that all handshakes share: building that anew for
    /// each would cost more than the handshake.
    pub fn new() -> io::Result<Self> {
        let certificate = dimpl::certificate::generate_self_signed_certificate().map_err(io::Error::other)?;
        let config = Config::builder().mtu(MTU).use_server_cookie(false).build().map_err(|error| {
            io::Error::other(format!("the DTLS library refuses its configuration: {error}"))
        })?;
        Ok(Self {
            config: Arc::new(config),
            certificate,
            sessions: HashMap::new(),
            deadlines: Deadlines::new(),
            output: vec![0; OUTPUT_BYTES],
        })
    }

    /// The certificate, DER; its fingerprint goes into answers.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate.certificate
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Carries out what the core asks; what came of it is appended to `events`.
    pub fn request(
        &mut self,
        now: Instant,
        session: DtlsSession,
        request: DtlsRequest,
        events: &mut DtlsEvents,
    ) {
        match request {
            DtlsRequest::Start { active } => {
                let mut dtls = Dtls::new_12(self.config.clone(), self.certificate.clone(), now);
                dtls.set_active(active);
                self.sessions.insert(session, Box::new(Handshake { dtls, alarm: Alarm::default() }));
                // An active handshake sends its first flight when its clock first moves.
                self.step(now, session, events, |dtls| dtls.handle_timeout(now));
            }
            DtlsRequest::Packet(bytes) => self.step(now, session, events, |dtls| {
                dtls.handle_timeout(now)?;
                dtls.handle_packet(&bytes)
            }),
            DtlsRequest::Close => {
                self.step(now, session, events, Dtls::close);
                if self.sessions.contains_key(&session) {
                    self.end(session, events);
                }
            }
            DtlsRequest::Forget => {
                self.remove(session);
            }
        }
    }

    /// Lets time pass for every handshake whose deadline has come.
    pub fn run_deadlines(&mut self, now: Instant, events: &mut DtlsEvents) {
        while let Some((at, session)) = self.deadlines.pop(now) {
            let Some(handshake) = self.sessions.get_mut(&session) else { continue };
            if self.deadlines.rang(&mut handshake.alarm, session, at, now) {
                self.step(now, session, events, |dtls| dtls.handle_timeout(now));
            }
        }
    }

    /// When [`run_deadlines`](Self::run_deadlines) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn remove(&mut self, session: DtlsSession) {
        let Self { sessions, deadlines, .. } = self;
        sessions.remove(&session);
        deadlines.compact(sessions.len(), |key| sessions.get(&key).and_then(|left| left.alarm.queued()));
    }

    /// One call into the library, and everything that it says afterwards. An error is final: the handshake ends.
    fn step(
        &mut self,
        now: Instant,
        session: DtlsSession,
        events: &mut DtlsEvents,
        call: impl FnOnce(&mut Dtls) -> Result<(), dimpl::Error>,
    ) {
        let Some(handshake) = self.sessions.get_mut(&session) else {
            trace!(session = session.0, "request for a DTLS handshake that is no more");
            return;
        };
        // The library parses what anybody may send. Should it panic, that handshake ends, and is never touched again.
        let output = &mut self.output;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let result = call(&mut handshake.dtls);
            // Also after an error: an alert may be waiting to be sent.
            (result, poll(&mut handshake.dtls, output, session, events))
        }));
        let Ok((result, polled)) = outcome else {
            error!(session = session.0, "the DTLS library panicked; its handshake ends, the others go on");
            return self.end(session, events);
        };
        if let Err(error) = result {
            debug!(session = session.0, %error, "DTLS handshake failed");
            self.end(session, events);
        } else if polled.goodbye {
            debug!(session = session.0, "DTLS association closed by the peer");
            self.end(session, events);
        } else {
            // A deadline that has passed already would spin; the library means "soon".
            let due = polled.deadline.max(now + Duration::from_millis(1));
            self.deadlines.set(&mut handshake.alarm, session, Some(due));
        }
    }

    fn end(&mut self, session: DtlsSession, events: &mut DtlsEvents) {
        self.remove(session);
        events.push((session, DtlsEvent::Closed));
    }
}

/// What the library said besides events.
struct Polled {
    /// Whether the peer closed the association.
    goodbye: bool,
    /// When it wants to be called again.
    deadline: Instant,
}

/// Drains the library until it names its deadline.
fn poll(dtls: &mut Dtls, output: &mut Vec<u8>, session: DtlsSession, events: &mut DtlsEvents) -> Polled {
    let mut goodbye = false;
    loop {
        let event = match dtls.poll_output(output) {
            dimpl::Output::Packet(bytes) => DtlsEvent::Packet(bytes.to_vec()),
            dimpl::Output::PeerCert(der) => DtlsEvent::PeerCertificate(der.to_vec()),
            dimpl::Output::KeyingMaterial(material, profile) => {
                let Some(profile) = srtp_profile(profile) else {
                    warn!(session = session.0, ?profile, "an SRTP profile that is not served was negotiated");
                    continue;
                };
                DtlsEvent::KeyingMaterial { profile, material: material.to_vec() }
            }
            dimpl::Output::Connected => {
                debug!(session = session.0, "DTLS connected");
                DtlsEvent::Connected
            }
            dimpl::Output::CloseNotify => {
                goodbye = true;
                continue;
            }
            dimpl::Output::BufferTooSmall { needed } => {
                output.resize(needed, 0);
                continue;
            }
            dimpl::Output::Timeout(deadline) => return Polled { goodbye, deadline },
            // No data channels: application data has no reader.
            _ => continue,
        };
        events.push((session, event));
    }
}

/// `None` for a profile that the library learnt after this was written; without keys the media path stays dead, and
/// the participant is given up by its time-out.
fn srtp_profile(profile: dimpl::SrtpProfile) -> Option<SrtpProfile> {
    match profile {
        dimpl::SrtpProfile::AES128_CM_SHA1_80 => Some(SrtpProfile::Aes128CmSha1_80),
        dimpl::SrtpProfile::AEAD_AES_128_GCM => Some(SrtpProfile::AeadAes128Gcm),
        dimpl::SrtpProfile::AEAD_AES_256_GCM => Some(SrtpProfile::AeadAes256Gcm),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: DtlsSession = DtlsSession(1);
    const B: DtlsSession = DtlsSession(2);

    fn material(events: &DtlsEvents) -> Option<&DtlsEvent> {
        events.iter().map(|(_, event)| event).find(|event| matches!(event, DtlsEvent::KeyingMaterial { .. }))
    }

    #[test]
    fn two_handshakes_agree_on_keys_and_part_with_a_goodbye() -> io::Result<()> {
        let now = super::super::clock::now();
        let (mut client, mut server) = (Handshakes::new()?, Handshakes::new()?);
        let (mut from_client, mut from_server) = (DtlsEvents::new(), DtlsEvents::new());
        server.request(now, B, DtlsRequest::Start { active: false }, &mut from_server);
        client.request(now, A, DtlsRequest::Start { active: true }, &mut from_client);
        let (mut client_seen, mut server_seen) = (DtlsEvents::new(), DtlsEvents::new());
        while !from_client.is_empty() || !from_server.is_empty() {
            for (_, event) in std::mem::take(&mut from_client) {
                if let DtlsEvent::Packet(bytes) = &event {
                    assert!(bytes.len() <= MTU);
                    server.request(now, B, DtlsRequest::Packet(bytes.clone()), &mut from_server);
                }
                client_seen.push((A, event));
            }
            for (_, event) in std::mem::take(&mut from_server) {
                if let DtlsEvent::Packet(bytes) = &event {
                    client.request(now, A, DtlsRequest::Packet(bytes.clone()), &mut from_client);
                }
                server_seen.push((B, event));
            }
        }
        assert!(client_seen.contains(&(A, DtlsEvent::Connected)));
        assert!(server_seen.contains(&(B, DtlsEvent::Connected)));
        assert!(server_seen.contains(&(B, DtlsEvent::PeerCertificate(client.certificate().to_vec()))));
        assert!(material(&client_seen).is_some());
        assert_eq!(material(&client_seen), material(&server_seen));

        client.request(now, A, DtlsRequest::Close, &mut from_client);
        for (_, event) in from_client {
            if let DtlsEvent::Packet(bytes) = event {
                server.request(now, B, DtlsRequest::Packet(bytes), &mut from_server);
            }
        }
        assert!(from_server.contains(&(B, DtlsEvent::Closed)));
        assert_eq!((client.len(), server.len()), (0, 0));
        Ok(())
    }

    #[test]
    fn a_silent_peer_is_retransmitted_to_and_then_given_up() -> io::Result<()> {
        let mut now = super::super::clock::now();
        let mut client = Handshakes::new()?;
        let mut events = DtlsEvents::new();
        client.request(now, A, DtlsRequest::Start { active: true }, &mut events);
        let mut steps = 0;
        while let Some(at) = client.next_deadline() {
            now = at.max(now);
            client.run_deadlines(now, &mut events);
            steps += 1;
            assert!(steps < 1000, "the handshake never gives up");
        }
        let flights = events.iter().filter(|(_, event)| matches!(event, DtlsEvent::Packet(_))).count();
        assert!(flights > 1, "{flights}");
        assert_eq!(events.last(), Some(&(A, DtlsEvent::Closed)));
        assert_eq!(client.len(), 0);
        Ok(())
    }

    #[test]
    fn what_is_forgotten_says_nothing_more() -> io::Result<()> {
        let now = super::super::clock::now();
        let mut client = Handshakes::new()?;
        let mut events = DtlsEvents::new();
        client.request(now, A, DtlsRequest::Start { active: true }, &mut events);
        events.clear();
        client.request(now, A, DtlsRequest::Forget, &mut events);
        client.request(now, A, DtlsRequest::Packet(vec![22; 64]), &mut events);
        while let Some(at) = client.next_deadline() {
            client.run_deadlines(at, &mut events);
        }
        assert!(events.is_empty());
        Ok(())
    }
}
