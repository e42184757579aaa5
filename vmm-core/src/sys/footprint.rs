//! What keeps this process small and quick to start.
#![expect(unsafe_code, reason = "asks the allocator and the kernel about this process itself")]

use std::io;
use std::ops::Range;

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

/// More than the code that an idle machine runs, in bytes; a multiple of a page.
const IDLE_CODE: usize = 160 << 10;

/// Gives back the pages of the program file that starting has mapped: most
/// code runs once. What is needed again comes back from the page cache. `idle`
/// is a function that an idle machine runs, with what else it runs right behind
/// it: they get a mapping of their own, since Linux (6.18) maps as much around a
/// page as the page cache has in one piece, up to 2 MiB, but no other mapping's.
///
/// # Errors
/// What the system call said.
pub fn release_startup_code(idle: *const ()) -> io::Result<()> {
    let (start, end) = (&raw const __executable_start, &raw const etext);
    let page = 0x1000;
    let first = start.addr().next_multiple_of(page);
    let end = end.addr() / page * page;
    advise(start, first..end, libc::MADV_DONTNEED)?;
    let idle = (idle.addr() / page * page).clamp(first, end);
    let rest = (idle + IDLE_CODE).min(end);
    // Mappings that are advised differently stay apart; this advice also says the truth.
    advise(start, first..idle, libc::MADV_RANDOM)?;
    advise(start, rest..end, libc::MADV_RANDOM)
}

/// Advises the kernel on pages between the linker's two symbols. `advice` is
/// one that leaves what the pages read as.
fn advise(base: *const u8, range: Range<usize>, advice: libc::c_int) -> io::Result<()> {
    let first = base.with_addr(range.start).cast_mut().cast();
    // SAFETY: the range lies between the two linker symbols, as the only
    // caller clamps it to them, in segments that the linker made read-only and that are
    // mapped privately from the program file: nothing in them was ever written,
    // so that every page reads the same when it is mapped again.
    let done = unsafe { libc::madvise(first, range.len(), advice) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
