use vm_memory::VolatileSlice;

/// What a buffer starts at a multiple of, in bytes: enough for any O_DIRECT.
pub(super) const ALIGN: usize = 4096;

/// Memory of our own that starts at a multiple of [`ALIGN`].
pub(super) struct AlignedBuffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuffer {
    /// `len` bytes of zeros.
    pub(super) fn new(len: usize) -> Self {
        let bytes = vec![0; len + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        Self { bytes, start, len }
    }

    /// All of it, for the kernel to fill or take.
    pub(super) fn slice(&mut self) -> VolatileSlice<'_> {
        VolatileSlice::from(&mut self.bytes[self.start..][..self.len])
    }
}
