use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder that is there as long as this, and that only its owner sees.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new one, where temporary files belong.
    pub(super) fn new() -> io::Result<Self> {
        let mut turn = 0_u32;
        loop {
            let name = format!("kiln-test-{}-{turn}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                // Left by one that was killed, or set up by somebody else.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => turn += 1,
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::warn!("the folder {} cannot be removed: {error}", self.0.display());
        }
    }
}
