use std::ops::Range;
use std::time::{Duration, Instant};

use vmm_core::mem::{GuestRam, address_of, give_back};

use crate::virtio::queue::Buffer;
use crate::virtio::spec::balloon::{PAGE_SHIFT, PFN_BYTES};

/// Page numbers that are looked at together: as many as Linux sends.
const BLOCK: usize = 256;

/// Bytes that go back between two looks at the time.
const STEP: usize = 4 << 20;

/// For how long pages go back before others have their turn on the loop: to
/// take one from a running guest costs microseconds.
const SHARE: Duration = Duration::from_millis(1);

/// Gives pages back for a while, and at least those that one look at the time
/// is for.
pub(super) struct Giver<'a> {
    mem: &'a GuestRam,
    until: Instant,
    has_begun: bool,
    has_warned: &'a mut bool,
}

impl<'a> Giver<'a> {
    /// Begins now, with pages of `mem`. If the host refuses them, that is said
    /// in the log, unless `has_warned`.
    pub(super) fn new(mem: &'a GuestRam, has_warned: &'a mut bool) -> Self {
        Self { mem, until: Instant::now() + SHARE, has_begun: false, has_warned }
    }

    /// Whether the time is over.
    pub(super) fn is_over(&self) -> bool {
        self.has_begun && Instant::now() >= self.until
    }

    /// Gives back the pages of a list of page numbers, from byte `done` of the
    /// list on. Returns true at its end; otherwise the time is over, and
    /// `done` is where to go on.
    ///
    /// Numbers in any order may stand for pages side by side, and one call for
    /// many is much cheaper. Pages outside RAM are left out.
    pub(super) fn give_list(&mut self, mut list: Buffer<'_>, done: &mut usize) -> bool {
        list.split_front(*done);
        let mut bytes = [0; BLOCK * PFN_BYTES];
        let mut pages = [0; BLOCK];
        while list.len() >= PFN_BYTES {
            if self.is_over() {
                return false;
            }
            let len = list.split_front(bytes.len()).copy_to(&mut bytes);
            let numbers = bytes[..len].chunks_exact(PFN_BYTES);
            let count = numbers.len();
            for (page, number) in pages.iter_mut().zip(numbers) {
                *page = u32::from_le_bytes(number.try_into().expect("4 bytes"));
            }
            for_each_run(&mut pages[..count], |range| self.give(range));
            *done += len;
        }
        *done = 0;
        true
    }

    /// Gives back the pages of `buffer`, from byte `done` on. Returns true at
    /// its end; otherwise the time is over, and `done` is where to go on.
    pub(super) fn give_buffer(&mut self, mut buffer: Buffer<'_>, done: &mut usize) -> bool {
        buffer.split_front(*done);
        while !buffer.is_empty() {
            if self.is_over() {
                return false;
            }
            let part = buffer.split_front(STEP);
            for piece in part.pieces() {
                let start = address_of(self.mem, piece).expect("a chain lies in RAM");
                let len = u64::try_from(piece.len()).expect("lengths have 64 bits here");
                self.give(start..start + len);
            }
            *done += part.len();
        }
        *done = 0;
        true
    }

    fn give(&mut self, range: Range<u64>) {
        self.has_begun = true;
        if let Err(error) = give_back(self.mem, range)
            && !std::mem::replace(self.has_warned, true)
        {
            log::warn!("virtio-balloon: the host takes no memory back: {error}");
        }
    }
}

/// Calls `act` with the addresses of each run of pages whose numbers are in
/// `pages`, once for each page. Sorts them.
pub(super) fn for_each_run(pages: &mut [u32], mut act: impl FnMut(Range<u64>)) {
    let addr = |page: u32| u64::from(page) << PAGE_SHIFT;
    pages.sort_unstable();
    let mut run: Option<Range<u64>> = None;
    for page in pages.iter().copied() {
        let (start, end) = (addr(page), addr(page) + (1 << PAGE_SHIFT));
        match &mut run {
            Some(run) if start <= run.end => run.end = end,
            _ => {
                if let Some(whole) = run.replace(start..end) {
                    act(whole);
                }
            }
        }
    }
    if let Some(last) = run {
        act(last);
    }
}
