//! The server's half of DTLS handshakes with whole endpoints, which bring their own: real ones, whose randomness is the
//! system's. That is why what happens in such a world differs a little from run to run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::core::ids::DtlsSession;
use crate::core::input::{DtlsEvent, SrtpProfile};
use crate::core::output::DtlsRequest;

/// Room for any single output of the library.
const OUTPUT_BYTES: usize = 8192;

/// What handshakes did.
pub(super) type DtlsEvents = Vec<(DtlsSession, DtlsEvent)>;

/// All handshakes of a world.
pub(super) struct Handshakes {
    config: Arc<dimpl::Config>,
    certificate: dimpl::DtlsCertificate,
    sessions: BTreeMap<u64, (dimpl::Dtls, Instant)>,
}

impl Handshakes {
    /// None yet. `None` if the library cannot make a certificate.
    pub(super) fn new() -> Option<Self> {
        let certificate = dimpl::certificate::generate_self_signed_certificate().ok()?;
        let config = dimpl::Config::builder().use_server_cookie(false).build().ok()?;
        Some(Self { config: Arc::new(config), certificate, sessions: BTreeMap::new() })
    }

    /// The server's certificate, DER.
    pub(super) fn certificate(&self) -> &[u8] {
        &self.certificate.certificate
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Carries out what the core asks.
    pub(super) fn request(&mut self, now: Instant, session: DtlsSession, request: DtlsRequest) -> DtlsEvents {
        match request {
            DtlsRequest::Start { active } => {
                let mut dtls = dimpl::Dtls::new_12(Arc::clone(&self.config), self.certificate.clone(), now);
                dtls.set_active(active);
                self.sessions.insert(session.0, (dtls, now));
                self.step(now, session, |dtls| dtls.handle_timeout(now))
            }
            DtlsRequest::Packet(bytes) => self.step(now, session, |dtls| {
                dtls.handle_timeout(now)?;
                dtls.handle_packet(&bytes)
            }),
            DtlsRequest::Close => {
                let events = self.step(now, session, dimpl::Dtls::close);
                self.sessions.remove(&session.0);
                events
            }
            DtlsRequest::Forget => {
                self.sessions.remove(&session.0);
                DtlsEvents::new()
            }
        }
    }

    /// When a handshake wants to go on.
    pub(super) fn deadline(&self, session: DtlsSession) -> Option<Instant> {
        self.sessions.get(&session.0).map(|(_, deadline)| *deadline)
    }

    /// Lets time pass for a handshake whose deadline has come.
    pub(super) fn wake(&mut self, now: Instant, session: DtlsSession) -> DtlsEvents {
        if self.deadline(session).is_none_or(|at| at > now) {
            return DtlsEvents::new();
        }
        self.step(now, session, |dtls| dtls.handle_timeout(now))
    }

    fn step(
        &mut self,
        now: Instant,
        session: DtlsSession,
        call: impl FnOnce(&mut dimpl::Dtls) -> Result<(), dimpl::Error>,
    ) -> DtlsEvents {
        let mut events = DtlsEvents::new();
        let Some((dtls, deadline)) = self.sessions.get_mut(&session.0) else { return events };
        let ended = call(dtls).is_err();
        let mut buffer = vec![0; OUTPUT_BYTES];
        let mut closed = ended;
        loop {
            let event = match dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => DtlsEvent::Packet(packet.to_vec()),
                dimpl::Output::PeerCert(der) => DtlsEvent::PeerCertificate(der.to_vec()),
                dimpl::Output::Connected => DtlsEvent::Connected,
                dimpl::Output::KeyingMaterial(material, profile) => {
                    let profile = match profile {
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => SrtpProfile::AeadAes256Gcm,
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => SrtpProfile::AeadAes128Gcm,
                        _ => SrtpProfile::Aes128CmSha1_80,
                    };
                    DtlsEvent::KeyingMaterial { profile, material: material.to_vec() }
                }
                dimpl::Output::CloseNotify => {
                    closed = true;
                    continue;
                }
                dimpl::Output::Timeout(at) => {
                    // The library means "soon" by what has passed.
                    *deadline = at.max(now + Duration::from_millis(1));
                    break;
                }
                _ => continue,
            };
            events.push((session, event));
        }
        if closed {
            self.sessions.remove(&session.0);
            events.push((session, DtlsEvent::Closed));
        }
        events
    }
}
