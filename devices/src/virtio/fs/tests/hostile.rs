use std::fs::{self, File};

use super::*;

#[test]
fn names_lead_nowhere_but_into_the_directory() {
    let mut mount = Mount::new(false);
    fs::create_dir(mount.place.path().join("dir")).unwrap();
    let dir = mount.lookup(ROOT, "dir").unwrap().nodeid;
    for parent in [ROOT, dir] {
        for name in ["", ".", "..", "/", "../x", "a/b", "/etc", "dir/.."] {
            let refused = |opcode: Opcode, args: &[u8], mount: &mut Mount| {
                let body = [args, &text(name)].concat();
                assert_eq!(mount.call(opcode, parent, &body), Err(libc::EINVAL), "{name:?}");
            };
            refused(Opcode::Lookup, &[], &mut mount);
            refused(Opcode::Create, &[0; 16], &mut mount);
            refused(Opcode::Mkdir, &[0; 8], &mut mount);
            refused(Opcode::Mknod, &[0; 16], &mut mount);
            refused(Opcode::Unlink, &[], &mut mount);
            refused(Opcode::Rmdir, &[], &mut mount);
            refused(Opcode::Link, dir.as_slice(), &mut mount);
            refused(Opcode::Rename, &[dir.as_slice(), &text("dir")].concat(), &mut mount);
            let symlink = [text(name), text("target")].concat();
            assert_eq!(mount.call(Opcode::Symlink, parent, &symlink), Err(libc::EINVAL));
            let rename = [dir.as_slice(), &text(name), &text("x")].concat();
            assert_eq!(mount.call(Opcode::Rename, parent, &rename), Err(libc::EINVAL));
        }
    }
}

#[test]
fn a_guest_knows_no_more_inodes_than_it_may() {
    let limits = Limits { inodes: 10, descriptors: 8, handles: 3 };
    let mut mount = Mount::with(false, limits);
    for n in 0..20 {
        fs::write(mount.place.path().join(format!("{n:02}")), "").unwrap();
    }
    let known: Vec<_> = (0..10).map(|n| mount.lookup(ROOT, &format!("{n:02}")).unwrap()).collect();
    assert_eq!(mount.lookup(ROOT, "10").map(|_| ()), Err(libc::ENFILE));
    // What is known stays, and a name that is told of again is no more than that.
    assert_eq!(mount.lookup(ROOT, "03").unwrap().nodeid, known[3].nodeid);
    assert_eq!(mount.create(ROOT, "new", libc::O_RDWR).map(|_| ()), Err(libc::ENFILE));
    // A directory still can be read: its entries come without their inodes.
    let open = mount.call(Opcode::Opendir, ROOT, &[0; 8]).unwrap();
    let fh = object::<OpenOut>(&open).fh;
    let args = ReadIn { fh, size: 8000, ..ReadIn::default() };
    let names = mount.call(Opcode::Readdirplus, ROOT, args.as_slice()).unwrap();
    assert!(names.len() > 20 * size_of::<Direntplus>());
    let forget = ForgetIn { nlookup: 1000 };
    mount.tell(Opcode::Forget, known[0].nodeid, forget.as_slice());
    assert!(mount.lookup(ROOT, "10").is_ok());
    assert_eq!(mount.lookup(ROOT, "11").map(|_| ()), Err(libc::ENFILE));
}

#[test]
fn a_guest_opens_no_more_than_it_may() {
    let mut mount = Mount::with(false, Limits { inodes: 10, descriptors: 8, handles: 3 });
    fs::write(mount.place.path().join("file"), "").unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    let handles: Vec<_> = (0..3).map(|_| mount.open(node, libc::O_RDONLY).unwrap()).collect();
    assert_eq!(mount.open(node, libc::O_RDONLY), Err(libc::ENFILE));
    assert_eq!(mount.call(Opcode::Opendir, ROOT, &[0; 8]), Err(libc::ENFILE));
    // Neither does what fails, or closes what is not open, count.
    for _ in 0..10 {
        let release = ReleaseIn { fh: 12345, ..ReleaseIn::default() };
        assert_eq!(mount.call(Opcode::Release, node, release.as_slice()), Err(libc::EBADF));
    }
    let release = ReleaseIn { fh: handles[1], ..ReleaseIn::default() };
    assert_eq!(mount.call(Opcode::Release, node, release.as_slice()), Ok(vec![]));
    assert!(mount.open(node, libc::O_RDONLY).is_ok());
    assert_eq!(mount.open(node, libc::O_RDONLY), Err(libc::ENFILE));
}

#[test]
fn a_guest_that_forgets_and_forgets_loses_nothing_of_others() {
    let mut mount = Mount::new(false);
    fs::write(mount.place.path().join("file"), "").unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    mount.lookup(ROOT, "file").unwrap();
    let forget = |nlookup| ForgetIn { nlookup }.as_slice().to_vec();
    mount.tell(Opcode::Forget, ROOT, &forget(u64::MAX));
    mount.tell(Opcode::Forget, node, &forget(1));
    mount.tell(Opcode::Forget, 12345, &forget(1));
    assert!(mount.open(node, libc::O_RDONLY).is_ok());
    // A batch that promises more than it has.
    let count = BatchForgetIn { count: u32::MAX, dummy: 0 };
    let one = ForgetOne { nodeid: node, nlookup: u64::MAX };
    mount.tell(Opcode::BatchForget, 0, &[count.as_slice(), one.as_slice()].concat());
    assert_eq!(mount.open(node, libc::O_RDONLY), Err(libc::EBADF));
    assert_eq!(mount.lookup(ROOT, "file").unwrap().nodeid, node);
}

#[test]
fn messages_that_are_not_whole_are_refused_and_answered() {
    let mut mount = Mount::new(false);
    for opcode in 1..=47 {
        if [2, 36, 38, 42].contains(&opcode) {
            continue;
        }
        for body in [&[][..], &[0; 3], &[0xff; 7]] {
            // Some have no arguments, and some are not known: none of them hangs.
            let answer = mount.call_number(opcode, ROOT, body);
            assert!(answer.is_ok() || answer.is_err_and(|error| error > 0), "{opcode}");
        }
    }
    // A length that the chain does not have.
    let mut message = mount.message(Opcode::Getattr as u32, ROOT, &[0; 16]);
    for len in [0_u32, 39, 57, u32::MAX] {
        message[..4].copy_from_slice(&len.to_le_bytes());
        mount.guest.write(REQUEST, &message);
        let segments = [read_only(REQUEST, 56), write_only(ANSWER, ROOM)];
        assert_eq!(mount.send(&segments), Err(libc::EINVAL), "{len}");
    }
    // More than any message has.
    let long = vec![b'x'; 80 << 10];
    assert_eq!(mount.call(Opcode::Lookup, ROOT, &long), Err(libc::E2BIG));
    assert!(!mount.guest.is_reset_needed());
}

#[test]
fn an_answer_that_finds_no_room_is_an_error_or_nothing() {
    let mut mount = Mount::new(false);
    let message = mount.message(Opcode::Getattr as u32, ROOT, &[0; 16]);
    mount.guest.write(REQUEST, &message);
    for room in 0..16 + 104 {
        let segments = [read_only(REQUEST, 56), write_only(ANSWER, room)];
        mount.guest.queues[1].add(&mount.guest.mem, &segments);
        mount.guest.kick(QUEUE);
        let len = mount.guest.used(1).unwrap().1;
        assert_eq!(len, if room < 16 { 0 } else { 16 }, "{room}");
        let error = i32::from_le_bytes(mount.guest.read(ANSWER + 4, 4).try_into().unwrap());
        assert!(room < 16 || error == -libc::ERANGE);
    }
    let segments = [read_only(REQUEST, 56), write_only(ANSWER, 120)];
    assert!(mount.send(&segments).is_ok());
}

#[test]
fn reads_and_writes_of_any_size_stay_within_their_buffers() {
    let mut mount = Mount::new(false);
    File::create(mount.place.path().join("file")).unwrap().set_len(1 << 22).unwrap();
    let node = mount.lookup(ROOT, "file").unwrap().nodeid;
    let fh = mount.open(node, libc::O_RDWR).unwrap();
    let args = ReadIn { fh, size: u32::MAX, ..ReadIn::default() };
    let read = mount.call(Opcode::Read, node, args.as_slice()).unwrap();
    assert_eq!(read.len(), 0x2_0000 - 16);
    let args = ReadIn { fh, size: 10, offset: u64::MAX, ..ReadIn::default() };
    assert_eq!(mount.call(Opcode::Read, node, args.as_slice()), Err(libc::EINVAL));
    // A write that promises more than it has.
    let args = WriteIn { fh, size: u32::MAX, ..WriteIn::default() };
    let body = [args.as_slice(), b"x"].concat();
    assert_eq!(mount.call(Opcode::Write, node, &body), Err(libc::EINVAL));
    for whence in [0, 1, 2, 5, u32::MAX] {
        let args = LseekIn { fh, offset: 0, whence, padding: 0 };
        assert_eq!(mount.call(Opcode::Lseek, node, args.as_slice()), Err(libc::EINVAL));
    }
}

#[test]
fn what_the_host_moves_out_takes_nothing_else_with_it() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let mut mount = Mount::new(false);
    let dir = mount.place.path().join("dir");
    fs::create_dir_all(dir.join("inner")).unwrap();
    let node = mount.lookup(ROOT, "dir").unwrap().nodeid;
    let inner = mount.lookup(node, "inner").unwrap().nodeid;
    fs::rename(&dir, outside.path().join("moved")).unwrap();
    for node in [node, inner] {
        for name in ["..", "../..", "../secret"] {
            assert_eq!(mount.lookup(node, name).map(|_| ()), Err(libc::EINVAL));
        }
    }
    assert_eq!(mount.lookup(ROOT, "dir").map(|_| ()), Err(libc::ENOENT));
}
