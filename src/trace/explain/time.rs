//! Moments of a call, lengths of time, and dates, and their texts.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::trace::calendar::DateTime;

/// A moment of the call, or a length of time. In JSON it is a number of seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl Time {
    /// Returns the time in seconds.
    pub fn seconds(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// Returns how long this moment is after an earlier one; zero if it is not later.
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Microseconds are fine enough; more digits would only show the errors of floating-point numbers.
        serializer.serialize_f64(self.0.as_micros() as f64 / 1e6)
    }
}

/// A length of time in words, such as `80 ms` or `1.25 s`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0..1000 => write!(f, "{millis} ms"),
            1000..100_000 => write!(f, "{:.2} s", self.seconds()),
            _ => write!(f, "{:.0} s", self.seconds()),
        }
    }
}

/// From one moment to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first moment that is in it.
    pub from: Time,
    /// The first moment that is not.
    pub to: Time,
}

impl Span {
    /// Returns how long the stretch is.
    pub fn length(&self) -> Time {
        self.to.since(self.from)
    }

    /// Returns whether a moment is in the stretch.
    pub fn holds(&self, at: Time) -> bool {
        self.from <= at && at < self.to
    }
}

/// Returns a moment since 1970 as date and time, UTC.
pub fn date(at: Time) -> String {
    let DateTime { year, month, day, hour, minute, second } = DateTime::of(at.0);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_everywhere() {
        assert_eq!(date(Time(Duration::from_secs(951_782_399))), "2000-02-28 23:59:59 UTC");
    }
}
