use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vmm_core::bus::{Doorbells, Knock};
use vmm_sys_util::eventfd::EventFd;

/// A host that catches notifications, as KVM does.
#[derive(Default)]
pub struct TestDoorbells {
    bells: Mutex<Vec<Bell>>,
    refuses: bool,
}

struct Bell {
    event: EventFd,
    knock: Knock,
}

impl TestDoorbells {
    /// A host that has no doorbell for anyone.
    pub fn refusing() -> Self {
        Self { refuses: true, ..Self::default() }
    }

    /// A guest's write that is a `knock`; whether a doorbell caught it.
    pub fn ring(&self, knock: Knock) -> bool {
        let bells = self.lock();
        let Some(bell) = bells.iter().find(|bell| bell.knock == knock) else { return false };
        bell.event.write(1).expect("nobody rings 2^64 times");
        true
    }

    /// What each doorbell hears, in order.
    pub fn attached(&self) -> Vec<Knock> {
        let mut all: Vec<_> = self.lock().iter().map(|bell| bell.knock).collect();
        all.sort_unstable();
        all
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Bell>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doorbells for TestDoorbells {
    fn attach(&self, event: &EventFd, knock: Knock) -> io::Result<()> {
        let mut bells = self.lock();
        if self.refuses || bells.iter().any(|bell| bell.knock == knock) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        bells.push(Bell { event: event.try_clone()?, knock });
        Ok(())
    }

    fn detach(&self, _event: &EventFd, knock: Knock) -> io::Result<()> {
        let mut bells = self.lock();
        let at = bells.iter().position(|bell| bell.knock == knock);
        bells.swap_remove(at.ok_or(io::ErrorKind::NotFound)?);
        Ok(())
    }
}
