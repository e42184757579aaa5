use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::mem;

use fuse_backend_rs::abi::fuse_abi::ROOT_ID;
use nix::errno::Errno;

use super::share::Limits;

#[cfg(test)]
mod tests;

/// Who holds inodes, each by a descriptor, for as long as it has references.
pub(super) trait Holder {
    /// What the inode `node`, which is held, has and no other that may come to
    /// have its number. `None` if that cannot be said.
    fn identity(&self, node: u64) -> Option<Identity>;
    /// Takes `times` references to `node` back.
    fn let_go(&self, node: u64, times: u64);
}

/// What tells a file from a later one of the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// Its kind, and when it was made (seconds and nanoseconds).
    Made(u32, i64, i64),
    /// The same with its last change, where the file system does not say more.
    Changed(u32, i64, i64),
}

/// What a guest knows, and which of it is held by a descriptor.
///
/// There are fewer descriptors than a guest may know files. So an inode that was
/// not used for long is let go, and looked up anew when it is: by the name that it
/// was last seen under, in the directory where it was seen. The root is held always,
/// and not in the table.
#[derive(Debug)]
pub(super) struct Table {
    inodes: HashMap<u64, Known>,
    /// One for each descriptor.
    slots: Vec<u64>,
    /// Slots of no inode.
    free: Vec<usize>,
    /// The slot that is asked next for its inode.
    hand: usize,
    limits: Limits,
}

/// An inode.
#[derive(Debug)]
struct Known {
    /// How often the guest was told of it.
    times: u64,
    /// Calls that need it, and open files.
    users: usize,
    /// Inodes that were seen in it.
    children: usize,
    /// Where it was seen.
    parent: u64,
    name: Box<CStr>,
    held: Option<Held>,
    /// What it was when it was let go.
    identity: Option<Identity>,
    /// How many inodes of its number the guest knew before.
    generation: u64,
    /// Since it was last considered for letting go.
    is_used: bool,
}

#[derive(Debug)]
struct Held {
    slot: usize,
    /// References of the holder's.
    times: u64,
}

impl Known {
    /// One that is to be told of, and seen somewhere.
    fn new(name: &CStr) -> Self {
        Self {
            times: 0,
            users: 0,
            children: 0,
            parent: ROOT_ID,
            name: name.into(),
            held: None,
            identity: None,
            generation: 0,
            is_used: false,
        }
    }

    /// Whether nothing is left of it.
    fn is_over(&self) -> bool {
        self.times == 0 && self.users == 0 && self.children == 0
    }
}

impl Table {
    /// A table of at most so many inodes, and so many held ones.
    pub(super) fn new(limits: Limits) -> Self {
        let inodes = HashMap::default();
        Self { inodes, slots: Vec::new(), free: Vec::new(), hand: 0, limits }
    }

    /// Notes that the guest is told of `node`, found as `name` in `parent`: a
    /// directory that is in use. The holder's reference for it goes to the table.
    /// Returns its generation.
    ///
    /// # Errors
    /// ENFILE if the guest knows or uses too much; then nothing is noted.
    pub(super) fn add(
        &mut self,
        holder: &impl Holder,
        node: u64,
        parent: u64,
        name: &CStr,
    ) -> Result<u64, Errno> {
        if node == ROOT_ID {
            return Ok(0);
        }
        let count = self.inodes.len();
        let is_away = match self.inodes.get(&node) {
            None if count >= self.limits.inodes => return Err(Errno::ENFILE),
            None => false,
            Some(known) => known.held.is_none(),
        };
        self.inodes.entry(node).or_insert_with(|| Known::new(name));
        if let Err(error) = self.count(holder, node) {
            self.settle(holder, node);
            return Err(error);
        }
        self.moved(holder, node, parent, name);
        let known = self.inodes.get_mut(&node).expect("it has just been added");
        known.times = known.times.saturating_add(1);
        if is_away && !is_same(known.identity, holder.identity(node)) {
            known.generation += 1;
        }
        Ok(known.generation)
    }

    /// Takes a reference to `node`, which is known, if there is a descriptor for it.
    fn count(&mut self, holder: &impl Holder, node: u64) -> Result<(), Errno> {
        if let Some(held) = self.held(node) {
            held.times += 1;
            return Ok(());
        }
        let slot = self.slot(holder)?;
        self.slots[slot] = node;
        let known = self.inodes.get_mut(&node).expect("the caller knows it");
        known.held = Some(Held { slot, times: 1 });
        Ok(())
    }

    fn held(&mut self, node: u64) -> Option<&mut Held> {
        self.inodes.get_mut(&node)?.held.as_mut()
    }

    /// A slot for one more inode, if need be of one that is not in use.
    fn slot(&mut self, holder: &impl Holder) -> Result<usize, Errno> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        if self.slots.len() < self.limits.descriptors {
            self.slots.push(ROOT_ID);
            return Ok(self.slots.len() - 1);
        }
        // Who was used is asked a second time.
        for _ in 0..2 * self.slots.len() {
            let slot = self.hand;
            self.hand = (slot + 1) % self.slots.len();
            let node = self.slots[slot];
            let known = self.inodes.get_mut(&node).expect("every slot has its inode");
            if known.users > 0 || mem::take(&mut known.is_used) {
                continue;
            }
            known.identity = holder.identity(node);
            if let Some(held) = known.held.take() {
                holder.let_go(node, held.times);
            }
            return Ok(slot);
        }
        Err(Errno::ENFILE)
    }

    /// Notes that `node`, if it is known, is `name` in `parent`, which is.
    pub(super) fn moved(&mut self, holder: &impl Holder, node: u64, parent: u64, name: &CStr) {
        let Some(known) = self.inodes.get(&node) else { return };
        let was_in = known.parent;
        if was_in != parent {
            // A way has no circles, though the host may have moved both meanwhile.
            let is_circle = known.children > 0 && self.is_above(node, parent);
            if node == parent || is_circle || !self.take_in(parent) {
                return;
            }
        }
        let known = self.inodes.get_mut(&node).expect("it has just been there");
        known.parent = parent;
        if *known.name != *name {
            known.name = name.into();
        }
        if was_in != parent {
            self.take_out(holder, was_in);
        }
    }

    /// Whether `above` is `node`, or where that was seen.
    fn is_above(&self, above: u64, mut node: u64) -> bool {
        while node != above {
            let Some(known) = self.inodes.get(&node) else { return false };
            node = known.parent;
        }
        true
    }

    /// One more inode is seen in `parent`, if that is known.
    fn take_in(&mut self, parent: u64) -> bool {
        let known = self.inodes.get_mut(&parent).map(|known| known.children += 1);
        known.is_some() || parent == ROOT_ID
    }

    /// One inode less.
    fn take_out(&mut self, holder: &impl Holder, parent: u64) {
        if let Some(known) = self.inodes.get_mut(&parent) {
            known.children -= 1;
            self.settle(holder, parent);
        }
    }

    /// Notes that the guest forgets `node` as often as `times` says.
    pub(super) fn remove(&mut self, holder: &impl Holder, node: u64, times: u64) {
        if let Some(known) = self.inodes.get_mut(&node) {
            known.times = known.times.saturating_sub(times);
            self.settle(holder, node);
        }
    }

    /// Notes that the guest was not told of `node` after all, for which it was
    /// just added. Who holds takes the reference back unasked.
    pub(super) fn take_back(&mut self, holder: &impl Holder, node: u64) {
        let Some(held) = self.held(node) else { return };
        held.times -= 1;
        let (slot, is_left) = (held.slot, held.times > 0);
        if !is_left {
            self.free.push(slot);
            self.slots[slot] = ROOT_ID;
            self.inodes.get_mut(&node).expect("it has just been there").held = None;
        }
        self.remove(holder, node, 1);
    }

    /// Has what is left of nothing be gone.
    fn settle(&mut self, holder: &impl Holder, mut node: u64) {
        while self.inodes.get(&node).is_some_and(Known::is_over) {
            let known = self.inodes.remove(&node).expect("it has just been there");
            if let Some(held) = known.held {
                self.slots[held.slot] = ROOT_ID;
                self.free.push(held.slot);
                holder.let_go(node, held.times);
            }
            node = known.parent;
            if let Some(parent) = self.inodes.get_mut(&node) {
                parent.children -= 1;
            }
        }
    }

    /// Has `node` not be let go until [`Table::end`] is called as often; returns
    /// whether it is held.
    ///
    /// # Errors
    /// EBADF if the guest does not know it.
    pub(super) fn begin(&mut self, node: u64) -> Result<bool, Errno> {
        if node == ROOT_ID {
            return Ok(true);
        }
        let known = self.inodes.get_mut(&node).filter(|known| known.times > 0);
        known.map(Known::begin).ok_or(Errno::EBADF)
    }

    /// See [`Table::begin`].
    pub(super) fn end(&mut self, holder: &impl Holder, node: u64) {
        if let Some(known) = self.inodes.get_mut(&node) {
            known.users -= 1;
            self.settle(holder, node);
        }
    }

    /// The way to `node`, which is known: an inode that is held, and has just been
    /// begun with, and those below it that are not, down to `node`.
    pub(super) fn way(&mut self, mut node: u64) -> (u64, Vec<u64>) {
        let mut way = Vec::new();
        while let Some(known) = self.inodes.get_mut(&node) {
            if known.held.is_some() {
                known.begin();
                break;
            }
            way.push(node);
            node = known.parent;
        }
        way.reverse();
        (node, way)
    }

    /// The name of `node`, if it was seen in `parent`.
    pub(super) fn name(&self, node: u64, parent: u64) -> Option<CString> {
        let known = self.inodes.get(&node).filter(|known| known.parent == parent)?;
        Some(known.name.to_owned().into())
    }

    /// What was found where `node` was to be is of its number. If it is the same
    /// still, the holder's reference for it goes to the table, and it is begun with.
    ///
    /// # Errors
    /// ESTALE if it is not; ENFILE if too many are in use.
    pub(super) fn found(&mut self, holder: &impl Holder, node: u64) -> Result<(), Errno> {
        let known = self.inodes.get(&node).ok_or(Errno::ESTALE)?;
        if known.held.is_none() && !is_same(known.identity, holder.identity(node)) {
            return Err(Errno::ESTALE);
        }
        self.count(holder, node)?;
        self.inodes.get_mut(&node).expect("it has just been there").begin();
        Ok(())
    }
}

impl Known {
    fn begin(&mut self) -> bool {
        self.users += 1;
        self.is_used = true;
        self.held.is_some()
    }
}

/// Whether two looks at a number were at one inode.
fn is_same(before: Option<Identity>, now: Option<Identity>) -> bool {
    before.is_some() && before == now
}
