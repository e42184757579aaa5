use std::io;
use std::sync::Arc;

use kvm_ioctls::{IoEventAddress, NoDatamatch};
use vmm_sys_util::eventfd::EventFd;

use super::vm::Handle;
use crate::bus::Doorbells;

/// [`Doorbells`] by KVM's ioeventfds.
pub struct IoeventDoorbells(Arc<Handle>);

impl IoeventDoorbells {
    pub(super) fn new(vm: Arc<Handle>) -> Self {
        Self(vm)
    }
}

impl Doorbells for IoeventDoorbells {
    fn attach(&self, event: &EventFd, addr: u64, value: Option<u32>) -> io::Result<()> {
        let (fd, addr) = (&self.0.fd, IoEventAddress::Mmio(addr));
        Ok(match value {
            Some(value) => fd.register_ioevent(event, &addr, value),
            None => fd.register_ioevent(event, &addr, NoDatamatch),
        }?)
    }

    fn detach(&self, event: &EventFd, addr: u64, value: Option<u32>) -> io::Result<()> {
        let (fd, addr) = (&self.0.fd, IoEventAddress::Mmio(addr));
        Ok(match value {
            Some(value) => fd.unregister_ioevent(event, &addr, value),
            None => fd.unregister_ioevent(event, &addr, NoDatamatch),
        }?)
    }
}
