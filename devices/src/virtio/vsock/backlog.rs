use std::io::IoSlice;

use crate::virtio::queue::Buffer;

/// Bytes that a Unix socket did not take yet: a ring that has memory only
/// while it has bytes.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    ring: Box<[u8]>,
    start: usize,
    len: usize,
}

impl Backlog {
    /// Length in bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `data` at the end; all that is kept is at most `capacity` bytes,
    /// the same for life.
    pub(super) fn push(&mut self, data: &Buffer<'_>, capacity: usize) {
        if self.ring.is_empty() {
            // Zeroed memory costs the host nothing until it is filled.
            self.ring = vec![0; capacity].into_boxed_slice();
        }
        assert!(data.len() <= self.ring.len() - self.len, "credit keeps within the capacity");
        for mut piece in data.pieces().iter().cloned() {
            while !piece.is_empty() {
                let end = (self.start + self.len) % self.ring.len();
                let room = (self.ring.len() - self.len).min(self.ring.len() - end);
                let len = piece.copy_to(&mut self.ring[end..end + room]);
                self.len += len;
                piece = piece.offset(len).expect("no more is copied than there is");
            }
        }
    }

    /// The bytes, in order.
    pub(super) fn slices(&self) -> [IoSlice<'_>; 2] {
        let first = self.len.min(self.ring.len() - self.start);
        let (front, back) = (&self.ring[self.start..self.start + first], &self.ring);
        [IoSlice::new(front), IoSlice::new(&back[..self.len - first])]
    }

    /// Drops the first `len` bytes.
    pub(super) fn consume(&mut self, len: usize) {
        self.len -= len;
        if self.len == 0 {
            *self = Self::default();
        } else {
            self.start = (self.start + len) % self.ring.len();
        }
    }
}
