//! Directories that are read, past the library: that looks each name up, only to
//! say its number.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuse_backend_rs::api::filesystem::{DirEntry, Entry};
use nix::errno::Errno;
use vmm_core::sys::{Name, read_names};

use super::link;
use super::session::Session;

/// A directory that is read; its position is whoever's that has the lock.
type Folder = Arc<Mutex<File>>;

/// What is read of a share.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// By the handle: the directory, and what it is read by since it was first read.
    open: HashMap<u64, (u64, Option<Folder>)>,
    /// The directory that was last read without a handle.
    last: Option<(u64, Folder)>,
}

impl Folders {
    /// `inode` was opened as `handle`.
    pub(super) fn add(&mut self, handle: u64, inode: u64) {
        self.open.insert(handle, (inode, None));
    }

    /// `handle` was closed; returns whether it had a second descriptor.
    pub(super) fn remove(&mut self, handle: u64) -> bool {
        self.open.remove(&handle).is_some_and(|(_, folder)| folder.is_some())
    }
}

impl Session {
    pub(super) fn folders(&self) -> MutexGuard<'_, Folders> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the directory `inode`, which is in use, is read by. `None` if it is not
    /// open as `handle`, or can only be read by the library: it has no path any
    /// more or one that is too long, or there are too many handles.
    pub(super) fn folder(&self, inode: u64, handle: u64) -> Option<Folder> {
        let mut folders = self.folders();
        let open = || {
            let file = link::open(&self.files, inode, libc::O_DIRECTORY);
            file.ok().map(|file| Arc::new(Mutex::new(file)))
        };
        if handle == 0 && self.read_only {
            let last = folders.last.take().filter(|(last, _)| *last == inode);
            folders.last = last.or_else(|| Some((inode, open()?)));
            return folders.last.as_ref().map(|(_, folder)| Arc::clone(folder));
        }
        let (_, folder) = folders.open.get_mut(&handle).filter(|(of, _)| *of == inode)?;
        if folder.is_none() {
            self.take_handle().ok()?;
            *folder = open();
            if folder.is_none() {
                self.drop_handle();
            }
        }
        folder.clone()
    }

    /// Does what [`Session::read_directory`] says, by `folder`.
    pub(super) fn read_folder(
        &self,
        inode: u64,
        folder: &Mutex<File>,
        (offset, size): (u64, u32),
        with_inodes: bool,
        take: &mut dyn FnMut(DirEntry<'_>, Option<Entry>) -> bool,
    ) -> io::Result<()> {
        let mut buffer = vec![0; usize::try_from(size).map_err(|_| Errno::EINVAL)?];
        let mut offset = offset;
        loop {
            let names: Vec<Name<'_>> = {
                let mut file = folder.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(offset))?;
                read_names(&*file, &mut buffer)?.collect()
            };
            let Some(last) = names.last() else { return Ok(()) };
            offset = last.next;
            let mut has_any = false;
            // The guest knows the way up.
            for name in names.iter().filter(|name| ![c".", c".."].contains(&name.name)) {
                let Some(entry) = self.found(inode, name, with_inodes) else { continue };
                has_any = true;
                let found = entry.map(|entry| entry.inode);
                if !take(listed(name), entry) {
                    found.into_iter().for_each(|inode| self.forget(inode, 1));
                    break;
                }
            }
            // An answer without a name would be the end.
            if has_any {
                return Ok(());
            }
        }
    }

    /// What the guest is told of `name`, if it is `wanted` and can be told; `None`
    /// if there is none any more.
    fn found(&self, parent: u64, name: &Name<'_>, wanted: bool) -> Option<Option<Entry>> {
        if !wanted {
            return Some(None);
        }
        match self.lookup(parent, name.name) {
            Ok(entry) => Some(Some(entry)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => None,
            Err(_) => Some(None),
        }
    }
}

fn listed<'b>(name: &Name<'b>) -> DirEntry<'b> {
    DirEntry {
        ino: name.inode,
        offset: name.next,
        type_: name.kind.into(),
        name: name.name.to_bytes(),
    }
}
