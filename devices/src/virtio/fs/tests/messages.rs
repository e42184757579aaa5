use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use super::*;
use crate::backend::fs::abi::FsOptions as Flag;

const RDWR: i32 = libc::O_RDWR;

#[test]
fn a_driver_and_the_device_agree_on_a_version() {
    let mut mount = Mount::unmounted(false, LIMITS);
    assert_eq!(mount.call(Opcode::Getattr, ROOT, &[0; 16]), Err(libc::ENOTCONN));
    let out = mount.init().unwrap();
    assert_eq!((out.major, out.minor, out.max_write, out.max_pages), (7, 33, 1 << 20, 256));
    let flags = Flag::from_bits_truncate(out.flags.into());
    assert!(flags.contains(Flag::DO_READDIRPLUS | Flag::AUTO_INVAL_DATA));
    // What is left to the guest: locks, and what may lose data.
    let none = Flag::POSIX_LOCKS | Flag::WRITEBACK_CACHE | Flag::EXPORT_SUPPORT;
    assert!(!flags.intersects(none | Flag::ATOMIC_O_TRUNC | Flag::PERFILE_DAX));
    for (major, minor, answer) in [(7, 26, Err(libc::EPROTO)), (6, 99, Err(libc::EPROTO))] {
        let init = InitIn { major, minor, ..InitIn::default() };
        assert_eq!(mount.call(Opcode::Init, 0, init.as_slice()), answer, "{major}.{minor}");
    }
    let init = InitIn { major: 8, minor: 0, ..InitIn::default() };
    let out: InitOut = object(&mount.call(Opcode::Init, 0, init.as_slice()).unwrap());
    assert_eq!((out.major, out.minor), (7, 33));
}

#[test]
fn a_file_is_made_written_read_and_gone() {
    let mut mount = Mount::new(false);
    let (entry, handle) = mount.create(ROOT, "file", RDWR).unwrap();
    let node = entry.nodeid;
    assert_eq!(mount.write(node, handle, 3, b"hello"), Ok(5));
    let path = mount.place.path().join("file");
    assert_eq!(fs::read(&path).unwrap(), b"\0\0\0hello");
    assert_eq!(mount.read(node, handle, 1, 4).unwrap(), b"\0\0he");
    assert_eq!(mount.read(node, handle, 5, 100).unwrap(), b"llo");
    assert_eq!(mount.read(node, handle, 100, 100).unwrap(), b"");
    let sync = FsyncIn { fh: handle, ..FsyncIn::default() };
    assert_eq!(mount.call(Opcode::Fsync, node, sync.as_slice()), Ok(vec![]));
    let set = SetattrIn { valid: 0x8, size: 4, ..SetattrIn::default() };
    let set = mount.call(Opcode::Setattr, node, set.as_slice()).unwrap();
    assert_eq!(object::<AttrOut>(&set).attr.size, 4);
    let release = ReleaseIn { fh: handle, ..ReleaseIn::default() };
    assert_eq!(mount.call(Opcode::Release, node, release.as_slice()), Ok(vec![]));
    assert_eq!(mount.call(Opcode::Release, node, release.as_slice()), Err(libc::EBADF));
    assert_eq!(mount.read(node, handle, 0, 4), Err(libc::EBADF));
    let rename = [1_u64.as_slice(), &text("file"), &text("other")].concat();
    assert_eq!(mount.call(Opcode::Rename, ROOT, &rename), Ok(vec![]));
    assert_eq!(mount.lookup(ROOT, "file").map(|_| ()), Err(libc::ENOENT));
    assert_eq!(mount.lookup(ROOT, "other").unwrap().nodeid, node);
    assert_eq!(mount.call(Opcode::Unlink, ROOT, &text("other")), Ok(vec![]));
    assert!(!path.exists());
}

#[test]
fn names_of_every_kind_are_made() {
    let mut mount = Mount::new(false);
    let mkdir = MkdirIn { mode: 0o755, umask: 0o022 };
    let body = [mkdir.as_slice(), &text("dir")].concat();
    let dir: EntryOut = object(&mount.call(Opcode::Mkdir, ROOT, &body).unwrap());
    let body = [text("link"), text("/etc/passwd")].concat();
    let link: EntryOut = object(&mount.call(Opcode::Symlink, dir.nodeid, &body).unwrap());
    // It is read, and never followed.
    assert_eq!(mount.call(Opcode::Readlink, link.nodeid, &[]).unwrap(), b"/etc/passwd");
    assert_eq!(mount.open(link.nodeid, libc::O_RDONLY), Err(libc::EBADF));
    assert_eq!(mount.lookup(link.nodeid, "x").map(|_| ()), Err(libc::ENOTDIR));
    let (file, _) = mount.create(dir.nodeid, "file", RDWR).unwrap();
    let body = [file.nodeid.as_slice(), &text("second")].concat();
    let second: EntryOut = object(&mount.call(Opcode::Link, ROOT, &body).unwrap());
    assert_eq!((second.nodeid, second.attr.nlink), (file.nodeid, 2));
    let fifo = MknodIn { mode: libc::S_IFIFO | 0o600, ..MknodIn::default() };
    let body = [fifo.as_slice(), &text("fifo")].concat();
    let fifo: EntryOut = object(&mount.call(Opcode::Mknod, ROOT, &body).unwrap());
    assert_eq!(mount.open(fifo.nodeid, libc::O_RDONLY), Err(libc::EBADF));
    for kind in [libc::S_IFCHR, libc::S_IFBLK] {
        let device = MknodIn { mode: kind | 0o600, rdev: 0x103, ..MknodIn::default() };
        let body = [device.as_slice(), &text("device")].concat();
        assert_eq!(mount.call(Opcode::Mknod, ROOT, &body), Err(libc::EPERM));
    }
    assert_eq!(mount.call(Opcode::Rmdir, ROOT, &text("dir")), Err(libc::ENOTEMPTY));
}

/// The entries of an answer: names, and the inodes if they are there.
fn entries(bytes: &[u8], with_inodes: bool) -> Vec<(String, u64, u64)> {
    let (mut at, mut found) = (0, Vec::new());
    while at < bytes.len() {
        let start = at;
        let mut node = 0;
        if with_inodes {
            node = object::<EntryOut>(&bytes[at..at + size_of::<EntryOut>()]).nodeid;
            at += size_of::<EntryOut>();
        }
        let dirent: Dirent = object(&bytes[at..at + size_of::<Dirent>()]);
        at += size_of::<Dirent>();
        let name = &bytes[at..at + usize::try_from(dirent.namelen).unwrap()];
        found.push((String::from_utf8(name.to_vec()).unwrap(), dirent.off, node));
        at = start + (at - start + name.len()).next_multiple_of(8);
    }
    found
}

#[test]
fn a_directory_is_read_in_parts_with_and_without_its_inodes() {
    for with_inodes in [false, true] {
        let mut mount = Mount::new(false);
        let mut names: Vec<_> = (0..100).map(|n| format!("a file of the name {n:03}")).collect();
        for name in &names {
            fs::write(mount.place.path().join(name), "").unwrap();
        }
        let open = mount.call(Opcode::Opendir, ROOT, &[0; 8]).unwrap();
        let fh = object::<OpenOut>(&open).fh;
        let opcode = if with_inodes { Opcode::Readdirplus } else { Opcode::Readdir };
        let (mut offset, mut found) = (0, Vec::new());
        loop {
            let args = ReadIn { fh, offset, size: 1000, ..ReadIn::default() };
            let bytes = mount.call(opcode, ROOT, args.as_slice()).unwrap();
            assert!(bytes.len() <= 1000);
            let part = entries(&bytes, with_inodes);
            let Some((_, next, _)) = part.last() else { break };
            offset = *next;
            found.extend(part);
        }
        assert!(found.iter().all(|(_, _, node)| (*node != 0) == with_inodes));
        let mut seen: Vec<_> = found.into_iter().map(|(name, ..)| name).collect();
        seen.sort();
        names.sort();
        assert_eq!(seen, names);
    }
}

#[test]
fn requests_and_answers_are_split_anywhere() {
    let mut mount = Mount::new(false);
    fs::write(mount.place.path().join("file"), "0123456789").unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    let handle = mount.open(node, RDWR).unwrap();
    let args = ReadIn { fh: handle, size: 10, ..ReadIn::default() };
    let message_len = u32::try_from(size_of::<InHeader>() + size_of::<ReadIn>()).unwrap();
    for cut in 1..26 {
        let message = mount.message(Opcode::Read as u32, node, args.as_slice());
        mount.guest.write(REQUEST, &message);
        let segments = [
            read_only(REQUEST, cut),
            read_only(REQUEST + u64::from(cut), message_len - cut),
            write_only(ANSWER, cut),
            write_only(ANSWER + u64::from(cut), 26 - cut),
        ];
        assert_eq!(mount.send(&segments).unwrap(), b"0123456789", "{cut}");
    }
}

#[test]
fn data_is_written_from_pieces() {
    let mut mount = Mount::new(false);
    let (entry, fh) = mount.create(ROOT, "file", RDWR).unwrap();
    let args = WriteIn { fh, size: 9, flags: 2, ..WriteIn::default() };
    let body = [args.as_slice(), b"abcdefghi"].concat();
    for cut in 1..89 {
        let message = mount.message(Opcode::Write as u32, entry.nodeid, &body);
        mount.guest.write(REQUEST, &message);
        let segments = [
            read_only(REQUEST, cut),
            read_only(REQUEST + u64::from(cut), 89 - cut),
            write_only(ANSWER, 24),
        ];
        mount.send(&segments).unwrap();
        let path = mount.place.path().join("file");
        assert_eq!(fs::read(&path).unwrap(), b"abcdefghi", "{cut}");
        fs::write(path, "").unwrap();
    }
}

#[test]
fn attributes_of_the_longer_kind_are_set_read_and_listed() {
    let mut mount = Mount::new(false);
    let (entry, _) = mount.create(ROOT, "file", RDWR).unwrap();
    let set = SetxattrIn { size: 5, flags: 0 };
    let body = [set.as_slice(), &text("user.note"), b"value"].concat();
    match mount.call(Opcode::Setxattr, entry.nodeid, &body) {
        // Not every file system of hosts has them.
        Err(libc::EOPNOTSUPP) => return,
        answer => assert_eq!(answer, Ok(vec![])),
    }
    let get = |size| [GetxattrIn { size, padding: 0 }.as_slice(), &text("user.note")].concat();
    let length = mount.call(Opcode::Getxattr, entry.nodeid, &get(0)).unwrap();
    assert_eq!(object::<GetxattrOut>(&length).size, 5);
    assert_eq!(mount.call(Opcode::Getxattr, entry.nodeid, &get(100)).unwrap(), b"value");
    assert_eq!(mount.call(Opcode::Getxattr, entry.nodeid, &get(4)), Err(libc::ERANGE));
    let list = GetxattrIn { size: 1000, padding: 0 };
    let names = mount.call(Opcode::Listxattr, entry.nodeid, list.as_slice()).unwrap();
    assert!(names.split(|byte| *byte == 0).any(|name| name == b"user.note"));
    let name = text("user.note");
    assert_eq!(mount.call(Opcode::Removexattr, entry.nodeid, &name), Ok(vec![]));
    assert_eq!(mount.call(Opcode::Getxattr, entry.nodeid, &get(9)), Err(libc::ENODATA));
}

#[test]
fn an_inode_stays_what_it_was_whatever_becomes_of_its_name() {
    let mut mount = Mount::new(false);
    let path = mount.place.path().join("file");
    fs::write(&path, "first").unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    let handle = mount.open(node, libc::O_RDONLY).unwrap();
    assert_eq!(mount.read(node, handle, 0, 10).unwrap(), b"first");
    let other = mount.lookup(ROOT, "file").unwrap();
    assert_ne!(other.nodeid, node);
    assert_eq!(other.attr.mode & libc::S_IFMT, libc::S_IFLNK);
    assert_eq!(other.attr.ino, path.symlink_metadata().unwrap().ino());
}
