//! What an authority answers.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde_json::Value;
use x509_cert::der::DateTime;

/// Most letters of an authority's words that are kept.
const WORDS: usize = 400;

/// What errors of ACME are called (RFC 8555 §6.7).
const ERRORS: &str = "urn:ietf:params:acme:error:";

/// An answer over HTTP. The owner bounds its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// The fields of its head, names in any case.
    pub headers: Vec<(String, String)>,
    /// Its content.
    pub body: Vec<u8>,
}

impl Response {
    /// The field of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// In how many seconds to come again (RFC 9110 §10.2.3).
    pub(crate) fn retry_after(&self, unix_seconds: u64) -> Option<u64> {
        let text = self.header("retry-after")?;
        let seconds = text.parse().ok();
        seconds.or_else(|| Some(http_date(text)?.saturating_sub(unix_seconds)))
    }

    /// What the authority says is wrong (RFC 9457).
    pub(crate) fn problem(&self, unix_seconds: u64) -> Problem {
        let json = self.json().unwrap_or_default();
        Problem {
            retry_after: self.retry_after(unix_seconds),
            ..Problem::of(self.status, &json)
        }
    }
}

/// What an authority says is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    /// The answer's status; 0 for what is wrong with an order.
    pub status: u16,
    /// ACME's word for it, such as `rateLimited`; empty when it says none.
    pub kind: String,
    /// In words, on one line; may be empty.
    pub detail: String,
    /// In how many seconds to come again, if it says so.
    pub retry_after: Option<u64>,
}

impl Problem {
    /// Reads a problem document.
    pub(crate) fn of(status: u16, json: &Value) -> Problem {
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default();
        let kind = text("type");
        let mut detail = one_line(text("detail"));
        let parts = json.get("subproblems").and_then(Value::as_array);
        for part in parts.into_iter().flatten().take(8) {
            let part = part.get("detail").and_then(Value::as_str);
            detail.extend(["; ", &one_line(part.unwrap_or_default())]);
        }
        Problem {
            status,
            kind: one_line(kind.strip_prefix(ERRORS).unwrap_or(kind)),
            detail,
            retry_after: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem {
            status,
            kind,
            detail,
            ..
        } = self;
        match (*status, kind.is_empty()) {
            (0, true) => f.write_str("no reason")?,
            (0, false) => f.write_str(kind)?,
            (status, true) => write!(f, "status {status}")?,
            (status, false) => write!(f, "status {status}, {kind}")?,
        }
        match detail.is_empty() {
            true => Ok(()),
            false => write!(f, ": {detail}"),
        }
    }
}

/// As it may stand in a log.
fn one_line(text: &str) -> String {
    let letters = text.chars().take(WORDS);
    letters
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 §5.6.7).
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, rest) = text.split_once(", ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let &[day, month, year, time, "GMT"] = words.as_slice() else {
        return None;
    };
    let month = MONTHS.iter().position(|known| *known == month)? + 1;
    let mut parts = time.splitn(3, ':').map(|part| part.parse().ok());
    let mut part = || parts.next()?;
    let (hour, minute, second) = (part()?, part()?, part()?);
    let month = u8::try_from(month).ok()?;
    let (year, day) = (year.parse().ok()?, day.parse().ok()?);
    let date = DateTime::new(year, month, day, hour, minute, second).ok()?;
    Some(date.unix_duration().as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn after(value: &str) -> Option<u64> {
        let response = Response {
            headers: vec![("Retry-After".into(), value.into())],
            ..Response::default()
        };
        response.retry_after(784_111_770)
    }

    #[test]
    fn times_to_come_again_are_read_in_both_forms() {
        assert_eq!(after(" 120"), Some(120));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:27 GMT"), Some(0));
        for text in [
            "",
            "soon",
            "-1",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994",
        ] {
            assert_eq!(after(text), None, "{text}");
        }
    }

    #[test]
    fn a_problem_is_one_line() {
        let response = Response {
            status: 403,
            body: br#"{"type":"urn:ietf:params:acme:error:unauthorized","detail":"no\u001b[2J",
                "subproblems":[{"detail":"a.example"}]}"#
                .to_vec(),
            ..Response::default()
        };
        assert_eq!(
            response.problem(0).to_string(),
            "status 403, unauthorized: no [2J; a.example"
        );
        let silent = Response {
            status: 502,
            body: b"<html>".to_vec(),
            ..Response::default()
        };
        assert_eq!(silent.problem(0).to_string(), "status 502");
    }
}
