//! What a command finds: the host's files, directory, user and environment.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use testing::{Guest, busybox, kernel, patiently};

use super::script;
use crate::MINIMAL;

#[test]
fn a_command_finds_the_hosts_world_and_changes_nothing_of_it() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "the host's\n").unwrap();
        let text = "pwd; cat file; echo \"$KILN_WORD.$KILN_SET.$KILN_GONE\"; id -u; \
                    echo changed >file; cat file; echo new >other; rm /etc/passwd; ls /etc/passwd \
                    2>&1; hostname; test -c /dev/null && test -d /proc/self && test -d /sys/bus; \
                    echo fd=$?; : >/tmp/scratch && : >/run/scratch && : >/dev/shm/scratch && \
                    echo places";
        let guest = script(text).directory(folder.path());
        let guest = guest.env("KILN_WORD", "inherited").env("KILN_GONE", "secret");
        let guest = guest.arg("--env").arg("KILN_SET=a b").arg("--env").arg("KILN_GONE");
        let outcome = guest.arg("--name").arg("box").run();
        assert_eq!(outcome.status, 0, "{outcome}");
        let user = nix::unistd::getuid();
        let expected = format!(
            "{}\nthe host's\ninherited.a b.\n{user}\nchanged\nls: cannot access '/etc/passwd': \
             No such file or directory\nbox\nfd=0\nplaces\n",
            folder.path().display()
        );
        assert_eq!(outcome.text(), expected, "{outcome}");
        assert_eq!(fs::read_to_string(folder.path().join("file")).unwrap(), "the host's\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    });
}

#[test]
fn a_writable_directory_is_the_hosts() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let (writable, other) = (folder.path().join("writable"), folder.path().join("other"));
        fs::create_dir_all(&writable).unwrap();
        fs::create_dir_all(&other).unwrap();
        let text = "echo kept >kept; echo lost >../other/lost; echo seen >/mnt/more/seen; ls";
        let guest = script(text).directory(&writable).arg("--rw").arg(".");
        let more = folder.path().join("more");
        fs::create_dir(&more).unwrap();
        let outcome = guest.arg("--share").arg(format!("more={}", more.display())).run();
        assert_eq!((outcome.status, outcome.text().as_str()), (0, "kept\n"), "{outcome}");
        assert_eq!(fs::read_to_string(writable.join("kept")).unwrap(), "kept\n");
        assert_eq!(fs::read_to_string(more.join("seen")).unwrap(), "seen\n");
        assert_eq!(fs::read_dir(&other).unwrap().count(), 0);
    });
}

#[test]
fn another_root_has_its_own_files_only() {
    patiently(|| {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        fs::copy(busybox(), root.path().join("bin/busybox")).unwrap();
        symlink("busybox", root.path().join("bin/sh")).unwrap();
        let text = "pwd; busybox ls /bin; busybox test -e /etc || echo bare";
        let guest = Guest::running(&kernel(MINIMAL), &["sh", "-c", text]);
        let outcome = guest.arg("--root").arg(root.path()).env("PATH", "/bin").run();
        let expected = "/\nbusybox\nsh\nbare\n";
        assert_eq!((outcome.status, outcome.text().as_str()), (0, expected), "{outcome}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "no folder was left there");
    });
}

#[test]
fn an_ordinary_user_stays_one_in_the_guest() {
    if !testing::in_lab() {
        return;
    }
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let text = "id -u; id -g; id -G; echo mine >mine; cat /etc/shadow 2>/dev/null || \
                    echo refused; echo out >/dev/stdout";
        let guest = script(text).directory(folder.path()).arg("--rw").arg(folder.path());
        let outcome = guest.unprivileged().run();
        let expected = "1000\n1000\n1000\nrefused\nout\n";
        assert_eq!((outcome.status, outcome.text().as_str()), (0, expected), "{outcome}");
        assert_eq!(fs::read_to_string(folder.path().join("mine")).unwrap(), "mine\n");
    });
}

#[test]
fn a_directory_that_its_user_cannot_reach_is_told() {
    if !testing::in_lab() {
        return;
    }
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let outcome = script("pwd").directory(folder.path()).unprivileged().run();
        let said = format!(
            "kiln: the command cannot start in {}: Permission denied",
            folder.path().display()
        );
        outcome.expect(126, &said);
    });
}
