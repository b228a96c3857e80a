//! The last step of the escalation against whoever breaks the rules: first a message is refused, then the connection is cut,
//! and an address from which that happens again and again has to pause.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tracing::info;

use super::swept::Swept;

/// Cuts within [`COUNTS_FOR`] after which an address has to pause. Of an office behind one address, that many people would
/// have to break the rules at a time.
const CUTS: u32 = 8;
/// How long a cut counts.
const COUNTS_FOR: Duration = Duration::from_secs(60);
/// The first pause. Each one that follows soon is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// How often a pause is doubled at most.
const DOUBLINGS: u32 = 5;
/// When nothing has happened for this long, an address is as good as any other.
const REMEMBERED_FOR: Duration = Duration::from_secs(900);

#[derive(Debug)]
struct Record {
    cuts: u32,
    pauses: u32,
    /// When it was last cut, or when its pause ends.
    last: Instant,
    paused_until: Option<Instant>,
}

/// The addresses whose clients were cut lately. An address is an IPv4 address or an IPv6 /64, as
/// [`host_of`](super::address_rates::host_of) makes it.
#[derive(Debug, Default)]
pub struct AddressPauses {
    records: Swept<IpAddr, Record>,
}

impl AddressPauses {
    /// Notes that a client of an address was cut because it went on breaking the rules.
    pub fn note_cut(&mut self, now: Instant, host: IpAddr) {
        self.records.sweep(|record| now >= record.last + REMEMBERED_FOR);
        let fresh = Record { cuts: 0, pauses: 0, last: now, paused_until: None };
        let record = self.records.entries.entry(host).or_insert(fresh);
        if now >= record.last + REMEMBERED_FOR {
            record.pauses = 0;
        }
        if now >= record.last + COUNTS_FOR {
            record.cuts = 0;
        }
        record.last = record.last.max(now);
        record.cuts += 1;
        if record.cuts >= CUTS {
            let pause = FIRST_PAUSE * (1 << record.pauses.min(DOUBLINGS));
            info!(address = %host, seconds = pause.as_secs(), "an address has to pause: its clients were cut again and again");
            (record.cuts, record.pauses) = (0, record.pauses + 1);
            record.last = now + pause;
            record.paused_until = Some(record.last);
        }
    }

    /// Returns whether an address has to pause: no connection of it is taken.
    pub fn is_paused(&self, now: Instant, host: IpAddr) -> bool {
        let record = self.records.entries.get(&host);
        record.and_then(|record| record.paused_until).is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::clock;

    #[test]
    fn who_is_cut_again_and_again_pauses_for_longer_and_longer_and_is_forgiven_in_the_end() {
        let start = clock::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (host, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut pauses = AddressPauses::default();
        let cut = |pauses: &mut AddressPauses, seconds, times| {
            (0..times).for_each(|_| pauses.note_cut(at(seconds), host));
        };
        cut(&mut pauses, 0, CUTS - 1);
        assert!(!pauses.is_paused(at(0), host));
        cut(&mut pauses, 61, 1);
        assert!(!pauses.is_paused(at(61), host), "those of a minute ago do not count");
        cut(&mut pauses, 62, CUTS - 1);
        assert!(pauses.is_paused(at(71), host) && !pauses.is_paused(at(72), host));
        assert!(!pauses.is_paused(at(62), other));
        cut(&mut pauses, 80, CUTS);
        assert!(pauses.is_paused(at(99), host) && !pauses.is_paused(at(100), host));
        cut(&mut pauses, 100 + REMEMBERED_FOR.as_secs(), CUTS);
        let later = 100 + REMEMBERED_FOR.as_secs();
        assert!(pauses.is_paused(at(later + 9), host) && !pauses.is_paused(at(later + 10), host));
    }
}
