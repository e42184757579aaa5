use std::cmp::Ordering;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use super::*;
use crate::config::kernel::compare_versions;

#[test]
fn versions_order_by_number() {
    let ordered = ["6.1.0-9-amd64", "6.1.0-10-amd64", "6.9.0", "6.10.0-rc1", "6.10.0", "6.10.1"];
    for (i, a) in ordered.iter().enumerate() {
        for (j, b) in ordered.iter().enumerate() {
            assert_eq!(compare_versions(a, b), i.cmp(&j), "{a} and {b}");
        }
    }
}

#[test]
fn the_newest_kernel_is_taken_and_folders_are_not() {
    let boot = tempfile::tempdir().unwrap();
    for name in ["vmlinuz-6.9.0", "vmlinuz-6.10.0", "initrd.img-7.0.0", "vmlinux-8.0"] {
        fs::write(boot.path().join(name), "x").unwrap();
    }
    fs::create_dir(boot.path().join("vmlinuz-9.0")).unwrap();
    assert_eq!(newest_kernel(boot.path()), Ok(boot.path().join("vmlinuz-6.10.0")));
}

#[test]
fn a_kernel_that_only_root_can_read_is_named_with_what_helps() {
    let boot = tempfile::tempdir().unwrap();
    fs::set_permissions(boot.path(), Permissions::from_mode(0o755)).unwrap();
    let (old, new) = (boot.path().join("vmlinuz-6.1"), boot.path().join("vmlinuz-6.2"));
    for path in [&old, &new] {
        fs::write(path, "x").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o0)).unwrap();
    }
    let newest = || {
        // Takes this thread's rights over files away, if it is root's.
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
        newest_kernel(boot.path())
    };
    let error = thread::scope(|scope| scope.spawn(newest).join()).unwrap().unwrap_err();
    let path = new.display();
    assert_eq!(
        error.to_string(),
        format!(
            "no --kernel was given and {path} cannot be read by this user: run `sudo chmod +r \
             {path}`, or give a kernel with --kernel"
        )
    );

    fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
    let found = thread::scope(|scope| scope.spawn(newest).join()).unwrap();
    assert_eq!(found, Ok(old), "the newest that can be read");
}

#[test]
fn no_kernel_says_what_was_looked_for() {
    let error = newest_kernel(Path::new("/nowhere")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no --kernel was given and there is no /nowhere/vmlinuz-* to take instead"
    );
}

proptest! {
    #[test]
    fn versions_are_totally_ordered(a in "[0-9a-c.~-]{0,8}", b in "[0-9a-c.~-]{0,8}", c in "[0-9a-c.~-]{0,8}") {
        prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
        if compare_versions(&a, &b) != Ordering::Greater && compare_versions(&b, &c) != Ordering::Greater {
            prop_assert_ne!(compare_versions(&a, &c), Ordering::Greater);
        }
    }
}
