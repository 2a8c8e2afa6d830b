//! The name of a connection, and the keyed hash that finds it.

use core::hash::{BuildHasher, Hash, Hasher};
use core::net::{IpAddr, SocketAddr};

use siphasher::sip::{SipHasher13, SipHasher24};

/// A connection's 4-tuple, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for end in [self.local, self.remote] {
            match end.ip() {
                IpAddr::V4(address) => state.write_u32(address.to_bits()),
                IpAddr::V6(address) => state.write_u128(address.to_bits()),
            }
        }
        let ports = u32::from(self.local.port()) << 16 | u32::from(self.remote.port());
        state.write_u32(ports);
    }
}

/// Hashes with a key that peers do not know, so that they cannot choose colliding ports
/// (SipHash-1-3, Aumasson and Bernstein 2012).
#[derive(Clone)]
pub(crate) struct FlowHasher([u8; 16]);

impl FlowHasher {
    pub(crate) fn new(key: [u8; 16]) -> FlowHasher {
        FlowHasher(key)
    }
}

impl BuildHasher for FlowHasher {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

/// Numbers that nobody without the key can foresee: SipHash-2-4, a pseudo-random function, over a
/// counter. For sequence numbers, ports and seeds, which must be unguessable off the path but are
/// visible on it; not for keys.
pub(crate) struct Unguessable {
    key: [u8; 16],
    counter: u64,
}

impl Unguessable {
    pub(crate) fn new(key: [u8; 16]) -> Unguessable {
        Unguessable { key, counter: 0 }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(self.counter);
        self.counter = self.counter.wrapping_add(1);
        hasher.finish()
    }

    /// A number that depends on the key, one local address and one remote end alone: RFC 6056
    /// §3.3.3's offset function F.
    pub(crate) fn offset(&self, local: IpAddr, remote: SocketAddr) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        let local = SocketAddr::new(local, 0);
        Flow { local, remote }.hash(&mut hasher);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(local: &str, remote: &str) -> Flow {
        Flow {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    #[test]
    fn every_part_of_the_tuple_and_the_key_count() {
        let hasher = FlowHasher::new([7; 16]);
        let flows = [
            flow("10.0.0.1:443", "10.0.0.2:1000"),
            flow("10.0.0.1:443", "10.0.0.2:1001"),
            flow("10.0.0.1:444", "10.0.0.2:1000"),
            flow("10.0.0.3:443", "10.0.0.2:1000"),
            flow("10.0.0.1:443", "10.0.0.3:1000"),
            flow("[::1]:443", "[::2]:1000"),
        ];
        let mut hashes: std::vec::Vec<u64> = flows.iter().map(|f| hasher.hash_one(f)).collect();
        hashes.push(FlowHasher::new([8; 16]).hash_one(flows[0]));
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn numbers_depend_on_the_key_and_do_not_repeat() {
        let (mut a, mut b) = (Unguessable::new([1; 16]), Unguessable::new([2; 16]));
        let first: std::vec::Vec<u64> = (0..100).map(|_| a.next_u64()).collect();
        assert!(first.iter().all(|n| *n != b.next_u64()));
        let mut unique = first.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), first.len());
    }
}
