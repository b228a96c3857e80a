//! DTLS as a mailbox. The engine believes that it drives a handshake, but every call is posted to the shell, which runs
//! the real one. Its results come back as inputs, so a replay can feed the recorded ones.
//!
//! Two things never reach the engine. It gets no keying material, because with keys it would encrypt RTCP packets of
//! its own and reuse our nonces. And it gets no time, because the deadlines of handshakes are in the shell.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::dtls::{DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion};
use str0m::crypto::{CryptoError, from_feature_flags};

use super::input::DtlsEvent;
use super::output::DtlsRequest;

/// Longer than any call lasts.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// The messages of one handshake, in both directions.
#[derive(Debug, Default)]
struct Post {
    to_shell: VecDeque<DtlsRequest>,
    to_engine: VecDeque<DtlsEvent>,
    active: bool,
    closed: bool,
}

/// The core's end of a mailbox.
#[derive(Debug, Clone)]
pub struct Mailbox(Arc<Mutex<Post>>);

impl Mailbox {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Post::default())))
    }

    fn post(&self) -> MutexGuard<'_, Post> {
        // The lock is never contended: both ends are on one thread, and the engine merely asks for a type that could
        // cross threads.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next request from the engine to the shell.
    pub fn take_request(&self) -> Option<DtlsRequest> {
        self.post().to_shell.pop_front()
    }

    /// Whether the engine chose to be the DTLS client.
    pub fn is_active(&self) -> bool {
        self.post().active
    }

    /// Hands something to the engine. The engine sees it when it is polled next.
    pub fn deliver(&self, event: DtlsEvent) {
        self.post().to_engine.push_back(event);
    }
}

thread_local! {
    /// The mailbox of the engine that is being built. `RtcConfig::build` makes the handshake through a provider that
    /// all engines share, so this is the only way to tell which engine it is for.
    static LAST_MADE: RefCell<Option<Mailbox>> = const { RefCell::new(None) };
}

/// Takes the mailbox of the engine that was just built on this thread.
pub fn take_last_made() -> Option<Mailbox> {
    LAST_MADE.with(RefCell::take)
}

/// Returns the engine's cryptography, with our mailboxes in place of its handshakes.
pub fn provider() -> CryptoProvider {
    CryptoProvider { dtls_provider: &MailboxProvider, ..from_feature_flags() }
}

#[derive(Debug)]
struct MailboxProvider;

impl DtlsProvider for MailboxProvider {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        None
    }

    fn new_dtls(
        &self,
        _cert: &DtlsCert,
        now: Instant,
        _version: DtlsVersion,
        _mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let mailbox = Mailbox::new();
        LAST_MADE.with(|last| last.replace(Some(mailbox.clone())));
        Ok(Box::new(MailboxInstance { mailbox, now }))
    }
}

/// The engine's end of a mailbox.
#[derive(Debug)]
struct MailboxInstance {
    mailbox: Mailbox,
    now: Instant,
}

impl DtlsInstance for MailboxInstance {
    fn set_active(&mut self, active: bool) {
        let mut post = self.mailbox.post();
        post.active = active;
        post.to_shell.push_back(DtlsRequest::Start { active });
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.mailbox.post().to_shell.push_back(DtlsRequest::Packet(packet.to_vec()));
        Ok(())
    }

    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        loop {
            let Some(event) = self.mailbox.post().to_engine.pop_front() else {
                return DtlsOutput::Timeout(self.now + NEVER);
            };
            match event {
                DtlsEvent::Packet(packet) => {
                    if packet.len() <= buf.len() {
                        let out = &mut buf[..packet.len()];
                        out.copy_from_slice(&packet);
                        return DtlsOutput::Packet(out);
                    }
                }
                DtlsEvent::PeerCertificate(der) => {
                    if der.len() <= buf.len() {
                        let out = &mut buf[..der.len()];
                        out.copy_from_slice(&der);
                        return DtlsOutput::PeerCert(out);
                    }
                }
                DtlsEvent::KeyingMaterial { .. } | DtlsEvent::Channel(_) => {}
                DtlsEvent::Connected => return DtlsOutput::Connected,
                DtlsEvent::Closed(_) => {
                    self.mailbox.post().closed = true;
                    return DtlsOutput::CloseNotify;
                }
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.now = now;
        Ok(())
    }

    fn send_application_data(&mut self, _data: &[u8]) -> Result<usize, DtlsImplError> {
        Ok(0)
    }

    fn is_active(&self) -> bool {
        self.mailbox.post().active
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        None
    }

    fn is_closing(&self) -> bool {
        self.mailbox.post().closed
    }

    fn is_closed(&self) -> bool {
        self.mailbox.post().closed
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        let mut post = self.mailbox.post();
        post.closed = true;
        post.to_shell.push_back(DtlsRequest::Close);
        Ok(())
    }
}
