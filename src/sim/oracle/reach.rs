//! Where media may go, and where it must: to addresses by which somebody has proved to receive, for as long as they check
//! (RFC 7675), as the network saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::{CONSENT, CONSENT_MARGIN};
use crate::sim::network::{Micros, SECOND};

/// For how long an answer to a check of the server's certainly counts, µs.
const ANSWER_COUNTS: Micros = 29 * SECOND;

/// What came, or was to be told, this shortly before somebody could be reached again may have been left out, µs.
const SETTLED: Micros = SECOND / 2;
/// For how long the server certainly waits for an answer, µs.
const ANSWER_WITHIN: Micros = 2 * SECOND;

/// The addresses of one life of a person.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// The addresses to which media may go.
    pub(super) ways: BTreeSet<SocketAddr>,
    /// When a check was last answered, from wherever it came.
    pub(super) checked_at: Option<Micros>,
    /// When the last check was answered by a path that was certainly proved.
    sure_at: Option<Micros>,
    /// Since when that has been so without a break.
    sure_since: Micros,
    /// When a check from an address was last answered.
    checks: BTreeMap<SocketAddr, Micros>,
    /// The transactions with which the server has asked at an address, and when it did so last.
    asked: BTreeMap<(SocketAddr, [u8; 12]), Micros>,
    /// When an address has answered.
    proved: BTreeMap<SocketAddr, Micros>,
}

impl Reach {
    /// The server answers a check that nominates an address.
    pub(super) fn check_answered(&mut self, now: Micros, to: SocketAddr) {
        let last = self.checks.insert(to, now);
        self.checked_at = Some(now);
        let Some(last) = last else {
            // The completed handshake proves the first address, in which the network has no say.
            if self.ways.is_empty() {
                self.ways.insert(to);
            }
            return;
        };
        if now + CONSENT_MARGIN >= last + CONSENT {
            // Close to the end of consent it is uncertain whether the proof still counts.
            if self.proved.remove(&to).is_some() {
                self.ways.insert(to);
            }
        } else if self.is_proved(now, to) {
            self.ways = [to].into();
            self.be_sure(now, now);
        }
    }

    /// The server asks whether they receive at an address.
    pub(super) fn asked(&mut self, now: Micros, to: SocketAddr, transaction: [u8; 12]) {
        self.asked.insert((to, transaction), now);
    }

    /// Their answer has reached the server.
    pub(super) fn answer_came(&mut self, now: Micros, from: SocketAddr, transaction: [u8; 12]) {
        let Some(asked_at) = self.asked.get(&(from, transaction)) else { return };
        if now > asked_at + ANSWER_WITHIN {
            // The question may have been given up.
            self.ways.insert(from);
        } else {
            self.proved.insert(from, now);
            self.ways.insert(from);
            if let Some(at) = self.checks.get(&from).copied() {
                self.be_sure(now, at);
            }
        }
    }

    /// RTCP from that address is certain to be accepted: the server sends to there and nowhere else, if it may.
    pub(super) fn wanted_at(&mut self, now: Micros, from: SocketAddr) {
        if self.is_proved(now, from) {
            self.ways = [from].into();
        }
    }

    /// A packet from that address may be accepted, and then the server sends there if it may.
    pub(super) fn may_be_wanted_at(&mut self, from: SocketAddr) {
        if self.proved.contains_key(&from) {
            self.ways.insert(from);
        }
    }

    /// Whether the server has certainly got leave to send somewhere.
    pub(super) fn is_sure(&self, now: Micros) -> bool {
        self.has_leave(now) && now > self.sure_since + SETTLED
    }

    fn has_leave(&self, now: Micros) -> bool {
        self.sure_at.is_some_and(|at| now + CONSENT_MARGIN < at + CONSENT)
    }

    /// A path was certainly proved when a check came by it at `checked`.
    fn be_sure(&mut self, now: Micros, checked: Micros) {
        if !self.has_leave(now) {
            self.sure_since = now;
        }
        self.sure_at = self.sure_at.max(Some(checked));
    }

    fn is_proved(&self, now: Micros, at: SocketAddr) -> bool {
        self.proved.get(&at).is_some_and(|answer| now < answer + ANSWER_COUNTS)
            && self.checks.get(&at).is_some_and(|check| now + CONSENT_MARGIN < check + CONSENT)
    }
}
