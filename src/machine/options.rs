use std::time::{Duration, Instant};

use boot::initramfs::Driver;
use boot::loader::{KernelOptions, Setting};
use boot::{Kernel, KernelKind};

use super::RunError;
use super::error::host;

/// How long one may take to tell, once its run has failed or before it begins. In Debian's kernel
/// it takes half a second to unpack what tells.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What a kernel must have in itself for a command: no module gives it.
const BUILT_IN: [&str; 6] =
    ["BLK_DEV_INITRD", "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "UNIX98_PTYS"];

/// Refuses a kernel that says of itself that it was built without what a
/// command needs. No modules of it were found, for `drivers` either.
///
/// A bzImage is not asked: it would have to be unpacked, which takes up to a
/// second, for each run that goes well. It is asked when one did not
/// ([`lack`]).
pub(super) fn check(
    kernel: &Kernel,
    release: Option<&str>,
    drivers: &[Driver],
) -> Result<(), RunError> {
    if kernel.kind() == KernelKind::BzImage {
        return Ok(());
    }
    let options = kernel.options(Instant::now() + PATIENCE).map_err(host("read the kernel"))?;
    let Some(options) = options else { return Ok(()) };
    match lack(&options, release, drivers) {
        None => Ok(()),
        Some(why) => Err(RunError::Options { path: kernel.path().to_owned(), why }),
    }
}

/// What a command needs of a kernel that does not say what it has, as a
/// sentence. No modules of it were found.
pub(super) fn needs(release: Option<&str>, drivers: &[Driver]) -> String {
    let names: Vec<_> = drivers.iter().map(|driver| format!("CONFIG_{}", driver.option)).collect();
    format!(
        "a command needs {} in the kernel, or as modules, and there are none in /lib/modules/{} \
         (--modules DIR names another place)",
        names.join(", "),
        release.unwrap_or("RELEASE")
    )
}

/// What is not built in, as a clause; `None` if nothing is missing.
pub(super) fn lack(
    options: &KernelOptions,
    release: Option<&str>,
    drivers: &[Driver],
) -> Option<String> {
    let needed = BUILT_IN.into_iter().chain(drivers.iter().map(|driver| driver.option));
    let (mut absent, mut modules) = (Vec::new(), Vec::new());
    for name in needed {
        match options.setting(name) {
            Setting::BuiltIn => {}
            Setting::Module => modules.push(format!("CONFIG_{name}")),
            Setting::Absent => absent.push(format!("CONFIG_{name}")),
        }
    }
    let mut clauses = Vec::new();
    if !absent.is_empty() {
        clauses.push(format!("it was built without {}", absent.join(", ")));
    }
    if !modules.is_empty() {
        let release = release.unwrap_or("RELEASE");
        clauses.push(format!(
            "it has {} as modules, and there are none in /lib/modules/{release} (--modules DIR \
             names another place)",
            modules.join(", ")
        ));
    }
    (!clauses.is_empty()).then(|| clauses.join("; "))
}
