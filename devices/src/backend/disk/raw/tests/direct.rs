use vm_memory::Bytes;

use super::*;

const DIRECT: OpenOptions =
    OpenOptions { read_only: false, cache: CacheMode::Direct, sparse: true };

/// Reads or writes all of `pieces`, which begin anywhere.
fn all(
    pieces: &[VolatileSlice<'_>],
    mut offset: u64,
    step: impl Fn(&[VolatileSlice<'_>], u64) -> io::Result<usize>,
) {
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let moved = step(&[rest], offset).unwrap();
            assert_ne!(moved, 0);
            rest = rest.offset(moved).unwrap();
            offset += u64::try_from(moved).unwrap();
        }
    }
}

/// Transfers of every alignment leave what a model says.
fn check(disk: &RawDisk, backing: &Path) {
    let mut model = fs::read(backing).unwrap();
    let mut memory = vec![0; 64 << 10];
    let aligned = memory.as_ptr().align_offset(4096);
    for (n, (offset, start, lens)) in [
        (0, 0, &[4096][..]),
        (512, 0, &[512]),
        (4096, 1, &[4096]),
        (7680, 512, &[1024, 512, 2048]),
        (3584, 3, &[1024]),
        (12288, 0, &[100, 924, 512, 2560]),
        (512, 7, &[15 << 10]),
    ]
    .into_iter()
    .enumerate()
    {
        let total: usize = lens.iter().sum();
        let bytes: Vec<u8> = (0..total).map(|i| u8::try_from((i * 7 + n) % 251).unwrap()).collect();
        let memory = VolatileSlice::from(&mut memory[aligned + start..]);
        let mut at = 0;
        let pieces: Vec<_> = lens
            .iter()
            .map(|len| {
                at += len;
                memory.subslice(at - len, *len).unwrap()
            })
            .collect();
        memory.write_slice(&bytes, 0).unwrap();
        all(&pieces, offset, |p, at| disk.write_at(p, at));
        model[usize::try_from(offset).unwrap()..][..total].copy_from_slice(&bytes);
        memory.write_slice(&vec![0; total], 0).unwrap();
        all(&pieces, offset, |p, at| disk.read_at(p, at));
        let mut found = vec![0; total];
        memory.read_slice(&mut found, 0).unwrap();
        assert!(found == bytes, "case {n}");
        assert!(fs::read(backing).unwrap() == model, "case {n}");
    }
}

#[test]
fn a_file_is_transferred_to_directly_whatever_the_alignment() {
    let image = image(64 << 10);
    let disk = RawDisk::open(&image.path, DIRECT).unwrap();
    let geometry = disk.geometry();
    assert!([512, 4096].contains(&geometry.memory_align), "{geometry:?}");
    assert_eq!(geometry.block_size, 512);
    assert!(geometry.physical_block_size >= geometry.memory_align);
    check(&disk, &image.path);
    disk.flush().unwrap();
}

#[test]
fn a_device_with_sectors_of_either_size_is_transferred_to_directly() {
    for sector in [512, 4096] {
        let image = image(64 << 10);
        let Some(device) = LoopDevice::new(&image.path, sector) else { return };
        let disk = RawDisk::open(&device.0, DIRECT).unwrap();
        let geometry = disk.geometry();
        assert_eq!((geometry.block_size, geometry.memory_align), (sector, sector));
        assert_eq!(disk.gate().is_some(), sector == 4096);
        check(&disk, &device.0);
    }
}

#[test]
fn only_whole_blocks_lie_in_the_file() {
    let image = image(64 << 10);
    let Some(device) = LoopDevice::new(&image.path, 4096) else { return };
    let disk = RawDisk::open(&device.0, DIRECT).unwrap();
    let kind = |offset, len, access| match disk.place(offset, len, access).unwrap() {
        (Place::File { offset: at, .. }, here) => {
            assert_eq!(at, offset);
            ("file", here)
        }
        (Place::Elsewhere, here) => ("elsewhere", here),
        (Place::Alone, here) => ("alone", here),
        (Place::Zeros, here) => ("zeros", here),
    };
    for (access, misfit) in [(Access::Read, "elsewhere"), (Access::Write, "alone")] {
        assert_eq!(kind(8192, 8192, access), ("file", 8192));
        assert_eq!(kind(8192, 5120, access), ("file", 4096));
        assert_eq!(kind(8192, 512, access), (misfit, 512));
        assert_eq!(kind(8704, 8192, access), (misfit, 3584));
    }
}

/// A filesystem of a device's, while it is mounted.
struct Mount(PathBuf);

impl Mount {
    /// `None`, having said so, where it cannot be made or mounted.
    fn new(device: &Path, at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let run =
            |command: &mut Command| programs::output(command).is_ok_and(|o| o.status.success());
        let is_mounted = run(Command::new("mkfs.ext2").arg("-q").arg(device))
            && run(Command::new("mount").arg(device).arg(&at));
        if !is_mounted {
            eprintln!("skipped: no filesystem can be made and mounted");
        }
        is_mounted.then_some(Self(at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        programs::output(Command::new("umount").arg(&self.0)).unwrap();
    }
}

#[test]
fn an_image_that_ends_within_a_block_of_the_host_is_refused() {
    let image = image(1 << 20);
    let Some(device) = LoopDevice::new(&image.path, 4096) else { return };
    let Some(mount) = Mount::new(&device.0, image._dir.path().join("mount")) else { return };
    let path = mount.0.join("image");
    fs::write(&path, vec![1; (64 << 10) - 512]).unwrap();
    let message = RawDisk::open(&path, DIRECT).unwrap_err().to_string();
    assert!(message.contains("is 65024 bytes, not a multiple of 4096"), "{message}");
    fs::write(&path, vec![1; 64 << 10]).unwrap();
    let disk = RawDisk::open(&path, DIRECT).unwrap();
    assert_eq!((disk.geometry().block_size, disk.geometry().memory_align), (512, 4096));
    check(&disk, &path);
}

#[test]
fn where_there_is_no_direct_transfer_the_remedy_is_named() {
    let path = Path::new("/sys/kernel/uevent_seqnum");
    let options = OpenOptions { read_only: true, ..DIRECT };
    assert_eq!(
        RawDisk::open(path, options).unwrap_err().to_string(),
        "disk image /sys/kernel/uevent_seqnum lies where `cache=direct` is not supported; \
         use `cache=writeback` or move it to another filesystem"
    );
}
