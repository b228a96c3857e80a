//! The TURN server under a clock of the test's: what expires, and when. All else is tested from outside (`tests/shell/turn.rs`).

use turn_server_proto::types::attribute::{ChannelNumber, Lifetime, RequestedTransport, XorPeerAddress};
use turn_server_proto::types::message::{ALLOCATE, CHANNEL_BIND, REFRESH};
use turn_server_proto::types::stun::attribute::{Nonce, Realm, Username};
use turn_server_proto::types::stun::message::{
    BINDING, IntegrityAlgorithm, LongTermKeyCredentials, Message, MessageIntegrityCredentials,
    MessageWriteVec, Method,
};
use turn_server_proto::types::stun::prelude::{MessageWrite, MessageWriteExt};

use super::messages::error_code;
use super::*;
use crate::core::path::Carrier;
use crate::net::clock;

const PATIENCE: Duration = Duration::from_secs(10);
const CHANNEL: u16 = 0x4000;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// A client by datagrams, the server, and the time.
struct Call {
    turn: TurnServer,
    candidates: Candidates,
    now: Instant,
    path: Path,
    username: String,
    password: String,
    nonce: Option<(String, String)>,
    /// The last request and its answer.
    last: (Vec<u8>, Vec<u8>),
}

impl Call {
    fn new() -> Self {
        let (ours, theirs) = (address("127.0.0.1:7443"), address("127.0.0.1:5000"));
        let now = clock::now();
        let turn = TurnServer::new(TurnConfig::default(), RelayedNetwork::FIRST, PATIENCE, ours.port(), now)
            .expect("randomness");
        let issued = turn.credentials.issue("anna", clock::unix() + Duration::from_secs(60));
        Self {
            turn,
            candidates: Candidates::new(Vec::new(), ours, Some(RelayedNetwork::FIRST)),
            now,
            path: Path { carrier: Carrier::Udp, local: ours, remote: theirs },
            username: issued.username,
            password: issued.password,
            nonce: None,
            last: (Vec::new(), Vec::new()),
        }
    }

    fn wait(&mut self, seconds: u64) {
        // In steps, as the loop would.
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            self.turn.run_deadlines(self.now);
        }
    }

    /// The error code of the answer. A nonce that has become old (438) is replaced.
    fn ask(&mut self, method: Method, fill: impl Copy + Fn(&mut MessageWriteVec)) -> Option<u16> {
        let mut request = Message::builder_request(method, MessageWriteVec::new());
        fill(&mut request);
        if let Some((realm, nonce)) = &self.nonce {
            request.add_attribute(&Username::new(&self.username).expect("a name")).expect("room");
            request.add_attribute(&Realm::new(realm).expect("a realm")).expect("room");
            request.add_attribute(&Nonce::new(nonce).expect("a nonce")).expect("room");
            let (username, password) = (self.username.clone(), self.password.clone());
            let credentials: MessageIntegrityCredentials =
                LongTermKeyCredentials::new(username, password, realm.clone()).into();
            request.add_message_integrity(&credentials, IntegrityAlgorithm::Sha1).expect("room");
        }
        let request = request.finish();
        let verdict = self.turn.receive_datagram(
            self.now,
            DatagramKind::Stun,
            self.path,
            &request,
            &mut self.candidates,
        );
        assert_eq!(verdict, Verdict::Handled);
        let (link, answer) = self.turn.next_answer().expect("an answer");
        assert_eq!(link, Link::Datagrams(self.path));
        self.last = (request, answer.clone());
        let code = error_code(&answer);
        let is_stale = code == Some(438);
        if self.nonce.is_none() || is_stale {
            let answer = Message::from_bytes(&answer).expect("STUN");
            let realm = answer.attribute::<Realm>().expect("a realm").realm().to_owned();
            self.nonce = Some((realm, answer.attribute::<Nonce>().expect("a nonce").nonce().to_owned()));
        }
        if is_stale { self.ask(method, fill) } else { code }
    }

    fn allocate(&mut self) {
        let fill = |request: &mut MessageWriteVec| {
            let transport = RequestedTransport::new(RequestedTransport::UDP);
            request.add_attribute(&transport).expect("room");
        };
        assert_eq!(self.ask(ALLOCATE, fill), Some(401));
        assert_eq!(self.ask(ALLOCATE, fill), None);
    }

    fn refresh(&mut self, seconds: u32) -> Option<u16> {
        self.ask(REFRESH, |request| request.add_attribute(&Lifetime::new(seconds)).expect("room"))
    }

    fn bind(&mut self) -> Option<u16> {
        let peer = self.path.local;
        self.ask(CHANNEL_BIND, |request| {
            let peer = XorPeerAddress::new(peer, request.transaction_id());
            request.add_attribute(&peer).expect("room");
            request.add_attribute(&ChannelNumber::new(CHANNEL)).expect("room");
        })
    }

    /// Where the core would see data come from.
    fn send(&mut self) -> Option<SocketAddr> {
        let message = [0x40, 0, 0, 3, 1, 2, 3];
        match self.turn.receive_datagram(
            self.now,
            DatagramKind::TurnChannel,
            self.path,
            &message,
            &mut self.candidates,
        ) {
            Verdict::Relayed(relayed) => {
                assert_eq!((relayed.path.local, &message[relayed.range]), (self.path.local, &[1, 2, 3][..]));
                Some(relayed.path.remote)
            }
            _ => None,
        }
    }

    /// Whether what the core sends reaches the client.
    fn hears(&mut self, from: SocketAddr) -> bool {
        let path = Path { carrier: Carrier::Udp, local: self.path.local, remote: from };
        self.turn.transmit(self.now, path, b"media").is_some_and(|(link, message)| {
            link == Link::Datagrams(self.path) && message == b"\x40\0\0\x05media"
        })
    }

    fn state(&self) -> (usize, usize, usize) {
        let counted = self.turn.allocations().iter().map(|(_, count)| count).sum();
        (self.turn.clients(), counted, self.turn.by_relayed.len())
    }
}

#[test]
fn an_allocation_ends_when_it_is_not_refreshed() {
    let mut call = Call::new();
    call.allocate();
    assert_eq!(call.bind(), None);
    let relayed = call.send().expect("it is relayed");
    for second in 0..590 {
        call.wait(1);
        assert!(call.hears(relayed));
        if second % 200 == 0 {
            assert_eq!(call.bind(), None);
        }
    }
    assert_eq!(call.state(), (1, 1, 1));
    call.wait(15);
    assert_eq!(call.state(), (0, 0, 0));
    assert!(call.send().is_none() && !call.hears(relayed));
    assert_eq!(call.turn.quotas.allocations("anna"), 0);
}

#[test]
fn who_asks_again_because_the_answer_was_lost_gets_the_same_one() {
    let mut call = Call::new();
    call.allocate();
    let (request, granted) = call.last.clone();
    for _ in 0..3 {
        call.turn.receive_datagram(call.now, DatagramKind::Stun, call.path, &request, &mut call.candidates);
        assert_eq!(call.turn.next_answer(), Some((Link::Datagrams(call.path), granted.clone())));
    }
    assert_eq!(call.state(), (1, 1, 1), "there is one allocation");
    let fill = |request: &mut MessageWriteVec| {
        request.add_attribute(&RequestedTransport::new(RequestedTransport::UDP)).expect("room");
    };
    assert_eq!(call.ask(ALLOCATE, fill), Some(437), "another request is another matter");
}

#[test]
fn one_that_is_refreshed_and_used_goes_on_with_its_channel() {
    let mut call = Call::new();
    call.allocate();
    assert_eq!(call.bind(), None);
    let relayed = call.send().expect("it is relayed");
    for _ in 0..20 {
        for _ in 0..10 {
            call.wait(20);
            assert!(call.hears(relayed));
        }
        assert_eq!((call.bind(), call.refresh(600)), (None, None));
    }
    assert_eq!(call.send(), Some(relayed));
    for _ in 0..12 {
        call.wait(25);
        call.hears(relayed);
    }
    call.wait(1);
    assert_eq!(call.send(), None, "a permission lasts five minutes");
}

#[test]
fn one_for_which_the_core_has_nothing_ends_however_often_it_is_refreshed() {
    let mut call = Call::new();
    call.allocate();
    for _ in 0..2 {
        call.wait(14);
        assert_eq!(call.refresh(3600), None);
    }
    assert_eq!(call.state(), (1, 1, 1));
    call.wait(3);
    assert_eq!(call.state(), (0, 0, 0));
}

#[test]
fn a_flood_of_strangers_is_not_answered_and_disturbs_nobody_who_has_an_allocation() {
    let mut call = Call::new();
    call.allocate();
    let binding = Message::builder_request(BINDING, MessageWriteVec::new()).finish();
    let ask = |call: &mut Call, last: u8, port: u16| {
        let forged = Path { remote: SocketAddr::new([203, 0, 113, last].into(), port), ..call.path };
        call.turn.receive_datagram(call.now, DatagramKind::Stun, forged, &binding, &mut call.candidates);
        usize::from(call.turn.next_answer().is_some())
    };
    let answered: usize = (1..=5000).map(|port| ask(&mut call, 7, port)).sum();
    assert_eq!(answered, 600, "one address");
    let answered: usize = (1..=30)
        .flat_map(|last| (1..=200).map(move |port| (last, port)))
        .filter(|(last, _)| *last != 7)
        .map(|(last, port)| ask(&mut call, last, port))
        .sum();
    // Two were asked for the allocation.
    assert_eq!(answered, 3000 - 600 - 2, "all addresses");
    assert_eq!((call.bind(), call.refresh(600)), (None, None));
    call.wait(1);
    let answered: usize = (1..=100).map(|port| ask(&mut call, 7, port)).sum();
    assert_eq!(answered, 50, "a second later some are answered again");
}

#[test]
fn who_gives_it_back_is_forgotten_and_may_come_again() {
    let mut call = Call::new();
    call.allocate();
    assert_eq!((call.refresh(0), call.state()), (None, (1, 0, 0)));
    call.wait(11);
    assert_eq!(call.state(), (0, 0, 0));
    call.nonce = None;
    call.allocate();
    assert_eq!(call.state(), (1, 1, 1));
}
