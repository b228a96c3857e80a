//! Transport: one peer connection of a room. It consists of the [`Session`] that negotiates it, its media once the
//! handshake is done, and the paths that lead to the peer.
//!
//! A member of a room usually owns one transport. Some protocols have two, one to publish and one to receive; a member
//! that only exists inside the server (a recorder) has none; and a transport without an owner can link two servers.
//! That is why everything about a connection is here, and everything about a person is in
//! [`Participant`](super::participant::Participant).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fixed_hash::FixedMap;
use super::ids::{ParticipantKey, Ssrc, TransportId};
use super::known_path::KnownPath;
use super::media::halves::MediaHalves;
use super::media::ingress::PublishedSections;
use super::mutation::mutated;
use super::negotiated::Negotiated;
use super::ortc::TransportDirection;
use super::outbox::Outbox;
use super::pace::Pace;
use super::path::{LocalCandidate, Path, TrafficClass};
use super::rng::Rng;
use super::session::Session;
use super::timers::{Deadlines, Timer};
use crate::limits::{CHECKED_ADDRESSES_MAX, PATHS_PER_PARTICIPANT_MAX};

/// How many connectivity checks are remembered, which is minutes of them.
const TRANSACTIONS: usize = 128;

/// How many datagrams of a handshake wait until the peer has shown that it receives where they go: two flights. The peer
/// and the handshake repeat what is lost.
const FLIGHTS_HELD_MAX: usize = 8;

/// A transport's checks are answered once in this time in the long run: what a browser does on five pairs of addresses while
/// it looks for one (libwebrtc checks 20 times a second on each). Proving that a check is genuine, and answering it, costs
/// as much as forwarding a packet.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);
/// Checks that are answered at once.
const CHECKS_AT_ONCE: u32 = 200;

/// A media path on which neither an authenticated packet nor a connectivity check has come for this long is taken for
/// dead. Browsers check every 2.5 seconds, so that one lost check is no reason to.
pub const SILENCE: Duration = Duration::from_secs(5);

/// A transport whose handshake is not complete this long after its first answer ends: its owner would be in the room
/// for ever without being heard. Browsers take up to 15 seconds to find that no path works, and DTLS repeats its lost
/// flights after 1, 2, 4 and 8 seconds.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);

/// One peer connection, as the server sees it.
#[derive(Debug)]
pub struct Transport {
    /// The member that it belongs to; `None` for a link that belongs to nobody in the room.
    pub owner: Option<ParticipantKey>,
    /// Its own randomness. `None` for the transport with which a member joined, which uses the member's.
    pub rng: Option<Rng>,
    /// When it was made. The set-up time lasts from then until there are keys.
    pub made_at: Instant,
    /// When its first offer was answered; `None` before. From then on the peer is expected to connect.
    pub answered_at: Option<Instant>,
    /// Our addresses, as its answers list them.
    pub candidates: Vec<LocalCandidate>,
    /// What it is to a client that makes no offers; `None` for all others.
    pub parametric: Option<Parametric>,
    /// The ufrags that lead here, oldest first: those from before the last ICE restarts, and the current one.
    pub ufrags: Vec<String>,
    /// Media in both directions, once there are keys.
    pub media: Option<MediaHalves>,
    /// The path by which media is sent. It is one by which the peer has proved to receive. `None` before the first such
    /// proof, and when consent has expired.
    pub path: Option<Path>,
    /// The path by which the peer wants media: that of the newest authenticated packet or the newest nomination. It becomes
    /// [`path`](Self::path) as soon as the peer has proved to receive by it.
    wanted: Option<Path>,
    /// The paths by which connectivity checks came, oldest first.
    pub paths: Vec<KnownPath>,
    /// How many addresses have passed a check since ICE (re)started.
    pub addresses_checked: usize,
    /// When the peer last proved that it is there, by a check, by the handshake, or by authentic media or RTCP.
    pub last_heard: Option<Instant>,
    /// Whether nothing has come for [`SILENCE`], or there are no keys this long after the first answer.
    pub is_silent: bool,
    /// Whether the others were told that nothing is heard from its owner. The first packet that comes takes that back.
    pub is_unheard: bool,
    /// What offer and answer agreed on; empty before the first offer.
    pub negotiated: Negotiated,
    /// The sections in which the client publishes, by mid.
    pub published: PublishedSections,
    /// The owner's slot to which each of our egress SSRCs belongs.
    pub slot_by_ssrc: FixedMap<Ssrc, usize>,
    /// Its deadlines.
    pub deadlines: Deadlines,
    /// SDP, ICE and DTLS. It is private because every call can move its deadline, which
    /// [`with_session`](Self::with_session) then updates.
    session: Session,
    /// The transaction ids of the last checks and the addresses from which they came, newest first.
    transactions: VecDeque<([u8; 12], SocketAddr)>,
    /// How many checks are answered.
    checks: Pace,
    /// Where the flights of the handshake went.
    flights: Flights,
    /// Datagrams of the handshake that wait for the peer to prove that it receives where they go.
    held: Vec<Vec<u8>>,
}

/// What a transport is to a client that makes no offers, but opens transports and fills them by parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parametric {
    /// Its name, which its owner alone is told.
    pub id: TransportId,
    /// Which way media flows.
    pub direction: TransportDirection,
}

/// Where the flights of a handshake went. Whoever completes it has read them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flights {
    /// Nothing was sent.
    None,
    /// All went by this path, or by others to the same address.
    To(Path),
    /// They went to several addresses.
    Apart,
}

impl Transport {
    /// Makes a transport that waits for an offer.
    pub fn new(
        now: Instant,
        epoch: Instant,
        owner: Option<ParticipantKey>,
        rng: Option<Rng>,
        candidates: Vec<LocalCandidate>,
        session: Session,
    ) -> Self {
        let ufrag = session.ufrag().to_owned();
        let mut deadlines = Deadlines::new(epoch);
        deadlines.set(Timer::Engine, session.deadline());
        Self {
            owner,
            rng,
            made_at: now,
            answered_at: None,
            candidates,
            parametric: None,
            session,
            ufrags: vec![ufrag],
            media: None,
            path: None,
            wanted: None,
            paths: Vec::new(),
            addresses_checked: 0,
            last_heard: None,
            is_silent: false,
            is_unheard: false,
            negotiated: Negotiated::none(),
            published: PublishedSections::new(),
            slot_by_ssrc: FixedMap::default(),
            deadlines,
            transactions: VecDeque::new(),
            checks: Pace::new(now, CHECK_INTERVAL, CHECKS_AT_ONCE),
            flights: Flights::None,
            held: Vec::new(),
        }
    }

    /// Returns the session, to read from.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Calls the session, and notes when it wants to be called again.
    pub fn with_session<R>(&mut self, act: impl FnOnce(&mut Session) -> R) -> R {
        let result = act(&mut self.session);
        self.deadlines.set(Timer::Engine, self.session.deadline());
        result
    }

    /// Takes what offer and answer agreed on.
    pub fn take_negotiated(&mut self, negotiated: Negotiated) {
        let before = std::mem::replace(&mut self.negotiated, negotiated);
        let still_sends = |mid| self.negotiated.section(mid).is_some_and(|section| section.ingress.is_some());
        let sent = before.sections.iter().filter(|section| section.ingress.is_some());
        // Not every section that sends is published, so this is not left to the end of publications.
        if let Some(media) = &mut self.media
            && sent.map(|section| section.mid).any(|mid| !still_sends(mid))
        {
            media.ingress.on_section_ended();
        }
    }

    /// Returns what is known of the path to that address; `None` if no check has come by it.
    pub fn known(&mut self, path: &Path) -> Option<&mut KnownPath> {
        self.paths.iter_mut().find(|known| known.is_to(path))
    }

    /// Stops sending until the peer checks and proves itself again. `lets_send` is how long a check allows us to send.
    pub fn lose_path(&mut self, lets_send: Duration) {
        if mutated!(ConsentIgnored) {
            for known in &mut self.paths {
                known.last_check += Duration::from_secs(60);
            }
        } else {
            if self.wanted == self.path {
                self.wanted = None;
            }
            self.path = None;
        }
        self.set_consent(lets_send);
    }

    /// Sends by the path that the peer wants, if it has proved to receive there. Until then media goes where it went before.
    pub fn adopt_path(&mut self, now: Instant, lets_send: Duration) {
        if let Some(wanted) = self.wanted
            && self.known(&wanted).is_some_and(|known| known.is_proven(now, lets_send))
        {
            self.path = Some(wanted);
        }
        self.set_consent(lets_send);
    }

    /// Sets when we have to stop sending unless another check comes by the path by which we send, and our own are answered
    /// (RFC 7675 §5.1).
    fn set_consent(&mut self, lets_send: Duration) {
        let path = self.path;
        let known = path.and_then(|path| self.known(&path));
        let at = known.and_then(|known| known.lets_send_until(lets_send));
        self.deadlines.set(Timer::Consent, at);
    }

    /// Returns the path by which a datagram of the handshake is sent, if the engine believes the peer to be at `to`.
    pub fn path_of_flight(&self, to: Option<SocketAddr>) -> Option<Path> {
        let known = || self.paths.iter().map(|known| known.path).find(|path| Some(path.remote) == to);
        self.path.or(self.wanted).or_else(known)
    }

    /// Whether a datagram of the handshake may be sent by that path. If not it is held until more has come from there,
    /// or the peer has proved that it receives there.
    pub fn may_send_flight(&mut self, now: Instant, path: Path, bytes: &[u8]) -> bool {
        let Some(known) = self.known(&path) else { return false };
        let has_room = known.has_room_for(now, bytes.len());
        if has_room {
            known.on_sent(bytes.len());
            self.flights = match self.flights {
                Flights::None => Flights::To(path),
                Flights::To(other) if other.remote == path.remote && other.protocol() == path.protocol() => {
                    self.flights
                }
                Flights::To(_) | Flights::Apart => Flights::Apart,
            };
        } else if self.held.len() < FLIGHTS_HELD_MAX {
            self.held.push(bytes.to_vec());
        }
        has_room
    }

    /// Takes the datagrams of the handshake that were held.
    pub fn take_held(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.held)
    }

    /// Returns the path by which the peer is told that it was removed; `None` if none is known by which it has received
    /// anything.
    pub fn path_of_goodbye(&self) -> Option<Path> {
        let last = || self.paths.iter().rev().find(|known| known.was_proven()).map(|known| known.path);
        self.path.or_else(last)
    }

    /// Sets when NACKs and transport-wide feedback are due. Call it after a packet has come, and after sending
    /// feedback.
    pub fn set_feedback(&mut self) {
        if let Some(media) = &self.media
            && !mutated!(FeedbackTimerDropped)
        {
            self.deadlines.set(Timer::Nack, media.ingress.nack_deadline());
            self.deadlines.set(Timer::TransportFeedback, media.ingress.feedback_deadline());
        }
    }

    /// Notes when the estimate of what the network carries is due to be looked at: after a report, and after looking.
    pub fn set_bandwidth(&mut self) {
        let at = self.media.as_ref().and_then(|media| media.egress.bandwidth_deadline());
        self.deadlines.set(Timer::Bandwidth, at);
        self.set_pacing();
    }

    /// Sets when what was held back of video, and padding, is sent: after something was, and when the estimate or what is
    /// wanted of it has changed.
    pub fn set_pacing(&mut self) {
        let after = self.media.as_ref().and_then(|media| media.egress.pacing_due());
        self.deadlines.set_pacing(after);
    }

    /// Whether the engine may see a check that came by that path. The same check from elsewhere is from somebody who saw
    /// it pass, and who would get our media by repeating it. A peer that has had very many answered has to wait; who only
    /// claims to be that peer uses up nothing of theirs.
    pub fn may_check(&self, now: Instant, path: Path, transaction: [u8; 12]) -> bool {
        if !self.checks.wait(now).is_zero() {
            return false;
        }
        let replayed = |(seen, from): &([u8; 12], SocketAddr)| *seen == transaction && *from != path.remote;
        if self.transactions.iter().any(replayed) && !mutated!(ReplayedCheckBelieved) {
            return false;
        }
        self.addresses_checked < CHECKED_ADDRESSES_MAX || self.paths.iter().any(|known| known.is_to(&path))
    }

    /// Notes that a check was genuine, and was answered.
    pub fn note_answered(&mut self, now: Instant) {
        self.checks.note(now);
    }

    /// Whether that check came before.
    pub fn has_checked(&self, transaction: [u8; 12]) -> bool {
        self.transactions.iter().any(|(seen, _)| *seen == transaction) && !mutated!(ReplayedCheckBelieved)
    }

    /// Takes a check with the right credentials. `exchanged` are the bytes of the check and of its answer, and
    /// `lets_send` is how long a check allows us to send. Returns the old path that is forgotten to make room for this one,
    /// if there is one.
    pub fn on_check(
        &mut self,
        now: Instant,
        path: Path,
        nominated: bool,
        transaction: [u8; 12],
        exchanged: (usize, usize),
        lets_send: Duration,
    ) -> Option<Path> {
        self.transactions.truncate(TRANSACTIONS - 1);
        self.transactions.push_front((transaction, path.remote));
        // Before the first nomination any path is better than none, because media may flow already.
        if nominated || self.wanted.is_none() {
            self.wanted = Some(path);
        }
        let is_new = match self.known(&path) {
            Some(known) => {
                known.on_check(now, path, exchanged, lets_send);
                false
            }
            None => {
                self.paths.push(KnownPath::new(now, path, exchanged.0, exchanged.1));
                true
            }
        };
        let forgotten = if is_new { self.forget_oldest() } else { None };
        self.adopt_path(now, lets_send);
        debug_assert!(self.path.is_none_or(|path| self.paths.iter().any(|known| known.is_to(&path))));
        forgotten
    }

    /// Counts a new address, and forgets the oldest path that is not in use if there are too many.
    fn forget_oldest(&mut self) -> Option<Path> {
        // Every new address counts, even if an old one is forgotten: otherwise somebody could check from new addresses
        // for ever.
        self.addresses_checked += 1;
        if self.paths.len() <= PATHS_PER_PARTICIPANT_MAX {
            return None;
        }
        // Only remote addresses are compared: our own address is the one to which the peer's last packet came.
        let in_use =
            |known: &KnownPath| [self.path, self.wanted].iter().flatten().any(|own| known.is_to(own));
        let unused = self.paths.iter().position(|known| !in_use(known))?;
        Some(self.paths.remove(unused).path)
    }

    /// Notes that an offer was answered. After the first answer the peer has a limited time to connect.
    pub fn expect_peer(&mut self, now: Instant) {
        if self.answered_at.is_none() {
            self.answered_at = Some(now);
            self.set_handshake();
            self.look_for_silence(now);
        }
    }

    /// Sets when the transport ends if its handshake is still not complete then.
    fn set_handshake(&mut self) {
        let since = self.answered_at.filter(|_| self.media.is_none());
        self.deadlines.set(Timer::Handshake, since.map(|at| at + HANDSHAKE_WITHIN));
    }

    /// Starts media: there are keys, so that the handshake is complete. `lets_send` is how long a check allows us to send.
    pub fn start_media(&mut self, now: Instant, media: MediaHalves, lets_send: Duration) {
        self.media = Some(media);
        if let Flights::To(path) = self.flights
            && let Some(known) = self.known(&path)
        {
            known.on_handshake();
            self.adopt_path(now, lets_send);
        }
        self.set_handshake();
        self.hear(now);
        self.look_for_silence(now);
    }

    /// Whether the peer is there, and has proved to receive by that path.
    pub fn holds(&self, now: Instant, path: &Path) -> bool {
        self.last_heard.is_some_and(|heard| now < heard + SILENCE)
            && self.paths.iter().any(|known| known.is_to(path) && known.was_proven())
    }

    /// Notes that the peer has proved that it is there. Returns whether that ends a silence that others were told
    /// about.
    pub fn hear(&mut self, now: Instant) -> bool {
        self.last_heard = Some(now);
        // Without keys nothing can be heard of anybody, however many checks come.
        let was_silent = self.is_silent && self.media.is_some();
        let was_unheard = self.is_unheard;
        self.is_silent &= self.media.is_none();
        self.is_unheard = false;
        was_silent || was_unheard
    }

    /// Does not count the last `late` as silence, nor as time for the handshake: the server could not listen. Whoever
    /// was silent before stays so. `lets_send` is how long a check allows us to send.
    pub fn forgive(&mut self, now: Instant, late: Duration, lets_send: Duration) {
        self.paths.iter_mut().for_each(|known| known.forgive(now, late));
        self.set_consent(lets_send);
        self.answered_at = self.answered_at.map(|answered| now.min(answered + late));
        self.set_handshake();
        if self.is_silent {
            return;
        }
        self.last_heard = self.last_heard.map(|heard| now.min(heard + late));
        if self.deadlines.get(Timer::MediaSilence).is_some() {
            self.look_for_silence(now);
        }
    }

    /// Looks whether the transport is silent, and notes when to look again: not with each packet, but when the time from
    /// the last one that was seen on looking is up.
    pub fn look_for_silence(&mut self, now: Instant) {
        let since = if self.media.is_some() { self.last_heard } else { self.answered_at };
        let silent_at = since.map(|since| since + SILENCE);
        self.is_silent = silent_at.is_some_and(|at| now >= at);
        self.deadlines.set(Timer::MediaSilence, silent_at.filter(|_| !self.is_silent));
    }

    /// Notes an authentic packet: its sender is there, and wants media where it came from. Once consent has expired, only a
    /// check brings a path back. Returns whether it ends a silence that others were told about.
    pub fn on_authentic(&mut self, now: Instant, path: Path, lets_send: Duration) -> bool {
        if self.wanted.is_some_and(|wanted| wanted != path) {
            self.wanted = Some(path);
            self.adopt_path(now, lets_send);
        }
        self.hear(now)
    }

    /// Encrypts and sends an RTCP compound. Does nothing without keys and a path, or if the compound is empty.
    pub fn send_rtcp(&mut self, outbox: &mut Outbox, compound: &[u8]) {
        let (Some(media), Some(path)) = (&mut self.media, self.path) else { return };
        if compound.is_empty() {
            return;
        }
        outbox.transmit(path, TrafficClass::Control, |buffer| {
            buffer.get_mut(..compound.len())?.copy_from_slice(compound);
            media.egress.sender.seal_rtcp(buffer, compound.len())
        });
    }

    /// Makes the next reports go out no later than `at`, if reports are sent at all.
    pub fn report_by(&mut self, at: Instant) {
        if let Some(planned) = self.deadlines.get(Timer::Reports) {
            self.deadlines.set(Timer::Reports, Some(planned.min(at)));
        }
    }
}
