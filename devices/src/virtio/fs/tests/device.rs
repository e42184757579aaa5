use std::fs;
use std::num::NonZeroU16;

use vmm_core::event::RequestSender;

use super::*;
use crate::virtio::VirtioDevice;
use crate::virtio::spec::ID_FS;

#[test]
fn the_configuration_has_the_tag_and_how_many_queues_there_are() {
    let place = tempfile::tempdir().unwrap();
    let options =
        FsOptions { tag: Tag::new("files").unwrap(), queues: NonZeroU16::new(3).unwrap() };
    let device = Fs::on_loop(share(place.path(), false, LIMITS), &options).unwrap();
    assert_eq!((device.info().id, device.info().features), (ID_FS, 0));
    assert_eq!((device.info().queue_sizes.len(), device.doorbells().len()), (4, 4));
    let mut config = [0xff; 48];
    device.read_config(0, &mut config);
    assert_eq!(&config[..6], b"files\0");
    assert_eq!(config[5..36], [0; 31]);
    assert_eq!(config[36..40], [3, 0, 0, 0]);
    assert_eq!(config[40..], [0; 8]);
}

#[test]
fn a_tag_has_1_to_36_bytes() {
    for (tag, is_fit) in [("", false), ("a", true), ("a\0b", false), (&"x".repeat(36), true)] {
        assert_eq!(Tag::new(tag).is_some(), is_fit, "{tag:?}");
    }
    assert_eq!(Tag::new(&"x".repeat(37)), None);
}

#[test]
fn a_reset_closes_what_the_guest_had() {
    let mut mount = Mount::new(false);
    fs::write(mount.place.path().join("file"), "x").unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    let handle = mount.open(node, libc::O_RDWR).unwrap();
    mount.guest.start(u64::MAX);
    assert_eq!(mount.lookup(ROOT, "file").map(|entry| entry.nodeid), Err(libc::ENOTCONN));
    mount.init().unwrap();
    assert_eq!(mount.read(node, handle, 0, 10), Err(libc::EBADF));
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    let handle = mount.open(node, libc::O_RDONLY).unwrap();
    assert_eq!(mount.read(node, handle, 0, 10).unwrap(), b"x");
}

/// With threads instead of the loop.
#[test]
fn each_queue_has_a_thread_that_serves_it() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("file"), "x").unwrap();
    let requests = RequestSender::new().unwrap();
    let options = FsOptions { queues: NonZeroU16::new(2).unwrap(), ..options() };
    let share = share(place.path(), false, LIMITS);
    let device = Fs::new(share, &options, "fs0", &requests).unwrap();
    let mut guest = Guest::mmio(device);
    guest.start(u64::MAX);
    let mut mount = Mount { guest, place, last: 0 };
    let init = InitIn { major: 7, minor: 41, max_readahead: 0, flags: u32::MAX };
    let lookup = text("file");
    for (queue, opcode, node, body) in
        [(1, Opcode::Init, 0, init.as_slice()), (2, Opcode::Lookup, ROOT, &lookup)]
    {
        let message = mount.message(opcode as u32, node, body);
        mount.guest.write(REQUEST, &message);
        let len = u32::try_from(message.len()).unwrap();
        let segments = [read_only(REQUEST, len), write_only(ANSWER, ROOM)];
        mount.guest.queues[queue].add(&mount.guest.mem, &segments);
        mount.guest.kick(u32::try_from(queue).unwrap());
        eventually(|| mount.guest.used(queue));
        let header: OutHeader = object(&mount.guest.read(ANSWER, 16));
        assert_eq!((header.error, header.unique), (0, mount.last));
    }
    drop(mount);
    assert_eq!(requests.first(), None);
}
