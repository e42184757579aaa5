use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::irq::{IrqLine, MsiMessage, MsiSink, MsiVector};
use vmm_sys_util::eventfd::EventFd;

use super::TestLine;

/// A host that takes messages: the data of those that came wait to be taken,
/// and while some do, a line is high, so that a test can wait for them.
#[derive(Clone)]
pub struct TestMessages {
    came: Arc<Mutex<Vec<u32>>>,
    line: Arc<TestLine>,
}

impl TestMessages {
    /// None came yet; `line` tells of those to come.
    pub fn new(line: Arc<TestLine>) -> Self {
        Self { came: Arc::default(), line }
    }

    /// The data of the messages since the last call, oldest first.
    pub fn take(&self) -> Vec<u32> {
        let mut came = self.lock();
        self.line.set_level(false);
        std::mem::take(&mut *came)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u32>> {
        self.came.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MsiSink for TestMessages {
    fn vector(&self) -> io::Result<Box<dyn MsiVector>> {
        Ok(Box::new(TestVector { host: self.clone(), message: Mutex::default() }))
    }
}

struct TestVector {
    host: TestMessages,
    message: Mutex<Option<MsiMessage>>,
}

impl MsiVector for TestVector {
    fn route(&self, message: Option<MsiMessage>) -> io::Result<()> {
        *self.message.lock().unwrap_or_else(PoisonError::into_inner) = message;
        Ok(())
    }

    fn signal(&self) {
        let message = *self.message.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = message {
            let mut came = self.host.lock();
            came.push(message.data);
            self.host.line.set_level(true);
        }
    }

    /// This host leaves all to the devices.
    fn attach(&self, _event: &Arc<EventFd>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn detach(&self, _event: &EventFd) {}
}
