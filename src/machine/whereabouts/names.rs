use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use boot::{Kernel, KernelKind};
use vmm_core::vcpu::Snapshot;

use crate::symbols::{Base, Symbols, candidates};

/// Programs run at this privilege level (Intel SDM 3A §5.5).
const USER: u16 = 3;

/// The names of a kernel's code, if there are any.
#[derive(Default)]
pub(in crate::machine) struct Names(Option<Found>);

struct Found {
    path: PathBuf,
    symbols: Symbols,
    /// The kernel image has them itself: nothing moves it then.
    is_image: bool,
}

impl Found {
    /// The names that the kernel holds itself.
    fn inside(kernel: &Kernel, patience: Duration) -> Option<Self> {
        let contents = kernel.contents(Instant::now() + patience);
        let contents = contents.inspect_err(|error| log::debug!("no symbols: {error}")).ok()?;
        let symbols = Symbols::of_kernel(&contents)?;
        // What unpacks itself may also put itself somewhere else.
        let is_image = kernel.kind() != KernelKind::BzImage;
        Some(Self { path: kernel.path().to_owned(), symbols, is_image })
    }
}

impl Names {
    /// Those in `vmlinux` if it is given, else the first that are found for the
    /// kernel image `image`, at last in itself if it is unpacked within
    /// `patience`.
    pub(in crate::machine) fn find(
        vmlinux: Option<&Path>,
        image: &Path,
        patience: Duration,
    ) -> Self {
        let kernel = Kernel::open(image).ok();
        // A kernel without a release has its symbols beside it, or none.
        let release = kernel.as_ref().and_then(|kernel| kernel.release().ok()?);
        let candidates = match vmlinux {
            Some(path) => vec![path.to_owned()],
            None => candidates(image, release.as_deref()),
        };
        let found = candidates.into_iter().find_map(|path| {
            let symbols = Symbols::read(&path).ok()?;
            let is_image = path == image;
            Some(Found { path, symbols, is_image })
        });
        let own = || Found::inside(&kernel.filter(|_| vmlinux.is_none())?, patience);
        Self(found.or_else(own))
    }

    #[cfg(test)]
    pub(super) fn of(symbols: Symbols, is_image: bool) -> Self {
        Self(Some(Found { path: "vmlinux".into(), symbols, is_image }))
    }

    /// `RIP 0x… function+0x…`, or what else can be said of it.
    pub(in crate::machine) fn place(&self, snapshot: &Snapshot) -> String {
        let rip = snapshot.regs.rip;
        let what = if snapshot.sregs.cs.selector & USER == USER {
            "in a program".to_owned()
        } else {
            self.function(rip, snapshot.lstar).unwrap_or_default()
        };
        let halted = if snapshot.halted { ", halted" } else { "" };
        let space = if what.is_empty() { "" } else { " " };
        format!("RIP {rip:#x}{space}{what}{halted}")
    }

    fn function(&self, rip: u64, lstar: Option<u64>) -> Option<String> {
        let found = self.0.as_ref()?;
        let moved = match found.symbols.base(lstar) {
            Base::At(moved) => moved,
            Base::Unknown if found.is_image => 0,
            Base::Unknown | Base::Foreign => return None,
        };
        let (name, offset) = found.symbols.lookup(rip.checked_sub(moved)?)?;
        Some(format!("{name}+{offset:#x}"))
    }

    /// Why there are no names, if a person can do something about it.
    pub(in crate::machine) fn lack(&self, lstar: Option<u64>) -> Option<String> {
        let Some(found) = &self.0 else {
            return Some(
                "no symbols were found in the kernel or beside it: --vmlinux FILE gives functions names"
                    .into(),
            );
        };
        (found.symbols.base(lstar) == Base::Foreign)
            .then(|| format!("the symbols in {} are another kernel's", found.path.display()))
    }
}
