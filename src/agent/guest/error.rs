use std::io;

use crate::agent::protocol::FrameError;

/// Why the agent cannot do what the host wants.
#[derive(Debug, thiserror::Error)]
pub(super) enum AgentError {
    /// A module could not be loaded.
    #[error("the kernel does not load the module {name}")]
    Module {
        /// Its file.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel has no vsock.
    #[error(
        "the kernel has no stream sockets to the host (CONFIG_VSOCKETS, CONFIG_VIRTIO_VSOCKETS, \
         and CONFIG_VIRTIO_PCI or CONFIG_VIRTIO_MMIO)"
    )]
    NoSockets(#[source] io::Error),
    /// What the host said, or its silence.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The host speaks before it is asked, or not at all.
    #[error("the host does not say what to run")]
    NoJob,
    /// A file system is not there, or not to be mounted.
    #[error("{what} cannot be mounted{}", needed(.option))]
    Mount {
        /// Which.
        what: String,
        /// The kernel's option that it takes.
        option: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Anything else that the kernel refuses.
    #[error("the guest's kernel refuses to {what}")]
    Kernel {
        /// What was asked, as a verb.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

fn needed(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" (the kernel needs CONFIG_{name})") }
}

/// For `map_err`: the kernel refuses to `what`.
pub(super) fn kernel<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> AgentError {
    move |source| AgentError::Kernel { what, source: source.into() }
}
