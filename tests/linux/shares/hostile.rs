//! Guests that want more than they were given, and hosts that change what
//! they gave.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use testing::{Guest, in_lab, kernel, patiently};

use super::{guest, mounted};
use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

#[test]
fn nothing_outside_is_reached_while_the_host_moves_things_about() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        for (folder, text) in [("shared/real/b", "inside"), ("outside/b", "outside")] {
            fs::create_dir_all(path(folder)).unwrap();
            fs::write(path(folder).join("secret"), text).unwrap();
        }
        symlink(path("outside"), path("shared/link")).unwrap();
        symlink("../outside", path("shared/up")).unwrap();
        let script = mounted(
            "
            [ -e /mnt/link/b/secret ] && say link
            [ -e /mnt/up/b/secret ] && say up
            [ -e /mnt/../outside ] && say dots
            files race /mnt 5",
        );
        let guest = Guest::linux_with_programs(&kernel(MINIMAL), &["files"], &script);
        let guest = guest.append("quiet").arg("--share");
        let guest = guest.arg(format!("t={}", path("shared").display()));
        let is_over = AtomicBool::new(false);
        let outcome = thread::scope(|scope| {
            let (at, real, other) = (path("shared/a"), path("shared/real"), path("shared/aside"));
            let is_over = &is_over;
            scope.spawn(move || {
                // Each in turn is what the guest goes through as `a`.
                while !is_over.load(Ordering::Relaxed) {
                    fs::rename(&real, &at).unwrap();
                    fs::rename(&at, &real).unwrap();
                    symlink("../outside", &other).unwrap();
                    fs::rename(&other, &at).unwrap();
                    fs::remove_file(&at).unwrap();
                }
            });
            let outcome = guest.run();
            is_over.store(true, Ordering::Relaxed);
            outcome
        });
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        assert!(report.number("tries") > 100, "{outcome}");
    });
}

#[test]
fn a_guest_that_knows_too_much_is_refused_and_lets_go() {
    if !in_lab() {
        // Only root gets its descriptors back.
        return;
    }
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        for n in 0..3000 {
            File::create(place.path().join(n.to_string())).unwrap();
        }
        let script = mounted(
            "
            files know /mnt 3000
            cd /mnt; set -- *; cd /; echo names=$#
            echo 3 > /proc/sys/vm/drop_caches
            [ -e /mnt/2999 ] || say again",
        );
        let guest = Guest::linux_with_programs(&kernel(MINIMAL), &["files"], &script);
        let guest = guest.append("quiet").unprivileged().arg("--share");
        let guest = guest.arg(format!("t={},ro", place.path().display()));
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(3000), 3000).unwrap();
        let running = guest.spawn();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let outcome = running.wait();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        // Half of 3000 are for the rest, and of the others three quarters.
        assert!((1000..=1125).contains(&report.number("known")), "{outcome}");
        let said =
            "kiln: warn: --share: a guest can know only 1125 files at once, as ulimit -Hn is 3000";
        assert!(outcome.stderr.contains(said), "{outcome}");
        assert!(report.one("refused").starts_with("Too many open files"), "{outcome}");
        assert_eq!(report.number("names"), 3000, "{outcome}");
    });
}

#[test]
fn a_share_that_is_only_to_be_read_is_only_read() {
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("folder/file"), "kept").unwrap();
        let script = "
            cd /mnt
            for way in read write; do
                refuses touch new
                refuses sh -c 'echo x >> folder/file'
                refuses sh -c ': > folder/file'
                refuses rm folder/file
                refuses mv folder/file folder/other
                refuses mkdir new
                refuses rmdir folder
                refuses ln folder/file second
                refuses ln -s file folder/link
                refuses chmod 777 folder/file
                refuses mkfifo fifo
                refuses truncate -s 0 folder/file
                mount -o remount,rw /mnt
            done
            [ $(cat folder/file) = kept ] || say read
            [ $(ls folder) = file ] || say names";
        let outcome = guest(place.path(), ",ro", script).run();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).all("failed"), [""; 0], "{outcome}");
        assert_eq!(fs::read_to_string(path("folder/file")).unwrap(), "kept");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    });
}
