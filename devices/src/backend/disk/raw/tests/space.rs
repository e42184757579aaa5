use std::os::unix::fs::MetadataExt;

use super::*;

const LEN: usize = 1 << 20;
const SIZE: u64 = 1 << 20;

/// Bytes that a file takes up on its host.
fn allocated(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

/// Whether `range` reads as zeros and everything else as before.
fn zeroed(path: &Path, range: std::ops::Range<usize>) -> bool {
    let mut expected = vec![0x11; LEN];
    expected[range].fill(0);
    fs::read(path).unwrap() == expected
}

#[test]
fn discarded_space_goes_back_to_the_host() {
    let image = image(LEN);
    let disk = open(&image.path, false).unwrap();
    disk.flush().unwrap();
    assert!(disk.geometry().discard_granularity >= 512);
    let before = allocated(&image.path);
    disk.discard(SIZE / 4, SIZE / 2).unwrap();
    assert!(zeroed(&image.path, LEN / 4..LEN * 3 / 4));
    assert!(allocated(&image.path) <= before - SIZE / 2);
    assert_eq!(disk.geometry().size, SIZE);
}

#[test]
fn an_image_that_is_not_sparse_keeps_its_space() {
    let image = image(LEN);
    let options = OpenOptions { sparse: false, ..OpenOptions::default() };
    let disk = RawDisk::open(&image.path, options).unwrap();
    disk.flush().unwrap();
    assert_eq!(disk.geometry().discard_granularity, 0);
    let before = allocated(&image.path);
    disk.discard(0, SIZE).unwrap();
    assert!(zeroed(&image.path, 0..0));
    disk.write_zeroes(0, SIZE / 2, true).unwrap();
    assert!(zeroed(&image.path, 0..LEN / 2));
    disk.flush().unwrap();
    assert!(allocated(&image.path) >= before);
}

#[test]
fn zeroed_space_goes_back_only_if_it_may() {
    let image = image(LEN);
    let disk = open(&image.path, false).unwrap();
    disk.flush().unwrap();
    let before = allocated(&image.path);
    disk.write_zeroes(512, SIZE / 4 - 512, false).unwrap();
    assert!(zeroed(&image.path, 512..LEN / 4));
    disk.flush().unwrap();
    assert!(allocated(&image.path) >= before);
    disk.write_zeroes(512, SIZE / 2 - 512, true).unwrap();
    assert!(zeroed(&image.path, 512..LEN / 2));
    assert!(allocated(&image.path) <= before - SIZE / 4);
}

/// tmpfs makes holes, but has no way to zero without one.
#[test]
fn zeros_are_written_where_the_host_cannot_make_them() {
    if !Path::new("/dev/shm").is_dir() {
        eprintln!("skipped: no tmpfs at /dev/shm");
        return;
    }
    let file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
    fs::write(file.path(), vec![0x11; LEN]).unwrap();
    let disk = open(file.path(), false).unwrap();
    disk.write_zeroes(512, SIZE / 2, false).unwrap();
    assert!(zeroed(file.path(), 512..LEN / 2 + 512));
    assert_eq!(allocated(file.path()), SIZE);
    disk.write_zeroes(0, SIZE / 2, true).unwrap();
    assert!(allocated(file.path()) <= SIZE / 2);
}

#[test]
fn a_device_gives_space_back_and_is_zeroed_at_any_sector() {
    for sector in [512, 4096] {
        for cache in [CacheMode::Writeback, CacheMode::Direct] {
            let image = image(LEN);
            let Some(device) = LoopDevice::new(&image.path, sector) else { return };
            let options = OpenOptions { cache, ..OpenOptions::default() };
            let disk = RawDisk::open(&device.0, options).unwrap();
            assert!(disk.geometry().discard_granularity >= sector);
            disk.flush().unwrap();
            let before = allocated(&image.path);
            disk.discard(512, SIZE / 2 - 1024).unwrap();
            disk.write_zeroes(512, SIZE / 2 - 1024, false).unwrap();
            disk.flush().unwrap();
            assert!(zeroed(&device.0, 512..LEN / 2 - 512), "sectors of {sector}");
            disk.discard(0, SIZE / 2).unwrap();
            assert!(allocated(&image.path) <= before - SIZE / 2, "sectors of {sector}");
        }
    }
}

#[test]
fn a_size_is_looked_at_again_only_when_asked() {
    let image = image(4096);
    let disk = open(&image.path, false).unwrap();
    assert!(!disk.refresh().unwrap());
    let file = fs::OpenOptions::new().write(true).open(&image.path).unwrap();
    for (len, seen) in [(8192, 8192), (8192 + 700, 8704), (1024, 1024), (100, 0)] {
        let before = disk.geometry().size;
        file.set_len(len).unwrap();
        assert_eq!(disk.geometry().size, before);
        assert!(disk.refresh().unwrap());
        assert_eq!(disk.geometry().size, seen);
    }
}

#[test]
fn a_device_that_grew_is_seen_to() {
    let image = image(4096);
    let Some(device) = LoopDevice::new(&image.path, 512) else { return };
    let disk = open(&device.0, false).unwrap();
    fs::OpenOptions::new().write(true).open(&image.path).unwrap().set_len(8192).unwrap();
    let noticed = programs::output(Command::new("losetup").arg("-c").arg(&device.0)).unwrap();
    assert!(noticed.status.success(), "{noticed:?}");
    assert!(disk.refresh().unwrap());
    assert_eq!(disk.geometry().size, 8192);
}

#[test]
fn a_disk_that_is_only_read_offers_no_discard() {
    let image = image(4096);
    assert_eq!(open(&image.path, true).unwrap().geometry().discard_granularity, 0);
}

#[test]
fn an_unsafe_cache_has_nothing_to_flush() {
    let image = image(4096);
    for (cache, is_flushed) in
        [(CacheMode::Writeback, true), (CacheMode::Direct, true), (CacheMode::Unsafe, false)]
    {
        let options = OpenOptions { cache, ..OpenOptions::default() };
        let disk = RawDisk::open(&image.path, options).unwrap();
        assert_eq!(matches!(disk.stable(), Stable::File(_)), is_flushed);
        disk.flush().unwrap();
    }
}
