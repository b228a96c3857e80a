//! The calendar: converts a time since 1970 to a date and a time of day in UTC. As in Unix time, leap seconds do not
//! count.

use std::time::Duration;

/// A moment, as date and time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// The year of the common era, 1970 or later.
    pub year: u64,
    /// The month, 1 to 12.
    pub month: u64,
    /// The day of the month, 1 to 31.
    pub day: u64,
    /// The hour, 0 to 23.
    pub hour: u64,
    /// The minute, 0 to 59.
    pub minute: u64,
    /// The second, 0 to 59.
    pub second: u64,
}

impl DateTime {
    /// Returns the moment that is `since_1970` after midnight of 1 January 1970.
    pub fn of(since_1970: Duration) -> Self {
        let seconds = since_1970.as_secs();
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        // Years that begin in March have their leap day at the end, so that the lengths of months follow one formula.
        // 719,468 days lie between 1 March of the year 0 and 1970; an era is the 400 years, or 146,097 days, after which
        // the calendar repeats.
        let day = days + 719_468;
        let (era, of_era) = (day / 146_097, day % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        Self {
            year: era * 400 + year_of_era + carry,
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leap_years_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, (1970, 1, 1, 0, 0, 0)),
            (951_782_399, (2000, 2, 28, 23, 59, 59)),
            (951_782_400, (2000, 2, 29, 0, 0, 0)),
            (951_868_800, (2000, 3, 1, 0, 0, 0)),
            (1_800_000_000, (2027, 1, 15, 8, 0, 0)),
            (4_107_542_400, (2100, 3, 1, 0, 0, 0)),
        ] {
            let DateTime { year, month, day, hour, minute, second } =
                DateTime::of(Duration::from_secs(seconds));
            assert_eq!((year, month, day, hour, minute, second), expected);
        }
    }

    #[test]
    fn the_furthest_future_is_a_date_too() {
        assert!(DateTime::of(Duration::MAX).year > 2100);
    }
}
