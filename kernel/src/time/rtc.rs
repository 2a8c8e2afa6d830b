//! The CMOS real-time clock (Motorola MC146818, as every PC has it).

use crate::port::Port;

/// Readings before a clock that never holds still is given up.
const ATTEMPTS: usize = 1_000;
/// Status reads while an update is in progress; one lasts at most 2 ms.
const PATIENCE: usize = 1_000_000;

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// Where QEMU, and nearly everyone, keeps the century; in BCD or binary as the rest.
const CENTURY: u8 = 0x32;

/// Status A: the registers are about to change.
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// Status B: hours count from 0 to 23.
const TWENTY_FOUR_HOURS: u8 = 1 << 1;
/// Status B: numbers are binary, not BCD.
const BINARY: u8 = 1 << 2;
/// Hours: afternoon, when they count from 1 to 12.
const AFTERNOON: u8 = 1 << 7;

/// The registers, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Registers {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
    status_b: u8,
}

/// Seconds since 1970-01-01 00:00 UTC by the clock, which is taken to run in UTC; `None` when
/// there is no clock, or no sense in it.
pub(super) fn unix_time() -> Option<u64> {
    let mut before = read()?;
    for _ in 0..ATTEMPTS {
        let after = read()?;
        if before == after {
            return decode(after);
        }
        before = after;
    }
    None
}

fn read() -> Option<Registers> {
    (0..PATIENCE).find(|_| register(STATUS_A) & UPDATE_IN_PROGRESS == 0)?;
    Some(Registers {
        seconds: register(SECONDS),
        minutes: register(MINUTES),
        hours: register(HOURS),
        day: register(DAY),
        month: register(MONTH),
        year: register(YEAR),
        century: register(CENTURY),
        status_b: register(STATUS_B),
    })
}

fn register(number: u8) -> u8 {
    // SAFETY: the index register selects, and keeps non-maskable interrupts on (bit 7 clear).
    #[allow(unsafe_code)]
    const INDEX: Port<u8> = unsafe { Port::new(0x70) };
    // SAFETY: the data register touches no memory.
    #[allow(unsafe_code)]
    const DATA: Port<u8> = unsafe { Port::new(0x71) };
    INDEX.write(number);
    DATA.read()
}

/// From registers to Unix time; `None` when a field is out of range.
fn decode(registers: Registers) -> Option<u64> {
    let number = |value: u8| match registers.status_b & BINARY != 0 {
        true => Some(u64::from(value)),
        false if value >> 4 <= 9 && value & 15 <= 9 => {
            Some(u64::from(value >> 4) * 10 + u64::from(value & 15))
        }
        false => None,
    };
    let hours = if registers.status_b & TWENTY_FOUR_HOURS != 0 {
        number(registers.hours)?
    } else {
        let afternoon = registers.hours & AFTERNOON != 0;
        let hours = number(registers.hours & !AFTERNOON)?;
        if !(1..=12).contains(&hours) {
            return None;
        }
        hours % 12 + if afternoon { 12 } else { 0 }
    };
    // A century register that holds nonsense is one that is not there: 2000 to 2099 then.
    let century = number(registers.century)
        .filter(|century| (19..=29).contains(century))
        .unwrap_or(20);
    let year = number(registers.year).filter(|&year| year < 100)? + century * 100;
    let month = number(registers.month).filter(|month| (1..=12).contains(month))?;
    let day = number(registers.day).filter(|day| (1..=31).contains(day))?;
    let minutes = number(registers.minutes).filter(|&minutes| minutes < 60)?;
    let seconds = number(registers.seconds).filter(|&seconds| seconds < 60)?;
    if hours > 23 {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    Some(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years that begin in March end with the leap day, so that months have fixed offsets.
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year.checked_sub(1)?, month + 9),
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    (year * 365 + leap_days + day_of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINARY_24: u8 = BINARY | TWENTY_FOUR_HOURS;

    /// `date`: century, year, month, day; `time`: hours, minutes, seconds; as in the registers.
    fn check(date: [u8; 4], time: [u8; 3], status_b: u8, expected: Option<u64>) {
        let registers = Registers {
            century: date[0],
            year: date[1],
            month: date[2],
            day: date[3],
            hours: time[0],
            minutes: time[1],
            seconds: time[2],
            status_b,
        };
        assert_eq!(decode(registers), expected, "{registers:x?}");
    }

    #[test]
    fn bcd_and_binary() {
        // 2026-11-22 04:01:28 UTC.
        let expected = Some(1_795_320_088);
        check(
            [0x20, 0x26, 0x11, 0x22],
            [0x04, 0x01, 0x28],
            TWENTY_FOUR_HOURS,
            expected,
        );
        check([20, 26, 11, 22], [4, 1, 28], BINARY_24, expected);
    }

    #[test]
    fn twelve_hours() {
        let date = [0x19, 0x70, 0x01, 0x01];
        for (hours, expected) in [
            (0x12, 0),
            (0x01, 1),
            (0x11, 11),
            (0x92, 12),
            (0x81, 13),
            (0x91, 23),
        ] {
            check(date, [hours, 0, 0], 0, Some(expected * 3600));
        }
        check(date, [0, 0, 0], 0, None);
        check(date, [0x13, 0, 0], 0, None);
        check(
            [19, 70, 1, 1],
            [12 | AFTERNOON, 0, 0],
            BINARY,
            Some(12 * 3600),
        );
    }

    #[test]
    fn leap_years() {
        check([20, 0, 2, 29], [0, 0, 0], BINARY_24, Some(951_782_400));
        check([20, 0, 3, 1], [0, 0, 0], BINARY_24, Some(951_868_800));
        check(
            [20, 24, 12, 31],
            [23, 59, 59],
            BINARY_24,
            Some(1_735_689_599),
        );
        check([21, 0, 3, 1], [0, 0, 0], BINARY_24, Some(4_107_542_400));
    }

    #[test]
    fn an_absent_century_is_this_one() {
        let expected = Some(1_735_689_600);
        check([0xff, 25, 1, 1], [0, 0, 0], BINARY_24, expected);
        check([0, 25, 1, 1], [0, 0, 0], BINARY_24, expected);
    }

    #[test]
    fn nonsense_is_no_time() {
        check([0xff; 4], [0xff; 3], 0xff, None);
        check([0xff; 4], [0xff; 3], 0, None);
        check([20, 25, 13, 1], [0, 0, 0], BINARY_24, None);
        check([20, 25, 0, 1], [0, 0, 0], BINARY_24, None);
        check([20, 25, 1, 32], [0, 0, 0], BINARY_24, None);
        check([20, 25, 1, 0], [0, 0, 0], BINARY_24, None);
        check([20, 25, 1, 1], [24, 0, 0], BINARY_24, None);
        check([20, 25, 1, 1], [0, 60, 0], BINARY_24, None);
        check([0x20, 0x2a, 1, 1], [0, 0, 0], TWENTY_FOUR_HOURS, None);
        // Before 1970.
        check([19, 69, 12, 31], [23, 59, 59], BINARY_24, None);
    }
}
