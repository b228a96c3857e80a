//! Redundancy: decides how many copies of earlier audio a client is sent with each packet (RFC 2198), by what it loses.
//!
//! A lost packet is not sent again if it is audio: it would come too late. With one copy of the packet before in each
//! packet, two packets in a row have to be lost before something is missing, and with two copies three. Copies cost
//! bandwidth, so they are sent only where much is lost, for as long as it is, and never where the network has no room
//! for them: then they would cause the loss that they are to make good.

use std::time::{Duration, Instant};

use crate::core::bandwidth::LossReport;
use crate::core::mutation::mutated;
use crate::core::stats::{RedundancyDecision, RedundancyReason};

/// Loss is that of so many of the last seconds.
const WINDOW_SECONDS: usize = 5;
/// With more loss, in 1/1000, one copy is sent.
const ONE_COPY: u32 = 30;
/// With more loss, in 1/1000, two copies are sent.
const TWO_COPIES: u32 = 100;
/// With less loss for [`CALM`], in 1/1000, two copies become one.
const ONE_IS_ENOUGH: u32 = 50;
/// With less loss for [`CALM`], in 1/1000, none are sent any more.
const NONE_IS_ENOUGH: u32 = 10;
/// For so long less must be lost before fewer copies are sent.
const CALM: Duration = Duration::from_secs(30);
/// Of fewer packets nothing is concluded: two lost ones among them would count as much.
const PACKETS_MIN: u32 = 100;
/// Where the network had no room for copies, none are sent for so long.
const NO_ROOM_FOR: Duration = Duration::from_secs(10);
/// Transport-wide feedback comes many times a second, and is looked at this often.
const FEEDBACK_INTERVAL: Duration = Duration::from_millis(500);
/// A network has room for copies if it carries so many times the audio that goes out on it.
const ROOM: u64 = 3;

/// Which reports tell of a loss. They are counted apart, and the greater loss counts: feedback is quick, but may be lost
/// itself, and a few packets of audio are told with it; receiver reports leave nothing out, but come each five seconds where
/// there is audio alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossSource {
    /// Transport-wide feedback, as far as it is about audio.
    Feedback,
    /// Receiver reports on streams of audio (RFC 3550 §6.4).
    ReceiverReports,
}

/// What one second's reports told.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    number: u64,
    expected: u32,
    lost: u32,
}

/// What one kind of report told in the last seconds.
#[derive(Debug, Clone, Copy, Default)]
struct Window([Second; WINDOW_SECONDS]);

impl Window {
    /// Notes a report that came in the second with that number.
    fn note(&mut self, number: u64, report: LossReport) {
        let second = &mut self.0[number as usize % WINDOW_SECONDS];
        if second.number != number {
            *second = Second { number, ..Second::default() };
        }
        second.expected = second.expected.saturating_add(report.expected);
        second.lost = second.lost.saturating_add(report.lost.min(report.expected));
    }

    /// Returns how much was lost in the seconds up to that number, in 1/1000; 0 if fewer packets than `least` were told of.
    fn loss(&self, number: u64, least: u32) -> u32 {
        let recent = || self.0.iter().filter(|one| one.number + WINDOW_SECONDS as u64 > number);
        let expected = recent().fold(0_u32, |sum, one| sum.saturating_add(one.expected));
        let lost: u64 = recent().map(|one| u64::from(one.lost)).sum();
        if expected < least { 0 } else { (lost * 1000 / u64::from(expected.max(1))) as u32 }
    }
}

/// How much was lost, in 1/1000.
#[derive(Debug, Clone, Copy)]
struct Loss {
    /// Of however few packets.
    any: u32,
    /// Of so many that something can be concluded.
    certain: u32,
}

/// The copies of one transport: one for all of its audio, because it is lost on one way.
#[derive(Debug, Default)]
pub struct Redundancy {
    decision: Option<RedundancyDecision>,
    began: Option<Instant>,
    feedback: Window,
    receiver_reports: Window,
    /// Since when less than [`NONE_IS_ENOUGH`] and [`ONE_IS_ENOUGH`] has been lost.
    calm_since: [Option<Instant>; 2],
    /// When it was last found that there is no room.
    no_room: Option<Instant>,
    /// When transport-wide feedback was looked at last that told of audio.
    feedback_at: Option<Instant>,
}

impl Redundancy {
    /// Returns how many copies go out with each packet of audio.
    #[inline]
    pub fn copies(&self) -> usize {
        self.decision.map_or(0, |decision| usize::from(decision.copies))
    }

    /// Returns what was decided last; `None` if there never were copies.
    pub fn decision(&self) -> Option<RedundancyDecision> {
        self.decision
    }

    /// Returns whether it is time to look at what transport-wide feedback has told.
    pub fn wants_feedback(&self, now: Instant) -> bool {
        self.feedback_at.is_none_or(|at| now.saturating_duration_since(at) >= FEEDBACK_INTERVAL)
    }

    /// Takes a report of one stream of audio, or of all of them. `carried` is what the network carries and `audio` how much
    /// audio goes out on it without copies, both in bits per second, as far as known. Returns what is decided, if that is
    /// something new.
    pub fn on_report(
        &mut self,
        now: Instant,
        source: LossSource,
        report: LossReport,
        carried: Option<u64>,
        audio: u64,
    ) -> Option<RedundancyDecision> {
        let loss = self.note(now, source, report);
        if mutated!(RedundancyForgotten) {
            return None;
        }
        let before = self.copies() as u8;
        let has_room = carried.is_none_or(|carried| carried >= ROOM * audio);
        let (copies, reason) = if has_room {
            self.wanted(now, before, loss)?
        } else {
            self.no_room = Some(now);
            (0, RedundancyReason::NoRoom)
        };
        if copies == before {
            return None;
        }
        let loss = if reason == RedundancyReason::Loss { loss.certain } else { loss.any };
        let loss_permille = u16::try_from(loss).unwrap_or(u16::MAX);
        self.decision = Some(RedundancyDecision { copies, loss_permille, reason });
        self.decision
    }

    /// Returns how many copies loss calls for, where there is room for them; `None` if for as many as there are.
    fn wanted(&self, now: Instant, before: u8, loss: Loss) -> Option<(u8, RedundancyReason)> {
        let more = match loss.certain {
            loss if loss > TWO_COPIES => 2,
            loss if loss > ONE_COPY => 1,
            _ => 0,
        };
        let waits = self.no_room.is_some_and(|at| now.saturating_duration_since(at) < NO_ROOM_FOR);
        if more > before && !waits {
            return Some((more, RedundancyReason::Loss));
        }
        let is_calm =
            |since: Option<Instant>| since.is_some_and(|since| now.saturating_duration_since(since) >= CALM);
        let [none, one] = self.calm_since.map(is_calm);
        match before {
            1.. if none => Some((0, RedundancyReason::Calm)),
            2.. if one => Some((1, RedundancyReason::Calm)),
            _ => None,
        }
    }

    /// Notes a report. Returns how much was lost in the last seconds.
    fn note(&mut self, now: Instant, source: LossSource, report: LossReport) -> Loss {
        let began = *self.began.get_or_insert(now);
        let number = now.saturating_duration_since(began).as_secs();
        match source {
            LossSource::Feedback => {
                self.feedback_at = Some(now);
                self.feedback.note(number, report);
            }
            LossSource::ReceiverReports => self.receiver_reports.note(number, report),
        }
        let loss = |least| self.feedback.loss(number, least).max(self.receiver_reports.loss(number, least));
        let loss = Loss { any: loss(1), certain: loss(PACKETS_MIN) };
        for (since, below) in self.calm_since.iter_mut().zip([NONE_IS_ENOUGH, ONE_IS_ENOUGH]) {
            *since = (loss.any < below).then(|| since.unwrap_or(now));
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUDIO: u64 = 32_000;

    /// Reports each second for as long, of 50 packets each. Returns what was decided, with the second.
    fn reports(
        redundancy: &mut Redundancy,
        start: Instant,
        seconds: std::ops::Range<u64>,
        lost: u32,
        carried: u64,
    ) -> Vec<(u64, u8, RedundancyReason)> {
        let report = LossReport { expected: 50, lost };
        let mut decided = Vec::new();
        for second in seconds {
            let now = start + Duration::from_secs(second);
            let decision =
                redundancy.on_report(now, LossSource::ReceiverReports, report, Some(carried), AUDIO);
            decided.extend(decision.map(|decision| (second, decision.copies, decision.reason)));
        }
        decided
    }

    #[test]
    fn more_loss_calls_for_more_copies_and_thirty_calm_seconds_end_them() {
        let (mut redundancy, start) = (Redundancy::default(), Instant::now());
        let mut seconds = |range, lost| reports(&mut redundancy, start, range, lost, 1_000_000);
        assert_eq!(seconds(0..10, 1), [], "2 % is nothing");
        let began = seconds(10..20, 3);
        assert!(matches!(began[..], [(10..=15, 1, RedundancyReason::Loss)]), "{began:?}");
        let more = seconds(20..30, 10);
        assert!(matches!(more[..], [(20..=25, 2, RedundancyReason::Loss)]), "{more:?}");
        assert_eq!(seconds(30..90, 4), [], "8 % is too much for fewer copies");
        let fewer = seconds(90..130, 2);
        assert!(matches!(fewer[..], [(120..=126, 1, RedundancyReason::Calm)]), "{fewer:?}");
        let ended = seconds(130..170, 0);
        assert!(matches!(ended[..], [(160..=166, 0, RedundancyReason::Calm)]), "{ended:?}");
    }

    #[test]
    fn a_bad_moment_begins_the_calm_anew() {
        let (mut redundancy, start) = (Redundancy::default(), Instant::now());
        let mut seconds = |range, lost| reports(&mut redundancy, start, range, lost, 1_000_000);
        seconds(0..10, 10);
        for round in 1..10 {
            assert_eq!(seconds(round * 20..round * 20 + 18, 0), []);
            assert_eq!(seconds(round * 20 + 18..round * 20 + 20, 10), []);
        }
    }

    #[test]
    fn a_network_without_room_gets_no_copies_and_some_time_to_recover() {
        let (mut redundancy, start) = (Redundancy::default(), Instant::now());
        assert_eq!(reports(&mut redundancy, start, 0..5, 10, 3 * AUDIO - 1), []);
        let ended = reports(&mut redundancy, start, 5..30, 10, 3 * AUDIO);
        assert_eq!(ended, [(14, 2, RedundancyReason::Loss)]);
        let ended = reports(&mut redundancy, start, 30..40, 10, 50_000);
        assert_eq!(ended, [(30, 0, RedundancyReason::NoRoom)]);
    }

    #[test]
    fn of_a_few_packets_nothing_is_concluded() {
        let (mut redundancy, start) = (Redundancy::default(), Instant::now());
        for second in 0..100 {
            let report = LossReport { expected: 3, lost: 1 };
            let now = start + Duration::from_secs(second);
            for source in [LossSource::Feedback, LossSource::ReceiverReports] {
                assert_eq!(
                    redundancy.on_report(now, source, report, None, AUDIO),
                    None,
                    "somebody who is silent"
                );
            }
        }
        // Who gets audio alone reports each five seconds.
        let report = LossReport { expected: 250, lost: 50 };
        let now = start + Duration::from_secs(105);
        let decision = redundancy
            .on_report(now, LossSource::ReceiverReports, report, None, AUDIO)
            .expect("much is lost");
        assert_eq!((decision.copies, decision.loss_permille), (2, 200));
    }

    #[test]
    fn of_what_both_kinds_of_reports_tell_the_greater_loss_counts() {
        let (mut redundancy, start) = (Redundancy::default(), Instant::now());
        let mut decided = Vec::new();
        for half in 0..120 {
            let now = start + Duration::from_millis(500 * half);
            let mut note = |source, report| {
                decided.extend(
                    redundancy.on_report(now, source, report, None, AUDIO).map(|told| (half, told.copies)),
                );
            };
            note(LossSource::Feedback, LossReport { expected: 25, lost: 1 });
            if half % 10 == 9 {
                note(LossSource::ReceiverReports, LossReport { expected: 250, lost: 50 });
            }
        }
        assert_eq!(decided, [(3, 1), (9, 2)], "soon one, and two when it is known that more is lost");
    }

    #[test]
    fn nonsense_is_no_loss() {
        let (mut redundancy, start) = (Redundancy::default(), Instant::now());
        for _ in 0..10 {
            let report = LossReport { expected: u32::MAX, lost: u32::MAX };
            redundancy.on_report(start, LossSource::Feedback, report, Some(0), u64::MAX / 4);
        }
        assert_eq!(redundancy.copies(), 0);
    }
}
