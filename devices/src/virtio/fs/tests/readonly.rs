use std::fs;

use super::*;

/// What a guest's kernel would not send, but another could.
#[test]
fn nothing_that_writes_gets_past_the_device() {
    let mut mount = Mount::new(true);
    let path = mount.place.path().join("file");
    fs::write(&path, "kept").unwrap();
    let before = path.metadata().unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    let name = |args: &[u8]| [args, &text("new")].concat();
    let link = name(node.as_slice());
    let two = [text("file"), text("new")].concat();
    let rename = [ROOT.as_slice(), &two].concat();
    let rename2 = [Rename2In { newdir: ROOT, ..Rename2In::default() }.as_slice(), &two].concat();
    let write = [WriteIn { size: 1, ..WriteIn::default() }.as_slice(), b"x"].concat();
    let xattr = [SetxattrIn { size: 1, flags: 0 }.as_slice(), &text("user.x"), b"x"].concat();
    let every = [
        (
            Opcode::Setattr,
            node,
            SetattrIn { valid: 0x3f, ..SetattrIn::default() }.as_slice().to_vec(),
        ),
        (Opcode::Symlink, ROOT, two.clone()),
        (Opcode::Mknod, ROOT, name(MknodIn { mode: 0o100_644, ..MknodIn::default() }.as_slice())),
        (Opcode::Mkdir, ROOT, name(MkdirIn { mode: 0o755, umask: 0 }.as_slice())),
        (Opcode::Unlink, ROOT, text("file")),
        (Opcode::Rmdir, ROOT, text("file")),
        (Opcode::Rename, ROOT, rename),
        (Opcode::Rename2, ROOT, rename2),
        (Opcode::Link, ROOT, link),
        (
            Opcode::Create,
            ROOT,
            name(CreateIn { mode: 0o100_644, ..CreateIn::default() }.as_slice()),
        ),
        (Opcode::Write, node, write),
        (
            Opcode::Fallocate,
            node,
            FallocateIn { length: 9, ..FallocateIn::default() }.as_slice().to_vec(),
        ),
        (Opcode::Setxattr, node, xattr),
        (Opcode::Removexattr, node, text("user.x")),
    ];
    for (opcode, node, body) in every {
        assert_eq!(mount.call(opcode, node, &body), Err(libc::EROFS), "{opcode:?}");
    }
    for flags in [
        libc::O_WRONLY,
        libc::O_RDWR,
        libc::O_ACCMODE,
        libc::O_TRUNC,
        libc::O_CREAT,
        libc::O_TMPFILE,
        libc::O_TMPFILE | libc::O_RDWR,
    ] {
        assert_eq!(mount.open(node, flags), Err(libc::EROFS), "{flags:#o}");
        assert_eq!(mount.open(ROOT, flags), Err(libc::EROFS), "{flags:#o}");
    }
    let after = path.metadata().unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
    assert_eq!(fs::read_dir(mount.place.path()).unwrap().count(), 1);
}

#[test]
fn reading_needs_no_handle() {
    let mut mount = Mount::new(true);
    fs::write(mount.place.path().join("file"), "contents").unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    assert_eq!(mount.open(node, libc::O_RDONLY), Err(libc::ENOSYS));
    assert_eq!(mount.call(Opcode::Opendir, ROOT, &[0; 8]), Err(libc::ENOSYS));
    // Whatever flags the guest's file has, the host's has none of them.
    let args = ReadIn { size: 100, flags: u32::MAX, ..ReadIn::default() };
    assert_eq!(mount.call(Opcode::Read, node, args.as_slice()).unwrap(), b"contents");
    let names = mount.call(Opcode::Readdir, ROOT, args.as_slice()).unwrap();
    assert_eq!(names.len(), size_of::<Dirent>() + 8);
}

#[test]
fn what_the_library_does_not_do_is_not_done() {
    let mut mount = Mount::new(true);
    // Copies, mappings, devices' own requests; numbers that are no opcode.
    for opcode in (31..=34).chain([0, 7, 19, 37, 39, 40, 41, 47, 48, 49, 50, 51, 52, u32::MAX]) {
        assert_eq!(mount.call_number(opcode, ROOT, &[0; 64]), Err(libc::ENOSYS), "{opcode}");
    }
}
