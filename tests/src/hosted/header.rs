//! The virtio-net header in front of every frame of a TAP device with `IFF_VNET_HDR`
//! (linux/Documentation/networking/tuntap.rst; virtio 1.2 §5.1.6), as far as TCP needs it.

use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, IpAddress, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket,
    UdpPacket,
};

/// Bytes of the header: without `num_buffers`, as TAP devices have it unless told otherwise.
pub const LENGTH: usize = 10;

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// `flags`: the checksum is still to be computed.
const NEEDS_CSUM: u8 = 1;
/// `flags`: the checksum has been verified.
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
/// Where the checksum lies in a TCP header, in bytes.
const TCP_CHECKSUM: u8 = 16;

/// The TCP or UDP segment of a frame.
struct Segment {
    source: IpAddress,
    destination: IpAddress,
    protocol: IpProtocol,
    /// Bytes from the start of the frame, and its length.
    start: usize,
    length: usize,
}

fn segment(frame: &[u8]) -> Option<Segment> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let packet = ethernet.payload();
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            let header = usize::from(ip.header_len());
            Some(Segment {
                source: ip.src_addr().into(),
                destination: ip.dst_addr().into(),
                protocol: ip.next_header(),
                start: ETHERNET + header,
                length: usize::from(ip.total_len()) - header,
            })
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(packet).ok()?;
            Some(Segment {
                source: ip.src_addr().into(),
                destination: ip.dst_addr().into(),
                protocol: ip.next_header(),
                start: ETHERNET + ip.header_len(),
                length: usize::from(ip.payload_len()),
            })
        }
        _ => None,
    }
}

/// Whether a received frame may be believed: what the header does not vouch for is verified here.
pub fn is_sound(header: [u8; LENGTH], frame: &[u8]) -> bool {
    let [flags, ..] = header;
    let Some(segment) = segment(frame) else {
        // ARP and the like; what cannot be read is the stack's to refuse.
        return true;
    };
    if flags & (NEEDS_CSUM | DATA_VALID) != 0 {
        return true;
    }
    let bytes = frame.get(segment.start..segment.start + segment.length);
    let Some(bytes) = bytes else {
        return false;
    };
    let (source, destination) = (&segment.source, &segment.destination);
    match segment.protocol {
        IpProtocol::Tcp => {
            TcpPacket::new_checked(bytes).is_ok_and(|tcp| tcp.verify_checksum(source, destination))
        }
        IpProtocol::Udp => {
            UdpPacket::new_checked(bytes).is_ok_and(|udp| udp.verify_checksum(source, destination))
        }
        _ => true,
    }
}

/// Leaves the checksum of a TCP frame, and with `segment_size` its segmentation (IPv4), to the
/// kernel: gives the header that says so, and puts the pseudo-header's sum where the checksum goes.
pub fn offload(frame: &mut [u8], segment_size: Option<u16>) -> [u8; LENGTH] {
    let Some(segment) = segment(frame).filter(|segment| segment.protocol == IpProtocol::Tcp) else {
        return [0; LENGTH];
    };
    let sum = pseudo_header(&segment);
    let start = segment.start;
    let field = start + usize::from(TCP_CHECKSUM);
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    let headers = start + usize::from(frame[start + 12] >> 4) * 4;
    let (kind, size) = match segment_size {
        Some(size) => (GSO_TCPV4, size),
        None => (GSO_NONE, 0),
    };
    let [s0, s1] = u16::try_from(start)
        .expect("headers are short")
        .to_le_bytes();
    let [h0, h1] = u16::try_from(headers)
        .expect("headers are short")
        .to_le_bytes();
    let [g0, g1] = size.to_le_bytes();
    [NEEDS_CSUM, kind, h0, h1, g0, g1, s0, s1, TCP_CHECKSUM, 0]
}

/// The sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1), not complemented.
fn pseudo_header(segment: &Segment) -> u16 {
    let octets = |address: &IpAddress| match address {
        IpAddress::Ipv4(address) => address.octets().to_vec(),
        IpAddress::Ipv6(address) => address.octets().to_vec(),
    };
    let addresses = [octets(&segment.source), octets(&segment.destination)].concat();
    let words = addresses
        .chunks_exact(2)
        .map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum =
        words.sum::<u64>() + u64::from(u8::from(segment.protocol)) + segment.length as u64;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{EthernetAddress, EthernetRepr, IpRepr, TcpControl, TcpRepr, TcpSeqNumber};

    use super::*;

    fn frame(source: IpAddress, destination: IpAddress, payload: &[u8]) -> Vec<u8> {
        let tcp = TcpRepr {
            src_port: 1,
            dst_port: 2,
            control: TcpControl::None,
            seq_number: TcpSeqNumber(3),
            ack_number: Some(TcpSeqNumber(4)),
            window_len: 5,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload,
        };
        let ip = IpRepr::new(source, destination, IpProtocol::Tcp, tcp.buffer_len(), 64);
        let mut frame = vec![0; ETHERNET + ip.buffer_len()];
        let ethernet = EthernetRepr {
            src_addr: EthernetAddress([2; 6]),
            dst_addr: EthernetAddress([4; 6]),
            ethertype: match source {
                IpAddress::Ipv4(_) => EthernetProtocol::Ipv4,
                IpAddress::Ipv6(_) => EthernetProtocol::Ipv6,
            },
        };
        ethernet.emit(&mut EthernetFrame::new_unchecked(&mut frame[..]));
        let checksums = ChecksumCapabilities::default();
        ip.emit(&mut frame[ETHERNET..], &checksums);
        tcp.emit(
            &mut TcpPacket::new_unchecked(&mut frame[ETHERNET + ip.header_len()..]),
            &source,
            &destination,
            &checksums,
        );
        frame
    }

    fn pairs() -> [(IpAddress, IpAddress); 2] {
        [
            (IpAddress::v4(10, 0, 0, 1), IpAddress::v4(10, 0, 0, 2)),
            (
                IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 1),
                IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, 2),
            ),
        ]
    }

    /// What the kernel will do: sum everything from `csum_start` on and store it.
    #[test]
    fn an_offloaded_checksum_completes_to_the_right_one() {
        for (source, destination) in pairs() {
            for length in 0..50 {
                let right = frame(source, destination, &vec![0xa7; length]);
                let mut left_open = right.clone();
                let header = offload(&mut left_open, None);
                let start = usize::from(u16::from_le_bytes([header[6], header[7]]));
                let mut sum: u64 = 0;
                for word in left_open[start..].chunks(2) {
                    let low = word.get(1).copied().unwrap_or(0);
                    sum += u64::from(u16::from_be_bytes([word[0], low]));
                }
                while sum > 0xffff {
                    sum = (sum & 0xffff) + (sum >> 16);
                }
                let field = start + usize::from(header[8]);
                left_open[field..field + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
                assert_eq!(left_open, right);
            }
        }
    }

    #[test]
    fn a_header_says_how_to_cut() {
        let (source, destination) = pairs()[0];
        let mut frame = frame(source, destination, &[1; 5000]);
        let header = offload(&mut frame, Some(1460));
        assert_eq!(header, [1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0]);
        assert_eq!(offload(&mut [0xff; 60], Some(1460)), [0; LENGTH]);
    }

    #[test]
    fn only_what_nobody_vouches_for_is_verified() {
        for (source, destination) in pairs() {
            let right = frame(source, destination, b"hello");
            let mut wrong = right.clone();
            *wrong.last_mut().unwrap() ^= 1;
            let with = |flags| [flags, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            assert!(is_sound(with(0), &right));
            assert!(!is_sound(with(0), &wrong));
            assert!(is_sound(with(NEEDS_CSUM), &wrong));
            assert!(is_sound(with(DATA_VALID), &wrong));
        }
        assert!(is_sound([0; LENGTH], &[0; 60]), "not IP");
    }
}
