//! Two questions that passt answers as soon as it is ready: who has an address
//! that nobody has. For one of them at least it feels responsible: the first
//! where the host has IPv4, the second where it has IPv6.

/// The frame with which the owner of `mac` asks for an IPv4 address without
/// telling one of its own (RFC 5227 §2.1.1).
pub(super) fn arp(mac: [u8; 6]) -> Vec<u8> {
    const ETHERTYPE: [u8; 2] = [0x08, 0x06];
    // Ethernet, IPv4, lengths of their addresses, request.
    const REQUEST: [u8; 8] = [0, 1, 0x08, 0, 6, 4, 0, 1];
    const TARGET: [u8; 4] = [169, 254, 1, 1];
    [&[0xff; 6][..], &mac, &ETHERTYPE, &REQUEST, &mac, &[0; 4], &[0; 6], &TARGET].concat()
}

/// The frame with which the owner of `mac` asks for an IPv6 address (RFC 4861
/// §4.3).
pub(super) fn solicitation(mac: [u8; 6]) -> Vec<u8> {
    const ETHERTYPE: [u8; 2] = [0x86, 0xdd];
    const VERSION: [u8; 4] = [0x60, 0, 0, 0];
    const ICMP: u8 = 58;
    const HOP_LIMIT: u8 = 255;
    const SOLICITATION: u8 = 135;
    /// fe80::1:1, and the group of all that end alike.
    const TARGET: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
    const GROUP: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 1, 0, 1];

    let source = link_local(mac);
    let mut message = [&[SOLICITATION, 0, 0, 0, 0, 0, 0, 0][..], &TARGET, &[1, 1], &mac].concat();
    let len = u8::try_from(message.len()).expect("32 bytes");
    let pseudo = [&source[..], &GROUP, &[0, 0, 0, len, 0, 0, 0, ICMP], &message].concat();
    message[2..4].copy_from_slice(&checksum(&pseudo).to_be_bytes());
    let packet = [&VERSION[..], &[0, len, ICMP, HOP_LIMIT], &source, &GROUP, &message].concat();
    [&[0x33, 0x33, 0xff, 1, 0, 1][..], &mac, &ETHERTYPE, &packet].concat()
}

/// The address that `mac` has on its link by itself (RFC 4291 appendix A).
fn link_local(mac: [u8; 6]) -> [u8; 16] {
    let [a, b, c, d, e, f] = mac;
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]
}

/// The Internet's checksum over an even number of bytes (RFC 1071).
pub(super) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks_exact(2).map(|word| u16::from_be_bytes([word[0], word[1]]));
    !words.fold(0u16, |sum, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}
