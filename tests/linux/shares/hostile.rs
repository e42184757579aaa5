//! Guests that want more than they were given, and hosts that change what
//! they gave.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use testing::{Guest, USER, in_lab, kernel, patiently};

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
fn a_guest_knows_far_more_files_than_there_are_descriptors() {
    if !in_lab() {
        // Only root gets its descriptors back.
        return;
    }
    patiently(|| {
        let place = tempfile::tempdir().unwrap();
        for n in 0..800 {
            fs::write(place.path().join(n.to_string()), n.to_string()).unwrap();
        }
        chown(place.path(), Some(USER), Some(USER)).unwrap();
        let script = mounted(
            "
            files know /mnt 800
            cd /mnt
            echo first=$(cat * | wc -c)
            echo again=$(cat * | wc -c)
            mv 7 moved && ls >/dev/null && [ $(cat moved) = 7 ] || say moved
            exec 9<8 && rm 8 && cat * >/dev/null && [ $(cat <&9) = 8 ] || say removed
            echo names=$(ls | wc -l)",
        );
        let guest = Guest::linux_with_programs(&kernel(MINIMAL), &["files"], &script);
        let guest = guest.append("quiet").unprivileged().arg("--share");
        let guest = guest.arg(format!("t={}", place.path().display()));
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(1000), 1000).unwrap();
        let running = guest.spawn();
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        let outcome = running.wait();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("failed"), [""; 0], "{outcome}");
        assert_eq!((report.number("known"), report.one("refused")), (800, "nothing"), "{outcome}");
        let bytes = (0..800).map(|n: u32| n.to_string().len() as u64).sum::<u64>();
        assert_eq!([report.number("first"), report.number("again")], [bytes; 2], "{outcome}");
        assert_eq!(report.number("names"), 799, "{outcome}");
        // Half of 1000 are for the rest, and of the others a quarter.
        let said =
            "kiln: warn: --share: a guest can open only 125 files at once, as ulimit -Hn is 1000";
        assert!(outcome.stderr.contains(said), "{outcome}");
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
