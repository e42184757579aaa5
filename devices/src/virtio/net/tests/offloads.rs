//! Offload headers in both directions.

use super::*;

const CSUM: Header =
    Header { flags: 1, gso_type: 0, hdr_len: 0, gso_size: 0, csum_start: 34, csum_offset: 16 };
pub(super) const TSO4: Header = Header { gso_type: GSO_TCPV4, hdr_len: 54, gso_size: 1448, ..CSUM };
const TSO6: Header = Header { gso_type: GSO_TCPV6, ..TSO4 };
const USO: Header = Header { gso_type: GSO_UDP_L4, hdr_len: 42, ..TSO4 };
const ALL: u64 = F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_USO;

#[test]
fn right_offload_headers_reach_the_host() {
    for header in [Header::default(), CSUM, TSO4, TSO6, USO] {
        assert_eq!(header.checked(3000, ALL), Some(header));
        assert_eq!(Header::from_bytes(&header.to_bytes()), header);
        let mut bench = Bench::new(ALL);
        let seen = bench.send(header.to_bytes(), &frame(3000), &[]).unwrap();
        assert_eq!(seen[..HEADER_LEN], header.to_bytes());
    }
}

#[test]
fn wrong_offload_headers_drop_the_packet() {
    for (header, features) in [
        (CSUM, 0),
        (Header { csum_start: u16::MAX, ..CSUM }, ALL),
        (Header { csum_offset: u16::MAX, ..CSUM }, ALL),
        (Header { csum_start: 82, ..CSUM }, ALL),
        (TSO4, ALL & !F_HOST_TSO4),
        (TSO6, ALL & !F_HOST_TSO6),
        (USO, ALL & !F_HOST_USO),
        (USO, ALL & !F_CSUM),
        (Header { flags: 0, ..TSO4 }, ALL),
        (Header { gso_size: 0, ..TSO4 }, ALL),
        (Header { gso_type: 3, ..TSO4 }, ALL),
        (Header { gso_type: 0x80 | GSO_TCPV4, ..TSO4 }, ALL),
        (Header { gso_type: 0xff, ..TSO4 }, ALL),
    ] {
        let mut bench = Bench::new(features);
        assert_eq!(bench.send(header.to_bytes(), &frame(99), &[]), None, "{header:?}");
        assert_eq!(bench.send(PLAIN, &frame(60), &[]), Some(packet(60)));
    }
}

#[test]
fn what_the_header_only_hints_at_is_put_right() {
    let checked = Header { hdr_len: u16::MAX, flags: 0xff, ..TSO4 }.checked(99, ALL);
    assert_eq!(checked, Some(Header { hdr_len: 99, ..TSO4 }));
    let checked = Header { csum_start: 9, gso_size: 9, ..Header::default() }.checked(99, ALL);
    assert_eq!(checked, Some(Header::default()));
}

#[test]
fn the_host_is_told_what_the_driver_takes() {
    let all = Offloads { uso: false, ..Offloads::ALL };
    for (features, wanted) in [
        (0, Offloads::default()),
        (F_GUEST_TSO4 | F_GUEST_TSO6, Offloads::default()),
        (F_GUEST_CSUM, Offloads { tso4: false, tso6: false, ..all }),
        (F_GUEST_CSUM | F_GUEST_TSO4, Offloads { tso6: false, ..all }),
        (F_GUEST_CSUM | F_GUEST_TSO6, Offloads { tso4: false, ..all }),
        (F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6, all),
        (F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_GUEST_USO4, all),
        (F_GUEST_USO4 | F_GUEST_USO6, Offloads::default()),
        (
            F_GUEST_CSUM | F_GUEST_USO4 | F_GUEST_USO6,
            Offloads { csum: true, uso: true, ..Offloads::default() },
        ),
    ] {
        let mut bench = Bench::new(features);
        assert_eq!(*bench.offloads.lock().unwrap(), wanted);
        bench.guest.regs.set_status(0);
        assert_eq!(*bench.offloads.lock().unwrap(), Offloads::default());
    }
}

proptest! {
    /// Whatever a header says, what reaches the host is safe.
    #[test]
    fn headers_never_point_outside_the_frame(
        bytes: [u8; HEADER_LEN],
        len in 0_usize..70_000,
        features: u64,
    ) {
        if let Some(header) = Header::from_bytes(&bytes).checked(len, features) {
            prop_assert!(len >= 14);
            prop_assert!(header.flags <= HDR_F_NEEDS_CSUM);
            let field = usize::from(header.csum_start) + usize::from(header.csum_offset);
            prop_assert!(header.flags == 0 || field + 2 <= len);
            prop_assert!(header.flags == 0 || features & F_CSUM != 0);
            prop_assert!(usize::from(header.hdr_len) <= len);
            prop_assert!(header.gso_type == GSO_NONE || (header.gso_size > 0 && header.flags == 1));
        }
    }

    #[test]
    fn any_sent_chain_is_given_back(
        header: [u8; HEADER_LEN],
        len in 0_usize..2000,
        cuts in prop::collection::vec(any::<u32>(), 0..9),
        writable: bool,
    ) {
        let mut bench = Bench::new(ALL);
        bench.send(header, &frame(len), &cuts);
        let flags = if writable { desc::WRITE } else { 0 };
        let segment = Segment { addr: PACKETS, len: 5, flags };
        bench.guest.queues[TX].add(&bench.guest.mem, &[segment]);
        bench.guest.kick(1);
        prop_assert!(bench.guest.used(TX).is_some());
        prop_assert_eq!(bench.send(PLAIN, &frame(60), &[]), Some(packet(60)));
    }
}
