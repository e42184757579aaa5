use std::sync::Arc;

use virtio_queue::Queue;

use super::server::Server;
use crate::virtio::lanes;
use crate::virtio::queue::Ring;

/// A queue and what serves it.
pub(super) struct Lane {
    ring: Ring,
    server: Arc<Server>,
    scratch: Vec<u8>,
}

impl Lane {
    pub(super) fn new(ring: Ring, server: Arc<Server>) -> Self {
        Self { ring, server, scratch: Vec::new() }
    }

    /// Does what the driver made available, until `is_over` says so.
    pub(super) fn turn(&mut self, mut is_over: impl FnMut() -> bool) {
        let mem = self.ring.mem();
        let (server, scratch) = (&self.server, &mut self.scratch);
        self.ring.attempt(|ring| {
            ring.mute()?;
            while !is_over()
                && let Some(chain) = ring.pop(&mem)?
            {
                let head = chain.head;
                let len = server.serve(chain, scratch);
                ring.add_used(&[(head, len)])?;
                ring.signal()?;
            }
            Ok(())
        });
    }

    /// Whether there is something to do.
    pub(super) fn has_more(&self) -> bool {
        self.ring.has_more().unwrap_or(false)
    }

    /// Has the driver ring from now on; true if there is something to do.
    pub(super) fn listen(&mut self) -> bool {
        self.ring.attempt(Ring::unmute).unwrap_or(false)
    }
}

impl lanes::Lane for Lane {
    fn ring(&self) -> &Ring {
        &self.ring
    }

    fn take_queue(&mut self) -> Queue {
        self.ring.take_queue()
    }

    fn replace_queue(&mut self, queue: Queue) {
        self.ring.replace_queue(queue);
    }

    fn into_queue(self) -> Queue {
        self.ring.into_queue()
    }
}
