//! When a certificate is to be renewed: when its authority says so (RFC 9773), else by its lifetime.
//!
//! All times are seconds since 1970, UTC.

use alloc::format;
use alloc::string::String;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::Value;
use x509_cert::Certificate;
use x509_cert::der::{DateTime, Decode};
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use crate::{Identifier, Response};

/// A certificate that lives no longer than this is short-lived: ten days.
const SHORT: u64 = 10 * 24 * 3600;

/// Pauses after failures, the last one for all further ones: 1 and 10 and 100 minutes, a day.
const PAUSES: [u64; 4] = [60, 600, 6_000, 86_400];

/// How long until an authority is asked again that says nothing of it (RFC 9773 §4.3.2), and how long
/// at least and at most.
const ASK_AGAIN: u64 = 6 * 3600;
const ASK_SOONEST: u64 = 60;
const ASK_LATEST: u64 = 24 * 3600;

/// What is to be known of a certificate to renew it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Its first second.
    pub not_before: u64,
    /// Its last second.
    pub not_after: u64,
    /// What its authority calls it when asked (RFC 9773 §4.1); `None`: it does not say who issued it.
    pub id: Option<String>,
    /// The names and addresses that it is for.
    pub names: alloc::vec::Vec<Identifier>,
    /// Whether it names itself as its issuer: such a one only keeps a place.
    pub is_self_issued: bool,
}

impl Lifetime {
    /// Reads the first certificate of a chain in PEM; `None` where it is none.
    pub fn of(chain: &str) -> Option<Lifetime> {
        let (_, rest) = chain.split_once("-----BEGIN CERTIFICATE-----")?;
        let (word, _) = rest.split_once("-----END CERTIFICATE-----")?;
        let word: String = word.split_ascii_whitespace().collect();
        let bytes = Base64::decode_vec(&word).ok()?;
        let certificate = Certificate::from_der(&bytes).ok()?;
        let signed = certificate.tbs_certificate();
        let validity = signed.validity();
        let key = signed.get_extension::<AuthorityKeyIdentifier>().ok()?;
        let key = key.and_then(|(_, issuer)| issuer.key_identifier);
        let serial = signed.serial_number().as_bytes();
        let word = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        Some(Lifetime {
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            id: key.map(|key| format!("{}.{}", word(key.as_bytes()), word(serial))),
            names: names(signed),
            is_self_issued: signed.issuer() == signed.subject(),
        })
    }

    /// Whether it is for this name or address; a wildcard is for every name of one more label
    /// (RFC 6125 §6.4.3).
    pub fn covers(&self, name: &Identifier) -> bool {
        let wildcard = match name {
            Identifier::Dns(name) => name.split_once('.').map(|(_, rest)| format!("*.{rest}")),
            Identifier::Ip(_) => None,
        };
        let wildcard = wildcard.map(Identifier::Dns);
        let mut names = self.names.iter();
        names.any(|known| known == name || Some(known) == wildcard.as_ref())
    }

    /// When to renew where no authority says when: at two thirds of the lifetime, at half of a short
    /// one.
    pub fn renewal(&self) -> u64 {
        let whole = self.not_after.saturating_sub(self.not_before);
        let part = match whole <= SHORT {
            true => whole / 2,
            false => whole / 3 * 2,
        };
        self.not_before.saturating_add(part)
    }
}

fn names(signed: &x509_cert::TbsCertificate) -> alloc::vec::Vec<Identifier> {
    use x509_cert::ext::pkix::SubjectAltName;
    use x509_cert::ext::pkix::name::GeneralName;
    let found = signed.get_extension::<SubjectAltName>();
    let names = found.ok().flatten().map(|(_, names)| names.0);
    let read = |name: GeneralName| match name {
        GeneralName::DnsName(name) => Identifier::parse(name.as_str()).ok(),
        GeneralName::IpAddress(bytes) => match *bytes.as_bytes() {
            [a, b, c, d] => Some(Identifier::Ip([a, b, c, d].into())),
            ref bytes => <[u8; 16]>::try_from(bytes)
                .ok()
                .map(|bytes| Identifier::Ip(bytes.into())),
        },
        _ => None,
    };
    names
        .unwrap_or_default()
        .into_iter()
        .filter_map(read)
        .collect()
}

/// When an authority suggests to renew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// The window's first second.
    pub start: u64,
    /// Its last one.
    pub end: u64,
    /// Why it is so early, for a person; usually nothing.
    pub explanation: Option<String>,
    /// When to ask again.
    pub ask_again: u64,
}

impl Suggestion {
    /// Reads an answer to `GET {renewalInfo}/{id}`; `None` where it is none: then the certificate's
    /// lifetime counts.
    pub fn of(response: &Response, unix_seconds: u64) -> Option<Suggestion> {
        if !response.is_success() {
            return None;
        }
        let json = response.json()?;
        let window = json.get("suggestedWindow")?;
        let time = |name: &str| rfc_3339(window.get(name)?.as_str()?);
        let (start, end) = (time("start")?, time("end")?);
        if end <= start {
            return None;
        }
        let explanation = json.get("explanationURL").and_then(Value::as_str);
        let pause = response.retry_after(unix_seconds).unwrap_or(ASK_AGAIN);
        Some(Suggestion {
            start,
            end,
            explanation: explanation.map(String::from),
            ask_again: unix_seconds.saturating_add(pause.clamp(ASK_SOONEST, ASK_LATEST)),
        })
    }

    /// A moment within the window, so that not everybody comes at once; `chance` is unpredictable.
    pub fn renewal(&self, chance: u32) -> u64 {
        let length = self.end.saturating_sub(self.start);
        let part = u128::from(length) * u128::from(chance) / u128::from(u32::MAX);
        self.start
            .saturating_add(u64::try_from(part).unwrap_or(length))
    }
}

/// Seconds since 1970 of `2025-01-02T04:00:00Z`, with or without a fraction (RFC 3339 §5.6).
fn rfc_3339(text: &str) -> Option<u64> {
    let (text, offset) = match text.strip_suffix(['Z', 'z']) {
        Some(text) => (text, 0),
        None => {
            let at = text.len().checked_sub(6)?;
            let (text, zone) = text.split_at_checked(at)?;
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let seconds = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
            match zone.as_bytes().first()? {
                b'+' => (text, seconds),
                b'-' => (text, -seconds),
                _ => return None,
            }
        }
    };
    let text = text.split('.').next()?;
    let (date, time) = text.split_once(['T', 't'])?;
    let mut date = date.splitn(3, '-');
    let mut time = time.splitn(3, ':').map(|part| part.parse::<u8>().ok());
    let (year, month, day) = (
        date.next()?.parse().ok()?,
        date.next()?.parse().ok()?,
        date.next()?.parse().ok()?,
    );
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let moment = DateTime::new(year, month, day, hour, minute, second).ok()?;
    moment.unix_duration().as_secs().checked_add_signed(-offset)
}

/// How long to wait after so many failures in a row, the first being 1, unless the authority says
/// `asked` seconds: never less than that. It never ends.
pub fn pause_after(failures: u32, asked: Option<u64>) -> u64 {
    let index = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let pause = PAUSES.get(index).or(PAUSES.last()).copied();
    pause.unwrap_or_default().max(asked.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// RFC 9773, Appendix A: a certificate whose identifier is known.
    const CHAIN: &str = "-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
";

    fn lifetime(not_before: u64, not_after: u64) -> Lifetime {
        Lifetime {
            not_before,
            not_after,
            id: None,
            names: vec![],
            is_self_issued: false,
        }
    }

    /// The same in a year that there is: it has year 1, and nobody looks at its signature.
    fn chain() -> String {
        let words: String = CHAIN
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let bytes = Base64::decode_vec(&words).unwrap();
        let (old, new) = (b"00010101000000Z", b"20250101000000Z");
        let mut bytes = bytes;
        for at in 0..bytes.len() - old.len() {
            if bytes[at..].starts_with(old) {
                bytes[at..at + old.len()].copy_from_slice(new);
            }
        }
        let word = Base64::encode_string(&bytes);
        format!("-----BEGIN CERTIFICATE-----\n{word}\n-----END CERTIFICATE-----\n")
    }

    #[test]
    fn a_certificate_is_called_as_the_standard_says() {
        let found = Lifetime::of(&chain()).unwrap();
        let id = found.id.as_deref();
        assert_eq!(id, Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"));
        assert_eq!(found.not_after, 1_735_689_600);
        assert!(!found.is_self_issued);
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
        ] {
            assert_eq!(Lifetime::of(text), None);
        }
    }

    /// Of openssl(1), with `subjectAltName=DNS:www.example.org,DNS:*.example.org,IP:192.0.2.1,
    /// IP:2001:db8::1,email:a@b.example`.
    const NAMED: &str = "-----BEGIN CERTIFICATE-----
MIIBvzCCAWWgAwIBAgIULoE77NwoNg3iFh8Zi1y2d7UeEwwwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAeFw0yNjExMjIxNzUzMTJaFw0yNzAyMjAxNzUzMTJaMAwx
CjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ6T3XSaVYmx5Ft
Zji9vTQ0Uvw2sqfppidlUGmNcnT47hSrbT0zjQXkkzjII5FxAljOiVUM+7p+lHpO
G8Y+MtApo4GkMIGhMB0GA1UdDgQWBBTN2Payu5ciGJ8KiynZkX0IdAR9ATAfBgNV
HSMEGDAWgBTN2Payu5ciGJ8KiynZkX0IdAR9ATAPBgNVHRMBAf8EBTADAQH/ME4G
A1UdEQRHMEWCD3d3dy5leGFtcGxlLm9yZ4INKi5leGFtcGxlLm9yZ4cEwAACAYcQ
IAENuAAAAAAAAAAAAAAAAYELYUBiLmV4YW1wbGUwCgYIKoZIzj0EAwIDSAAwRQIh
AJQtiJsDbCW7nrM34Y4ayO56pUoOjPef96lHyIp12YC0AiAiLVBROVFuLuBUPHPv
/expUkRbKSCvukMMDETaxZmDTg==
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_s_names_are_found() {
        let found = Lifetime::of(NAMED).unwrap();
        let names: vec::Vec<String> = found.names.iter().map(|name| format!("{name}")).collect();
        assert_eq!(
            names,
            [
                "www.example.org",
                "*.example.org",
                "192.0.2.1",
                "2001:db8::1"
            ]
        );
        assert_eq!(found.not_after - found.not_before, 90 * 86_400);
        assert!(found.is_self_issued);
        for (name, is_covered) in [
            ("www.example.org", true),
            ("a.example.org", true),
            ("a.b.example.org", false),
            ("example.org", false),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
        ] {
            let name = Identifier::parse(name).unwrap();
            assert_eq!(found.covers(&name), is_covered, "{name}");
        }
    }

    #[test]
    fn a_lifetime_tells_when_to_renew() {
        const DAY: u64 = 86_400;
        assert_eq!(lifetime(0, 90 * DAY).renewal(), 60 * DAY);
        assert_eq!(lifetime(1000, 1000 + 6 * DAY).renewal(), 1000 + 3 * DAY);
        assert_eq!(lifetime(1000, 1600).renewal(), 1300);
        assert_eq!(lifetime(1000, 900).renewal(), 1000);
    }

    fn answer(start: &str, end: &str) -> Option<Suggestion> {
        let body = format!(
            r#"{{"suggestedWindow":{{"start":"{start}","end":"{end}"}},
               "explanationURL":"https://ca.example/why"}}"#
        );
        let response = Response {
            status: 200,
            headers: vec![("Retry-After".into(), "21600".into())],
            body: body.into_bytes(),
        };
        Suggestion::of(&response, 1_000)
    }

    #[test]
    fn an_authority_s_suggestion_is_followed_within_its_window() {
        let found = answer("2025-01-02T04:00:00Z", "2025-01-03T04:00:00.5+00:00").unwrap();
        assert_eq!((found.start, found.end), (1_735_790_400, 1_735_876_800));
        assert_eq!(found.ask_again, 22_600);
        assert_eq!(found.renewal(0), found.start);
        assert_eq!(found.renewal(u32::MAX), found.end);
        assert_eq!(found.renewal(u32::MAX / 2), found.start + 43_199);
        let zone = answer("2025-01-02T05:00:00+01:00", "2025-01-02T00:00:01-05:00").unwrap();
        assert_eq!((zone.start, zone.end), (1_735_790_400, 1_735_794_001));
        assert_eq!(answer("2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z"), None);
        for text in [
            "",
            "now",
            "2025-13-01T00:00:00Z",
            "2025-01-01",
            "2025-01-01T00:00:00",
        ] {
            assert_eq!(answer(text, "2026-01-02T04:00:00Z"), None, "{text}");
        }
    }

    #[test]
    fn failures_are_tried_again_for_ever_and_more_and_more_seldom() {
        let pauses: vec::Vec<u64> = (1..7).map(|count| pause_after(count, None)).collect();
        assert_eq!(pauses, [60, 600, 6_000, 86_400, 86_400, 86_400]);
        assert_eq!(pause_after(1, Some(3_600)), 3_600);
        assert_eq!(pause_after(4, Some(3_600)), 86_400);
        assert_eq!(pause_after(u32::MAX, None), 86_400);
    }
}
