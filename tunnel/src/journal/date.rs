//! Dates out of Unix seconds.

use core::fmt;

/// A point in time in UTC, of the Gregorian calendar; displays as lines of a log begin,
/// `2026.11.22 07:00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    year: u64,
    month: u64,
    day: u64,
    /// Seconds of the day.
    second: u64,
    /// Days since the last Thursday.
    weekday: u64,
}

impl Date {
    /// The date of so many seconds since 1970-01-01T00:00:00Z.
    pub fn from_unix(seconds: u64) -> Date {
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
            // 1970-01-01 was one.
            weekday: seconds / 86_400 % 7,
        }
    }

    /// As in `2026-11-22T07:00:00Z` (RFC 3339 §5.6).
    pub fn rfc3339(self) -> impl fmt::Display {
        Rfc3339(self)
    }

    /// As in `Sun, 22 Nov 2026 07:00:00 GMT` (RFC 9110 §5.6.7).
    pub fn http(self) -> impl fmt::Display {
        Http(self)
    }

    /// Hour, minute and second.
    fn time(self) -> [u64; 3] {
        [self.second / 3600, self.second / 60 % 60, self.second % 60]
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date {
            year, month, day, ..
        } = *self;
        let [hour, minute, second] = self.time();
        write!(
            f,
            "{year:04}.{month:02}.{day:02} {hour:02}:{minute:02}:{second:02}"
        )
    }
}

struct Rfc3339(Date);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Date {
            year, month, day, ..
        } = self.0;
        let [hour, minute, second] = self.0.time();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

struct Http(Date);

impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let named = |names: &[&'static str], number: u64| {
            let index = usize::try_from(number).unwrap_or_default();
            names.get(index).copied().unwrap_or_default()
        };
        let Date { year, day, .. } = self.0;
        let weekday = named(&DAYS, self.0.weekday);
        let month = named(&MONTHS, self.0.month.saturating_sub(1));
        let [hour, minute, second] = self.0.time();
        write!(
            f,
            "{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn check(seconds: u64, expected: &str) {
        assert_eq!(Date::from_unix(seconds).rfc3339().to_string(), expected);
    }

    #[test]
    fn lines_of_a_log_have_dots() {
        let date = Date::from_unix(1_795_330_809);
        assert_eq!(date.to_string(), "2026.11.22 07:00:09");
    }

    #[test]
    fn http_has_dates_of_its_own() {
        // The example of RFC 9110 §5.6.7.
        let check = |seconds, expected: &str| {
            assert_eq!(Date::from_unix(seconds).http().to_string(), expected);
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT");
        check(0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT");
    }

    #[test]
    fn seconds_become_dates() {
        check(0, "1970-01-01T00:00:00Z");
        check(86_399, "1970-01-01T23:59:59Z");
        check(951_782_400, "2000-02-29T00:00:00Z");
        check(951_868_800, "2000-03-01T00:00:00Z");
        check(978_307_199, "2000-12-31T23:59:59Z");
        check(1_795_330_800, "2026-11-22T07:00:00Z");
        check(4_107_542_399, "2100-02-28T23:59:59Z");
        check(4_107_542_400, "2100-03-01T00:00:00Z");
        check(253_402_300_799, "9999-12-31T23:59:59Z");
    }
}
