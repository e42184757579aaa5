//! The names that a kernel image holds of its own code.

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::time::Instant;

use kiln::symbols::kallsyms;
use testing::{Guest, PATIENCE, kernel, patiently};

use crate::MINIMAL;
use crate::verdicts::{HANGS, hangs, is_idle};

fn contents(name: &str) -> Vec<u8> {
    boot::Kernel::open(kernel(name)).unwrap().contents(Instant::now() + PATIENCE).unwrap()
}

#[test]
fn an_image_holds_the_names_that_its_build_has() {
    let image = contents("minimal/bzImage.gzip");
    for packed in ["xz", "zstd", "lz4"] {
        assert!(contents(&format!("minimal/bzImage.{packed}")) == image, "{packed}");
    }
    let names = Command::new("nm").arg(kernel(MINIMAL)).output().unwrap();
    let names = String::from_utf8_lossy(&names.stdout);
    let built: HashSet<_> = names
        .lines()
        .filter_map(|line| {
            let [address, _, name] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
            Some((u64::from_str_radix(address, 16).ok()?, name))
        })
        .collect();
    for found in [kallsyms(&image), kallsyms(&contents(MINIMAL))] {
        let found = found.unwrap();
        assert!(found.len() > 15_000, "{}", found.len());
        let wrong = found.iter().find(|(address, name)| !built.contains(&(*address, &**name)));
        assert_eq!(wrong, None);
    }
}

#[test]
fn a_guest_that_hangs_is_named_by_its_image_alone() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        // Of all, the one that is unpacked fastest.
        fs::copy(kernel("minimal/bzImage.lz4"), &image).unwrap();
        let outcome = hangs(|| Guest::linux(&image, HANGS), is_idle);
        assert!(is_idle(&outcome), "{outcome}");
    });
}
