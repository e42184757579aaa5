use std::sync::Arc;

use vmm_core::bus::{Doorbells, Knock};
use vmm_sys_util::eventfd::EventFd;

/// Where a driver says that it made buffers available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyPlace {
    /// In one register of 4 bytes, which takes the index of any queue.
    Register(u64),
    /// At one port of 2 bytes, which takes the index of any queue.
    Port(u16),
    /// In one place for each queue, this many bytes apart, whatever is
    /// written there.
    Array {
        /// Queue 0's address.
        base: u64,
        /// Bytes from one to the next.
        stride: u64,
    },
}

impl NotifyPlace {
    /// What of it means queue `index`; `None` past the address space.
    fn of(self, index: usize) -> Option<Knock> {
        Some(match self {
            Self::Register(addr) => Knock::Word(addr, index.try_into().ok()?),
            Self::Port(port) => Knock::Port(port, index.try_into().ok()?),
            Self::Array { base, stride } => {
                let offset = stride.checked_mul(index.try_into().ok()?)?;
                Knock::Memory(base.checked_add(offset)?)
            }
        })
    }
}

/// Which of a device's doorbells hang, and where. The host takes its time for
/// each, so they hang only while queues run: a machine that starts, or a
/// device that no driver wants, pays nothing.
pub(super) struct Bells {
    host: Option<Arc<dyn Doorbells>>,
    place: Option<NotifyPlace>,
    attached: Vec<Option<Knock>>,
}

impl Bells {
    /// None, of `count` queues.
    pub(super) fn new(count: usize) -> Self {
        Self { host: None, place: None, attached: vec![None; count] }
    }

    pub(super) fn set_host(&mut self, host: Arc<dyn Doorbells>) {
        self.host = Some(host);
    }

    /// Returns whether the place is another now.
    pub(super) fn set_place(&mut self, place: Option<NotifyPlace>) -> bool {
        std::mem::replace(&mut self.place, place) != place
    }

    /// Hangs queue `index`'s doorbell where it belongs now. If the host
    /// refuses, notifications arrive at the bus, only slower.
    pub(super) fn attach(&mut self, index: usize, event: &EventFd) {
        let wanted = self.place.and_then(|place| place.of(index));
        if self.attached[index] == wanted {
            return;
        }
        self.detach(index, event);
        let (Some(host), Some(knock)) = (&self.host, wanted) else { return };
        match host.attach(event, knock) {
            Ok(()) => self.attached[index] = wanted,
            Err(error) => log::debug!("no doorbell for {knock:x?}: {error}"),
        }
    }

    /// Takes queue `index`'s doorbell down, if it hangs.
    pub(super) fn detach(&mut self, index: usize, event: &EventFd) {
        let Some(knock) = self.attached[index].take() else { return };
        let Some(host) = &self.host else { return };
        if let Err(error) = host.detach(event, knock) {
            log::warn!("the doorbell for {knock:x?} stays: {error}");
        }
    }

    /// Takes all down; `events` are the queues' own.
    pub(super) fn detach_all(&mut self, events: &[EventFd]) {
        for (index, event) in events.iter().enumerate() {
            self.detach(index, event);
        }
    }
}
