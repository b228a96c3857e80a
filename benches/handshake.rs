//! What a client's DTLS handshake costs the server: processor time, and memory for as long as the session lasts, without
//! what AWS-LC allocates by itself. `cargo bench --bench handshake`; Linux only, since it reads `/proc`. The figures are in
//! `docs/performance.md`.

#[path = "../tests/alone/allocator.rs"]
mod allocator;
#[path = "../src/dtls/rsa_client.rs"]
mod rsa_client;

use std::time::{Duration, Instant};

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, RsaKeySize};
use rsa_client::{Client, Keys, rsa};
use strait::core::ids::DtlsSession;
use strait::core::input::DtlsEvent;
use strait::dtls::{Call, DtlsEvents, Handshake, Identity, MTU, Scratch};

/// Sessions of a run, all of them there at once.
const SESSIONS: usize = 1000;

/// Processor time of this thread.
fn processor() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    Duration::from_nanos(text.split(' ').next().and_then(|first| first.parse().ok()).expect("a number"))
}

/// A session that the server keeps, and what it has for the client.
struct Session {
    handshake: Handshake,
    datagrams: Vec<Vec<u8>>,
    connected: bool,
}

impl Session {
    fn serve(&mut self, now: Instant, call: Call<'_>, scratch: &mut Scratch) {
        let mut events = DtlsEvents::new();
        self.handshake.carry_out(now, call, DtlsSession(1), scratch, &mut events);
        for (_, event) in events {
            match event {
                DtlsEvent::Packet(bytes) => self.datagrams.push(bytes),
                DtlsEvent::Connected => self.connected = true,
                _ => {}
            }
        }
    }
}

/// Makes everybody's handshake, and returns the server's ends with the processor time that they took. The third is the
/// size of a client's certificate.
fn shake_hands(now: Instant, identity: &Identity, key: &KeyPair) -> (Vec<Session>, Duration, usize) {
    let mut scratch = Scratch::default();
    let mut clients: Vec<Client> =
        (0..SESSIONS).map(|_| Client::new(now, key, &Keys { lies: false }, MTU)).collect();
    let began = processor();
    let new = || Session {
        handshake: Handshake::new(identity, now, false),
        datagrams: Vec::new(),
        connected: false,
    };
    let mut sessions: Vec<Session> = (0..SESSIONS).map(|_| new()).collect();
    let mut spent = processor() - began;
    // Everybody's flight at a time: the clock of the processor is a coarse one.
    while sessions.iter().any(|session| !session.connected) {
        let flights: Vec<Vec<Vec<u8>>> = clients.iter_mut().map(Client::poll).collect();
        let began = processor();
        for (session, flight) in sessions.iter_mut().zip(&flights) {
            flight.iter().for_each(|datagram| session.serve(now, Call::Packet(datagram), &mut scratch));
        }
        spent += processor() - began;
        for (session, client) in sessions.iter_mut().zip(&mut clients) {
            for datagram in std::mem::take(&mut session.datagrams) {
                client.dtls.handle_packet(&datagram).expect("the server means well");
            }
        }
    }
    assert!(clients.iter().all(|client| !client.failed && client.keys.is_some()));
    (sessions, spent, clients[0].certificate.len())
}

fn run(name: &str, key: &KeyPair) {
    let identity = Identity::new().expect("a certificate");
    let (sessions, spent, certificate) = shake_hands(Instant::now(), &identity, key);
    let (memory, began) = (allocator::allocated(), processor());
    drop(sessions);
    let (drops, kept) = (processor() - began, memory - allocator::allocated());
    let count = SESSIONS as u32;
    println!(
        "{name}, {certificate} bytes: {:?} a handshake, {} bytes a session, {:?} to drop it",
        spent / count,
        kept / u64::from(count),
        drops / count
    );
}

fn main() {
    run("ECDSA P-256", &KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key"));
    run("RSA-2048", &rsa(RsaKeySize::_2048));
    run("RSA-4096", &rsa(RsaKeySize::_4096));
}
