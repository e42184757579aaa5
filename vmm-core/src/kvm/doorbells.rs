use std::io;
use std::sync::Arc;

use kvm_ioctls::{IoEventAddress, NoDatamatch};
use vmm_sys_util::eventfd::EventFd;

use super::vm::Handle;
use crate::bus::{Doorbells, Knock};

/// [`Doorbells`] by KVM's ioeventfds.
pub struct IoeventDoorbells(Arc<Handle>);

impl IoeventDoorbells {
    pub(super) fn new(vm: Arc<Handle>) -> Self {
        Self(vm)
    }
}

impl Doorbells for IoeventDoorbells {
    fn attach(&self, event: &EventFd, knock: Knock) -> io::Result<()> {
        let (fd, at) = (&self.0.fd, place(knock));
        Ok(match knock {
            Knock::Memory(_) => fd.register_ioevent(event, &at, NoDatamatch),
            Knock::Word(_, value) => fd.register_ioevent(event, &at, value),
            Knock::Port(_, value) => fd.register_ioevent(event, &at, value),
        }?)
    }

    fn detach(&self, event: &EventFd, knock: Knock) -> io::Result<()> {
        let (fd, at) = (&self.0.fd, place(knock));
        Ok(match knock {
            Knock::Memory(_) => fd.unregister_ioevent(event, &at, NoDatamatch),
            Knock::Word(_, value) => fd.unregister_ioevent(event, &at, value),
            Knock::Port(_, value) => fd.unregister_ioevent(event, &at, value),
        }?)
    }
}

fn place(knock: Knock) -> IoEventAddress {
    match knock {
        Knock::Memory(addr) | Knock::Word(addr, _) => IoEventAddress::Mmio(addr),
        Knock::Port(port, _) => IoEventAddress::Pio(port.into()),
    }
}
