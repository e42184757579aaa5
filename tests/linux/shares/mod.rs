//! Directories of the host's under Linux guests.

mod hostile;
mod posix;
mod writable;

use std::path::Path;

use testing::{Guest, kernel};

use crate::MINIMAL;

/// A guest that has mounted the share `t` at /mnt; its directory of the host
/// is `path`.
fn guest(path: &Path, options: &str, script: &str) -> Guest {
    Guest::linux(&kernel(MINIMAL), &mounted(script))
        .append("quiet")
        .arg("--share")
        .arg(format!("t={}{options}", path.display()))
}

/// `script` after the mount. It says of what fails that it did.
fn mounted(script: &str) -> String {
    format!(
        "say() {{ echo \"failed=$*\"; }}
        refuses() {{ \"$@\" 2>/dev/null && say accepted \"$@\"; }}
        mount -t virtiofs t /mnt || say mount
        {script}
        poweroff -f"
    )
}
