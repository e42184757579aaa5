//! What guest and host do in a directory that both write to.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use testing::{TRANSPORTS, USER, patiently};

use super::guest;
use crate::POWERED_OFF;
use crate::report::Report;

#[test]
fn what_the_guest_writes_is_on_the_host_and_the_other_way_round() {
    patiently(|| {
        for transport in TRANSPORTS {
            let place = tempfile::tempdir().unwrap();
            let path = |name: &str| place.path().join(name);
            fs::create_dir(path("folder")).unwrap();
            fs::write(path("folder/file"), "of the host").unwrap();
            symlink("folder/file", path("link")).unwrap();
            let script = "
                echo link=$(cat /mnt/link)
                echo made by the guest > /mnt/new || say write
                mkdir /mnt/dir && mv /mnt/new /mnt/dir/moved || say move
                ln /mnt/dir/moved /mnt/second || say hard link
                ln -s nowhere /mnt/dangling || say symlink
                chmod 640 /mnt/second || say chmod
                touch -d '2001-02-03 04:05:06' /mnt/folder/file || say touch
                dd if=/dev/zero of=/mnt/sparse bs=1 count=1 seek=99999999 2>/dev/null || say sparse
                truncate -s 5 /mnt/dir/moved || say truncate
                mkfifo /mnt/fifo || say fifo
                cp /bin/busybox /mnt/busybox && cmp /bin/busybox /mnt/busybox || say copy
                [ $(/mnt/busybox echo runs) = runs ] || say mapping
                mkdir /mnt/gone && rmdir /mnt/gone || say rmdir
                rm /mnt/folder/file || say rm
                [ -e /mnt/gone ] && say still there
                echo names=$(ls /mnt)
                df /mnt >/dev/null || say statfs
                sync";
            let outcome = guest(place.path(), "", script).transport(transport).run();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert_eq!(report.all("failed"), [""; 0], "{outcome}");
            assert_eq!(report.one("link"), "of the host", "{outcome}");
            let names = "busybox dangling dir fifo folder link second sparse";
            assert_eq!(report.one("names"), names, "{outcome}");
            assert_eq!(fs::read_to_string(path("dir/moved")).unwrap(), "made ");
            let (moved, second) = (path("dir/moved").metadata(), path("second").metadata());
            assert_eq!(moved.unwrap().ino(), second.as_ref().unwrap().ino());
            assert_eq!(second.unwrap().mode(), 0o100_640);
            assert_eq!(fs::read_link(path("dangling")).unwrap().to_str(), Some("nowhere"));
            let sparse = path("sparse").metadata().unwrap();
            assert_eq!(sparse.len(), 100_000_000);
            assert!(sparse.blocks() < 10_000, "{} blocks", sparse.blocks());
            assert_eq!(fs::read_dir(path("folder")).unwrap().count(), 0);
        }
    });
}

#[test]
fn the_guest_sees_within_seconds_what_the_host_changes() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "old").unwrap();
        let script = "
            cat /mnt/file; ls /mnt
            echo ready
            until [ \"$(cat /mnt/file)\" = newer ]; do sleep 1; done
            until [ -e /mnt/another ]; do sleep 1; done
            ls /mnt | grep -q another || say names
            echo seen";
        let mut guest = guest(place.path(), "", script).spawn();
        guest.wait_for("ready");
        fs::write(&file, "newer").unwrap();
        File::create(place.path().join("another")).unwrap();
        guest.wait_for("seen");
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).all("failed"), [""; 0], "{outcome}");
    });
}

#[test]
fn an_ordinary_user_shares_what_is_theirs() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::write(path("roots"), "readable").unwrap();
        fs::write(path("secret"), "not readable").unwrap();
        fs::set_permissions(path("secret"), Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(place.path(), Some(USER), Some(USER)).unwrap();
        let script = "
            echo one > /mnt/mine || say write
            mkdir -m 700 /mnt/folder || say mkdir
            mknod /mnt/pipe p || say pipe
            ln /mnt/mine /mnt/second || say hard link
            ln -s mine /mnt/link && [ $(cat /mnt/link) = one ] || say symlink
            (umask 0; echo > /mnt/open); (umask 077; echo > /mnt/closed)
            chmod 4755 /mnt/second || say chmod
            echo two >> /mnt/second || say append
            refuses sh -c 'cat /mnt/secret'
            refuses sh -c 'echo x >> /mnt/roots'
            refuses chown 0:0 /mnt/mine
            refuses mknod /mnt/device c 1 3
            echo roots=$(cat /mnt/roots)";
        let outcome = guest(place.path(), "", script).unprivileged().run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        assert_eq!(report.one("roots"), "readable", "{outcome}");
        for name in ["mine", "folder", "pipe", "link", "second"] {
            let found = path(name).symlink_metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (USER, USER), "{name}");
        }
        let mode = |name: &str| path(name).metadata().unwrap().mode() & 0o7777;
        let modes = ["folder", "open", "closed"].map(mode);
        assert_eq!(modes, [0o700, 0o666, 0o600]);
        // Who writes to a file takes its special rights away.
        assert_eq!(mode("second"), 0o755);
    });
}

#[test]
fn large_files_and_holes_are_as_on_any_file_system() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "x").unwrap();
        let script = "
            fallocate -l 1048576 /mnt/file || say allocate
            echo large=$(stat -c %s /mnt/file)
            dd if=/dev/zero of=/mnt/file bs=1M count=64 conv=fsync 2>/dev/null || say write
            echo 3 > /proc/sys/vm/drop_caches
            cmp -n 67108864 /mnt/file /dev/zero || say read";
        let outcome = guest(place.path(), "", script).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        assert_eq!(report.number("large"), 1 << 20, "{outcome}");
        assert_eq!(path.metadata().unwrap().len(), 64 << 20);
    });
}

#[test]
fn a_full_host_says_so_in_the_guest() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let mount = |words: &[&str]| {
            let status = std::process::Command::new(words[0]).args(&words[1..]).status();
            assert!(status.unwrap().success(), "{words:?}");
        };
        let path = place.path().to_str().unwrap();
        mount(&["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path]);
        let script = "
            dd if=/dev/zero of=/mnt/file bs=64k count=100 2>&1 | grep -q 'No space left' || say room
            rm /mnt/file && echo again > /mnt/file || say again";
        let outcome = guest(place.path(), "", script).run();
        mount(&["umount", path]);
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).all("failed"), [""; 0], "{outcome}");
    });
}

#[test]
fn nothing_waits_for_what_is_no_file_of_bytes() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _listener = UnixListener::bind(path("socket")).unwrap();
        let script = "
            (echo through > /mnt/fifo) & echo got=$(cat /mnt/fifo)
            [ -S /mnt/socket ] || say socket
            refuses sh -c 'cat /mnt/socket'
            rm /mnt/fifo /mnt/socket || say rm";
        // The FIFO's ends meet in the guest: the host's is never opened.
        let outcome = guest(place.path(), "", script).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!((report.all("failed"), report.one("got")), (vec![], "through"), "{outcome}");
    });
}

#[test]
fn a_directory_that_is_removed_takes_its_names_and_no_more() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let shared = place.path().join("shared");
        fs::create_dir(&shared).unwrap();
        let file = File::create_new(shared.join("file")).unwrap();
        file.write_all_at(b"kept", 0).unwrap();
        let script = "
            exec 9</mnt/file
            echo ready
            until ! ls /mnt/file >/dev/null 2>&1; do sleep 1; done
            refuses touch /mnt/another
            echo kept=$(cat <&9)
            echo names=$(ls /mnt | wc -l)";
        let mut guest = guest(&shared, "", script).spawn();
        guest.wait_for("ready");
        fs::remove_dir_all(&shared).unwrap();
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        assert_eq!((report.one("kept"), report.one("names")), ("kept", "0"), "{outcome}");
    });
}
