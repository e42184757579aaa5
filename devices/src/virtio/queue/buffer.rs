use smallvec::SmallVec;
use vm_memory::{Bytes, VolatileSlice};

/// How many pieces need no memory of their own: a header or a status with
/// its data, as in most requests.
const INLINE: usize = 2;

/// Pieces of guest memory in order, seen as one run of bytes.
#[derive(Clone, Debug, Default)]
pub struct Buffer<'m> {
    pieces: SmallVec<[VolatileSlice<'m>; INLINE]>,
    len: usize,
}

impl<'m> Buffer<'m> {
    /// Adds `piece` at the end.
    pub fn push(&mut self, piece: VolatileSlice<'m>) {
        if !piece.is_empty() {
            self.len += piece.len();
            self.pieces.push(piece);
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pieces, none of them empty.
    pub fn pieces(&self) -> &[VolatileSlice<'m>] {
        &self.pieces
    }

    /// Cuts off the first `at` bytes and returns them; all if there are fewer.
    pub fn split_front(&mut self, at: usize) -> Self {
        if at >= self.len {
            return std::mem::take(self);
        }
        let mut front = Self::default();
        let mut whole = 0;
        // Some piece has more bytes than are wanted: there are more in all.
        loop {
            let (piece, wanted) = (self.pieces[whole], at - front.len);
            if piece.len() > wanted {
                let (head, tail) = piece.split_at(wanted).expect("wanted is less than its length");
                front.push(head);
                self.pieces[whole] = tail;
                break;
            }
            front.push(piece);
            whole += 1;
        }
        self.pieces.drain(..whole);
        self.len -= front.len;
        front
    }

    /// Copies the first bytes to `to`; returns how many there were, at most
    /// `to.len()`.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let mut done = 0;
        for piece in &self.pieces {
            done += piece.copy_to(&mut to[done..]);
        }
        done
    }

    /// Copies `from` over the first bytes; returns how many found room.
    pub fn copy_from(&self, from: &[u8]) -> usize {
        let mut done = 0;
        for piece in &self.pieces {
            // `read` and `write` of an empty slice are no errors.
            done += piece.write(&from[done..], 0).expect("offset 0 lies in a piece");
        }
        done
    }
}
