//! Directories that are read while things happen to them.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::*;

impl Mount {
    fn open_directory(&mut self, node: u64) -> u64 {
        let open = self.call(Opcode::Opendir, node, &[0; 8]);
        // Where nothing is written, it needs no handle.
        open.map_or(0, |open| object::<OpenOut>(&open).fh)
    }

    /// One answer: names, and the numbers that they are listed with.
    fn names(&mut self, node: u64, fh: u64, offset: u64) -> Result<Vec<(String, u64, u64)>, i32> {
        let args = ReadIn { fh, offset, size: 300, ..ReadIn::default() };
        let bytes = self.call(Opcode::Readdir, node, args.as_slice())?;
        let (mut rest, mut names) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let (head, behind) = rest.split_at(size_of::<Dirent>());
            let Dirent { ino, off, namelen, .. } = object(head);
            let name = &behind[..usize::try_from(namelen).unwrap()];
            names.push((String::from_utf8(name.to_vec()).unwrap(), ino, off));
            rest = &rest[(head.len() + name.len()).next_multiple_of(8)..];
        }
        Ok(names)
    }

    /// All names from `offset` on.
    fn all(&mut self, node: u64, fh: u64, mut offset: u64) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let names = self.names(node, fh, offset).unwrap();
            let Some((.., next)) = names.last() else { return all };
            offset = *next;
            all.extend(names.into_iter().map(|(name, ..)| name));
        }
    }
}

/// A mount with a directory `dir` of files `0` to `29`, and what that is known as.
fn mount(read_only: bool) -> (Mount, u64) {
    let mut mount = Mount::new(read_only);
    let path = mount.place.path().join("dir");
    fs::create_dir(&path).unwrap();
    for number in 0..30 {
        fs::write(path.join(number.to_string()), "").unwrap();
    }
    let node = mount.lookup(ROOT, "dir").unwrap().nodeid;
    (mount, node)
}

#[test]
fn names_are_listed_with_the_numbers_that_their_files_have() {
    for read_only in [false, true] {
        let (mut mount, dir) = mount(read_only);
        let fh = mount.open_directory(dir);
        for (name, number, _) in mount.names(dir, fh, 0).unwrap() {
            let path = mount.place.path().join("dir").join(&name);
            assert_eq!(number, fs::metadata(path).unwrap().ino(), "{name}");
            assert_eq!(number, mount.lookup(dir, &name).unwrap().attr.ino);
        }
    }
}

#[test]
fn a_directory_is_read_on_wherever_the_host_moves_it() {
    for read_only in [false, true] {
        let (mut mount, dir) = mount(read_only);
        let fh = mount.open_directory(dir);
        let first = mount.names(dir, fh, 0).unwrap();
        let path = mount.place.path().to_owned();
        fs::rename(path.join("dir"), path.join("other")).unwrap();
        fs::create_dir(path.join("dir")).unwrap();
        let rest = mount.all(dir, fh, first.last().unwrap().2);
        assert_eq!(first.len() + rest.len(), 30);
        // Another is read in between.
        let root = mount.open_directory(ROOT);
        assert_eq!(mount.all(ROOT, root, 0).len(), 2);
        assert_eq!(mount.all(dir, fh, 0).len(), 30);
    }
}

#[test]
fn a_handle_reads_its_own_directory_until_it_is_closed() {
    let (mut mount, dir) = mount(false);
    let fh = mount.open_directory(dir);
    assert_eq!(mount.names(ROOT, fh, 0), Err(libc::EBADF));
    assert_eq!(mount.all(dir, fh, 0).len(), 30);
    assert_eq!(mount.names(ROOT, fh, 0), Err(libc::EBADF));
    let release = ReleaseIn { fh, ..ReleaseIn::default() };
    mount.call(Opcode::Releasedir, dir, release.as_slice()).unwrap();
    assert_eq!(mount.names(dir, fh, 0), Err(libc::EBADF));
}
