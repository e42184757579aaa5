use crate::virtio::spec::net;

/// An Ethernet header, the least that a frame has, in bytes.
const FRAME_MIN: usize = 14;
/// The largest segment with its Ethernet header and two VLAN tags, in bytes.
pub(super) const FRAME_MAX: usize = 65535 + FRAME_MIN + 8;

/// The virtio header before each packet (VIRTIO 1.2 §5.1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `NEEDS_CSUM` or nothing; the device ignores other bits.
    pub flags: u8,
    /// How the packet is to be cut to segments.
    pub gso_type: u8,
    /// Length of all headers in bytes, as a hint.
    pub hdr_len: u16,
    /// Payload of each segment, in bytes.
    pub gso_size: u16,
    /// Where the checksum begins to count, from the frame's start.
    pub csum_start: u16,
    /// Where the checksum lies, from `csum_start`.
    pub csum_offset: u16,
}

impl Header {
    /// Decodes the wire's little-endian bytes.
    pub fn from_bytes(bytes: &[u8; net::HEADER_LEN]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1, _, _] = *bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_le_bytes([h0, h1]),
            gso_size: u16::from_le_bytes([g0, g1]),
            csum_start: u16::from_le_bytes([s0, s1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
        }
    }

    /// Encodes the header; `num_buffers` is 0, as for a packet to send.
    pub fn to_bytes(self) -> [u8; net::HEADER_LEN] {
        let [h0, h1] = self.hdr_len.to_le_bytes();
        let [g0, g1] = self.gso_size.to_le_bytes();
        let [s0, s1] = self.csum_start.to_le_bytes();
        let [o0, o1] = self.csum_offset.to_le_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1, 0, 0]
    }

    /// Into how many packets a frame of `len` bytes is cut, about.
    pub fn packets(self, len: usize) -> usize {
        match self.gso_type {
            net::GSO_NONE => 1,
            _ => len.div_ceil(usize::from(self.gso_size).max(1)).max(1),
        }
    }

    /// What the host may be told of a frame of `len` bytes that a guest with
    /// `features` sends under this header; `None` if the frame is to be
    /// dropped (§5.1.6.2).
    pub fn checked(self, len: usize, features: u64) -> Option<Self> {
        if !(FRAME_MIN..=FRAME_MAX).contains(&len) {
            return None;
        }
        let mut checked = Self::default();
        if self.flags & net::HDR_F_NEEDS_CSUM != 0 {
            let field = usize::from(self.csum_start) + usize::from(self.csum_offset);
            if features & net::F_CSUM == 0 || field + 2 > len {
                return None;
            }
            checked.flags = net::HDR_F_NEEDS_CSUM;
            checked.csum_start = self.csum_start;
            checked.csum_offset = self.csum_offset;
        }
        let needed = match self.gso_type {
            net::GSO_NONE => return Some(checked),
            net::GSO_TCPV4 => net::F_HOST_TSO4,
            net::GSO_TCPV6 => net::F_HOST_TSO6,
            net::GSO_UDP_L4 => net::F_HOST_USO,
            _ => return None,
        };
        if features & needed == 0 || checked.flags == 0 || self.gso_size == 0 {
            return None;
        }
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        checked.gso_type = self.gso_type;
        checked.gso_size = self.gso_size;
        checked.hdr_len = self.hdr_len.min(len);
        Some(checked)
    }
}
