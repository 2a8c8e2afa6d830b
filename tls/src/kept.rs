//! What is kept with a session besides rustls's state: in front of it, in tickets and in memory.

use alloc::string::String;
use alloc::vec::Vec;

use crate::Verdict;

/// Changes when the layout does, so that an older image's tickets mean a full handshake.
const LAYOUT: u8 = 1;

/// Most bytes of a refusal's words that are kept.
const MAX_REASON: usize = 512;

const NOTHING: u8 = 0;
const GOOD: u8 = 1;
const MISSING: u8 = 2;
const REFUSED: u8 = 3;

/// How far another machine's clock may be ahead of ours, in seconds, where both resume each other's
/// sessions.
const SKEW: u64 = 60;

/// No session is resumed longer than this after its full handshake, in seconds, unless its
/// configured lifetime is longer: certificates are looked at again at least once a day
/// (RFC 8446 §4.6.1: "It is RECOMMENDED that implementations place limits on the total lifetime").
const DAY: u64 = 24 * 60 * 60;

/// What goes with a session. Times are Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// When it was kept.
    pub(crate) made: u64,
    /// When its full handshake was.
    pub(crate) began: u64,
    /// What was found about the client's certificate, where that is noted.
    pub(crate) verdict: Option<Verdict>,
    /// The owner's.
    pub(crate) data: Vec<u8>,
}

impl Kept {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.data.len());
        bytes.push(LAYOUT);
        bytes.extend_from_slice(&self.made.to_be_bytes());
        bytes.extend_from_slice(&self.began.to_be_bytes());
        match &self.verdict {
            None => bytes.push(NOTHING),
            Some(Verdict::Good) => bytes.push(GOOD),
            Some(Verdict::Missing) => bytes.push(MISSING),
            Some(Verdict::Refused { reason, .. }) => {
                bytes.push(REFUSED);
                let end = reason.floor_char_boundary(MAX_REASON);
                push(&mut bytes, reason.get(..end).unwrap_or_default().as_bytes());
            }
        }
        push(&mut bytes, &self.data);
        bytes
    }

    /// Takes apart what begins with [`encode`](Self::encode)'s bytes; the rest is rustls's state.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Kept, &[u8])> {
        let rest = bytes.strip_prefix(&[LAYOUT])?;
        let (made, rest) = rest.split_first_chunk::<8>()?;
        let (began, rest) = rest.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (verdict, rest) = match *kind {
            NOTHING => (None, rest),
            GOOD => (Some(Verdict::Good), rest),
            MISSING => (Some(Verdict::Missing), rest),
            REFUSED => {
                let (reason, rest) = split(rest)?;
                let reason = String::from_utf8_lossy(reason).into_owned();
                let refusal = None;
                (Some(Verdict::Refused { reason, refusal }), rest)
            }
            _ => return None,
        };
        let (data, state) = split(rest)?;
        let kept = Kept {
            made: u64::from_be_bytes(*made),
            began: u64::from_be_bytes(*began),
            verdict,
            data: data.to_vec(),
        };
        Some((kept, state))
    }

    /// Whether it may still be resumed, with a lifetime in seconds.
    pub(crate) fn is_fresh(&self, now: u64, lifetime: u64) -> bool {
        let within = |since: u64, lifetime: u64| {
            since <= now.saturating_add(SKEW) && now.saturating_sub(since) < lifetime
        };
        within(self.made, lifetime) && within(self.began, lifetime.max(DAY))
    }
}

/// Adds bytes with their length in front; both kinds are far shorter than 64 KiB.
fn push(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
    bytes.extend_from_slice(value);
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(verdict: Option<Verdict>, data: &[u8]) -> Kept {
        Kept {
            made: 1000,
            began: 900,
            verdict,
            data: data.to_vec(),
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        let refused = |reason: &str| Verdict::Refused {
            reason: reason.into(),
            refusal: None,
        };
        let verdicts = [
            None,
            Some(Verdict::Good),
            Some(Verdict::Missing),
            Some(refused("is not for \"a\"")),
        ];
        for verdict in verdicts {
            for data in [&b""[..], b"10.0.0.1:80", &[7; 256]] {
                let kept = kept(verdict.clone(), data);
                let mut bytes = kept.encode();
                bytes.extend_from_slice(b"state");
                assert_eq!(Kept::decode(&bytes), Some((kept, &b"state"[..])));
            }
        }
        // Long words are cut between characters.
        let long = "\u{e4}".repeat(400);
        let (cut, _) = Kept::decode(&kept(Some(refused(&long)), b"").encode())
            .map(|(kept, rest)| (kept, rest.len()))
            .unwrap();
        assert_eq!(cut.verdict, Some(refused(&long[..MAX_REASON])));
    }

    #[test]
    fn what_is_cut_or_of_another_layout_is_nothing() {
        let bytes = kept(
            Some(Verdict::Refused {
                reason: "why".into(),
                refusal: None,
            }),
            b"data",
        )
        .encode();
        for length in 0..bytes.len() {
            assert_eq!(Kept::decode(&bytes[..length]), None, "cut at {length}");
        }
        let mut other = bytes.clone();
        other[0] = LAYOUT + 1;
        assert_eq!(Kept::decode(&other), None);
        let mut unknown = bytes;
        unknown[17] = 9;
        assert_eq!(Kept::decode(&unknown), None);
    }

    #[test]
    fn freshness_counts_from_both_ends() {
        let fresh = |made, began, now, lifetime| {
            let kept = Kept {
                made,
                began,
                ..kept(None, b"")
            };
            kept.is_fresh(now, lifetime)
        };
        assert!(fresh(1000, 1000, 1000, 300));
        assert!(fresh(1000, 1000, 1299, 300));
        assert!(!fresh(1000, 1000, 1300, 300));
        assert!(!fresh(1000, 1000, 1000, 0), "no lifetime, no session");
        // Made again and again, but begun a day ago.
        assert!(fresh(1000 + DAY - 2, 1000, 1000 + DAY - 1, 300));
        assert!(!fresh(1000 + DAY - 1, 1000, 1000 + DAY, 300));
        assert!(fresh(1000 + DAY - 1, 1000, 1000 + DAY, 2 * DAY));
        // Another machine's clock may be a little ahead, no more.
        assert!(fresh(1060, 1060, 1000, 300));
        assert!(!fresh(1061, 1000, 1000, 300));
    }
}
