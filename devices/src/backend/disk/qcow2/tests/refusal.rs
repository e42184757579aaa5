use std::os::unix::fs::FileExt;

use super::*;
use crate::backend::disk::{DiskError, Format, RawDisk, open};

const PLAIN: &str = "create -q -f qcow2 disk.qcow2 1M";

/// Why an image made so, with these bytes put into it, is refused.
fn refusal_of(create: &str, patches: &[(u64, &[u8])]) -> String {
    let images = Images::new();
    images.qemu_img(create);
    let file = fs::OpenOptions::new().write(true).open(images.path("disk.qcow2")).unwrap();
    for (at, bytes) in patches {
        file.write_all_at(bytes, *at).unwrap();
    }
    // What cannot be read cannot be written either, and the other way round.
    let message = images.refusal("disk.qcow2", OpenOptions::default());
    assert_eq!(images.refusal("disk.qcow2", OpenOptions::read_only()), message);
    message
}

#[test]
fn features_that_are_not_supported_are_named() {
    // Not made by qemu-img, which for that needs a processor of even speed.
    assert!(refusal_of(PLAIN, &[(32, &[0, 0, 0, 2])]).contains("is encrypted, which is not"));
    let says = |create: &str, what: &str| {
        let message = refusal_of(create, &[]);
        assert!(message.starts_with(&format!("disk image disk.qcow2 {what}")), "{message}");
    };
    says(
        "create -q -f qcow2 -o data_file=data.raw disk.qcow2 1M",
        "keeps its data in an external data file",
    );
    says(
        "create -q -f qcow2 -o compression_type=zstd disk.qcow2 1M",
        "has the compression type zstd",
    );
    says("create -q -f qcow2 -o extended_l2=on disk.qcow2 1M", "has extended L2 entries");
}

#[test]
fn images_that_are_not_in_order_are_refused_with_the_remedy() {
    assert_eq!(
        refusal_of(PLAIN, &[(79, &[1])]),
        "disk image disk.qcow2 was not closed properly by whoever wrote it; \
         `qemu-img check -r all` repairs it"
    );
    assert!(refusal_of(PLAIN, &[(79, &[2])]).contains("is marked as corrupt"));
    assert_eq!(
        refusal_of(PLAIN, &[(72, &[0x80])]),
        "disk image disk.qcow2 has the incompatible feature 63 (it has no name), \
         which is not supported"
    );
    // The image's own table of names says what its bits mean.
    let names = [&[0_u8, 63][..], b"time travel"].concat();
    assert!(refusal_of(PLAIN, &[(72, &[0x80]), (120, &names)]).contains("63 (time travel"));
    assert!(refusal_of(PLAIN, &[(4, &[0, 0, 0, 4])]).contains("is qcow2 version 4;"));
    assert!(refusal_of(PLAIN, &[(0, b"x")]).contains("has no qcow2 header; it may be a raw"));
    let damage: [(u64, &[u8]); 6] = [
        (20, &[0, 0, 0, 60]), // cluster_bits
        (24, &[0xff; 8]),     // size
        (36, &[0; 4]),        // l1_size
        (40, &[0; 8]),        // l1_table_offset
        (48, &[0x7f; 8]),     // refcount_table_offset
        (100, &[0, 0, 0, 8]), // header_length
    ];
    for patch in damage {
        let message = refusal_of(PLAIN, &[patch]);
        assert!(message.contains("has a damaged qcow2 header: "), "{message}");
    }
}

#[test]
fn an_image_with_bitmaps_is_read_but_not_written() {
    let images = Images::new();
    images.qemu_img(PLAIN);
    images.qemu_img("bitmap --add disk.qcow2 changes");
    let message = images.refusal("disk.qcow2", OpenOptions::default());
    assert!(message.contains("has persistent bitmaps, which writing would spoil"), "{message}");
    let before = fs::read(images.path("disk.qcow2")).unwrap();
    drop(Qcow2Disk::open(&images.path("disk.qcow2"), OpenOptions::read_only()).unwrap());
    assert!(before == fs::read(images.path("disk.qcow2")).unwrap());
}

#[test]
fn backing_files_that_cannot_be_are_refused() {
    let images = Images::new();
    let backing = |name: &str, format: &str| {
        images.qemu_img(&format!("create -q -f qcow2 -u -b {name} -F {format} disk.qcow2 1M"));
        images.refusal("disk.qcow2", OpenOptions::default())
    };
    assert_eq!(
        backing("gone", "raw"),
        "backing file gone of disk image disk.qcow2 cannot be used: \
         disk image gone does not exist"
    );
    assert!(backing("gone", "vmdk").contains("a backing file of format 'vmdk'; raw and qcow2"));
    assert!(backing("nbd://there/x", "raw").contains("'nbd://there/x', which is not the path"));
    images.write("base", &[0; 512]);
    assert!(backing("base", "qcow2").ends_with(
        "disk image base has no qcow2 header; it may be a \
                                               raw image (`format=raw`)"
    ));
    // An extension of another kind where the backing file's format was.
    images.qemu_img("create -q -f qcow2 -b base -F raw disk.qcow2");
    let bytes = fs::read(images.path("disk.qcow2")).unwrap();
    let at = bytes.windows(4).position(|b| b == [0xe2, 0x79, 0x2a, 0xca]).unwrap();
    images.write("disk.qcow2", &[&bytes[..at], &[1], &bytes[at + 1..]].concat());
    assert_eq!(
        images.refusal("disk.qcow2", OpenOptions::default()),
        "disk image disk.qcow2 does not say which format its backing file 'base' has; \
         `qemu-img rebase -u -F raw -b` or `-F qcow2 -b` and that name record it"
    );
}

#[test]
fn chains_end_and_do_not_turn_back() {
    let images = Images::new();
    images.qemu_img(PLAIN);
    images.qemu_img("rebase -u -b disk.qcow2 -F qcow2 disk.qcow2");
    let itself = "disk image disk.qcow2 is a backing file of itself";
    assert_eq!(images.refusal("disk.qcow2", OpenOptions::default()), itself);
    fs::copy(images.path("disk.qcow2"), images.path("other.qcow2")).unwrap();
    images.qemu_img("rebase -u -b other.qcow2 -F qcow2 disk.qcow2");
    // By another name for the first.
    std::os::unix::fs::symlink(images.path("disk.qcow2"), images.path("link")).unwrap();
    images.qemu_img("rebase -u -b link -F qcow2 other.qcow2");
    let message = images.refusal("disk.qcow2", OpenOptions::read_only());
    assert!(message.ends_with("disk image other.qcow2 is a backing file of itself"), "{message}");

    images.qemu_img("create -q -f qcow2 0 1M");
    for i in 1..=17 {
        images.qemu_img(&format!("create -q -f qcow2 -u -b {} -F qcow2 {i} 1M", i - 1));
    }
    drop(images.open("16"));
    assert_eq!(
        images.refusal("17", OpenOptions::default()),
        "disk image 17 has more than 16 backing files behind one another"
    );
}

#[test]
fn a_backing_file_is_looked_for_where_the_image_is() {
    let images = Images::new();
    fs::create_dir(images.path("sub")).unwrap();
    images.write("base", &[7; 1024]);
    images.qemu_img("create -q -f qcow2 -b ../base -F raw sub/disk.qcow2");
    let disk = images.open("sub/disk.qcow2");
    let mut bytes = [0; 1024];
    read(&disk, &mut bytes, 0);
    assert_eq!(bytes, [7; 1024]);
}

#[test]
fn an_image_and_what_is_behind_it_are_locked() {
    let images = Images::new();
    images.write("base", &[0; 512]);
    images.qemu_img("create -q -f qcow2 -b base -F raw disk.qcow2");
    images.qemu_img("create -q -f qcow2 -b base -F raw other.qcow2");
    let disk = images.open("disk.qcow2");
    // Others that only read the backing file may.
    drop(images.open("other.qcow2"));
    drop(RawDisk::open(&images.path("base"), OpenOptions::read_only()).unwrap());
    let written = RawDisk::open(&images.path("base"), OpenOptions::default());
    assert!(written.unwrap_err().to_string().contains("in use by this same run"));
    for options in [OpenOptions::default(), OpenOptions::read_only()] {
        assert!(images.refusal("disk.qcow2", options).contains("in use by this same run"));
    }
    let taken = ["snapshot", "-c", "no", "disk.qcow2"];
    let taken = qemu_img_output(&taken, images.dir.path());
    assert!(String::from_utf8_lossy(&taken.stderr).contains("lock"), "{taken:?}");
    drop(disk);
    let reader = || Qcow2Disk::open(&images.path("disk.qcow2"), OpenOptions::read_only()).unwrap();
    drop([reader(), reader()]);
}

#[test]
fn an_image_is_qcow2_if_it_is_said_or_name_and_header_agree() {
    let images = Images::new();
    images.qemu_img(PLAIN);
    fs::copy(images.path("disk.qcow2"), images.path("disk.img")).unwrap();
    images.write("raw.QCOW2", &[0; 512]);
    let size = |name: &str, format| {
        open(&images.path(name), format, OpenOptions::read_only()).map(|disk| disk.geometry().size)
    };
    let file = fs::metadata(images.path("disk.img")).unwrap().len().next_multiple_of(512);
    fs::File::options().write(true).open(images.path("disk.img")).unwrap().set_len(file).unwrap();
    assert_eq!(size("disk.qcow2", None).unwrap(), 1 << 20);
    assert_eq!(size("disk.img", None).unwrap(), file);
    assert_eq!(size("disk.img", Some(Format::Qcow2)).unwrap(), 1 << 20);
    assert_eq!(size("raw.QCOW2", Some(Format::Raw)).unwrap(), 512);
    assert!(matches!(size("raw.QCOW2", None), Err(DiskError::Misnamed { .. })));
    assert!(matches!(size("none.qcow2", None), Err(DiskError::Missing { .. })));
}
