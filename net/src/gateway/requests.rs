//! Connections that the guest wants to begin: its SYNs, held until the owner has decided.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;

use crate::classify::Segment;
use crate::flow::{Flow, FlowHasher};
use crate::{Instant, RequestId};

/// Requests held at most, about 300 bytes each. A SYN beyond them is dropped, and comes again.
pub(super) const MAX_REQUESTS: usize = 1024;

/// Longest frame with a SYN that is held, in bytes: Ethernet's header, the longest one of IPv4, and
/// TCP's with all options that fit. A SYN with payload (RFC 7413) is dropped; it comes again without.
const MAX_FRAME: usize = 14 + 60 + 60;

/// How long a request may wait: longer than any host asks (RFC 9293 §3.8.3's R2 for SYNs is three
/// minutes, but nobody waits for so long), and more than our owner needs to find out.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

struct Request {
    flow: Flow,
    frame: Vec<u8>,
    until: Instant,
}

/// The bounded table of requests, in the order in which they came: they all wait equally long.
pub(crate) struct Requests {
    held: BTreeMap<RequestId, Request>,
    by_flow: HashMap<Flow, RequestId, FlowHasher>,
    last: u64,
}

impl Requests {
    pub(super) fn new(hasher: FlowHasher) -> Requests {
        Requests {
            held: BTreeMap::new(),
            by_flow: HashMap::with_hasher(hasher),
            last: 0,
        }
    }

    pub(crate) fn contains(&self, flow: &Flow) -> bool {
        self.by_flow.contains_key(flow)
    }

    /// The frame that asks.
    pub(crate) fn frame(&self, request: RequestId) -> Option<&[u8]> {
        Some(&self.held.get(&request)?.frame)
    }

    /// Holds a SYN; its name, when it is the first for that connection.
    pub(super) fn hold(
        &mut self,
        segment: &Segment,
        frame: &[u8],
        now: Instant,
    ) -> Option<RequestId> {
        if frame.len() > MAX_FRAME || segment.payload > 0 {
            return None;
        }
        let flow = segment.flow;
        if let Some(request) = self.by_flow.get(&flow) {
            // The same SYN again, or another one of a guest that has begun anew.
            if let Some(held) = self.held.get_mut(request) {
                held.frame.clear();
                held.frame.extend_from_slice(frame);
            }
            return None;
        }
        if self.held.len() >= MAX_REQUESTS {
            return None;
        }
        self.last += 1;
        let request = RequestId(self.last);
        self.by_flow.insert(flow, request);
        let held = Request {
            flow,
            frame: frame.to_vec(),
            until: now + REQUEST_TIMEOUT,
        };
        self.held.insert(request, held);
        Some(request)
    }

    /// Takes a request out, with the frame that asks.
    pub(crate) fn take(&mut self, request: RequestId) -> Option<Vec<u8>> {
        let held = self.held.remove(&request)?;
        self.by_flow.remove(&held.flow);
        Some(held.frame)
    }

    /// The guest does not want the connection any more.
    pub(super) fn withdraw(&mut self, flow: &Flow) -> Option<RequestId> {
        let request = self.by_flow.remove(flow)?;
        self.held.remove(&request);
        Some(request)
    }

    /// Takes out one that has waited for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Option<RequestId> {
        let (&request, held) = self.held.first_key_value()?;
        if held.until > now {
            return None;
        }
        self.take(request)?;
        Some(request)
    }

    pub(super) fn due(&self) -> Option<Instant> {
        Some(self.held.first_key_value()?.1.until)
    }
}
