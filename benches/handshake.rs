//! What a client's DTLS handshake costs the server: processor time, and memory for as long as the session lasts.
//! `cargo bench --bench handshake`; Linux only, since it reads `/proc`. The figures are in `docs/performance.md`.

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

/// Memory that this process has of the system, bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|second| second.parse().ok()).expect("a number");
    pages * 4096
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

/// Makes everybody's handshake, and returns the server's ends with the processor time that they took.
fn shake_hands(now: Instant, identity: &Identity, key: &KeyPair) -> (Vec<Session>, Duration) {
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
    (sessions, spent)
}

fn run(name: &str, key: &KeyPair) {
    let now = Instant::now();
    let identity = Identity::new().expect("a certificate");
    let (mut sessions, _) = shake_hands(now, &identity, key);
    // The next clients live where the first ones did: what is added is the server's.
    let memory = resident();
    let (more, spent) = shake_hands(now, &identity, key);
    sessions.extend(more);
    let kept = resident().saturating_sub(memory) / SESSIONS;
    let began = processor();
    let count = sessions.len() as u32;
    drop(sessions);
    let drops = (processor() - began) / count;
    println!("{name}: {:?} a handshake, {kept} bytes a session, {drops:?} to drop it", spent / SESSIONS as u32);
}

fn main() {
    let ecdsa = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    // The first memory that a process gets is laid out less densely than the rest.
    drop(shake_hands(Instant::now(), &Identity::new().expect("a certificate"), &ecdsa));
    run("ECDSA P-256", &ecdsa);
    run("RSA-2048", &rsa(RsaKeySize::_2048));
    run("RSA-4096", &rsa(RsaKeySize::_4096));
}
