//! ELF notes: the few that say what a kernel is and where it is entered.

/// Notes of a kernel are some hundred bytes; more than this is not read.
pub(super) const NOTES_LIMIT: usize = 64 << 10;

/// "Xen", `XEN_ELFNOTE_GUEST_OS`: name of the system.
const XEN_GUEST_OS: u32 = 6;
/// "Xen", `XEN_ELFNOTE_PHYS32_ENTRY`: physical address of the PVH entry.
const XEN_PHYS32_ENTRY: u32 = 18;
/// "GNU", `NT_GNU_ABI_TAG`: which system a program runs on. Kernels have none.
const GNU_ABI_TAG: u32 = 1;

/// What the notes of an ELF file say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// PVH entry point; it may be as wide as the note has it.
    pub(super) pvh_entry: Option<u64>,
    /// Named as Linux, by Linux's own note or by the Xen one.
    pub(super) linux: bool,
    /// A user program.
    pub(super) program: bool,
}

impl Notes {
    /// Adds what the notes of one segment say. Bytes that are no notes end
    /// the walk: what stands before them counts.
    pub(super) fn read(&mut self, bytes: &[u8], alignment: u64) {
        self.walk(bytes, 4);
        // Binutils pads to 8 in segments of that alignment, other linkers
        // pad to 4 even there.
        if alignment == 8 {
            self.walk(bytes, 8);
        }
    }

    fn walk(&mut self, mut bytes: &[u8], alignment: usize) {
        while let Some((note, rest)) = split(bytes, alignment) {
            self.take(&note);
            bytes = rest;
        }
    }

    fn take(&mut self, note: &Note<'_>) {
        match (note.name, note.kind) {
            (b"Xen\0", XEN_PHYS32_ENTRY) => {
                self.pvh_entry = self.pvh_entry.or_else(|| address(note.description));
            }
            (b"Xen\0", XEN_GUEST_OS) => self.linux |= note.description.starts_with(b"linux"),
            (b"Linux\0", _) => self.linux = true,
            (b"GNU\0", GNU_ABI_TAG) => self.program = true,
            _ => {}
        }
    }
}

struct Note<'a> {
    name: &'a [u8],
    kind: u32,
    description: &'a [u8],
}

/// The first note and what follows it.
fn split(bytes: &[u8], alignment: usize) -> Option<(Note<'_>, &[u8])> {
    let name_size = usize::try_from(word(bytes, 0)?).ok()?;
    let description_size = usize::try_from(word(bytes, 4)?).ok()?;
    let kind = word(bytes, 8)?;
    let name = bytes.get(12..)?.get(..name_size)?;
    let start = 12_usize.checked_add(name_size)?.checked_next_multiple_of(alignment)?;
    let description = bytes.get(start..)?.get(..description_size)?;
    let end = start.checked_add(description_size)?.checked_next_multiple_of(alignment)?;
    let rest = bytes.get(end..).unwrap_or_default();
    Some((Note { name, kind, description }, rest))
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// A 32-bit address, or a 64-bit one as Linux writes it.
fn address(description: &[u8]) -> Option<u64> {
    match description.first_chunk() {
        Some(bytes) => Some(u64::from_le_bytes(*bytes)),
        None => Some(u64::from(word(description, 0)?)),
    }
}
