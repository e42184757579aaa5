//! What keeps this process small and quick to start.
#![expect(unsafe_code, reason = "asks the allocator and the kernel about this process itself")]

use std::io;

// SAFETY: the linker defines both in every program; only their addresses mean
// anything, and only those are taken.
unsafe extern "C" {
    // Defined by the linker: the first byte of the program's image, and the
    // first byte after its code.
    static __executable_start: u8;
    static etext: u8;
}

/// Makes all threads allocate from one arena, as they do rarely: glibc would
/// map one of 64 MiB for each thread at its first allocation. To be called
/// before there are threads.
pub fn share_one_arena() {
    // SAFETY: mallopt only stores the number; no other thread allocates yet,
    // as the caller promises, and a later one would just have its own arena.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

/// Gives back the pages of the program file that starting has mapped: most
/// code runs once. What is needed again comes back from the page cache.
///
/// # Errors
/// What the system call said.
pub fn release_startup_code() -> io::Result<()> {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let page = 0x1000;
    let first = start.addr().next_multiple_of(page);
    let len = (end.addr() / page * page).saturating_sub(first);
    let first = start.with_addr(first).cast_mut().cast();
    // SAFETY: the range lies between the two linker symbols, in segments that
    // the linker made read-only and that are mapped privately from the program
    // file: nothing in them was ever written, so that every page reads the
    // same when it is mapped again.
    let done = unsafe { libc::madvise(first, len, libc::MADV_DONTNEED) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
