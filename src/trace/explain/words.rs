//! Words for what facts name, as people say them. They are not the names that protocols have.

use crate::core::command::Source;
use crate::core::event::{ClosingReason, LeaveReason};
use crate::core::timers::Timer;
use crate::trace::facts::{Carrier, Departure, Route};

/// Returns what a track shows, as people say it.
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Microphone => "microphone",
        Source::Camera => "camera",
        Source::Screen => "screen",
        Source::ScreenAudio => "screen audio",
    }
}

/// Returns what a way for packets is called.
pub fn carrier(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Udp => "UDP",
        Carrier::Tcp => "TCP",
        Carrier::Turn => "TURN",
    }
}

/// Returns a way and its address in words.
pub fn route(route: &Route) -> String {
    match route.carrier {
        Carrier::Turn => "TURN, relayed by the server itself".to_owned(),
        other => format!("{}, {}", carrier(other), route.remote),
    }
}

/// Returns why somebody is gone, in words that follow their name, and to which time-out that was due, if to one.
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

/// Returns a number and what is counted, in the singular or the plural.
pub fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// Returns a number of packets in words.
pub fn packets(number: u64) -> String {
    count(number, "packet", "packets")
}

/// Returns how many of the lost packets came again, in words.
pub fn restored(lost: u64, restored: u64) -> String {
    match restored {
        0 => "not restored".to_owned(),
        all if all >= lost => "restored by retransmission".to_owned(),
        some => format!("{some} of them restored by retransmission"),
    }
}
