use std::path::{Path, PathBuf};

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

impl Names {
    /// Those in `vmlinux` if it is given, else the first that are found for
    /// `kernel`, of `release` if that is known.
    pub(in crate::machine) fn find(
        vmlinux: Option<&Path>,
        kernel: &Path,
        release: Option<&str>,
    ) -> Self {
        let candidates = match vmlinux {
            Some(path) => vec![path.to_owned()],
            None => candidates(kernel, release),
        };
        let found = candidates.into_iter().find_map(|path| {
            let symbols = Symbols::read(&path).ok()?;
            let is_image = path == kernel;
            Some(Found { path, symbols, is_image })
        });
        Self(found)
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
                "no symbols were found beside the kernel: --vmlinux FILE gives functions names"
                    .into(),
            );
        };
        (found.symbols.base(lstar) == Base::Foreign)
            .then(|| format!("the symbols in {} are another kernel's", found.path.display()))
    }
}
