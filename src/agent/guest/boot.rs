use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use super::error::{AgentError, kernel};
use super::root;
use crate::agent::COMPLAINT;
use crate::exit::Chain;

/// The folder of the modules in the initramfs. Their names sort as they are to
/// be loaded.
pub const MODULES: &str = "/modules";

/// Loads what the initramfs has of modules.
pub(super) fn load_modules() -> Result<(), AgentError> {
    let mut files: Vec<_> = fs::read_dir(MODULES)
        .and_then(Iterator::collect::<io::Result<_>>)
        .map_err(kernel("list the modules"))?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let path = file.path();
        let loaded = File::open(&path)
            .and_then(|file| Ok(finit_module(&file, c"", ModuleInitFlags::empty())?));
        match loaded {
            // Another module has asked for it meanwhile.
            Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => {}
            Err(source) => {
                let name = file.file_name().to_string_lossy().into_owned();
                return Err(AgentError::Module { name, source });
            }
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Says in the kernel's log what is wrong, where the host finds it.
pub(super) fn complain(error: &dyn Error) {
    // It may be there already; else, there is nobody to tell.
    let _ = root::mount_devices(Path::new("/dev"));
    let line = format!("<2>{COMPLAINT}{}\n", Chain(error));
    if let Ok(mut log) = File::options().write(true).open("/dev/kmsg") {
        let _ = log.write_all(line.as_bytes());
    }
}
