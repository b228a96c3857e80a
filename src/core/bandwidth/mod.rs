//! How much a transport's network can carry, told from what its client reports of the packets that it was sent.
//!
//! The estimator stands on the sending side and follows Google Congestion Control as libwebrtc runs it today: the delay
//! that a queue adds is noticed by a trend line over groups of packets ([`trendline`]), and drives an additive increase,
//! multiplicative decrease ([`aimd`]); loss drives a second estimate, which tells loss by a full queue from loss that is
//! simply there ([`loss`]); the lower of both counts. Probes find out quickly what else there is ([`probes`]).
//!
//! Everything here is a pure function of what is sent and reported, and of `now`, which comes in. Numbers are integers, or
//! floats on which only operations are used that IEEE 754 rounds exactly: no function of a mathematics library, whose
//! results differ from machine to machine. Nothing is allocated for a packet: what is remembered stands in bounded rings.

pub mod acknowledged;
pub mod aimd;
pub mod application_limited;
pub mod capacity;
pub mod delay;
pub mod estimator;
pub mod groups;
pub mod history;
pub mod logarithm;
pub mod loss;
pub mod probe_result;
pub mod probes;
pub mod round_trip;
pub mod standing;
pub mod trendline;

#[cfg(test)]
mod link;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod scenarios;

/// A moment or a span in microseconds. Moments count from an epoch that whoever uses the estimator chooses; those of the
/// receiver count from an epoch of its own.
pub type Micros = i64;

/// A rate in bits per second.
pub type BitRate = u64;

/// One millisecond.
pub const MILLISECOND: Micros = 1_000;
/// One second.
pub const SECOND: Micros = 1_000_000;

/// No estimate falls below this, bits per second.
pub const RATE_MIN: BitRate = 5_000;

/// What became of a packet that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketResult {
    /// Its transport-wide sequence number, extended from 16 bits.
    pub sequence: u64,
    /// When it was sent.
    pub sent: Micros,
    /// When it came, by the receiver's clock; `None` if the receiver says that it has not come.
    pub received: Option<Micros>,
    /// Its size on the wire, bytes.
    pub bytes: u32,
    /// What was sent before it that no report will ever tell of, because the report was lost; bytes.
    pub unreported: u32,
    /// The probe that it was part of.
    pub probe: Option<probes::ProbeId>,
}

/// What a client reports of a part of what it is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LossReport {
    /// How many packets it should have got since its last report.
    pub expected: u32,
    /// How many of them it did not get.
    pub lost: u32,
}

/// Returns the rate of these bytes in that time; 0 if no time has passed.
fn rate_of(bytes: u64, time: Micros) -> BitRate {
    match u64::try_from(time) {
        Ok(micros) if micros > 0 => bytes * 8 * SECOND.unsigned_abs() / micros,
        _ => 0,
    }
}

/// Returns `rate × numerator / denominator`, without overflow on the way.
fn scaled(rate: BitRate, numerator: u64, denominator: u64) -> BitRate {
    (u128::from(rate) * u128::from(numerator) / u128::from(denominator)) as u64
}
