//! The embedded TURN server: messages of strangers, and of clients with good credentials. Its nonces are the operating
//! system's, so that a run is not exact to the byte; what it does with a message does not depend on them.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use strait::core::ids::ConnectionId;
use strait::core::path::{Carrier, Path};
use strait::net::fuzzing::{Candidates, Link, LinkKind, ReachedBy, Relayed, TurnServer, Verdict};
use strait::net::{RelayedNetwork, TurnConfig};
use strait::wire::classify::{DatagramKind, classify};
use strait::wire::stun::peek;
use turn_server_proto::types::stun::attribute::{Nonce, RawAttribute, Realm, Username};
use turn_server_proto::types::stun::message::{
    IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageIntegrityCredentials, MessageWriteVec, Method,
};
use turn_server_proto::types::stun::prelude::{MessageWrite, MessageWriteExt};

use super::tape::Tape;

/// How long a client may be there without an allocation.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most messages that one input becomes.
const STEPS_MAX: usize = 64;

struct World {
    turn: TurnServer,
    candidates: Candidates,
    now: Instant,
    username: String,
    password: String,
    /// Realm and nonce of the last challenge.
    challenge: Option<(String, String)>,
    relayed: Vec<SocketAddr>,
}

fn server() -> SocketAddr {
    SocketAddr::from(([10, 9, 9, 9], 7443))
}

/// `turn`: nobody reaches anything but the server; answers are STUN; everything expires.
pub fn turn(data: &[u8]) {
    let now = Instant::now();
    let turn = TurnServer::new(TurnConfig::default(), RelayedNetwork::FIRST, PATIENCE, server().port(), now);
    let turn = turn.expect("randomness");
    let reached = ReachedBy { host: None, is_tls: true, is_proxied: false, candidate: server() };
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let issued = turn.ice_servers("anna", reached, unix).pop().expect("it is served");
    let mut world = World {
        turn,
        candidates: Candidates::new(vec![server().ip()], server(), Some(RelayedNetwork::FIRST)),
        now,
        username: issued.username.expect("a user name"),
        password: issued.credential.expect("a password"),
        challenge: None,
        relayed: Vec::new(),
    };
    let mut tape = Tape::new(data);
    for _ in 0..STEPS_MAX {
        if world.step(&mut tape).is_none() {
            break;
        }
        world.take();
    }
    world.end();
}

impl World {
    fn step(&mut self, tape: &mut Tape<'_>) -> Option<()> {
        let kind = tape.byte()?;
        let who = kind >> 4;
        match kind & 0x0f {
            0..=3 => self.send(who, tape.bytes()?),
            4..=9 => {
                let method = [1, 3, 4, 6, 7, 8, 9, 0xfff][usize::from(tape.byte()?) % 8];
                let attributes = tape.bytes()?;
                if let Some(message) = self.signed(method, attributes) {
                    self.send(who, &message);
                }
            }
            10 | 11 => {
                self.now += Duration::from_secs(u64::from(tape.byte()?));
                self.turn.run_deadlines(self.now);
            }
            12 | 13 => {
                let bytes = tape.bytes()?;
                let to = self.relayed.get(usize::from(who)).copied();
                let remote = to.unwrap_or(([192, 0, 2, 1], 1024).into());
                let path = Path { carrier: Carrier::Udp, local: server(), remote };
                if let Some((_, message)) = self.turn.transmit(self.now, path, bytes) {
                    assert!(message.len() >= bytes.len());
                }
            }
            _ => self.turn.connection_over(ConnectionId(u64::from(who))),
        }
        Some(())
    }

    /// A message from somebody: by datagrams, or on a connection.
    fn send(&mut self, who: u8, bytes: &[u8]) {
        let remote = SocketAddr::from(([10, 0, 0, who & 7], 5000));
        let path = Path { carrier: Carrier::Udp, local: server(), remote };
        let relayed = if who & 8 == 0 {
            match self.turn.receive_datagram(self.now, classify(bytes), path, bytes, &mut self.candidates) {
                Verdict::Relayed(relayed) => Some(relayed),
                Verdict::Core | Verdict::Handled => None,
            }
        } else {
            let connection = (ConnectionId(u64::from(who)), LinkKind::Tcp);
            self.turn.receive_message(self.now, connection, (server(), remote), bytes, &mut self.candidates)
        };
        if let Some(Relayed { path, range }) = relayed {
            assert!(bytes.get(range).is_some());
            assert!(
                RelayedNetwork::FIRST.contains(path.remote.ip()),
                "{} is not a relayed address",
                path.remote
            );
            let ours = path.local == server() || RelayedNetwork::FIRST.contains(path.local.ip());
            assert!(ours, "relayed to {}, which is not ours", path.local);
            if !self.relayed.contains(&path.remote) {
                self.relayed.push(path.remote);
            }
        }
    }

    /// A request with these attributes (type, length, value without padding), signed as a client would.
    fn signed(&self, method: u16, attributes: &[u8]) -> Option<Vec<u8>> {
        let mut request = Message::builder_request(Method::new(method), MessageWriteVec::new());
        let mut rest = Tape::new(attributes);
        while let (Some(kind), Some(value)) = (rest.short(), rest.bytes()) {
            // Signatures have a place of their own.
            if ![0x0008, 0x001c, 0x8028].contains(&kind) {
                request.add_attribute(&RawAttribute::new(kind.into(), value)).ok()?;
            }
        }
        if let Some((realm, nonce)) = &self.challenge {
            request.add_attribute(&Username::new(&self.username).ok()?).ok()?;
            request.add_attribute(&Realm::new(realm).ok()?).ok()?;
            request.add_attribute(&Nonce::new(nonce).ok()?).ok()?;
            let (username, password) = (self.username.clone(), self.password.clone());
            let credentials: MessageIntegrityCredentials =
                LongTermKeyCredentials::new(username, password, realm.clone()).into();
            request.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).ok()?;
        }
        Some(request.finish())
    }

    /// Takes what the server answers.
    fn take(&mut self) {
        while let Some((link, answer)) = self.turn.next_answer() {
            // On a connection, methods beyond what a demultiplexer could tell apart are fine (RFC 8489 §5).
            let is_stun = peek(&answer).is_some();
            let kind = classify(&answer);
            assert!(is_stun || kind == DatagramKind::TurnChannel, "{link:?} is answered with {kind:?}");
            assert!(kind != DatagramKind::Dtls || matches!(link, Link::Connection(_)));
            if let Ok(answer) = Message::from_bytes(&answer)
                && let (Ok(realm), Ok(nonce)) = (answer.attribute::<Realm>(), answer.attribute::<Nonce>())
            {
                self.challenge = Some((realm.realm().to_owned(), nonce.nonce().to_owned()));
            }
            if let Link::Datagrams(path) = link {
                assert_eq!(path.local, server());
            }
        }
        while self.turn.next_ended().is_some() {}
    }

    /// Time passes, and nobody renews anything.
    fn end(mut self) {
        for connection in 0..16 {
            self.turn.connection_over(ConnectionId(connection));
        }
        for _ in 0..80 {
            self.now += Duration::from_secs(60);
            self.turn.run_deadlines(self.now);
            self.take();
        }
        assert_eq!(self.turn.clients(), 0, "clients are left");
        assert_eq!(self.turn.next_deadline(), None);
    }
}
