//! Images that somebody damaged, or made for mischief.

use proptest::prelude::*;

use super::*;
use crate::backend::disk::play_qcow2;

/// Small images with all kinds of clusters.
fn images() -> Vec<Vec<u8>> {
    let images = Images::new();
    let half = [vec![7; 20 << 10], vec![0; 44 << 10]].concat();
    images.write("data", &half);
    let made = [
        "convert -f raw -O qcow2 -o cluster_size=512 data disk",
        "convert -f raw -O qcow2 -c -o cluster_size=1024 data disk",
        "convert -f raw -O qcow2 -o cluster_size=512,refcount_bits=1,compat=1.1 data disk",
        "convert -f raw -O qcow2 -o compat=0.10,cluster_size=512 data disk",
    ];
    let mut found: Vec<_> = made
        .iter()
        .map(|make| {
            images.qemu_img(make);
            fs::read(images.path("disk")).unwrap()
        })
        .collect();
    images.qemu_img("snapshot -c one disk");
    found.push(fs::read(images.path("disk")).unwrap());
    found
}

/// A change to an image: at a place that is often an entry of a table.
#[derive(Clone, Debug)]
struct Change {
    at: prop::sample::Index,
    bytes: Vec<u8>,
}

fn change() -> impl Strategy<Value = Change> {
    let entry = (any::<u16>(), 0..4_u8).prop_map(|(cluster, kind)| {
        // To anywhere in the file or past it; as data, shared, zero, compressed.
        let flags = [1 << 63, 0, 1 << 63 | 1, 1 << 62][usize::from(kind)];
        (u64::from(cluster % 256) << 9 | flags).to_be_bytes().to_vec()
    });
    let bytes = prop_oneof![3 => entry, 1 => prop::collection::vec(any::<u8>(), 1..9)];
    (any::<prop::sample::Index>(), bytes).prop_map(|(at, bytes)| Change { at, bytes })
}

#[test]
fn damaged_images_are_refused_or_fail_their_requests() {
    let images = images();
    let cases = std::env::var("PROPTEST_CASES").ok().map_or(200, |cases| cases.parse().unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let changes = (0..images.len(), prop::collection::vec(change(), 1..6));
    let ran = prop::test_runner::TestRunner::new(config).run(&changes, |(which, changes)| {
        let mut image = images[which].clone();
        for Change { at, bytes } in changes {
            let at = at.index(image.len()) & !7;
            let len = bytes.len().min(image.len() - at);
            image[at..at + len].copy_from_slice(&bytes[..len]);
        }
        play_qcow2(&image);
        Ok(())
    });
    ran.unwrap_or_else(|error| panic!("{error}"));
}
