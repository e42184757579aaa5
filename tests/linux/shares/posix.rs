//! What programs expect of files, in a few words: `resources/posix` tries far more of
//! them, with pjdfstest and fsx, which are built first.

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use testing::{Guest, TRANSPORTS, USER, kernel, patiently, tools};

use super::mounted;
use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

/// A guest with the program `files`.
fn guest(path: &Path, script: &str) -> Guest {
    Guest::linux_with_programs(&kernel(MINIMAL), &["files"], &mounted(script))
        .append("quiet")
        .cpus(2)
        .arg("--share")
        .arg(format!("t={}", path.display()))
}

#[test]
fn names_links_modes_times_directories_and_locks_are_as_posix_has_them() {
    patiently(|| {
        for unprivileged in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let guest = guest(place.path(), "files posix /mnt");
            let guest = if unprivileged {
                chown(place.path(), Some(USER), Some(USER)).unwrap();
                guest.unprivileged()
            } else {
                guest
            };
            let outcome = guest.run();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert_eq!(report.all("failed"), [""; 0], "{outcome}");
            assert_eq!(report.one("done"), "posix", "{outcome}");
            assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        }
    });
}

#[test]
fn a_file_written_in_every_way_is_what_it_should_be() {
    patiently(|| {
        for (transport, seed) in TRANSPORTS.into_iter().zip([1, 2]) {
            let place = tempfile::tempdir().unwrap();
            let script = format!("files exercise /mnt {seed} 1000; cp /mnt/exercise /mnt/copy");
            let outcome = guest(place.path(), &script).transport(transport).run();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert_eq!(report.all("failed"), [""; 0], "{outcome}");
            assert_eq!(report.one("done"), "exercise", "{outcome}");
            let read = |name: &str| fs::read(place.path().join(name)).unwrap();
            assert!(read("exercise") == read("copy"));
        }
    });
}

/// Has fio write files in pieces of all sizes, from two processors at a time,
/// and read them back.
const VERIFY: &str = "
    mkdir /tools
    mount -t ext4 -o ro /dev/vda /tools || say tools
    for folder in dev proc sys; do mount --bind /$folder /tools/$folder; done
    mount -t tmpfs tmpfs /tools/tmp && mkdir /tools/tmp/share
    mount --bind /mnt /tools/tmp/share
    for engine in psync mmap; do
        chroot /tools /bin/fio --name=$engine --directory=/tmp/share --thread --numjobs=2 \\
            --size=8M --rw=randwrite --bsrange=4k-64k --blockalign=4096 --ioengine=$engine \\
            --fsync=64 --verify=crc32c --verify_fatal=1 --random_generator=lfsr >/tmp/fio 2>&1 ||
            { cat /tmp/fio; say fio $engine; }
    done";

#[test]
fn fio_reads_back_what_it_wrote() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let module = kernel("debian/cloud/modules/kernel/drivers/block/virtio_blk.ko.xz");
        let script = format!("insmod /modules/virtio_blk.ko\n{}", mounted(VERIFY));
        // Debian's kernel: fio needs System V's shared memory.
        let guest = Guest::linux_with_modules(&kernel("debian/cloud/vmlinux"), &[module], &script);
        let guest = guest.append("quiet").cpus(2).disk(&tools(), ",readonly");
        let outcome = guest.arg("--share").arg(format!("t={}", place.path().display())).run();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).all("failed"), [""; 0], "{outcome}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 4);
    });
}
