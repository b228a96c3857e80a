//! SendHistory: what was sent under which transport-wide sequence number, so that a report of the receiver's can be read.
//!
//! There is one number for each packet of a transport, whichever stream it is of. Reports name packets by the low 16 bits,
//! and arrivals by the receiver's clock, which wraps after twelve days.

use super::probes::ProbeId;
use super::{LossReport, Micros, PacketResult, SECOND};

/// How many packets are remembered at first, and at most: two seconds at 10 Mbit/s. A packet that is reported later than
/// that is as good as lost.
const ENTRIES_MIN: usize = 128;
const ENTRIES_MAX: usize = 2_048;
/// Room is made for what was sent within this time and not reported yet.
const AGE: Micros = 3 * SECOND;
/// The reference time of a report has 24 bits.
const REFERENCE_BITS: u32 = 24;
/// Whoever reports each time that half of a clock's round has passed makes it up. Behind this, in units of 64 ms, the clock
/// begins anew, so that no time that is reckoned from it overflows.
const REFERENCE_MAX: i64 = 1 << 36;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fate {
    /// Nothing was reported of it; or it never was sent.
    #[default]
    Unknown,
    Lost,
    Received,
}

/// What was reported of a packet of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum AudioFate {
    /// The packet is no audio.
    #[default]
    Other,
    /// Nothing was reported of it.
    Unknown,
    Missing,
    Came,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    sent: Micros,
    bytes: u16,
    probe: Option<ProbeId>,
    fate: Fate,
    audio: AudioFate,
}

/// The packets that were sent last.
#[derive(Debug)]
pub struct SendHistory {
    /// By number, modulo its length, which is a power of two.
    entries: Vec<Entry>,
    /// The next packet's number, extended from 16 bits.
    next: u64,
    /// The first packet's.
    first: u64,
    /// All before this number was reported on, or never will be.
    reported: u64,
    /// The newest reference time: its 24 bits, and where that is since the first one.
    reference: Option<(u32, i64)>,
    /// The number of the newest report itself.
    report: Option<u8>,
    /// Whether the report that is read next follows the one before it.
    follows: bool,
    audio: AudioTold,
}

/// What was reported of audio, and not taken yet.
#[derive(Debug, Clone, Copy, Default)]
struct AudioTold {
    packets: u32,
    /// Less than nothing if packets turned out to be late that were taken for lost.
    lost: i32,
}

impl Default for SendHistory {
    fn default() -> Self {
        // Room below, so that what is older than the first packet has a number too.
        let first = 1 << 16;
        Self {
            entries: Vec::new(),
            next: first,
            first,
            reported: first,
            reference: None,
            report: None,
            follows: false,
            audio: AudioTold::default(),
        }
    }
}

impl SendHistory {
    /// Returns the transport-wide sequence number that the next packet will have.
    pub fn next_number(&self) -> u16 {
        self.next as u16
    }

    /// Notes a packet that is sent. Returns its transport-wide sequence number.
    pub fn on_sent(&mut self, now: Micros, bytes: usize, probe: Option<ProbeId>) -> u16 {
        let number = self.next;
        if let Some(oldest) = self.entry(number)
            && oldest.fate == Fate::Unknown
            && now - oldest.sent < AGE
            && self.next - self.first >= self.entries.len() as u64
        {
            self.grow();
        } else if self.entries.is_empty() {
            self.entries = vec![Entry::default(); ENTRIES_MIN];
        }
        let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        if let Some(place) = self.entry_mut(number) {
            *place = Entry { sent: now, bytes, probe, fate: Fate::Unknown, audio: AudioFate::Other };
        }
        self.next += 1;
        number as u16
    }

    /// Says that the packet that was noted last is audio.
    pub fn mark_audio(&mut self) {
        let newest = self.next - 1;
        if let Some(entry) = self.entry_mut(newest) {
            entry.audio = AudioFate::Unknown;
        }
    }

    /// Takes note that the report that is read next has the number `report`.
    ///
    /// Some receivers begin each report with a packet that came. If the report follows the one that was read last, what lies
    /// between the two is missing. Otherwise a report was lost, and nobody knows.
    pub fn begin_report(&mut self, report: u8) {
        self.follows = self.report.replace(report) == Some(report.wrapping_sub(1));
    }

    fn note_audio(&mut self, sequence: u64, came: bool) {
        let Some(entry) = self.entry_mut(sequence) else { return };
        let after = match entry.audio {
            AudioFate::Other | AudioFate::Came => return,
            _ if came => AudioFate::Came,
            _ => AudioFate::Missing,
        };
        let before = std::mem::replace(&mut entry.audio, after);
        self.audio.packets += u32::from(before == AudioFate::Unknown);
        self.audio.lost += i32::from(after == AudioFate::Missing) - i32::from(before == AudioFate::Missing);
    }

    /// Takes what was reported of audio since the last call, each packet once. A report that was lost on its way says
    /// nothing of its packets, so they count neither way.
    pub fn take_audio(&mut self) -> LossReport {
        let AudioTold { packets, lost } = self.audio;
        self.audio = AudioTold { packets: 0, lost: lost.min(0) };
        LossReport { expected: packets, lost: lost.max(0).unsigned_abs() }
    }

    /// Reads a report: `base` is the number of its first packet, `statuses` says of each from there when it came, by the
    /// receiver's clock, or that it did not. Appends to `results` what is news, in the order of the numbers. What was never
    /// sent is passed over, and so is a report that begins long before all that is remembered.
    pub fn take_report(
        &mut self,
        base: u16,
        statuses: impl Iterator<Item = Option<Micros>>,
        results: &mut Vec<PacketResult>,
    ) {
        let follows = std::mem::take(&mut self.follows);
        let Some(base) = self.extended(base) else { return };
        let oldest = self.oldest();
        let mut unreported = 0;
        let left_out = self.reported.max(oldest)..base;
        let missing = if follows { left_out.clone() } else { base..base };
        if !follows {
            unreported = left_out
                .filter_map(|sequence| self.entry(sequence))
                .map(|entry| u32::from(entry.bytes))
                .sum();
        }
        let missing = missing.map(|sequence| (sequence, None));
        for (sequence, received) in missing.chain((base..self.next).zip(statuses)) {
            self.reported = self.reported.max(sequence + 1);
            if sequence < oldest {
                continue;
            }
            self.note_audio(sequence, received.is_some());
            let Some(entry) = self.entry_mut(sequence) else { return };
            let fate = if received.is_some() { Fate::Received } else { Fate::Lost };
            // Lost may turn out to be late. Whatever else is told twice is told in vain.
            if entry.fate == Fate::Received || entry.fate == fate {
                continue;
            }
            entry.fate = fate;
            let Entry { sent, bytes, probe, .. } = *entry;
            results.push(PacketResult {
                sequence,
                sent,
                received,
                bytes: u32::from(bytes),
                unreported,
                probe,
            });
            unreported = 0;
        }
    }

    /// Returns the whole number of a packet that a report begins with; `None` if that lies long before all that is remembered.
    fn extended(&self, base: u16) -> Option<u64> {
        let newest = self.next - 1;
        let behind = u64::from((newest as u16).wrapping_sub(base));
        newest.checked_sub(behind).filter(|_| behind < 2 * self.entries.len() as u64)
    }

    /// Returns the number of the oldest packet that is remembered.
    fn oldest(&self) -> u64 {
        self.first.max(self.next.saturating_sub(self.entries.len() as u64))
    }

    /// Returns where the reference time of a report is, in its own unit, since that of the first report. Reports may
    /// overtake each other.
    pub fn unwrap_reference(&mut self, reference: u32) -> i64 {
        let unwrapped = match self.reference {
            None => 0,
            Some((newest, at)) => {
                let shift = 32 - REFERENCE_BITS;
                let ahead = (reference.wrapping_sub(newest) << shift).cast_signed() >> shift;
                at + i64::from(ahead)
            }
        };
        if unwrapped.abs() > REFERENCE_MAX {
            self.reference = None;
            return self.unwrap_reference(reference);
        }
        if self.reference.is_none_or(|(_, at)| unwrapped >= at) {
            self.reference = Some((reference, unwrapped));
        }
        unwrapped
    }

    fn grow(&mut self) {
        let length = (self.entries.len() * 2).min(ENTRIES_MAX);
        if length == self.entries.len() {
            return;
        }
        let mut entries = vec![Entry::default(); length];
        for sequence in self.next - self.entries.len() as u64..self.next {
            if let (Some(place), Some(entry)) =
                (entries.get_mut(sequence as usize % length), self.entry(sequence))
            {
                *place = *entry;
            }
        }
        self.entries = entries;
    }

    fn entry(&self, sequence: u64) -> Option<&Entry> {
        self.entries.get(sequence as usize & self.entries.len().wrapping_sub(1))
    }

    fn entry_mut(&mut self, sequence: u64) -> Option<&mut Entry> {
        let mask = self.entries.len().wrapping_sub(1);
        self.entries.get_mut(sequence as usize & mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(
        history: &mut SendHistory,
        base: u16,
        statuses: &[Option<Micros>],
    ) -> Vec<(u64, Option<Micros>)> {
        let mut results = Vec::new();
        history.take_report(base, statuses.iter().copied(), &mut results);
        results.iter().map(|result| (result.sequence - (1 << 16), result.received)).collect()
    }

    #[test]
    fn what_was_sent_is_found_again() {
        let mut history = SendHistory::default();
        for packet in 0..4 {
            assert_eq!(history.on_sent(packet, 100, None), packet as u16);
        }
        let told = report(&mut history, 0, &[Some(7), None, Some(8)]);
        assert_eq!(told, [(0, Some(7)), (1, None), (2, Some(8))]);
        let told = report(&mut history, 0, &[Some(7), Some(9), None, Some(10), Some(11)]);
        assert_eq!(
            told,
            [(1, Some(9)), (3, Some(10))],
            "late ones are news, repeated ones and unsent ones are not"
        );
    }

    #[test]
    fn a_report_that_was_lost_is_missed() {
        let mut history = SendHistory::default();
        for packet in 0..20 {
            history.on_sent(packet, 100, None);
        }
        let mut results = Vec::new();
        for base in [0, 10, 5] {
            history.take_report(base, [Some(7); 5].into_iter(), &mut results);
        }
        let missed: Vec<_> = results.iter().map(|result| result.unreported).collect();
        assert_eq!(missed, [0, 0, 0, 0, 0, 500, 0, 0, 0, 0, 0, 0, 0, 0, 0], "five packets of 100 bytes");
    }

    #[test]
    fn of_audio_each_packet_is_told_once_and_what_was_late_is_made_good() {
        let mut history = SendHistory::default();
        for packet in 0..12 {
            history.on_sent(packet, 100, None);
            if packet % 2 == 0 {
                history.mark_audio();
            }
        }
        report(&mut history, 0, &[Some(1), Some(1), None, Some(1), None, None]);
        report(&mut history, 0, &[Some(1), Some(1), None, Some(1), None, None]);
        assert_eq!(history.take_audio(), LossReport { expected: 3, lost: 2 }, "0, 2 and 4");
        assert_eq!(history.take_audio(), LossReport::default());
        report(&mut history, 2, &[Some(2), Some(2)]);
        report(&mut history, 8, &[None, None]);
        assert_eq!(history.take_audio(), LossReport { expected: 1, lost: 0 }, "2 has come, and 8 is lost");
        report(&mut history, 4, &[Some(3)]);
        report(&mut history, 10, &[Some(3)]);
        assert_eq!(history.take_audio(), LossReport { expected: 1, lost: 0 }, "4 has come, too");
        report(&mut history, 6, &[None]);
        assert_eq!(history.take_audio(), LossReport { expected: 1, lost: 0 }, "as many as were told wrongly");
    }

    #[test]
    fn audio_between_two_reports_that_follow_each_other_is_missing() {
        let mut history = SendHistory::default();
        for packet in 0..12 {
            history.on_sent(packet, 100, None);
            history.mark_audio();
        }
        let mut tell = |number, base, statuses: &[Option<Micros>]| {
            history.begin_report(number);
            report(&mut history, base, statuses);
            history.take_audio()
        };
        assert_eq!(tell(255, 1, &[Some(1)]), LossReport { expected: 1, lost: 0 }, "there was none before it");
        assert_eq!(tell(0, 4, &[Some(1)]), LossReport { expected: 3, lost: 2 }, "2 and 3 are missing");
        assert_eq!(
            tell(2, 8, &[Some(1)]),
            LossReport { expected: 1, lost: 0 },
            "the report between was lost"
        );
        assert_eq!(tell(3, 2, &[Some(3)]), LossReport { expected: 0, lost: 0 }, "2 was late");
        assert_eq!(tell(4, 11, &[Some(3)]), LossReport { expected: 3, lost: 1 }, "two more, less the one");
    }

    #[test]
    fn what_lies_between_two_reports_that_follow_each_other_is_lost_and_did_not_come() {
        let mut history = SendHistory::default();
        for packet in 0..20 {
            history.on_sent(packet, 100, None);
        }
        let mut tell = |number, base| {
            let mut results = Vec::new();
            history.begin_report(number);
            history.take_report(base, [Some(7); 2].into_iter(), &mut results);
            let told = results
                .iter()
                .map(|result| (result.sequence - (1 << 16), result.received, result.unreported));
            told.collect::<Vec<_>>()
        };
        assert_eq!(tell(7, 0), [(0, Some(7), 0), (1, Some(7), 0)]);
        assert_eq!(tell(8, 4), [(2, None, 0), (3, None, 0), (4, Some(7), 0), (5, Some(7), 0)]);
        assert_eq!(tell(10, 8), [(8, Some(7), 200), (9, Some(7), 0)], "the report between was lost");
        assert_eq!(tell(11, 11), [(10, None, 0), (11, Some(7), 0), (12, Some(7), 0)]);
        assert_eq!(tell(12, 3), [(3, Some(7), 0)], "it was late");
    }

    #[test]
    fn numbers_wrap() {
        let mut history = SendHistory::default();
        for packet in 0..70_000 {
            history.on_sent(packet * 1_000, 100, None);
        }
        let statuses = vec![Some(1); 200];
        let told = report(&mut history, (69_900i64 % 65_536) as u16, &statuses);
        assert_eq!(
            (told.first(), told.last(), told.len()),
            (Some(&(69_900, Some(1))), Some(&(69_999, Some(1))), 100)
        );
    }

    #[test]
    fn it_grows_while_nothing_is_reported_and_not_for_ever() {
        let mut history = SendHistory::default();
        for packet in 0..10_000 {
            history.on_sent(packet * 100, 100, None);
        }
        assert_eq!(history.entries.len(), ENTRIES_MAX);
        let statuses = vec![Some(1); 4_000];
        assert_eq!(report(&mut history, 7_000, &statuses).len(), ENTRIES_MAX, "the newest are remembered");
        let mut history = SendHistory::default();
        for packet in 0..10_000u16 {
            history.on_sent(i64::from(packet) * 100, 100, None);
            report(&mut history, packet, &[Some(1)]);
        }
        assert_eq!(history.entries.len(), ENTRIES_MIN, "what was reported needs no room");
    }

    #[test]
    fn reports_of_what_nobody_sent_say_nothing() {
        let mut history = SendHistory::default();
        assert_eq!(report(&mut history, 0, &[Some(1); 10]), []);
        for packet in 0..10 {
            history.on_sent(packet, 100, None);
        }
        for base in [10, 500, 40_000, 65_000] {
            assert_eq!(report(&mut history, base, &[Some(1); 10]), [], "{base}");
        }
        assert_eq!(
            report(&mut history, 65_530, &[Some(1); 10]).len(),
            4,
            "what is behind the first is passed over"
        );
    }

    #[test]
    fn a_clock_that_is_made_up_gets_nowhere() {
        let mut history = SendHistory::default();
        let mut reference: u32 = 0;
        for _ in 0..100_000 {
            let at = history.unwrap_reference(reference);
            assert!(at.abs() <= REFERENCE_MAX);
            reference = (reference + (1 << 23) - 1) % (1 << 24);
        }
    }

    #[test]
    fn the_receivers_clock_wraps() {
        let mut history = SendHistory::default();
        let last = (1 << 24) - 1;
        let cases = [(last - 1, 0), (last, 1), (3, 5), (last, 1), (4, 6)];
        for (reference, expected) in cases {
            assert_eq!(history.unwrap_reference(reference), expected, "{reference}");
        }
    }
}
