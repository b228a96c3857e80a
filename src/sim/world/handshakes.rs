//! The server's half of DTLS handshakes with whole endpoints. They are real ones that use the system's randomness, so
//! such a world differs a little from run to run.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::core::ids::DtlsSession;
use crate::core::input::DtlsEvent;
use crate::core::output::DtlsRequest;
pub(super) use crate::dtls::DtlsEvents;
use crate::dtls::{Call, Handshake, Identity, Scratch, Standing};

/// All handshakes of a world.
pub(super) struct Handshakes {
    identity: Identity,
    /// The handshakes, and when each wants to be called.
    sessions: BTreeMap<u64, (Handshake, Instant)>,
    scratch: Scratch,
}

impl Handshakes {
    /// Begins without handshakes. Returns `None` if the library cannot make a certificate.
    pub(super) fn new() -> Option<Self> {
        let identity = Identity::new().ok()?;
        Some(Self { identity, sessions: BTreeMap::new(), scratch: Scratch::default() })
    }

    /// The server's certificate, DER.
    pub(super) fn certificate(&self) -> &[u8] {
        self.identity.certificate()
    }

    /// Returns how many handshakes there are.
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Carries out what the core asks.
    pub(super) fn request(&mut self, now: Instant, session: DtlsSession, request: DtlsRequest) -> DtlsEvents {
        match request {
            DtlsRequest::Start { active } => {
                self.sessions.insert(session.0, (Handshake::new(&self.identity, now, active), now));
                self.step(now, session, Call::Time)
            }
            DtlsRequest::Packet(bytes) => self.step(now, session, Call::Packet(&bytes)),
            DtlsRequest::Channel(request) => self.step(now, session, Call::Channel(&request)),
            DtlsRequest::Close => {
                let events = self.step(now, session, Call::Close);
                self.sessions.remove(&session.0);
                events
            }
            DtlsRequest::Forget { .. } => {
                self.forget(now, session);
                DtlsEvents::new()
            }
        }
    }

    /// Ends a handshake whose participant is gone. Returns the last datagram to the client.
    pub(super) fn forget(&mut self, now: Instant, session: DtlsSession) -> Option<Vec<u8>> {
        let (handshake, _) = self.sessions.remove(&session.0)?;
        handshake.goodbye(now, session, &mut self.scratch)
    }

    /// Returns when a handshake wants to be called.
    pub(super) fn deadline(&self, session: DtlsSession) -> Option<Instant> {
        self.sessions.get(&session.0).map(|(_, deadline)| *deadline)
    }

    /// Lets time pass for a handshake whose deadline has come.
    pub(super) fn wake(&mut self, now: Instant, session: DtlsSession) -> DtlsEvents {
        if self.deadline(session).is_none_or(|at| at > now) {
            return DtlsEvents::new();
        }
        self.step(now, session, Call::Time)
    }

    fn step(&mut self, now: Instant, session: DtlsSession, call: Call<'_>) -> DtlsEvents {
        let mut events = DtlsEvents::new();
        let Some((handshake, deadline)) = self.sessions.get_mut(&session.0) else { return events };
        let standing = handshake.carry_out(now, call, session, &mut self.scratch, &mut events);
        if let Standing::Until(at) = standing {
            *deadline = at;
        }
        if let Some(end) = standing.end() {
            self.sessions.remove(&session.0);
            events.push((session, DtlsEvent::Closed(end)));
        }
        events
    }
}
