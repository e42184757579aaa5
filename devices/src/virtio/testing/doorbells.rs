use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vmm_core::bus::Doorbells;
use vmm_sys_util::eventfd::EventFd;

/// A host that catches notifications, as KVM does.
#[derive(Default)]
pub struct TestDoorbells {
    bells: Mutex<Vec<Bell>>,
    refuses: bool,
}

struct Bell {
    event: EventFd,
    addr: u64,
    value: Option<u32>,
}

impl TestDoorbells {
    /// A host that has no doorbell for anyone.
    pub fn refusing() -> Self {
        Self { refuses: true, ..Self::default() }
    }

    /// A guest's write of `value` to `addr`; whether a doorbell caught it.
    pub fn ring(&self, addr: u64, value: u32) -> bool {
        let bells = self.lock();
        let is_it = |bell: &&Bell| bell.addr == addr && bell.value.is_none_or(|v| v == value);
        let Some(bell) = bells.iter().find(is_it) else { return false };
        bell.event.write(1).expect("nobody rings 2^64 times");
        true
    }

    /// Address and value of each doorbell, in order.
    pub fn attached(&self) -> Vec<(u64, Option<u32>)> {
        let mut all: Vec<_> = self.lock().iter().map(|bell| (bell.addr, bell.value)).collect();
        all.sort_unstable();
        all
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Bell>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Doorbells for TestDoorbells {
    fn attach(&self, event: &EventFd, addr: u64, value: Option<u32>) -> io::Result<()> {
        let mut bells = self.lock();
        let clashes = |bell: &Bell| {
            bell.addr == addr && (bell.value.is_none() || value.is_none() || bell.value == value)
        };
        if self.refuses || bells.iter().any(clashes) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        bells.push(Bell { event: event.try_clone()?, addr, value });
        Ok(())
    }

    fn detach(&self, _event: &EventFd, addr: u64, value: Option<u32>) -> io::Result<()> {
        let mut bells = self.lock();
        let at = bells.iter().position(|bell| (bell.addr, bell.value) == (addr, value));
        bells.swap_remove(at.ok_or(io::ErrorKind::NotFound)?);
        Ok(())
    }
}
