//! Named bounds: how long a session may wait, and how much memory it may take.

use core::time::Duration;

/// How long each waiting state of a session may last.
///
/// The names are `stunnel(8)`'s options; the values are its defaults except where noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From accepting a connection to the end of its TLS handshake (`TIMEOUTbusy`).
    ///
    /// 30 s against stunnel's 300: a handshake takes milliseconds, and every connection that
    /// stalls in it holds memory that admission control has promised.
    pub handshake: Duration,
    /// From dialling the backend to its SYN-ACK (`TIMEOUTconnect`).
    pub connect: Duration,
    /// Without a byte in either direction (`TIMEOUTidle`).
    pub idle: Duration,
    /// From one side's end of stream to the other's, with no byte moving (`TIMEOUTclose`).
    pub close: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(30),
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(43_200),
            close: Duration::from_secs(60),
        }
    }
}

/// Heap one session holds besides its buffers and TLS, in bytes: the session itself, two socket
/// records, table entries, timers and the allocator's own overhead.
pub const SESSION_OVERHEAD: usize = 8 * 1024;

/// Heap kept for what is not a session, in bytes: frames of DHCP, DNS and ARP, the resumption
/// cache, log lines.
pub const FIXED_RESERVE: usize = 1024 * 1024;

/// The largest number of sessions served at once, whatever the memory.
pub const MAX_SESSIONS: usize = 50_000;

/// The largest number of TLS sessions that one service keeps for resumption.
pub const MAX_SESSION_CACHE: usize = 20_000;

/// Heap that one such session takes, in bytes: its secrets, table entries, the allocator's own
/// overhead. With a client's certificate chain in it, which most often has a kilobyte or two and
/// at most 32, the rest of [`FIXED_RESERVE`] has to do.
pub const KEPT_SESSION: usize = 512;

/// The largest number of OCSP responders that are asked at once; others wait for their turn.
pub const MAX_INQUIRIES: usize = 8;

/// Connections to backends that are kept for further requests and have memory of their own. Sessions
/// that have no backend at the moment lend theirs to others.
pub const KEPT_STREAMS: usize = 16;

/// The largest number of connections to backends that are kept, whatever is lent.
pub const MAX_KEPT_STREAMS: usize = 256;

/// Heap that asking one takes besides its stream, in bytes: the longest response while it grows,
/// and once more while it is judged.
const INQUIRY: usize = 3 * tls::MAX_OCSP_RESPONSE;

/// The largest number of conversations that a keeper has at once: one with the store, one with the
/// authority.
pub const MAX_ERRANDS: usize = 2;

/// Heap that one of them takes besides its streams, in bytes: an authority's answer as it comes and as
/// it is read, its certificates, SSH's packets. What the store sends is counted by [`KeeperMemory`].
const ERRAND: usize = 512 * 1024;

/// How long a visit to the store may last: one packet of a thousand bytes a round trip has to be enough
/// for a large store that is far away.
pub const STORE_VISIT: Duration = Duration::from_secs(600);

/// How long a request to an authority may last: some sign before they answer.
pub const AUTHORITY_REQUEST: Duration = Duration::from_secs(90);

/// How long nothing may come in a conversation with either.
pub const ERRAND_IDLE: Duration = Duration::from_secs(60);

/// From dialling either to its SYN-ACK, for each of its addresses.
pub const ERRAND_CONNECT: Duration = Duration::from_secs(10);

/// When to try again to serve what there was no memory for.
pub const POSTPONED: Duration = Duration::from_secs(30);

/// Most TLS sessions with authorities' machines that are kept for resumption.
pub const AUTHORITY_SESSIONS: usize = 4;

/// Stream buffers on a machine with memory to spare, in bytes: the most that TCP can announce
/// without window scaling (RFC 9293 §3.1), and about what one segmentation-offload frame holds.
/// A byte more and the window's edge, rounded to the scale, would move back now and then, so that
/// peers have to send again what was cut off.
const LARGE_BUFFER: usize = 65_535;

/// Stream buffers on a small machine, in bytes: one whole TLS record (16,645 bytes) and room
/// for the next one's beginning.
const SMALL_BUFFER: usize = 20 * 1024;

/// Heap from which [`LARGE_BUFFER`] is used, in bytes.
const LARGE_HEAP: usize = 64 * 1024 * 1024;

/// What services need besides what each session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Any of them takes certificates of peers: clients are asked for them, or servers dialled.
    pub peer_certificates: bool,
    /// TLS sessions kept for resumption beyond those of [`FIXED_RESERVE`], by all together.
    pub kept_sessions: usize,
    /// Any of them asks OCSP responders.
    pub inquiries: bool,
    /// Any of them carries requests, whose backends' connections are kept.
    pub requests: bool,
}

/// How the heap is divided among sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Sessions admitted at once.
    pub sessions: usize,
    /// Each stream's receive buffer and each stream's send buffer, in bytes.
    pub stream_buffer: usize,
}

impl Memory {
    /// Stream buffers in a machine with so many free bytes of heap.
    pub const fn stream_buffer(heap: usize) -> usize {
        if heap >= LARGE_HEAP {
            LARGE_BUFFER
        } else {
            SMALL_BUFFER
        }
    }

    /// Divides `heap` free bytes: each session's named worst case is reserved before its SYN is
    /// answered, so that every admitted session can finish.
    pub fn for_heap(heap: usize) -> Self {
        Self::for_services(heap, &Needs::default())
    }

    /// The same, with what the services need besides.
    pub fn for_services(heap: usize, needs: &Needs) -> Self {
        let stream_buffer = Self::stream_buffer(heap);
        let sessions = sessions(heap, stream_buffer, needs);
        Self {
            sessions: sessions.clamp(1, MAX_SESSIONS),
            stream_buffer,
        }
    }

    /// How many sessions there is room for in `heap` bytes with other services; never more than
    /// there was at first, for which all tables are made, and perhaps none.
    pub fn sessions_with(&self, heap: usize, needs: &Needs) -> usize {
        sessions(heap, self.stream_buffer, needs).min(self.sessions)
    }

    /// Heap one session may take at its worst, in bytes: two streams with two buffers each, the
    /// TLS connection, and the rest.
    pub const fn worst_case(stream_buffer: usize) -> usize {
        4 * stream_buffer + tls::HANDSHAKE_MEMORY + SESSION_OVERHEAD
    }
}

fn sessions(heap: usize, stream_buffer: usize, needs: &Needs) -> usize {
    let mut session = Memory::worst_case(stream_buffer);
    if needs.peer_certificates {
        session += tls::CLIENT_CERTIFICATE_MEMORY;
    }
    let kept = needs.kept_sessions.saturating_mul(KEPT_SESSION);
    let asking = match needs.inquiries {
        true => MAX_INQUIRIES * (2 * stream_buffer + INQUIRY),
        false => 0,
    };
    let keeping = match needs.requests {
        true => KEPT_STREAMS * 2 * stream_buffer,
        false => 0,
    };
    let reserved = FIXED_RESERVE.saturating_add(kept);
    let reserved = reserved.saturating_add(asking).saturating_add(keeping);
    heap.saturating_sub(reserved) / session
}

/// What a keeper may take of the heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeeperMemory {
    /// How much of a store is read.
    pub store: store::git::Limits,
    /// Each stream's receive buffer and each stream's send buffer, in bytes.
    stream_buffer: usize,
}

impl KeeperMemory {
    /// Its share of `heap` free bytes, with streams of this size.
    pub fn for_heap(heap: usize, stream_buffer: usize) -> Self {
        let total = (heap / 24).clamp(256 * 1024, 16 * 1024 * 1024);
        let store = store::git::Limits {
            pack: total / 2,
            object: (total / 4).min(1024 * 1024),
            total,
            ..store::git::Limits::default()
        };
        Self {
            store,
            stream_buffer,
        }
    }

    /// All together, in bytes: a pack while its buffer grows, its objects, and the state of the store
    /// that they become beside the one before, with what hosts' files say; and the conversations.
    pub fn total(&self) -> usize {
        let errands = MAX_ERRANDS * (2 * self.stream_buffer + ERRAND);
        3 * self.store.pack + 4 * self.store.total + errands
    }
}

/// What a management channel may take of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelMemory {
    /// The longest boot archive that it may bring, in bytes.
    pub archive: usize,
    /// Events that wait for it, in bytes.
    pub events: usize,
}

impl ChannelMemory {
    /// Answers and events that are on their way, in bytes.
    pub const QUEUE: usize = 192 * 1024;

    /// Frames on their way in and out, in bytes.
    const FRAMES: usize = 80 * 1024;

    /// Shares of `heap` free bytes, in a machine that was started with an archive of `archive`
    /// bytes: its next one may well be twice as long.
    pub fn for_heap(heap: usize, archive: usize) -> Self {
        let share = (heap / 32).clamp(256 * 1024, 4 * 1024 * 1024);
        Self {
            archive: share.max(2 * archive),
            events: (heap / 128).clamp(64 * 1024, 1024 * 1024),
        }
    }

    /// All together, in bytes.
    pub fn total(&self) -> usize {
        self.archive + self.events + Self::QUEUE + Self::FRAMES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(heap: usize, sessions: usize, stream_buffer: usize) {
        assert_eq!(
            Memory::for_heap(heap),
            Memory {
                sessions,
                stream_buffer
            }
        );
    }

    #[test]
    fn memory_is_divided_by_the_worst_case() {
        check(0, 1, SMALL_BUFFER);
        // 4 * 20 KiB of buffers, 128 KiB for TLS, 8 KiB for the rest.
        check(FIXED_RESERVE + 10 * 216 * 1024, 10, SMALL_BUFFER);
        check(FIXED_RESERVE + 10 * 216 * 1024 - 1, 9, SMALL_BUFFER);
        // 63 MiB in pieces of almost 392 KiB.
        check(LARGE_HEAP, 164, LARGE_BUFFER);
        check(usize::MAX, MAX_SESSIONS, LARGE_BUFFER);
    }

    #[test]
    fn what_services_need_besides_is_reserved() {
        let heap = FIXED_RESERVE + 10 * (216 + 256) * 1024 + 100 * KEPT_SESSION;
        let needs = Needs {
            peer_certificates: true,
            kept_sessions: 100,
            inquiries: false,
            requests: false,
        };
        assert_eq!(Memory::for_services(heap, &needs).sessions, 10);
        let more = Needs {
            kept_sessions: 101,
            ..needs
        };
        assert_eq!(Memory::for_services(heap, &more).sessions, 9);
        let asking = Needs {
            inquiries: true,
            ..needs
        };
        let more = MAX_INQUIRIES * (2 * SMALL_BUFFER + INQUIRY);
        assert_eq!(Memory::for_services(heap + more, &asking).sessions, 10);
        assert_eq!(Memory::for_services(heap + more - 1, &asking).sessions, 9);
    }

    #[test]
    fn other_services_get_what_is_there_and_no_more_than_at_first() {
        let heap = FIXED_RESERVE + 10 * 216 * 1024;
        let memory = Memory::for_heap(heap);
        let needs = Needs {
            peer_certificates: true,
            ..Needs::default()
        };
        assert_eq!(memory.sessions_with(heap, &needs), 4);
        assert_eq!(memory.sessions_with(2 * heap, &Needs::default()), 10);
        assert_eq!(memory.sessions_with(0, &needs), 0);
    }

    #[test]
    fn a_channel_gets_its_share_and_room_for_what_the_machine_was_started_with() {
        const MIB: usize = 1024 * 1024;
        let check = |heap, archive, expected: (usize, usize)| {
            let memory = ChannelMemory::for_heap(heap, archive);
            assert_eq!((memory.archive, memory.events), expected);
        };
        check(0, 0, (256 * 1024, 64 * 1024));
        check(64 * MIB, MIB / 2, (2 * MIB, MIB / 2));
        check(64 * MIB, 3 * MIB, (6 * MIB, MIB / 2));
        check(usize::MAX, 0, (4 * MIB, MIB));
    }

    #[test]
    fn a_keeper_gets_its_share_and_what_its_conversations_need() {
        const MIB: usize = 1024 * 1024;
        let check = |heap, store: usize, total: usize| {
            let memory = KeeperMemory::for_heap(heap, SMALL_BUFFER);
            assert_eq!((memory.store.total, memory.total()), (store, total));
        };
        let errands = 2 * (2 * SMALL_BUFFER + ERRAND);
        check(0, MIB / 4, 11 * MIB / 8 + errands);
        check(12 * MIB, MIB / 2, 11 * MIB / 4 + errands);
        check(usize::MAX, 16 * MIB, 88 * MIB + errands);
    }

    #[test]
    fn a_stream_buffer_holds_a_whole_record() {
        const { assert!(SMALL_BUFFER > tls::MAX_RECORD) }
    }
}
