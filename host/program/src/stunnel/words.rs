//! stunnel's command line (stunnel(8), "SYNOPSIS").

use std::ffi::{OsStr, OsString};

use super::source::Wanted;

/// Where the configuration is when no word says so.
pub(super) const DEFAULT_FILE: &str = "/etc/stunnel/stunnel.conf";

/// What the words ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// To serve what a configuration says.
    Serve(Wanted),
    /// `-fd` without a number.
    NoDescriptor,
    /// `-help`
    Help,
    /// `-version`
    Version,
    /// `-options`
    Options,
    /// `-sockets`
    Sockets,
}

/// Whether the word is this one; stunnel does not mind its case.
pub(super) fn is(word: &OsStr, name: &str) -> bool {
    word.eq_ignore_ascii_case(name)
}

/// Reads the words. As with stunnel, those that follow what is understood are passed over, and every
/// word that is not known is a file's name.
pub(super) fn read(words: &[OsString]) -> Request {
    let Some(first) = words.first() else {
        return Request::Serve(Wanted::File(DEFAULT_FILE.into()));
    };
    let known = [
        ("-help", Request::Help),
        ("-version", Request::Version),
        ("-options", Request::Options),
        ("-sockets", Request::Sockets),
    ];
    if let Some((_, request)) = known.into_iter().find(|(name, _)| is(first, name)) {
        return request;
    }
    if is(first, "-fd") {
        return match words.get(1) {
            Some(number) => {
                let number = number.to_string_lossy().into_owned();
                Request::Serve(Wanted::Descriptor(number))
            }
            None => Request::NoDescriptor,
        };
    }
    Request::Serve(Wanted::File(first.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Request) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        assert_eq!(read(&words), expected, "{words:?}");
    }

    #[test]
    fn words_are_stunnels() {
        let file = |path: &str| Request::Serve(Wanted::File(path.into()));
        check(&[], file("/etc/stunnel/stunnel.conf"));
        check(&["off.conf", "more"], file("off.conf"));
        check(&["-HELP"], Request::Help);
        check(&["-version"], Request::Version);
        check(&["-Options"], Request::Options);
        check(&["-sockets"], Request::Sockets);
        check(&["-fd"], Request::NoDescriptor);
        let descriptor = Request::Serve(Wanted::Descriptor("5".to_owned()));
        check(&["-fd", "5"], descriptor);
        for odd in ["-", "", "--help", "-quiet", "-h"] {
            check(&[odd], file(odd));
        }
    }
}
