//! Replays the fuzz targets' corpora, with no fuzzer and no nightly compiler.

use std::fs;
use std::path::Path;

use devices::backend::console::play_lines;
use devices::backend::disk::play_qcow2;
use devices::backend::net::play_passt;
use devices::backend::vsock::play_greeting;
use devices::legacy::testing::play_ports;
use devices::pci::testing::play_pci;
use devices::pvpanic::play_panics;
use devices::virtio::testing::{
    play_balloon, play_blk, play_console, play_files, play_function, play_mmio, play_net,
    play_net_control, play_rng, play_vsock,
};

fn replay(target: &str, play: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(dir).expect("the corpus is there").flatten().collect();
    assert!(files.len() >= 5, "the corpus of {target} is all there");
    for file in files {
        // Named in the output of a failing test.
        println!("{}", file.path().display());
        play(&fs::read(file.path()).expect("a readable corpus"));
    }
}

#[test]
fn block_device() {
    replay("virtio_blk", play_blk);
}

#[test]
fn network_device() {
    replay("virtio_net", play_net);
}

#[test]
fn network_device_control() {
    replay("virtio_net_ctrl", play_net_control);
}

#[test]
fn entropy_device() {
    replay("virtio_rng", play_rng);
}

#[test]
fn file_system_device() {
    replay("virtio_fs", play_files);
}

#[test]
fn balloon() {
    replay("virtio_balloon", play_balloon);
}

#[test]
fn console() {
    replay("virtio_console", play_console);
}

#[test]
fn lines_of_consoles() {
    replay("console_lines", play_lines);
}

#[test]
fn panic_device() {
    replay("pvpanic", play_panics);
}

#[test]
fn socket_device() {
    replay("virtio_vsock", play_vsock);
}

#[test]
fn clients_of_sockets() {
    replay("vsock_connect", play_greeting);
}

#[test]
fn registers() {
    replay("virtio_mmio", play_mmio);
}

#[test]
fn function() {
    replay("virtio_pci", play_function);
}

#[test]
fn legacy_ports() {
    replay("legacy_ports", play_ports);
}

#[test]
fn pci_bus() {
    replay("pci", play_pci);
}

#[test]
fn qcow2_images() {
    replay("qcow2", play_qcow2);
}

#[test]
fn frames_of_passt() {
    replay("passt_frames", play_passt);
}
