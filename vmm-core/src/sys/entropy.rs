//! Random bytes of the host's kernel.
#![expect(unsafe_code, reason = "getrandom takes a raw pointer into guest memory")]

use std::io;

use vm_memory::VolatileSlice;
use vm_memory::bitmap::Bitmap;

/// Fills `memory` with random bytes. It waits for nothing, unless the host has
/// just booted and has no entropy itself.
///
/// # Errors
/// What the system call said; some of the bytes may be there then.
pub fn fill_random(memory: &VolatileSlice<'_>) -> io::Result<()> {
    let guard = memory.ptr_guard_mut();
    let mut done = 0;
    while done < guard.len() {
        // SAFETY: `done` is less than the guard's length, so that the pointer
        // stays inside the memory that the slice keeps mapped; nobody has a
        // reference into that, and the kernel writes no more than is left.
        let count = unsafe {
            let rest = guard.as_ptr().add(done);
            libc::getrandom(rest.cast(), guard.len() - done, 0)
        };
        match usize::try_from(count) {
            Ok(count) => {
                memory.bitmap().mark_dirty(done, count);
                done += count;
            }
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => {}
                error => return Err(error),
            },
        }
    }
    Ok(())
}
