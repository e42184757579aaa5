use linux_loader::bootparam::setup_header;

use super::error::{ParseError, Unusable};
use super::source::Source;
use super::{bzimage, elf, foreign, multiboot};
use crate::loader::KernelKind;

/// How much of a file is read to find out what it is: every header that
/// counts starts in it, the Multiboot header being the one that decides
/// (Multiboot 0.6.96 §3.1: "within the first 8192 bytes").
pub(super) const HEAD: usize = 8192;

/// A piece of the file and the guest memory that it fills. What the file
/// does not fill is left as it is: fresh guest memory is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Where in the file it starts; it ends inside the file.
    pub(super) offset: u64,
    /// Bytes that come from the file.
    pub(super) file_size: u64,
    /// Guest-physical address.
    pub(super) address: u64,
    /// Bytes of guest memory it occupies, at least `file_size`;
    /// `address + memory_size` does not wrap.
    pub(super) memory_size: u64,
}

impl Segment {
    /// The address after its last byte.
    pub(super) fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_size)
    }
}

/// What the boot processor finds at the entry point.
#[derive(Clone, Debug)]
pub(super) enum Protocol {
    /// Linux 64-bit entry; the setup header as it stands in the file.
    BzImage(Box<setup_header>),
    /// Linux 64-bit entry of an ELF file.
    Linux64,
    /// Xen PVH.
    Pvh,
    /// Multiboot 1.
    Multiboot,
}

/// A kernel file, understood: checked against the file, not yet against any
/// guest memory.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) protocol: Protocol,
    pub(super) segments: Vec<Segment>,
    /// Address of the first instruction, inside a segment.
    pub(super) entry: u64,
    /// Longest command line in bytes, without the NUL.
    pub(super) cmdline_limit: usize,
    /// Whether it is a Linux kernel for certain.
    pub(super) linux: bool,
}

impl Image {
    pub(super) fn kind(&self) -> KernelKind {
        match self.protocol {
            Protocol::BzImage(_) => KernelKind::BzImage,
            Protocol::Linux64 => KernelKind::Elf64,
            Protocol::Pvh => KernelKind::ElfPvh,
            Protocol::Multiboot => KernelKind::Multiboot,
        }
    }
}

/// Finds out what an image is and where its parts lie.
pub(super) fn parse(source: &Source<'_>) -> Result<Image, ParseError> {
    let head = source.up_to(0, HEAD)?;
    if head.is_empty() {
        return Err(Unusable::Empty.into());
    }
    if bzimage::recognise(&head) {
        return bzimage::parse(source, &head);
    }
    if elf::recognise(&head) {
        return elf::parse(source, &head);
    }
    if let Some(what) = foreign::recognise(source, &head)? {
        return Err(Unusable::Foreign(what).into());
    }
    match multiboot::Header::find(&head) {
        Some(header) => multiboot::parse_flat(source, &header),
        None => Err(foreign::guess(&head).into()),
    }
}

/// What the bytes of a kernel file are, as [`crate::Kernel::open`] would say
/// of a file with these contents.
///
/// # Errors
/// [`Unusable`] says why no guest can be booted from them.
pub fn parse_bytes(bytes: &[u8]) -> Result<KernelKind, Unusable> {
    match parse(&Source::slice(bytes)) {
        Ok(image) => Ok(image.kind()),
        Err(ParseError::Unusable(why)) => Err(why),
        Err(ParseError::Read(_)) => unreachable!("a slice is read without fail"),
    }
}
