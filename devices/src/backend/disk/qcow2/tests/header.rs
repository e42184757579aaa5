use proptest::prelude::*;

use super::*;
use crate::backend::disk::qcow2::{Header, Qcow2Error};

fn header(options: &str) -> Vec<u8> {
    let images = Images::new();
    images.write("base", &[0; 512]);
    images.qemu_img(&format!("create -q -f qcow2 {options}"));
    fs::read(images.path("disk")).unwrap()
}

#[test]
fn a_header_says_what_qemu_img_was_told() {
    let image =
        header("-o cluster_size=8192,refcount_bits=1,backing_file=base,backing_fmt=raw disk 3G");
    let size = u64::try_from(image.len()).unwrap();
    assert_eq!(Header::wanted(&image[..100]), 8192);
    let header = Header::parse(&image[..8192], size).unwrap();
    assert_eq!((header.version, header.size, header.cluster_size()), (3, 3 << 30, 8192));
    assert_eq!((header.refcount_order, header.has_bitmaps), (0, false));
    // An L2 table is for 8 MiB.
    assert_eq!(header.l1_table.end - header.l1_table.start, 3 * 128 * 8);
    let backing = header.backing.unwrap();
    assert_eq!((backing.name.as_str(), backing.format.as_deref()), ("base", Some("raw")));
}

#[test]
fn a_header_of_version_2_has_extensions_too() {
    let image = header("-o compat=0.10,backing_file=base,backing_fmt=qcow2 -u disk 1M");
    let header = Header::parse(&image, u64::try_from(image.len()).unwrap()).unwrap();
    assert_eq!((header.version, header.refcount_order), (2, 4));
    assert_eq!(header.backing.unwrap().format.as_deref(), Some("qcow2"));
}

#[test]
fn a_header_cut_short_is_refused() {
    let image = header("-o backing_file=base,backing_fmt=raw disk 1M");
    let size = u64::try_from(image.len()).unwrap();
    let end = image.iter().rposition(|byte| *byte != 0).unwrap().min(1023);
    assert!(Header::parse(&image[..4096], size).is_ok());
    for len in 0..=end.min(104) {
        let expected =
            if len < 4 { Qcow2Error::NotQcow2 } else { Qcow2Error::Damaged("it is too short") };
        let refused = Header::parse(&image[..len], size).unwrap_err();
        assert!(refused == expected || len >= 72, "{len}: {refused}");
    }
}

proptest! {
    /// Whatever is in a header, it is refused or what it says can be.
    #[test]
    fn any_header_is_refused_or_holds(
        version in 2..4_u8,
        bytes in prop::collection::vec(any::<u8>(), 200),
        zeros in prop::collection::vec(any::<bool>(), 200),
        bits in 0..24_u8,
        size in any::<u64>(),
    ) {
        let mut bytes = bytes;
        for (byte, zero) in bytes.iter_mut().zip(zeros) {
            *byte *= u8::from(!zero);
        }
        bytes[..8].copy_from_slice(&[b'Q', b'F', b'I', 0xfb, 0, 0, 0, version]);
        bytes[20..24].copy_from_slice(&[0, 0, 0, bits]);
        check(&bytes, size);
    }

    #[test]
    fn a_good_header_with_any_bytes_changed_is_refused_or_holds(
        changes in prop::collection::vec((0..600_usize, any::<u8>()), 1..6),
    ) {
        let mut bytes = GOOD.to_vec();
        for (at, byte) in changes {
            bytes[at % GOOD.len()] = byte;
        }
        check(&bytes, 1 << 20);
    }
}

/// A header of 1 MiB with a backing file, as the specification has it.
const GOOD: &[u8] = &{
    let mut bytes = [0; 600];
    let parts: [(usize, &[u8]); 12] = [
        (0, b"QFI\xfb\0\0\0\x03"),
        (14, &[2, 0]), // backing_file_offset
        (19, &[4]),    // backing_file_size
        (23, &[16]),   // cluster_bits
        (29, &[16]),   // size
        (39, &[1]),    // l1_size
        (45, &[3]),    // l1_table_offset
        (53, &[1]),    // refcount_table_offset
        (59, &[1]),    // refcount_table_clusters
        (99, &[4]),    // refcount_order
        (103, &[104]), // header_length
        (512, b"base"),
    ];
    let mut i = 0;
    while i < parts.len() {
        let (at, from) = parts[i];
        let mut j = 0;
        while j < from.len() {
            bytes[at + j] = from[j];
            j += 1;
        }
        i += 1;
    }
    bytes
};

#[test]
fn the_header_that_is_changed_is_good() {
    let header = Header::parse(GOOD, 1 << 20).unwrap();
    assert_eq!((header.size, header.l1_table), (1 << 20, 0x30000..0x30008));
    assert_eq!(header.backing.unwrap().name, "base");
}

fn check(bytes: &[u8], file_size: u64) {
    assert!((512..=2 << 20).contains(&Header::wanted(bytes)));
    let header = match Header::parse(bytes, file_size) {
        Ok(header) => header,
        Err(reason) => {
            // In words.
            assert!(!reason.to_string().contains('{'), "{reason}");
            return;
        }
    };
    assert!((512..=2 << 20).contains(&header.cluster_size()));
    assert!(header.size > 0 && header.size.is_multiple_of(512));
    for table in [&header.l1_table, &header.refcount_table] {
        assert!(table.start >= header.cluster_size() && table.start < table.end);
        assert!(table.end <= file_size && table.start.is_multiple_of(header.cluster_size()));
    }
    let covered = (header.l1_table.end - header.l1_table.start) / 8;
    let covered = u128::from(covered) << (2 * header.cluster_bits - 3);
    assert!(covered >= u128::from(header.size));
}
