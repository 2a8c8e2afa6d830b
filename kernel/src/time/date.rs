//! Dates out of Unix seconds, for the console.

use core::fmt;

/// A point in time in UTC, of the Gregorian calendar; displays as `2026.11.22 07:00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// Seconds of the day.
    second: u64,
}

impl Date {
    /// The date of so many seconds since 1970-01-01 00:00 UTC.
    pub(crate) fn from_unix(seconds: u64) -> Date {
        /// Days of 400 years, after which the calendar repeats.
        const CYCLE: u64 = 146_097;
        /// Days from 0000-03-01 to 1970-01-01.
        const EPOCH: u64 = 719_468;
        // Years that begin in March have the leap day at their end.
        let days = seconds / 86_400 + EPOCH;
        let (cycle, day) = (days / CYCLE, days % CYCLE);
        let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        // Five months in a row have 153 days, whichever of March to July or August to December.
        let month = (5 * day + 2) / 153;
        Date {
            year: 400 * cycle + year + u64::from(month >= 10),
            month: if month < 10 { month + 3 } else { month - 9 },
            day: day - (153 * month + 2) / 5 + 1,
            second: seconds % 86_400,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date {
            year,
            month,
            day,
            second,
        } = *self;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}.{month:02}.{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(seconds: u64, expected: &str) {
        assert_eq!(Date::from_unix(seconds).to_string(), expected);
    }

    #[test]
    fn seconds_become_dates() {
        check(0, "1970.01.01 00:00:00");
        check(86_399, "1970.01.01 23:59:59");
        check(951_782_400, "2000.02.29 00:00:00");
        check(951_868_800, "2000.03.01 00:00:00");
        check(978_307_199, "2000.12.31 23:59:59");
        check(1_795_330_800, "2026.11.22 07:00:00");
        check(4_107_542_399, "2100.02.28 23:59:59");
        check(4_107_542_400, "2100.03.01 00:00:00");
        check(253_402_300_799, "9999.12.31 23:59:59");
    }
}
