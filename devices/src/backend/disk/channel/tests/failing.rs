//! Hosts that fail, as they do in earnest.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;
use crate::backend::disk::raw::tests::LoopDevice;
use crate::programs;

/// A filesystem with little room, while it is mounted.
struct Small(PathBuf);

impl Small {
    /// `None`, having said so, where it cannot be mounted.
    fn new(at: &Path, size: &str) -> Option<Self> {
        let mount = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"];
        let done = programs::output(Command::new("mount").args(mount).arg(at));
        let is_mounted = done.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("skipped: no tmpfs can be mounted");
        }
        is_mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        programs::output(Command::new("umount").arg("--lazy").arg(&self.0)).unwrap();
    }
}

#[test]
fn a_host_without_room_fails_the_writes_that_need_it() {
    each(|make| {
        let dir = tempfile::tempdir().unwrap();
        let Some(small) = Small::new(dir.path(), "64k") else { return };
        let path = small.0.join("image");
        let file = std::fs::File::create_new(&path).unwrap();
        file.set_len(1 << 20).unwrap();
        let disk = RawDisk::open(&path, OpenOptions::default()).unwrap();
        let mut bench = Bench::new(make, Arc::new(disk));
        bench.ram.write_slice(&[7; 4096], GuestAddress(0x1000)).unwrap();
        for token in 0..DEPTH {
            bench.start(token, Access::Write, &[(0x1000, 4096)], u64::from(token) * 8192);
        }
        let ends = bench.ends(usize::from(DEPTH));
        let (done, failed): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.result.is_ok());
        assert!(!done.is_empty() && !failed.is_empty());
        for end in failed {
            let error = end.result.as_ref().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOSPC));
        }
        for end in done {
            let mut found = [0; 4096];
            file.read_exact_at(&mut found, u64::from(end.token) * 8192).unwrap();
            assert_eq!(found, [7; 4096]);
        }
        bench.run(Operation::Discard { offset: 0, len: 1 << 20 }).unwrap();
        bench.start(0, Access::Write, &[(0x1000, 4096)], 0);
        bench.end().unwrap();
    });
}

#[test]
fn a_device_that_loses_its_medium_fails_the_reads_of_it() {
    each(|make| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("medium");
        let medium = std::fs::File::create_new(&path).unwrap();
        medium.set_len(64 << 10).unwrap();
        let Some(device) = LoopDevice::new(&path, 512) else { return };
        let options = OpenOptions { cache: CacheMode::Direct, ..OpenOptions::default() };
        let disk = RawDisk::open(&device.0, options).unwrap();
        let mut bench = Bench::new(make, Arc::new(disk));
        medium.set_len(4096).unwrap();
        for token in 0..4 {
            bench.start(token, Access::Read, &[(0x1000, 4096)], u64::from(token) * 4096);
        }
        let ends = bench.ends(4);
        assert!(ends[0].result.is_ok());
        for end in &ends[1..] {
            let error = end.result.as_ref().unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EIO));
        }
    });
}
