//! Many queues at one image.

use std::thread;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

const SECTOR: usize = 512;
const QUEUES: usize = 4;
/// What a queue works on, each on its own: each fourth block of this size, so
/// that queues share clusters.
const BLOCK: usize = 4096;
const BLOCKS: usize = 160;

/// Where block `block` of `queue` is on the disk.
fn place_of(queue: usize, block: usize) -> usize {
    (block * QUEUES + queue) * BLOCK
}

/// Works on the blocks of `queue`; returns what must be in them.
fn work(disk: &dyn DiskImage, queue: usize) -> Vec<[u8; BLOCK]> {
    let seed = [u8::try_from(queue).unwrap(); 32];
    let mut rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let mut below = |limit| usize::try_from(rng.next_u32()).unwrap() % limit;
    let mut model = vec![[0xee; BLOCK]; BLOCKS];
    for request in 0..700_usize {
        let block = below(BLOCKS);
        let first = below(BLOCK / SECTOR);
        let last = first + below(BLOCK / SECTOR - first);
        let here = &mut model[block][first * SECTOR..(last + 1) * SECTOR];
        let at = place_of(queue, block) + first * SECTOR;
        let (offset, len) = (u64::try_from(at).unwrap(), u64::try_from(here.len()).unwrap());
        match below(20) {
            0 => disk.flush().unwrap(),
            1 | 2 => {
                disk.write_zeroes(offset, len, request % 2 == 0).unwrap();
                here.fill(0);
            }
            3 => {
                disk.discard(offset, len).unwrap();
                read(disk, here, at);
            }
            4..9 => {
                let mut found = vec![0; here.len()];
                read(disk, &mut found, at);
                assert!(found == here, "request {request} of queue {queue}");
            }
            _ => {
                here.fill(u8::try_from(request % 255).unwrap() + 1);
                write(disk, here, at);
            }
        }
    }
    model
}

fn hold(make: &str) {
    let images = Images::new();
    images.write("base", &vec![0xee; QUEUES * BLOCKS * BLOCK]);
    images.qemu_img(make);
    let disk = images.open("disk");
    let parts: Vec<Vec<_>> = thread::scope(|scope| {
        let disk = &disk;
        let queues: Vec<_> =
            (0..QUEUES).map(|queue| scope.spawn(move || work(disk, queue))).collect();
        queues.into_iter().map(|queue| queue.join().unwrap()).collect()
    });
    drop(disk);
    let blocks: Vec<_> = (0..BLOCKS).flat_map(|i| parts.iter().map(move |part| part[i])).collect();
    images.write("model", &blocks.concat());
    images.qemu_img("check -q -f qcow2 disk");
    images.qemu_img("compare -f raw -F qcow2 model disk");
}

#[test]
fn queues_at_work_at_once_keep_out_of_each_others_way() {
    hold("create -q -f qcow2 -o cluster_size=512 -b base -F raw disk");
    hold("create -q -f qcow2 -b base -F raw disk");
    hold("convert -f raw -O qcow2 -c -o cluster_size=4096 base disk");
    hold("create -q -f qcow2 -o cluster_size=512,compat=0.10 -b base -F raw disk");
}
