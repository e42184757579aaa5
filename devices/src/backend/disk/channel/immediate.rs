//! Operations done at once, in the caller's thread.

use std::io::{self, ErrorKind};

use vm_memory::VolatileSlice;

use super::Operation;
use crate::backend::disk::{Access, DiskImage, Place};
use crate::virtio::queue::Buffer;

/// How often a call that would block is tried again. Files have nothing to
/// wait for; a host short of memory or tags says so for a moment.
const ATTEMPTS: usize = 1000;

/// Does all of `operation`. The caller is not inside the image's gate.
pub(super) fn execute(image: &dyn DiskImage, operation: Operation<'_>) -> io::Result<()> {
    match operation {
        Operation::Read { to, offset } => transfer(image, to, offset, Access::Read),
        Operation::Write { from, offset } => transfer(image, from, offset, Access::Write),
        Operation::Flush => persist(|| image.flush()),
        Operation::Discard { offset, len } => alone(image, || image.discard(offset, len)),
        Operation::WriteZeroes { offset, len, unmap } => {
            alone(image, || image.write_zeroes(offset, len, unmap))
        }
    }
}

/// Does `change` until it ends otherwise than interrupted, nobody else at work.
fn alone(image: &dyn DiskImage, change: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match image.gate() {
        Some(gate) => gate.alone(|| persist(change)),
        None => persist(change),
    }
}

fn transfer(
    image: &dyn DiskImage,
    mut rest: Buffer<'_>,
    mut offset: u64,
    access: Access,
) -> io::Result<()> {
    while !rest.is_empty() {
        let moved = step(image, &rest, offset, access)?;
        rest.split_front(moved);
        offset += length(moved);
    }
    Ok(())
}

/// Moves at least one byte from the front of `rest`, kept apart from changes.
fn step(
    image: &dyn DiskImage,
    rest: &Buffer<'_>,
    offset: u64,
    access: Access,
) -> io::Result<usize> {
    let Some(gate) = image.gate() else {
        return advance(image, rest.pieces(), offset, access);
    };
    let inside = gate.enter();
    let (place, here) = image.place(offset, length(rest.len()), access)?;
    let is_alone = matches!(place, Place::Alone);
    let here = rest.clone().split_front(usize::try_from(here).unwrap_or(usize::MAX));
    if is_alone {
        drop(inside);
        return gate.alone(|| advance(image, here.pieces(), offset, access));
    }
    advance(image, here.pieces(), offset, access)
}

/// Moves at least one byte. The caller is inside the gate or holds it alone.
pub(super) fn advance(
    image: &dyn DiskImage,
    pieces: &[VolatileSlice<'_>],
    offset: u64,
    access: Access,
) -> io::Result<usize> {
    let moved = persist(|| match access {
        Access::Read => image.read_at(pieces, offset),
        Access::Write => image.write_at(pieces, offset),
    })?;
    // The image shrank under us, or has no room.
    if moved == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(moved) }
}

/// Calls `call` again for as long as it is interrupted.
pub(in crate::backend::disk) fn persist<T>(call: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut attempts = ATTEMPTS;
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock && attempts > 0 => {
                attempts -= 1;
                std::thread::yield_now();
            }
            result => return result,
        }
    }
}

fn length(len: usize) -> u64 {
    u64::try_from(len).expect("a usize has 64 bits here")
}
