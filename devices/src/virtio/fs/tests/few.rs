//! Guests that know more files than there are descriptors.

use std::fs;

use super::*;

const FEW: Limits = Limits { inodes: 1000, descriptors: 8, handles: 3 };

/// A mount of folders `0` to `5` with six files each, named for both, as the guest
/// knows them: folder, name and inode. The last are known by reading the folder.
fn crowd(read_only: bool) -> (Mount, Vec<(u64, String, u64)>) {
    let mut mount = Mount::with(read_only, FEW);
    let mut known = Vec::new();
    for folder in 0..6 {
        let path = mount.place.path().join(folder.to_string());
        fs::create_dir(&path).unwrap();
        let parent = mount.lookup(ROOT, &folder.to_string()).unwrap().nodeid;
        for file in 0..6 {
            let name = format!("{folder}{file}");
            fs::write(path.join(&name), &name).unwrap();
            if folder < 5 {
                let node = mount.lookup(parent, &name).unwrap().nodeid;
                known.push((parent, name, node));
            }
        }
        if folder == 5 {
            known.extend(names(&mut mount, parent));
        }
    }
    assert_eq!(known.len(), 36);
    (mount, known)
}

/// What READDIRPLUS tells of `parent`.
fn names(mount: &mut Mount, parent: u64) -> Vec<(u64, String, u64)> {
    let fh = match mount.call(Opcode::Opendir, parent, &[0; 8]) {
        Ok(open) => object::<OpenOut>(&open).fh,
        Err(error) => {
            assert_eq!(error, libc::ENOSYS);
            0
        }
    };
    let args = ReadIn { fh, size: 8000, ..ReadIn::default() };
    let mut bytes = &mount.call(Opcode::Readdirplus, parent, args.as_slice()).unwrap()[..];
    let mut names = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at(size_of::<Direntplus>());
        let head: Direntplus = object(head);
        let len = usize::try_from(head.dirent.namelen).unwrap();
        let name = String::from_utf8(rest[..len].to_vec()).unwrap();
        if !name.starts_with('.') {
            names.push((parent, name, head.entry_out.nodeid));
        }
        bytes =
            &rest[(size_of::<Direntplus>() + len).next_multiple_of(8) - size_of::<Direntplus>()..];
    }
    let _ =
        mount.call(Opcode::Releasedir, parent, ReleaseIn { fh, ..ReleaseIn::default() }.as_slice());
    names
}

fn contents(mount: &mut Mount, node: u64) -> Answered {
    match mount.open(node, libc::O_RDONLY) {
        Ok(handle) => {
            let read = mount.read(node, handle, 0, 100);
            let release = ReleaseIn { fh: handle, ..ReleaseIn::default() };
            mount.call(Opcode::Release, node, release.as_slice()).unwrap();
            read
        }
        // Reading needs no handle.
        Err(libc::ENOSYS) => mount.read(node, 0, 0, 100),
        Err(error) => Err(error),
    }
}

#[test]
fn files_are_what_they_were_however_many_are_known() {
    for read_only in [false, true] {
        let (mut mount, known) = crowd(read_only);
        for (parent, name, node) in known.iter().chain(known.iter().rev()) {
            assert_eq!(contents(&mut mount, *node).unwrap(), name.as_bytes());
            assert_eq!(mount.lookup(*parent, name).unwrap().nodeid, *node);
        }
    }
}

#[test]
fn what_the_guest_moves_is_found_where_it_moved_to() {
    let (mut mount, known) = crowd(false);
    let (folder, name, moved) = known[0].clone();
    let rename = [ROOT.as_slice(), &text(&name), &text("x")].concat();
    assert_eq!(mount.call(Opcode::Rename, folder, &rename), Ok(vec![]));
    let (other, other_name, swapped) = known[35].clone();
    let args = Rename2In { newdir: ROOT, flags: libc::RENAME_EXCHANGE, padding: 0 };
    let rename = [args.as_slice(), &text(&other_name), &text("x")].concat();
    assert_eq!(mount.call(Opcode::Rename2, other, &rename), Ok(vec![]));
    // A folder takes along what is in it.
    let rename = [other.as_slice(), &text("3"), &text("y")].concat();
    assert_eq!(mount.call(Opcode::Rename, ROOT, &rename), Ok(vec![]));
    for (_, name, node) in &known {
        assert_eq!(contents(&mut mount, *node).unwrap(), name.as_bytes());
    }
    assert_eq!(mount.lookup(ROOT, "x").unwrap().nodeid, swapped);
    assert_eq!(mount.lookup(other, &other_name).unwrap().nodeid, moved);
}

#[test]
fn what_is_open_needs_no_name() {
    let (mut mount, known) = crowd(false);
    let (folder, name, node) = known[0].clone();
    let handle = mount.open(node, libc::O_RDWR).unwrap();
    assert_eq!(mount.call(Opcode::Unlink, folder, &text(&name)), Ok(vec![]));
    for (_, name, node) in &known[1..] {
        assert_eq!(contents(&mut mount, *node).unwrap(), name.as_bytes());
    }
    assert_eq!(mount.read(node, handle, 0, 10).unwrap(), name.as_bytes());
    let attributes = mount.call(Opcode::Getattr, node, &[0; 16]).unwrap();
    assert_eq!(object::<AttrOut>(&attributes).attr.nlink, 0);
}

#[test]
fn what_the_host_puts_in_the_place_of_a_file_is_not_that_file() {
    let outside = tempfile::tempdir().unwrap();
    let (mut mount, known) = crowd(true);
    for (folder, way) in [(0, "replace"), (1, "link"), (2, "move")] {
        let path = mount.place.path().join(folder.to_string());
        match way {
            "replace" => {
                fs::write(outside.path().join("new"), "other").unwrap();
                fs::rename(outside.path().join("new"), path.join(format!("{folder}0"))).unwrap();
            }
            "link" => {
                fs::rename(&path, outside.path().join("moved")).unwrap();
                std::os::unix::fs::symlink(outside.path().join("moved"), &path).unwrap();
            }
            _ => fs::rename(&path, mount.place.path().join("elsewhere")).unwrap(),
        }
    }
    for (_, name, node) in &known {
        let expected = match name.as_bytes() {
            b"00" | [b'1' | b'2', _] => Err(libc::ESTALE),
            name => Ok(name.to_vec()),
        };
        assert_eq!(contents(&mut mount, *node), expected, "{name}");
    }
    // A guest's kernel then looks again.
    let folder = mount.lookup(ROOT, "0").unwrap().nodeid;
    let node = mount.lookup(folder, "00").unwrap().nodeid;
    assert_eq!(contents(&mut mount, node).unwrap(), b"other");
    let folder = mount.lookup(ROOT, "elsewhere").unwrap().nodeid;
    assert_eq!(mount.lookup(folder, "20").unwrap().nodeid, known[12].2);
    assert_eq!(contents(&mut mount, known[12].2).unwrap(), b"20");
}
