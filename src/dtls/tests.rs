//! Handshakes with clients that have certificates of every kind, over a network that loses the datagrams that a test
//! chooses. Other tests have clients of other makes: `tests/shell/interop.rs`, and those with browsers.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, RsaKeySize};

use super::rsa_client::{Client, Keys, rsa};
use super::*;

const SERVER: DtlsSession = DtlsSession(1);

/// Returns a datagram with an alert in plaintext.
fn alert(number: u8, level: u8, description: u8) -> Vec<u8> {
    vec![record::ALERT, 254, 253, 0, 0, 0, 0, 0, 0, 0, number, 0, 2, level, description]
}

/// The direction of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Client and server with a network between them, and a clock.
struct World {
    now: Instant,
    began: Instant,
    server: Handshake,
    standing: Standing,
    scratch: Scratch,
    events: DtlsEvents,
    client: Client,
    /// How many of the server's events have been checked.
    seen: usize,
    /// A datagram that an attacker sends in the client's name whenever the client sends something.
    forged: Option<Vec<u8>>,
}

impl World {
    fn with(key: &KeyPair, keys: &'static Keys, mtu: usize) -> Self {
        let now = Instant::now();
        let identity = Identity::new().expect("the library has what it needs");
        Self {
            now,
            began: now,
            server: Handshake::new(&identity, now, false),
            standing: Standing::Until(now),
            scratch: Scratch::default(),
            events: DtlsEvents::new(),
            client: Client::new(now, key, keys, mtu),
            seen: 0,
            forged: None,
        }
    }

    fn of(key: &KeyPair) -> Self {
        Self::with(key, &Keys { lies: false }, MTU)
    }

    fn serve(&mut self, call: Call<'_>) {
        if matches!(self.standing, Standing::Until(_)) {
            let Self { now, server, scratch, events, .. } = self;
            self.standing = server.carry_out(*now, call, SERVER, scratch, events);
        }
    }

    /// Runs until both have agreed, one gives up or a minute is over. `loses` says which datagrams of a direction,
    /// counted from 0, are lost.
    fn run(&mut self, mut loses: impl FnMut(Way, usize) -> bool) {
        let (mut ups, mut downs) = (0, 0);
        while self.now - self.began < Duration::from_secs(60) {
            let mut quiet = true;
            for datagram in self.client.poll() {
                quiet = false;
                if let Some(forged) = self.forged.clone() {
                    self.serve(Call::Packet(&forged));
                }
                if !loses(Way::Up, ups) {
                    self.serve(Call::Packet(&datagram));
                }
                ups += 1;
            }
            while let Some((_, event)) = self.events.get(self.seen) {
                self.seen += 1;
                let DtlsEvent::Packet(datagram) = event else { continue };
                quiet = false;
                assert!(datagram.len() <= MTU, "{}", datagram.len());
                if !loses(Way::Down, downs) {
                    self.client.failed |= self.client.dtls.handle_packet(datagram).is_err();
                }
                downs += 1;
            }
            let Standing::Until(deadline) = self.standing else { return };
            if self.client.failed || quiet && self.has_agreed() {
                return;
            }
            if quiet {
                self.now = self.client.deadline.min(deadline).max(self.now + Duration::from_millis(1));
                self.client.failed |= self.client.dtls.handle_timeout(self.now).is_err();
                self.serve(Call::Time);
            }
        }
    }

    fn server_keys(&self) -> Option<&Vec<u8>> {
        self.events.iter().find_map(|(_, event)| match event {
            DtlsEvent::KeyingMaterial { material, .. } => Some(material),
            _ => None,
        })
    }

    /// Whether both have the same keys, and the server the client's certificate.
    fn has_agreed(&self) -> bool {
        let certificate = DtlsEvent::PeerCertificate(self.client.certificate.clone());
        let is_there = |wanted: DtlsEvent| self.events.iter().any(|(_, event)| *event == wanted);
        is_there(certificate)
            && is_there(DtlsEvent::Connected)
            && self.client.keys.is_some()
            && self.client.keys.as_ref() == self.server_keys()
    }
}

fn ecdsa() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

const NOTHING: fn(Way, usize) -> bool = |_, _| false;

#[test]
fn clients_with_certificates_of_every_kind_connect() {
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).expect("a key");
    for key in [ecdsa(), p384, rsa(RsaKeySize::_2048), rsa(RsaKeySize::_4096)] {
        let mut world = World::of(&key);
        world.run(NOTHING);
        assert!(world.has_agreed(), "{:?}: {:?}", key.algorithm(), world.standing);
    }
}

#[test]
fn a_client_whose_way_takes_small_datagrams_only_connects() {
    for key in [ecdsa(), rsa(RsaKeySize::_2048)] {
        let mut world = World::with(&key, &Keys { lies: false }, 256);
        world.run(NOTHING);
        assert!(world.has_agreed(), "{:?}", world.standing);
    }
}

#[test]
fn a_signature_with_a_wrong_bit_ends_the_handshake() {
    for key in [ecdsa(), rsa(RsaKeySize::_2048)] {
        let mut world = World::with(&key, &Keys { lies: true }, MTU);
        world.run(NOTHING);
        assert!(matches!(world.standing, Standing::Failed(_)), "{:?}", world.standing);
        assert_eq!(world.server_keys(), None);
        let Some((_, DtlsEvent::Packet(last))) = world.events.last() else { panic!("{:?}", world.events) };
        let failure = world.client.dtls.handle_packet(last).expect_err("the client hears that it is over");
        assert!(failure.to_string().contains("40"), "{failure}");
    }
}

#[test]
fn any_datagram_that_is_lost_is_made_good_whoever_sent_it() {
    let key = rsa(RsaKeySize::_2048);
    for way in [Way::Up, Way::Down] {
        for lost in 0..4 {
            let mut world = World::of(&key);
            world.run(|goes, number| goes == way && number == lost);
            assert!(world.has_agreed(), "{way:?} {lost}: {:?}", world.standing);
            assert!(world.now - world.began < Duration::from_secs(5), "{way:?} {lost}");
        }
    }
}

#[test]
fn an_alert_that_anybody_could_have_written_ends_no_handshake_that_goes_on() {
    // In datagrams of 256 bytes the client sends many of them.
    for mtu in [256, MTU] {
        let mut world = World::with(&rsa(RsaKeySize::_2048), &Keys { lies: false }, mtu);
        world.forged = Some(alert(77, 2, 40));
        world.run(NOTHING);
        assert!(world.has_agreed(), "{:?}", world.standing);
    }
}

#[test]
fn a_client_that_says_no_and_nothing_more_is_given_up_soon() {
    let mut world = World::of(&ecdsa());
    let hello = world.client.poll();
    world.serve(Call::Packet(&hello[0]));
    world.serve(Call::Packet(&alert(1, 2, 40)));
    while let Standing::Until(deadline) = world.standing {
        world.now = deadline;
        world.serve(Call::Time);
    }
    assert!(world.now - world.began < Duration::from_secs(5), "{:?}", world.now - world.began);
    let Standing::Failed(why) = world.standing else { panic!("{:?}", world.standing) };
    assert!(why.to_string().contains("40"), "{why}");
}

#[test]
fn what_is_forged_after_the_handshake_changes_nothing() {
    let mut world = World::of(&rsa(RsaKeySize::_2048));
    world.run(NOTHING);
    let events = world.events.len();
    let encrypted = [&[record::ALERT, 254, 253, 0, 1, 0, 0, 0, 0, 0, 99, 0, 32][..], &[170; 32]].concat();
    for forged in [alert(9, 1, 0), alert(9, 2, 40), encrypted, vec![record::HANDSHAKE; 64]] {
        world.serve(Call::Packet(&forged));
        assert!(matches!(world.standing, Standing::Until(_)), "{forged:?}: {:?}", world.standing);
    }
    assert_eq!(world.events.len(), events);
}

#[test]
fn who_is_sent_away_hears_it_before_the_handshake_and_after_it() {
    let mut world = World::of(&rsa(RsaKeySize::_2048));
    world.run(NOTHING);
    let World { now, server, mut scratch, mut client, .. } = world;
    let goodbye = server.goodbye(now, SERVER, &mut scratch).expect("it has keys");
    client.dtls.handle_packet(&goodbye).expect("it is an end, not a failure");
    client.poll();
    assert!(client.dtls.is_closed() || client.dtls.is_closing());

    let mut world = World::of(&rsa(RsaKeySize::_2048));
    let hello = world.client.poll();
    world.serve(Call::Packet(&hello[0]));
    let World { now, server, mut scratch, mut client, .. } = world;
    let goodbye = server.goodbye(now, SERVER, &mut scratch).expect("an alert");
    let failure = client.dtls.handle_packet(&goodbye).expect_err("it is over");
    assert!(failure.to_string().contains("40"), "{failure}");

    // The server is done, and its last flight has not come: whose certificate is refused is not sent it.
    let mut world = World::of(&rsa(RsaKeySize::_2048));
    let hello = world.client.poll();
    world.serve(Call::Packet(&hello[0]));
    for (_, event) in std::mem::take(&mut world.events) {
        if let DtlsEvent::Packet(datagram) = event {
            world.client.dtls.handle_packet(&datagram).expect("the server's first flight");
        }
    }
    for datagram in world.client.poll() {
        world.serve(Call::Packet(&datagram));
    }
    assert!(world.server_keys().is_some() && world.client.keys.is_none());
    let World { now, server, mut scratch, mut client, .. } = world;
    let goodbye = server.goodbye(now, SERVER, &mut scratch).expect("it has keys");
    let failure = client.dtls.handle_packet(&goodbye).expect_err("it is over");
    assert!(failure.to_string().contains("40"), "{failure}");
}
