use std::io;
use std::sync::Arc;

use event_manager::{EventOps, EventSet, Events, MutEventSubscriber};
use vm_memory::VolatileSlice;
use vmm_sys_util::eventfd::EventFd;

use super::{Kind, Malformed, Request};
use crate::backend::disk::DiskBackend;
use crate::virtio::queue::{Buffer, Chain, Ring};
use crate::virtio::spec::blk;

/// The half of the block device that the event loop drives.
pub(super) struct State {
    pub(super) disk: Disk,
    pub(super) doorbells: Arc<[EventFd]>,
    pub(super) ring: Option<Ring>,
}

/// The disk as requests see it.
pub(super) struct Disk {
    pub(super) backend: Box<dyn DiskBackend>,
    pub(super) id: [u8; blk::ID_BYTES],
    /// Whether each write must be stable before it is answered: so for a
    /// driver that does not know flush (VIRTIO 1.2 §5.2.6.2).
    pub(super) write_through: bool,
    /// Failed requests so far; the log names only the first few.
    pub(super) failures: u64,
}

const FAILURES_LOGGED: u64 = 5;

impl MutEventSubscriber for State {
    fn init(&mut self, ops: &mut EventOps) {
        for doorbell in &*self.doorbells {
            ops.add(Events::new(doorbell, EventSet::IN)).expect("a fresh eventfd can be polled");
        }
    }

    fn process(&mut self, _events: Events, _ops: &mut EventOps) {
        for doorbell in &*self.doorbells {
            // Empty if a stop drained it first.
            let _ = doorbell.read();
        }
        let Some(ring) = &mut self.ring else { return };
        if ring.serve(|chain| Ok(self.disk.answer(chain))) {
            // Fails only when the counter is full, and then it rings anyway.
            let _ = self.doorbells[0].write(1);
        }
    }
}

impl Disk {
    /// Carries out one request; returns how many bytes of the chain's
    /// writable part were written, counted from its start.
    fn answer(&mut self, chain: Chain<'_>) -> usize {
        let (status, result, room, buffer) = match Request::parse(chain) {
            Ok(request) => {
                let mut done = 0;
                let result = self.execute(&request, &mut done);
                (request.status, result, request.incoming.len(), done)
            }
            Err(Malformed::NoHeader { incoming, status }) => {
                (status, Err(Failure::Refused), incoming, 0)
            }
            Err(Malformed::NoStatus) => return 0,
        };
        let code = match result {
            Ok(()) => blk::S_OK,
            Err(Failure::Unknown) => blk::S_UNSUPP,
            Err(Failure::Refused) => blk::S_IOERR,
            Err(Failure::Host(error)) => {
                self.log(&error);
                blk::S_IOERR
            }
        };
        status.copy_from(&[code]);
        // Bytes that were left alone must not be counted (§2.7.8.2), so the
        // status byte counts only if all before it were written.
        if buffer == room { buffer + 1 } else { buffer }
    }

    /// Does what `request` asks; `done` becomes the bytes written to memory.
    fn execute(&mut self, request: &Request<'_>, done: &mut usize) -> Result<(), Failure> {
        match request.kind {
            Kind::Read => {
                let data = &request.incoming;
                let offset = self.offset(request, data)?;
                self.transfer(data, offset, done, |disk, p, at| disk.read_at(p, at))
            }
            Kind::Write if self.backend.is_read_only() => Err(Failure::Refused),
            Kind::Write => {
                let data = &request.outgoing;
                let offset = self.offset(request, data)?;
                self.transfer(data, offset, &mut 0, |disk, p, at| disk.write_at(p, at))?;
                if self.write_through { self.flush() } else { Ok(()) }
            }
            Kind::Flush => self.flush(),
            Kind::GetId => {
                *done = request.incoming.copy_from(&self.id);
                Ok(())
            }
            Kind::Unknown(_) => Err(Failure::Unknown),
        }
    }

    fn offset(&self, request: &Request<'_>, data: &Buffer<'_>) -> Result<u64, Failure> {
        request.offset(data.len(), self.backend.size()).ok_or(Failure::Refused)
    }

    /// Moves all of `data`, however short each call of `step` falls.
    fn transfer(
        &mut self,
        data: &Buffer<'_>,
        offset: u64,
        done: &mut usize,
        step: impl Fn(&mut dyn DiskBackend, &[VolatileSlice<'_>], u64) -> io::Result<usize>,
    ) -> Result<(), Failure> {
        let mut rest = data.clone();
        while !rest.is_empty() {
            let at = offset + u64::try_from(*done).expect("a usize has 64 bits here");
            match step(&mut *self.backend, rest.pieces(), at) {
                // The image shrank under us, or has no room.
                Ok(0) => return Err(Failure::Host(io::ErrorKind::UnexpectedEof.into())),
                Ok(moved) => {
                    rest.split_front(moved);
                    *done += moved;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Host(error)),
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        loop {
            match self.backend.flush() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(Failure::Host),
            }
        }
    }

    fn log(&mut self, error: &io::Error) {
        self.failures += 1;
        if self.failures <= FAILURES_LOGGED {
            log::warn!("disk {}: a request failed: {error}", self.backend.name());
        }
    }
}

/// Why a request was not carried out.
enum Failure {
    /// The type is not known.
    Unknown,
    /// The driver asked for what cannot be.
    Refused,
    /// The host could not.
    Host(io::Error),
}
