use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Instant;

use vmm_core::sys;
use vmm_sys_util::eventfd::EventFd;

use super::{Channel, Ended, Operation, immediate};
use crate::backend::disk::DiskImage;

/// Does each operation when it is started, in the caller's thread, with
/// `preadv` and `pwritev`.
pub(super) struct SyncChannel {
    image: Arc<dyn DiskImage>,
    ended: Vec<Ended>,
}

impl SyncChannel {
    pub(super) fn new(image: Arc<dyn DiskImage>) -> Self {
        Self { image, ended: Vec::new() }
    }
}

impl Channel for SyncChannel {
    fn engine(&self) -> &'static str {
        "preadv"
    }

    fn start(&mut self, operation: Operation<'_>, token: u16) {
        let result = immediate::execute(&*self.image, operation);
        self.ended.push(Ended { token, result });
    }

    fn reap(&mut self, ended: &mut Vec<Ended>) {
        ended.append(&mut self.ended);
    }

    fn wait(&mut self, wake: &EventFd, until: Option<Instant>) -> io::Result<()> {
        if !self.ended.is_empty() {
            return Ok(());
        }
        match sys::wait_woken(wake, until) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }
}
