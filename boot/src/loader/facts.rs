//! What a kernel image says about the kernel in it.

use std::io;

use linux_loader::bootparam::setup_header;
use memchr::memmem::Finder;

use super::error::ParseError;
use super::image::{self, Image, Protocol};
use super::kernel::Kernel;
use super::sections::{self, Part};
use super::source::Source;

/// Where a bzImage's version text is counted from (Linux,
/// Documentation/arch/x86/boot.rst, "kernel_version").
const VERSION_BASE: u64 = 0x200;
/// The longest release that is believed, in bytes; Linux has 64.
const RELEASE_MAX: usize = 128;
/// What stands before the release in the kernel's banner.
const BANNER: &[u8] = b"Linux version ";
/// How much of an ELF file is searched at once.
const STEP: usize = 64 << 10;

impl Kernel {
    /// The release that the kernel calls itself by, as `uname -r` prints it;
    /// `None` if the image does not tell. An ELF file is searched for it.
    ///
    /// # Errors
    /// What the host said when the file was read.
    pub fn release(&self) -> io::Result<Option<String>> {
        let source = Source::file(&self.file, self.file.metadata()?.len());
        match release(&self.image, &source) {
            Err(ParseError::Read(error)) => Err(error),
            Err(ParseError::Unusable(_)) => Ok(None),
            Ok(release) => Ok(release),
        }
    }
}

/// The release that the kernel in these bytes calls itself by, as
/// [`Kernel::release`] would say of a file with these contents.
pub fn release_of_bytes(bytes: &[u8]) -> Option<String> {
    let source = Source::slice(bytes);
    release(&image::parse(&source).ok()?, &source).ok()?
}

fn release(image: &Image, source: &Source<'_>) -> Result<Option<String>, ParseError> {
    match &image.protocol {
        Protocol::BzImage(header) => of_header(source, header),
        _ => of_banner(source, image),
    }
}

/// The release in the banner that lies somewhere in what is loaded, most likely in
/// its read-only data.
fn of_banner(source: &Source<'_>, image: &Image) -> Result<Option<String>, ParseError> {
    let all = image.segments.iter().map(|s| Part { offset: s.offset, size: s.file_size });
    let parts = sections::read_only_data(source).into_iter().chain(all);
    let finder = Finder::new(BANNER);
    let mut piece = vec![0; STEP + BANNER.len() + RELEASE_MAX];
    for part in parts {
        let end = part.offset.saturating_add(part.size);
        let mut at = part.offset;
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(piece.len());
            // A banner across the edge is whole in one of the two pieces.
            let count = source.fill(at, &mut piece[..left])?;
            let piece = &piece[..count];
            let found = finder.find_iter(piece).map(|found| found + BANNER.len());
            if let Some(release) = found.filter_map(|from| first_word(&piece[from..])).next() {
                return Ok(Some(release));
            }
            at += u64::try_from(STEP).expect("a step is small");
        }
    }
    Ok(None)
}

fn of_header(source: &Source<'_>, header: &setup_header) -> Result<Option<String>, ParseError> {
    if header.kernel_version == 0 {
        return Ok(None);
    }
    let text = source.up_to(VERSION_BASE + u64::from(header.kernel_version), RELEASE_MAX + 1)?;
    Ok(first_word(&text))
}

/// The word that `text` begins with, if it looks like a release: it starts with
/// a digit, and can be the name of a folder.
fn first_word(text: &[u8]) -> Option<String> {
    let text = &text[..text.len().min(RELEASE_MAX + 1)];
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'\n' | 0))?;
    let word = std::str::from_utf8(&text[..end]).ok()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-~".contains(&byte);
    let is_release = word.starts_with(|c: char| c.is_ascii_digit()) && word.bytes().all(allowed);
    is_release.then(|| word.to_owned())
}
