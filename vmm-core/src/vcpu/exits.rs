use std::sync::atomic::{AtomicU64, Ordering};

use crate::kvm::Exit;

/// A kind of reason for which a vCPU leaves the guest for Kiln.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// It reads a port.
    PortIn,
    /// It writes a port.
    PortOut,
    /// It reads an address without memory.
    MmioRead,
    /// It writes one.
    MmioWrite,
    /// A signal: Kiln wants something of it, or the host.
    Interrupted,
    /// Anything else.
    Other,
}

impl ExitKind {
    /// All of them, in the order of [`ExitCounts::by_kind`].
    pub const ALL: [Self; 6] = [
        Self::PortIn,
        Self::PortOut,
        Self::MmioRead,
        Self::MmioWrite,
        Self::Interrupted,
        Self::Other,
    ];

    /// What it is called, in the plural.
    pub fn name(self) -> &'static str {
        match self {
            Self::PortIn => "port reads",
            Self::PortOut => "port writes",
            Self::MmioRead => "MMIO reads",
            Self::MmioWrite => "MMIO writes",
            Self::Interrupted => "interruptions",
            Self::Other => "others",
        }
    }

    fn of(exit: &Exit<'_>) -> Self {
        match exit {
            Exit::PortIn { .. } => Self::PortIn,
            Exit::PortOut { .. } => Self::PortOut,
            Exit::MmioRead { .. } => Self::MmioRead,
            Exit::MmioWrite { .. } => Self::MmioWrite,
            Exit::Interrupted => Self::Interrupted,
            Exit::PowerOff | Exit::Reset | Exit::Shutdown | Exit::Failed(_) => Self::Other,
        }
    }
}

const KINDS: usize = ExitKind::ALL.len();

/// How often a vCPU has left the guest for Kiln, by [`ExitKind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitCounts([u64; KINDS]);

impl ExitCounts {
    /// How often for each reason, in the order of [`ExitKind::ALL`].
    pub fn by_kind(&self) -> impl Iterator<Item = (ExitKind, u64)> {
        ExitKind::ALL.into_iter().zip(self.0)
    }

    /// How often since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].saturating_sub(earlier.0[kind])))
    }

    /// How often two vCPUs have, together.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|kind| self.0[kind].saturating_add(other.0[kind])))
    }
}

/// The counters of one vCPU, which its own thread writes and others read.
#[derive(Default)]
pub(super) struct ExitCounters([AtomicU64; KINDS]);

impl ExitCounters {
    /// Counts `exit`. Only the vCPU's thread may: it needs no atomic addition.
    pub(super) fn count(&self, exit: &Exit<'_>) {
        let counter = &self.0[ExitKind::of(exit) as usize];
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> ExitCounts {
        ExitCounts(std::array::from_fn(|kind| self.0[kind].load(Ordering::Relaxed)))
    }
}
