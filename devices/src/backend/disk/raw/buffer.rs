use vm_memory::VolatileSlice;

/// What a buffer starts at a multiple of, in bytes: enough for any O_DIRECT.
const ALIGN: usize = 4096;

/// Memory of our own that starts at a multiple of [`ALIGN`].
pub(super) struct AlignedBuffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// `len` bytes of zeros.
    pub(super) fn new(len: usize) -> Self {
        let memory = vec![0; len + ALIGN];
        let start = memory.as_ptr().align_offset(ALIGN);
        Self { memory, start, len }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.len]
    }

    /// All of it, for the kernel to fill or take.
    pub(super) fn slice(&mut self) -> VolatileSlice<'_> {
        VolatileSlice::from(self.bytes_mut())
    }
}
