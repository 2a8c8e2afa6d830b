//! How important a line is.

use core::fmt;

/// How important a line is: syslog's severities (RFC 5424 §6.2.1), which are stunnel's `debug`
/// levels too. The more important, the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Severity {
    /// 0: the system is unusable.
    Emergency,
    /// 1: action must be taken at once.
    Alert,
    /// 2: critical conditions.
    Critical,
    /// 3: something failed.
    Error,
    /// 4: something may fail.
    Warning,
    /// 5: normal but significant; stunnel's default.
    Notice,
    /// 6: steps of a connection.
    Info,
    /// 7: everything.
    Debug,
}

impl Severity {
    /// The severity of this number, as `debug` and syslog count; everything above 7 is 7.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Emergency,
            1 => Self::Alert,
            2 => Self::Critical,
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            _ => Self::Debug,
        }
    }

    /// Its number, 0 to 7.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// What the command line's service writes with `--log`: with `info` no line for each
    /// connection.
    pub fn of_service(filter: log::LevelFilter) -> Self {
        match filter {
            log::LevelFilter::Off => Self::Critical,
            log::LevelFilter::Error => Self::Error,
            log::LevelFilter::Warn | log::LevelFilter::Info => Self::Warning,
            log::LevelFilter::Debug => Self::Info,
            log::LevelFilter::Trace => Self::Debug,
        }
    }

    /// What is written about the tunnel as a whole with `--log`.
    pub fn of_tunnel(filter: log::LevelFilter) -> Self {
        match filter {
            log::LevelFilter::Off => Self::Critical,
            log::LevelFilter::Error => Self::Error,
            log::LevelFilter::Warn => Self::Warning,
            log::LevelFilter::Info => Self::Notice,
            log::LevelFilter::Debug => Self::Info,
            log::LevelFilter::Trace => Self::Debug,
        }
    }

    /// The logger's level for it: notices are the logger's information, and so on down.
    pub fn log_level(self) -> log::Level {
        match self {
            Self::Emergency | Self::Alert | Self::Critical | Self::Error => log::Level::Error,
            Self::Warning => log::Level::Warn,
            Self::Notice => log::Level::Info,
            Self::Info => log::Level::Debug,
            Self::Debug => log::Level::Trace,
        }
    }

    /// What the rest of the image logs when this is the `debug` level.
    pub fn log_filter(self) -> log::LevelFilter {
        self.log_level().to_level_filter()
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}
