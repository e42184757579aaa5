/// Names an item of a [`Table`]; never another one, even after the item has
/// gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    slot: u32,
    generation: u32,
}

impl Token {
    /// The token as a number, below [`u64::MAX`].
    pub(super) fn to_number(self) -> u64 {
        u64::from(self.slot) | u64::from(self.generation) << 32
    }

    /// The token of that number.
    pub(super) fn from_number(number: u64) -> Self {
        let part = |number: u64| u32::try_from(number & 0xffff_ffff).expect("32 bits are left");
        Self { slot: part(number), generation: part(number >> 32) }
    }
}

/// Items by token. Its memory follows the most items that there ever were.
#[derive(Debug)]
pub(super) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    item: Option<T>,
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Adds `item`.
    pub(super) fn insert(&mut self, item: T) -> Token {
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[index(slot)];
            place.item = Some(item);
            return Token { slot, generation: place.generation };
        }
        let slot = u32::try_from(self.slots.len()).expect("a few thousand items");
        self.slots.push(Slot { generation: 0, item: Some(item) });
        Token { slot, generation: 0 }
    }

    /// The item, if it is still there.
    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let place = self.slots.get_mut(index(token.slot))?;
        place.item.as_mut().filter(|_| place.generation == token.generation)
    }

    /// Makes another item of one, which keeps its token, if it is still there.
    pub(super) fn replace(&mut self, token: Token, with: impl FnOnce(T) -> T) {
        if self.get_mut(token).is_some() {
            let place = &mut self.slots[index(token.slot)];
            place.item = place.item.take().map(with);
        }
    }

    /// Takes the item out, if it is still there.
    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        self.get_mut(token)?;
        let place = &mut self.slots[index(token.slot)];
        place.generation = place.generation.wrapping_add(1);
        self.free.push(token.slot);
        place.item.take()
    }
}

fn index(slot: u32) -> usize {
    usize::try_from(slot).expect("this is a 64-bit program")
}
