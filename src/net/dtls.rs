//! The DTLS handshakes. They are effects of the core: it posts [`DtlsRequest`]s, and the handshakes answer with
//! [`DtlsEvent`](crate::core::input::DtlsEvent)s, so a replay needs no DTLS code at all.
//!
//! This file owns the process's certificate and private key. It must never touch a socket: datagrams travel through the
//! core, and the last one to a peer who is gone is returned to the caller.

use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use tracing::{debug, error, trace};

use super::deadlines::{Alarm, Deadlines};
use crate::core::ids::DtlsSession;
use crate::core::input::{DtlsEnd, DtlsEvent};
use crate::core::output::DtlsRequest;
use crate::core::path::Path;
pub use crate::dtls::DtlsEvents;
use crate::dtls::{Call, Identity, Scratch, Standing};

struct Handshake {
    dtls: crate::dtls::Handshake,
    alarm: Alarm,
}

/// All DTLS handshakes and associations of the process.
pub struct Handshakes {
    identity: Identity,
    /// Boxed, because one takes some kilobytes and the table never shrinks.
    sessions: HashMap<DtlsSession, Box<Handshake>>,
    deadlines: Deadlines<DtlsSession>,
    scratch: Scratch,
}

impl Handshakes {
    /// Makes the process's certificate.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            identity: Identity::new().map_err(io::Error::other)?,
            sessions: HashMap::new(),
            deadlines: Deadlines::new(),
            scratch: Scratch::default(),
        })
    }

    /// Returns the certificate in DER. Its fingerprint goes into answers.
    pub fn certificate(&self) -> &[u8] {
        self.identity.certificate()
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Carries out a request of the core, and appends what happened to `events`. If the core has forgotten the peer,
    /// returns the last datagram to them and its path.
    pub fn request(
        &mut self,
        now: Instant,
        session: DtlsSession,
        request: DtlsRequest,
        events: &mut DtlsEvents,
    ) -> Option<(Path, Vec<u8>)> {
        match request {
            DtlsRequest::Start { active } => {
                let dtls = crate::dtls::Handshake::new(&self.identity, now, active);
                self.sessions.insert(session, Box::new(Handshake { dtls, alarm: Alarm::default() }));
                self.step(now, session, Call::Time, events);
            }
            DtlsRequest::Packet(bytes) => self.step(now, session, Call::Packet(&bytes), events),
            DtlsRequest::Channel(request) => self.step(now, session, Call::Channel(&request), events),
            DtlsRequest::Close => {
                self.step(now, session, Call::Close, events);
                // An error in that step has ended it already.
                if self.sessions.contains_key(&session) {
                    self.end(session, DtlsEnd::Goodbye, events);
                }
            }
            DtlsRequest::Forget { goodbye } => {
                let handshake = self.remove(session)?;
                let scratch = &mut self.scratch;
                let part = AssertUnwindSafe(|| handshake.dtls.goodbye(now, session, scratch));
                return goodbye.zip(catch_unwind(part).ok().flatten());
            }
        }
        None
    }

    /// Lets time pass for every handshake whose deadline has come.
    pub fn run_deadlines(&mut self, now: Instant, events: &mut DtlsEvents) {
        while let Some((at, session)) = self.deadlines.pop(now) {
            let Some(handshake) = self.sessions.get_mut(&session) else { continue };
            if self.deadlines.rang(&mut handshake.alarm, session, at, now) {
                self.step(now, session, Call::Time, events);
            }
        }
    }

    /// Returns when [`run_deadlines`](Self::run_deadlines) has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    fn remove(&mut self, session: DtlsSession) -> Option<Box<Handshake>> {
        let Self { sessions, deadlines, .. } = self;
        let removed = sessions.remove(&session);
        deadlines.compact(sessions.len(), |key| sessions.get(&key).and_then(|left| left.alarm.queued()));
        removed
    }

    /// Makes one call into the library and takes its outputs. An error is final: the handshake ends.
    fn step(&mut self, now: Instant, session: DtlsSession, call: Call<'_>, events: &mut DtlsEvents) {
        let Some(handshake) = self.sessions.get_mut(&session) else {
            trace!(session = session.0, "request for a DTLS handshake that is no more");
            return;
        };
        // The library parses what anybody may send. If it panics, this handshake ends and is never touched again.
        let scratch = &mut self.scratch;
        let outcome =
            catch_unwind(AssertUnwindSafe(|| handshake.dtls.carry_out(now, call, session, scratch, events)));
        match outcome {
            Ok(Standing::Until(due)) => self.deadlines.set(&mut handshake.alarm, session, Some(due)),
            Ok(over) => {
                if let Some(end) = over.end() {
                    debug!(session = session.0, ?end, "DTLS is over");
                    self.end(session, end, events);
                }
            }
            Err(_panic) => {
                error!(
                    session = session.0,
                    "the DTLS library panicked; its handshake ends, the others go on"
                );
                self.end(session, DtlsEnd::Failed("the DTLS library panicked".to_owned()), events);
            }
        }
    }

    fn end(&mut self, session: DtlsSession, end: DtlsEnd, events: &mut DtlsEvents) {
        self.remove(session);
        events.push((session, DtlsEvent::Closed(end)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtls::MTU;

    const A: DtlsSession = DtlsSession(1);
    const B: DtlsSession = DtlsSession(2);

    fn material(events: &DtlsEvents) -> Option<&DtlsEvent> {
        events.iter().map(|(_, event)| event).find(|event| matches!(event, DtlsEvent::KeyingMaterial { .. }))
    }

    #[test]
    fn two_handshakes_agree_on_keys_and_part_with_a_goodbye() -> io::Result<()> {
        let now = crate::net::clock::now();
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
        assert!(from_server.contains(&(B, DtlsEvent::Closed(DtlsEnd::Goodbye))));
        assert_eq!((client.len(), server.len()), (0, 0));
        Ok(())
    }

    #[test]
    fn a_silent_peer_is_retransmitted_to_and_then_given_up() -> io::Result<()> {
        let mut now = crate::net::clock::now();
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
        let last = events.last().map(|(_, event)| event);
        assert!(matches!(last, Some(DtlsEvent::Closed(DtlsEnd::Failed(why))) if !why.is_empty()), "{last:?}");
        assert_eq!(client.len(), 0);
        Ok(())
    }

    #[test]
    fn what_is_forgotten_says_nothing_more() -> io::Result<()> {
        let now = crate::net::clock::now();
        let mut client = Handshakes::new()?;
        let mut events = DtlsEvents::new();
        client.request(now, A, DtlsRequest::Start { active: true }, &mut events);
        events.clear();
        client.request(now, A, DtlsRequest::Forget { goodbye: None }, &mut events);
        client.request(now, A, DtlsRequest::Packet(vec![22; 64]), &mut events);
        while let Some(at) = client.next_deadline() {
            client.run_deadlines(at, &mut events);
        }
        assert!(events.is_empty());
        Ok(())
    }
}
