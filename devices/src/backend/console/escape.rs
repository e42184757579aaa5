/// Ctrl-A, the key that begins an escape.
const PREFIX: u8 = 0x01;

/// Finds the escape keys in what is typed: Ctrl-A X ends the VM, Ctrl-A
/// Ctrl-A is a Ctrl-A for the guest.
///
/// Ctrl-A before any other key goes to the guest with it, one key late, so
/// that programs which use it still work.
#[derive(Default)]
pub struct Escape {
    begun: bool,
}

impl Escape {
    /// Appends to `out` what of `typed` is the guest's; returns whether the
    /// VM shall end. What follows that key is dropped.
    pub fn filter(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        for &key in typed {
            let begun = std::mem::take(&mut self.begun);
            match key {
                b'x' | b'X' if begun => return true,
                PREFIX if begun => out.push(PREFIX),
                PREFIX => self.begun = true,
                key if begun => out.extend([PREFIX, key]),
                key => out.push(key),
            }
        }
        false
    }
}
