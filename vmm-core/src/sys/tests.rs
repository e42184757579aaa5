use std::io::Write;

use vm_memory::{Bytes, VolatileSlice};

use super::*;

fn slices<'a>(buffers: &'a mut [Vec<u8>]) -> Vec<VolatileSlice<'a>> {
    buffers.iter_mut().map(|b| VolatileSlice::from(b.as_mut_slice())).collect()
}

#[test]
fn a_file_is_read_and_written_in_pieces_at_an_offset() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    let mut buffers = [vec![0; 3], vec![0; 4]];
    assert_eq!(read_at(&file, &slices(&mut buffers), 2).unwrap(), 7);
    assert_eq!(buffers, [b"234".to_vec(), b"5678".to_vec()]);
    assert_eq!(read_at(&file, &slices(&mut buffers), 8).unwrap(), 2);
    assert_eq!(write_at(&file, &slices(&mut buffers), 1).unwrap(), 7);
    assert_eq!(read_at(&file, &slices(&mut buffers), 0).unwrap(), 7);
    assert_eq!(buffers[0], b"089");
}

#[test]
fn a_pipe_moves_one_message_between_slices() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut out = [b"ab".to_vec(), b"c".to_vec()];
    assert_eq!(write_once(&writer, &slices(&mut out)).unwrap(), 3);
    let mut buffer = vec![0; 8];
    let slice = VolatileSlice::from(buffer.as_mut_slice());
    assert_eq!(read_once(&reader, &[slice]).unwrap(), 3);
    let mut start = [0; 3];
    slice.read_slice(&mut start, 0).unwrap();
    assert_eq!(&start, b"abc");
}

#[test]
fn an_offset_past_the_largest_file_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let err = read_at(&file, &[], u64::MAX).unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
}

/// A tap of this test's own; `None`, having said why, where taps are not ours
/// to make.
fn own_tap(name: &str) -> Option<Tap> {
    match Tap::open(name) {
        Ok(tap) => Some(tap),
        Err(error @ (TapError::NoTun | TapError::TunDenied | TapError::Absent { .. })) => {
            eprintln!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

fn statistic(tap: &Tap, name: &str) -> String {
    let path = format!("/sys/class/net/{}/{name}", tap.name());
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn a_tap_is_made_brought_up_and_vanishes() {
    let name = format!("kiln-a{}", std::process::id() % 100_000);
    let Some(tap) = own_tap(&name) else { return };
    assert_eq!(tap.mtu().unwrap(), 1500);
    let flags = statistic(&tap, "flags");
    let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap();
    assert_eq!(flags & 1, 1, "the link is up");
    tap.set_offloads(Offloads { uso: false, ..Offloads::ALL }).unwrap();
    let busy = Tap::open(&name).unwrap_err();
    assert_eq!(busy.to_string(), format!("tap {name} is in use by another process"));
    drop(tap);
    assert!(!std::path::Path::new(&format!("/sys/class/net/{name}")).exists());
}

#[test]
fn a_packet_written_to_a_tap_reaches_the_host() {
    let name = format!("kiln-b{}", std::process::id() % 100_000);
    let Some(tap) = own_tap(&name) else { return };
    let mut packet = [vec![0; 12], vec![0xff; 60]];
    assert_eq!(write_once(&tap, &slices(&mut packet)).unwrap(), 72);
    assert_eq!(statistic(&tap, "statistics/rx_packets"), "1");
    // A header that lies about the packet is an error, not a packet.
    packet[0][1] = 0x7f;
    assert!(write_once(&tap, &slices(&mut packet)).is_err());
    assert_eq!(statistic(&tap, "statistics/rx_packets"), "1");
}

#[test]
fn what_is_no_tap_is_refused() {
    for name in ["", "a/b", "tap%d", "a b", "sixteen-letters-", ".", "..", "nul\0"] {
        assert!(matches!(Tap::open(name), Err(TapError::Name { .. })), "{name}");
    }
    match Tap::open("lo").unwrap_err() {
        error @ (TapError::NoTun | TapError::TunDenied) => eprintln!("skipped: {error}"),
        error => {
            assert_eq!(error.to_string(), "interface lo is no tap, or one with several queues")
        }
    }
}
