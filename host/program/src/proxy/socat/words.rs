//! socat's options, before its two addresses (socat(1), "OPTIONS").

use std::ffi::OsString;
use std::time::Duration;

use stockade_config::stunnel::Facility;

use super::super::log::{Level, Sink, Style};
use crate::cli::LONGEST;

/// How long socat lets the other direction go on unless told otherwise.
const CLOSING: Duration = Duration::from_millis(500);

/// What the words in front of the addresses say.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// How the log is to be; what was understood of it, also when the words are wrong.
    pub(super) style: Style,
    /// `-t`
    pub(super) half_close: Duration,
    /// `-T`
    pub(super) idle: Option<Duration>,
    /// `-6`
    pub(super) prefers_ipv6: bool,
    /// What has no effect here.
    pub(super) without_effect: Vec<String>,
    pub(super) addresses: Vec<String>,
    /// `-h`, `-V`
    pub(super) asks: Option<Asks>,
}

/// What is only to be printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Help,
    Version,
}

impl Words {
    fn new() -> Words {
        Words {
            style: Style::of("socat"),
            half_close: CLOSING,
            idle: None,
            prefers_ipv6: false,
            without_effect: Vec::new(),
            addresses: Vec::new(),
            asks: None,
        }
    }

    /// Reads all words.
    ///
    /// # Errors
    ///
    /// What is wrong, beside what was understood until then.
    pub(super) fn read(words: &[OsString]) -> Result<Words, (Style, String)> {
        let mut read = Words::new();
        match read.take(words) {
            Ok(()) => Ok(read),
            Err(text) => Err((read.style, text)),
        }
    }

    fn take(&mut self, words: &[OsString]) -> Result<(), String> {
        let text = |word: &OsString| {
            let shown = word.to_string_lossy().into_owned();
            word.to_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("\"{shown}\" is no UTF-8 text"))
        };
        let words = words.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let mut words = words.into_iter().peekable();
        // A single - is an address.
        while let Some(word) = words.next_if(|word| word.len() > 1 && word.starts_with('-')) {
            self.option(&word, &mut words)?;
            if self.asks.is_some() {
                return Ok(());
            }
        }
        self.addresses = words.collect();
        if self.addresses.len() != 2 {
            return Err(format!(
                "exactly 2 addresses required (there are {}); use option \"-h\" for help",
                self.addresses.len()
            ));
        }
        Ok(())
    }

    fn option(
        &mut self,
        word: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let mut letters = word.chars();
        let letter = letters.nth(1).unwrap_or_default();
        let joined = letters.as_str().to_owned();
        // The value is the rest of the word, or the next one.
        let mut value = || match joined.is_empty() {
            false => Ok(joined.clone()),
            true => rest.next().ok_or_else(|| {
                format!("option {word} requires an argument; use option \"-h\" for help")
            }),
        };
        match (letter, joined.as_str()) {
            ('h' | '?', "" | "h" | "hh" | "?" | "??") => self.asks = Some(Asks::Help),
            ('V', "") => self.asks = Some(Asks::Version),
            ('d', more) if more.chars().all(|letter| letter == 'd') => {
                for _ in 0..=more.len() {
                    self.style.level = louder(self.style.level);
                }
            }
            ('t', _) => self.half_close = time(word, &value()?)?,
            ('T', _) => self.idle = Some(time(word, &value()?)?),
            ('b', _) => {
                let size = value()?;
                if size.parse::<u64>().is_err() {
                    return Err(format!(
                        "parseopts(): trailing garbage in numerical arg of option \"{word}\""
                    ));
                }
                self.without_effect.push(format!("-b {size}"));
            }
            ('D' | 'g' | 's', "") => self.without_effect.push(word.to_owned()),
            ('4', "") => self.prefers_ipv6 = false,
            ('6', "") => self.prefers_ipv6 = true,
            ('l', log) => return self.log(word, log, rest),
            ('u' | 'U', "") => {
                return Err(format!(
                    "option {word}: one direction alone is not supported, as TLS needs both; leave it out"
                ));
            }
            ('v' | 'x' | 'r' | 'R', _) => {
                return Err(format!(
                    "option {word}: what is transferred is not written anywhere, here; leave it out"
                ));
            }
            ('L' | 'W', _) => {
                return Err(format!(
                    "option {word}: lock files are not supported; a socket that is in use is not taken \
                     anyway: leave it out"
                ));
            }
            _ => {
                return Err(format!(
                    "unknown option \"{word}\"; use option \"-h\" for help"
                ));
            }
        }
        Ok(())
    }

    /// What the log is to be like.
    fn log(
        &mut self,
        word: &str,
        log: &str,
        rest: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let mut letters = log.chars();
        let letter = letters.next().unwrap_or_default();
        let joined = letters.as_str();
        let mut value = || match joined.is_empty() {
            false => Ok(joined.to_owned()),
            true => rest.next().ok_or_else(|| {
                format!("option {word} requires an argument; use option \"-h\" for help")
            }),
        };
        match (letter, joined) {
            ('f', _) => self.style.sink = Sink::File(value()?.into()),
            ('p', _) => self.style.program = value()?,
            ('s', "") => self.style.sink = Sink::StandardError,
            ('u', "") => self.style.microseconds = true,
            ('h', "") => self.style.host = Some(host_name()),
            ('y', name) => self.style.sink = Sink::System(facility(name)?),
            ('m', name) => self.style.sink = Sink::Mixed(facility(name)?),
            _ => {
                return Err(format!(
                    "unknown log option \"{word}\"; use option \"-h\" for help"
                ));
            }
        }
        Ok(())
    }
}

fn louder(level: Level) -> Level {
    match level {
        Level::Error => Level::Warning,
        Level::Warning => Level::Notice,
        Level::Notice => Level::Info,
        Level::Info | Level::Debug => Level::Debug,
    }
}

/// Seconds with a fraction.
pub(super) fn time(option: &str, text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 && seconds <= LONGEST.as_secs_f64() => {
            Ok(Duration::from_secs_f64(seconds))
        }
        Ok(_) => Err(format!(
            "option \"{option}\": {text} s is no time from 0 to {} s",
            LONGEST.as_secs()
        )),
        Err(_) => Err(format!(
            "parseopts(): missing numerical value of option \"{option}\""
        )),
    }
}

fn facility(name: &str) -> Result<Facility, String> {
    if name.is_empty() {
        return Ok(Facility::Daemon);
    }
    let mut all = Facility::ALL.into_iter();
    all.find(|facility| facility.name() == name)
        .ok_or_else(|| format!("unknown syslog facility \"{name}\""))
}

fn host_name() -> String {
    let named = std::env::var("HOSTNAME").ok();
    named.unwrap_or_else(|| {
        let system = std::fs::read_to_string("/proc/sys/kernel/hostname");
        system.unwrap_or_default().trim().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Words, String> {
        let words: Vec<OsString> = text.split(' ').map(OsString::from).collect();
        Words::read(&words).map_err(|(_, text)| text)
    }

    #[test]
    fn options_are_socats() {
        let words = read("-d -d -d -D -t 50 -T50 -lf /tmp/socat.txt a b").unwrap();
        assert_eq!(words.style.level, Level::Info);
        assert_eq!(words.style.sink, Sink::File("/tmp/socat.txt".into()));
        assert_eq!(words.half_close, Duration::from_secs(50));
        assert_eq!(words.idle, Some(Duration::from_secs(50)));
        assert_eq!(words.without_effect, ["-D"]);
        assert_eq!(words.addresses, ["a", "b"]);
    }

    #[test]
    fn without_options_it_is_quiet_and_hasty() {
        let words = read("- b").unwrap();
        assert_eq!(words.style, Style::of("socat"));
        assert_eq!(words.half_close, Duration::from_millis(500));
        assert_eq!((words.idle, words.prefers_ipv6), (None, false));
    }

    #[test]
    fn each_d_is_louder() {
        for (options, level) in [
            ("-d", Level::Warning),
            ("-dd", Level::Notice),
            ("-d -dd", Level::Info),
            ("-dddd", Level::Debug),
            ("-ddd -ddd", Level::Debug),
        ] {
            let words = read(&format!("{options} a b")).unwrap();
            assert_eq!(words.style.level, level, "{options}");
        }
    }

    #[test]
    fn logs_go_where_they_should() {
        for (options, sink) in [
            ("-lfx", Sink::File("x".into())),
            ("-lf x -ls", Sink::StandardError),
            ("-ly", Sink::System(Facility::Daemon)),
            ("-lylocal3", Sink::System(Facility::Local3)),
            ("-lm", Sink::Mixed(Facility::Daemon)),
        ] {
            assert_eq!(read(&format!("{options} a b")).unwrap().style.sink, sink);
        }
        let words = read("-lu -lh -lpme a b").unwrap();
        assert_eq!(words.style.program, "me");
        assert!(words.style.microseconds && words.style.host.is_some());
    }

    #[test]
    fn what_is_wrong_or_not_supported_is_told() {
        for (text, told) in [
            ("a", "exactly 2 addresses required (there are 1)"),
            ("a b c", "exactly 2 addresses required (there are 3)"),
            ("-Z a b", "unknown option \"-Z\""),
            ("-d4 a b", "unknown option \"-d4\""),
            ("-lz a b", "unknown log option \"-lz\""),
            ("-lynone a b", "unknown syslog facility \"none\""),
            ("-t x a b", "missing numerical value of option \"-t\""),
            ("-t", "requires an argument"),
            ("-T -1 a b", "no time from 0"),
            ("-b 8k a b", "trailing garbage"),
            ("-u a b", "one direction alone"),
            ("-U a b", "one direction alone"),
            ("-v a b", "what is transferred"),
            ("-x a b", "what is transferred"),
            ("-L f a b", "lock files"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn questions_need_no_addresses() {
        for (text, asks) in [
            ("-h", Asks::Help),
            ("-?", Asks::Help),
            ("-hhh", Asks::Help),
            ("-d -V", Asks::Version),
        ] {
            assert_eq!(read(text).unwrap().asks, Some(asks));
        }
    }
}
