//! Words for what facts name.

use super::model::Hop;
use crate::core::command::Source;
use crate::core::event::{ClosingReason, LeaveReason};
use crate::core::timers::Timer;
use crate::trace::facts::{Carrier, Departure, Route};

/// What a track shows.
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Microphone => "microphone",
        Source::Camera => "camera",
        Source::Screen => "screen",
        Source::ScreenAudio => "screen audio",
    }
}

/// How packets go.
pub fn carrier(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Udp => "UDP",
        Carrier::Tcp => "TCP",
        Carrier::Turn => "TURN",
    }
}

/// A way.
pub fn route(route: &Route) -> String {
    match route.carrier {
        Carrier::Turn => "TURN, relayed by the server itself".to_owned(),
        other => format!("{}, {}", carrier(other), route.remote),
    }
}

/// Why somebody is gone, and which time-out it was due to, if to one.
pub fn departure(departure: Departure, timed_out: Option<Timer>) -> &'static str {
    match departure {
        Departure::Left(LeaveReason::Timeout) | Departure::Closed(ClosingReason::Expired)
            if timed_out == Some(Timer::Resume) =>
        {
            "was removed: their signalling broke, and they were not back in time"
        }
        Departure::Left(LeaveReason::Timeout) | Departure::Closed(ClosingReason::Expired)
            if timed_out == Some(Timer::MediaTimeout) =>
        {
            "was removed: no connectivity check of theirs came for too long"
        }
        Departure::Left(LeaveReason::Left) => "left",
        Departure::Left(LeaveReason::Timeout) => "was not heard of for too long, and was removed",
        Departure::Left(LeaveReason::Removed) | Departure::Closed(ClosingReason::Removed) => {
            "was removed by the operator"
        }
        Departure::Left(LeaveReason::Error) | Departure::Closed(ClosingReason::Error) => {
            "was removed after an error of the server's; its log has it"
        }
        Departure::Closed(ClosingReason::Shutdown) => "was told that the server stops",
        Departure::Closed(ClosingReason::RoomClosed) => "was told that the operator closed the room",
        Departure::Closed(ClosingReason::Replaced) => "was taken over by another connection",
        Departure::Closed(ClosingReason::Expired) => "was removed: their media path was dead for too long",
        Departure::Unknown => "is gone",
    }
}

/// So many of something.
pub fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// So many packets.
pub fn packets(number: u64) -> String {
    count(number, "packet", "packets")
}

/// What became of packets on a hop.
pub fn hop(hop: &Hop) -> String {
    if hop.lost == 0 {
        return format!("{}, none lost", packets(hop.packets));
    }
    let restored = restored(hop.lost, hop.restored);
    format!("{}, {} lost ({:.1} %), {restored}", packets(hop.packets), hop.lost, hop.percent())
}

/// How many of the lost packets came again.
pub fn restored(lost: u64, restored: u64) -> String {
    match restored {
        0 => "not restored".to_owned(),
        all if all >= lost => "restored by retransmission".to_owned(),
        some => format!("{some} of them restored by retransmission"),
    }
}

/// A moment since 1970 as date and time, UTC.
pub fn date(at: super::model::Time) -> String {
    let seconds = at.0.as_secs();
    let (mut day, rest) = (seconds / 86_400, seconds % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    // A trace cannot be of a time so far away that counting takes long: a reader refuses it.
    while day >= 365 + u64::from(is_leap(year)) {
        day -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while let Some(length) = lengths.get(month).filter(|length| day >= **length) {
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year}-{:02}-{:02} {hour:02}:{minute:02}:{second:02} UTC", month + 1, day + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::model::Time;
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_800_000_000, "2027-01-15 08:00:00 UTC"),
        ] {
            assert_eq!(date(Time(Duration::from_secs(seconds))), expected);
        }
    }
}
