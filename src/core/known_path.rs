//! KnownPath: a path by which a peer has checked, and whether it is known that the peer can be reached by it.
//!
//! The source address of a datagram can be forged, and a client knows everything that authenticates its own datagrams: its
//! checks, its RTCP and its media prove who sent them, but not where from. Only an answer to something unpredictable
//! that was sent *to* an address proves that the peer receives there. So media goes to an address only after such a proof,
//! and until then not more than a multiple of what came from there (as RFC 9000 §8.1 has it for QUIC). The proof is renewed
//! for as long as media is sent (RFC 7675 §5.1), for each path by itself.

use std::time::{Duration, Instant};

use super::path::{Carrier, Path};

/// An address that has proved nothing is sent less than this times what came from it.
const UNPROVEN_FACTOR: u64 = 3;
/// An address that has proved nothing is sent nothing once nothing has come from it for this long.
const UNPROVEN_FOR: Duration = Duration::from_secs(1);
/// An address is asked again after this, with the next datagram that comes from it.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long answers to one question count. A question that is asked again is the same one, so that a late answer counts.
const QUESTION_FOR: Duration = Duration::from_secs(3);
/// A peer that has proved itself is asked this often, with its checks.
const RENEW_AFTER: Duration = Duration::from_secs(5);
/// And whoever has answered before but not this time, this often: on a way that loses much, one answer in half a minute is
/// enough.
const RENEW_AGAIN: Duration = Duration::from_secs(1);
/// How long an answer allows us to send (RFC 7675 §5.1): as long as a check does, if that is longer.
const ANSWER_LASTS: Duration = Duration::from_secs(30);

/// What shows that the peer receives at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Nothing yet.
    None,
    /// A connection of the peer's, by TCP or to the TURN server, which needs answers from where it begins.
    Connection,
    /// The DTLS handshake, all flights of which went there: it cannot be completed without having read them.
    Handshake,
    /// The answer to a check of ours, which came then.
    Answer(Instant),
}

/// A question whether the peer receives at an address: a check of ours, by its transaction.
#[derive(Debug, Clone, Copy)]
struct Question {
    transaction: [u8; 12],
    /// When it was asked first.
    since: Instant,
    /// When it was asked last.
    last: Instant,
}

/// A path by which a connectivity check has come.
#[derive(Debug)]
pub struct KnownPath {
    /// Where it leads.
    pub path: Path,
    /// When the last check came by it.
    pub last_check: Instant,
    proof: Proof,
    question: Option<Question>,
    /// Bytes that have come by it, and that were sent, while nothing was proved.
    received: u64,
    sent: u64,
    last_received: Instant,
}

impl KnownPath {
    /// Makes a path by which the first check has come, of `received` bytes, and was answered with `sent` bytes.
    pub fn new(now: Instant, path: Path, received: usize, sent: usize) -> Self {
        Self {
            path,
            last_check: now,
            proof: if path.carrier == Carrier::Udp { Proof::None } else { Proof::Connection },
            question: None,
            received: received as u64,
            sent: sent as u64,
            last_received: now,
        }
    }

    /// Whether it leads to the same address of the peer as that path.
    pub fn is_to(&self, path: &Path) -> bool {
        self.path.remote == path.remote && self.path.protocol() == path.protocol()
    }

    /// Takes a check of `received` bytes that has come by it again, perhaps to another address of ours, and was answered with
    /// `sent` bytes. `lets_send` is how long a check allows us to send: a proof that is older than that does not come back
    /// with it.
    pub fn on_check(
        &mut self,
        now: Instant,
        path: Path,
        (received, sent): (usize, usize),
        lets_send: Duration,
    ) {
        if self.proof == Proof::None {
            // What has come was counted already.
            self.on_sent(sent);
        } else if self.proof != Proof::Connection && !self.is_proven(now, lets_send) {
            *self = Self::new(now, path, received, sent);
        }
        self.path = path;
        self.last_check = now;
    }

    /// Whether media may be sent by it.
    pub fn is_proven(&self, now: Instant, lets_send: Duration) -> bool {
        self.lets_send_until(lets_send).is_some_and(|until| now < until)
    }

    /// Whether it was proved at some time that the peer receives there.
    pub fn was_proven(&self) -> bool {
        self.proof != Proof::None
    }

    /// Returns until when media may be sent by it; `None` if nothing is proved. `lets_send` is how long a check allows us to
    /// send.
    pub fn lets_send_until(&self, lets_send: Duration) -> Option<Instant> {
        let checked = self.last_check + lets_send;
        match self.proof {
            Proof::None => None,
            Proof::Connection | Proof::Handshake => Some(checked),
            Proof::Answer(at) => Some(checked.min(at + ANSWER_LASTS.max(lets_send))),
        }
    }

    /// Notes that a datagram of this many bytes has come by it.
    pub fn on_received(&mut self, now: Instant, bytes: usize) {
        if self.proof == Proof::None {
            self.received += bytes as u64;
            self.last_received = now;
        }
    }

    /// Notes that a datagram of this many bytes was sent by it.
    pub fn on_sent(&mut self, bytes: usize) {
        if self.proof == Proof::None {
            self.sent += bytes as u64;
        }
    }

    /// Whether that many bytes may be sent by it, even if nothing is proved yet.
    pub fn has_room_for(&self, now: Instant, bytes: usize) -> bool {
        self.was_proven()
            || now < self.last_received + UNPROVEN_FOR
                && self.sent + (bytes as u64) < self.received * UNPROVEN_FACTOR
    }

    /// Returns the transaction with which the peer is to be asked now whether it receives there, `fresh` if a new one is
    /// needed; `None` if there is no need to ask.
    pub fn ask(&mut self, now: Instant, fresh: impl FnOnce() -> [u8; 12]) -> Option<[u8; 12]> {
        let asked = self.question.map(|question| question.last);
        let proved = if let Proof::Answer(at) = self.proof { Some(at) } else { None };
        let every = match self.proof {
            Proof::Connection => return None,
            Proof::None => ASK_AGAIN,
            // Question or answer was lost.
            Proof::Answer(_) if asked > proved => RENEW_AGAIN,
            Proof::Handshake | Proof::Answer(_) => RENEW_AFTER,
        };
        if asked.max(proved).is_some_and(|last| now < last + every) {
            return None;
        }
        let again = self.question.filter(|question| now < question.since + QUESTION_FOR);
        let mut question = again.unwrap_or_else(|| Question { transaction: fresh(), since: now, last: now });
        question.last = now;
        self.question = Some(question);
        Some(question.transaction)
    }

    /// Whether that is the transaction of a question that still waits for its answer.
    pub fn asks(&self, now: Instant, transaction: [u8; 12]) -> bool {
        self.question
            .is_some_and(|question| question.transaction == transaction && now < question.last + QUESTION_FOR)
    }

    /// Notes that the peer has answered.
    pub fn on_answer(&mut self, now: Instant) {
        self.question = None;
        if self.proof != Proof::Connection {
            self.proof = Proof::Answer(now);
        }
    }

    /// Notes that the peer has refused our check, because we do not know its password. That shows that it receives there, like a
    /// handshake does; it is not asked again.
    pub fn on_refusal(&mut self) {
        self.question = None;
        self.on_handshake();
    }

    /// Does not count the last `late`, in which the server could not listen, unless that was so long that somebody else may
    /// have the address by now.
    pub fn forgive(&mut self, now: Instant, late: Duration) {
        let late = late.min(ANSWER_LASTS * 2);
        self.last_check = now.min(self.last_check + late);
        if let Proof::Answer(at) = &mut self.proof {
            *at = now.min(*at + late);
        }
    }

    /// Notes that a handshake was completed, all flights of which went there.
    pub fn on_handshake(&mut self) {
        if self.proof == Proof::None {
            self.proof = Proof::Handshake;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETS_SEND: Duration = Duration::from_secs(15);

    fn path(carrier: Carrier) -> Path {
        let address = |text: &str| text.parse().expect("an address");
        Path { carrier, local: address("192.0.2.1:7443"), remote: address("198.51.100.7:5000") }
    }

    #[test]
    fn an_address_that_has_proved_nothing_is_sent_less_than_three_times_what_came_and_nothing_later() {
        let start = Instant::now();
        let mut known = KnownPath::new(start, path(Carrier::Udp), 100, 80);
        assert!(known.has_room_for(start, 219) && !known.has_room_for(start, 220));
        known.on_sent(219);
        assert!(!known.has_room_for(start, 1));
        known.on_received(start + Duration::from_millis(500), 100);
        assert!(known.has_room_for(start + Duration::from_millis(1400), 300));
        assert!(!known.has_room_for(start + Duration::from_millis(1500), 1));
        known.on_answer(start);
        assert!(known.has_room_for(start + Duration::from_secs(9), 100_000));
    }

    #[test]
    fn a_question_is_repeated_with_what_comes_and_its_late_answer_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut known = KnownPath::new(start, path(Carrier::Udp), 100, 80);
        assert_eq!(known.ask(start, || [1; 12]), Some([1; 12]));
        assert_eq!(known.ask(at(99), || [2; 12]), None);
        assert_eq!(known.ask(at(100), || [2; 12]), Some([1; 12]), "the same question");
        assert!(
            known.asks(at(2000), [1; 12]) && !known.asks(at(2000), [2; 12]) && !known.asks(at(3100), [1; 12])
        );
        assert_eq!(known.ask(at(3100), || [3; 12]), Some([3; 12]));
        assert!(!known.is_proven(at(3100), LETS_SEND));
        known.on_answer(at(3200));
        assert!(known.is_proven(at(3200), LETS_SEND) && !known.asks(at(3200), [3; 12]));
        assert_eq!(known.ask(at(8199), || [4; 12]), None);
        assert_eq!(known.ask(at(8200), || [4; 12]), Some([4; 12]), "consent is renewed");
        assert_eq!(known.ask(at(9199), || [5; 12]), None);
        assert_eq!(known.ask(at(9200), || [5; 12]), Some([4; 12]), "no answer has come");
    }

    #[test]
    fn who_can_only_refuse_has_proved_as_much_as_by_a_handshake() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = KnownPath::new(start, path(Carrier::Udp), 100, 80);
        known.ask(start, || [1; 12]);
        known.on_refusal();
        assert!(!known.asks(start, [1; 12]) && known.is_proven(at(14), LETS_SEND));
        for second in 1..100 {
            known.on_check(at(second), path(Carrier::Udp), (100, 80), LETS_SEND);
            assert!(known.is_proven(at(second), LETS_SEND), "for as long as checks come");
        }
        assert!(!known.is_proven(at(115), LETS_SEND));
    }

    #[test]
    fn a_proof_lasts_as_long_as_checks_come_and_questions_are_answered() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = KnownPath::new(start, path(Carrier::Udp), 100, 80);
        known.on_answer(start);
        assert_eq!(known.lets_send_until(LETS_SEND), Some(at(15)));
        for second in 1..40 {
            known.on_check(at(second), path(Carrier::Udp), (100, 80), LETS_SEND);
            assert_eq!(known.is_proven(at(second), LETS_SEND), second < 30, "{second}");
        }
        let mut silent = KnownPath::new(start, path(Carrier::Udp), 100, 80);
        silent.on_handshake();
        assert!(silent.is_proven(at(14), LETS_SEND) && !silent.is_proven(at(15), LETS_SEND));
        silent.on_check(at(16), path(Carrier::Udp), (100, 80), LETS_SEND);
        assert!(!silent.is_proven(at(16), LETS_SEND), "somebody else may have the address by now");
        assert!(silent.has_room_for(at(16), 219) && !silent.has_room_for(at(16), 220), "and all begins anew");
        let mut asleep = KnownPath::new(start, path(Carrier::Udp), 100, 80);
        asleep.on_answer(start);
        asleep.forgive(at(50), Duration::from_secs(45));
        assert!(asleep.is_proven(at(50), LETS_SEND), "the server slept for as long");
        asleep.forgive(at(3650), Duration::from_secs(3600));
        assert!(!asleep.is_proven(at(3650), LETS_SEND));
        let mut connection = KnownPath::new(start, path(Carrier::Tcp), 100, 80);
        connection.on_check(at(16), path(Carrier::Tcp), (100, 80), LETS_SEND);
        assert!(connection.is_proven(at(16), LETS_SEND) && connection.ask(at(16), || [1; 12]).is_none());
    }
}
