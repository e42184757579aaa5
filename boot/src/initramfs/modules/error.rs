use std::io;
use std::path::PathBuf;

/// Why the modules that a kernel needs cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModulesError {
    /// There are none where they were said to be.
    #[error(
        "{} has no modules of this kernel: neither modules.dep nor lib/modules/{release}/modules.dep \
         is there", folder.display()
    )]
    NoTree {
        /// The folder.
        folder: PathBuf,
        /// The kernel's release, or a word for it.
        release: String,
    },
    /// A list or a module cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the host said.
        source: io::Error,
    },
    /// A module is packed in a way unknown here, or damaged.
    #[error("the module {} cannot be unpacked", path.display())]
    Unpack {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A driver is neither built in nor a module.
    #[error(
        "the kernel has neither built in nor as a module in {}: {missing}", folder.display()
    )]
    Missing {
        /// Where they were looked for.
        folder: PathBuf,
        /// What is missing, and the options that give it.
        missing: String,
    },
}
