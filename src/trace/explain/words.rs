//! Everyday words for what facts name. They are not the protocol's names.

use crate::core::bandwidth::estimator::Reason;
use crate::core::command::Source;
use crate::core::event::LeaveReason;
use crate::core::path::Carrier;
use crate::trace::facts::Route;

/// Returns the everyday word for what a track shows.
pub fn source(source: Source) -> &'static str {
    match source {
        Source::Microphone => "microphone",
        Source::Camera => "camera",
        Source::Screen => "screen",
        Source::ScreenAudio => "screen audio",
    }
}

/// Returns the name of a carrier.
pub fn carrier(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Udp => "UDP",
        Carrier::Tcp => "TCP",
        Carrier::Tls => "TLS over TCP",
        Carrier::TurnUdp => "TURN over UDP",
        Carrier::TurnTcp => "TURN over TCP",
        Carrier::TurnTls => "TURN over TLS",
    }
}

/// Returns a route and its address in words.
pub fn route(route: &Route) -> String {
    let name = carrier(route.carrier);
    if route.carrier.is_relayed() {
        format!("{name}, relayed by the server itself")
    } else {
        format!("{name}, {}", route.remote)
    }
}

/// Returns why somebody has left, in words that follow their name.
pub fn departure(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => "left",
        LeaveReason::TransportClosed => "was removed: their client closed its media connection",
        LeaveReason::FingerprintMismatch => {
            "was refused: the certificate of their handshake is not the one that their offer names"
        }
        LeaveReason::HandshakeFailed => "was removed: their DTLS handshake failed or was never completed",
        LeaveReason::MediaTimeout => {
            "was removed: neither a connectivity check nor media of theirs came for too long"
        }
        LeaveReason::ResumeTimeout => "was removed: their signalling broke, and they were not back in time",
        LeaveReason::Removed => "was removed by the operator",
        LeaveReason::RoomClosed => "was told that the operator closed the room",
        LeaveReason::Shutdown => "was told that the server stops",
        LeaveReason::Error => "was removed after an error of the server's; its log has it",
        LeaveReason::Banned => "was banned by a moderator or the operator",
        LeaveReason::DuplicateIdentity => "was replaced: they joined again from another window or device",
        LeaveReason::MadeWay => {
            "made way for somebody else: their signalling broke before they were in the call, and there was no other place"
        }
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

/// Returns a rate of bits as people say it.
pub fn bit_rate(bits_per_second: u64) -> String {
    match bits_per_second {
        0..1_000_000 => format!("{} kbit/s", bits_per_second / 1_000),
        _ => format!("{}.{} Mbit/s", bits_per_second / 1_000_000, bits_per_second / 100_000 % 10),
    }
}

/// Returns why a bandwidth estimate is what it is.
pub fn limit(reason: Reason) -> &'static str {
    match reason {
        Reason::Open => "more was not sent, or did not get through",
        Reason::Delay => "packets had to wait longer and longer",
        Reason::Loss => "packets were lost",
        Reason::Stalled => "nothing was reported any more",
        Reason::Told => "the client says so",
    }
}
