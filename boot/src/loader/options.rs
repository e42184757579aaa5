//! The options that a kernel was built with, which it holds itself if it was
//! built with `CONFIG_IKCONFIG`.

use std::io::{self, ErrorKind, Read};
use std::time::Instant;

use memchr::memmem;

use super::image::{self, Image};
use super::kernel::Kernel;
use super::source::Source;
use super::{contents, sections};

/// What stands before the packed options (Linux, kernel/configs.c), with how
/// they begin, packed by gzip.
const START: &[u8] = b"IKCFG_ST\x1f\x8b\x08";
/// How much of that is not theirs.
const MARK: usize = 8;
/// How much of a kernel is searched at once.
const STEP: usize = 64 << 10;
/// The most bytes of options; Linux has some 300,000.
const OPTIONS_MAX: u64 = 8 << 20;

/// How a kernel was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelOptions(String);

/// What an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// In the kernel.
    BuiltIn,
    /// A module.
    Module,
    /// Neither.
    Absent,
}

impl KernelOptions {
    /// What the option `name`, without `CONFIG_`, is.
    pub fn setting(&self, name: &str) -> Setting {
        let value = self
            .0
            .lines()
            .find_map(|line| line.strip_prefix("CONFIG_")?.strip_prefix(name)?.strip_prefix('='));
        match value {
            None | Some("n") => Setting::Absent,
            Some("m") => Setting::Module,
            Some(_) => Setting::BuiltIn,
        }
    }
}

impl Kernel {
    /// The options that the kernel was built with; `None` if it does not hold
    /// them, is packed in a way unknown here, or takes until `deadline`. Reads
    /// the image as far as it must, and unpacks it.
    ///
    /// # Errors
    /// What the host said when the file was read.
    pub fn options(&self, deadline: Instant) -> io::Result<Option<KernelOptions>> {
        let source = Source::file(&self.file, self.file.metadata()?.len());
        match of_image(&self.image, &source, Some(deadline)) {
            Err(error) if is_of_contents(&error) => Ok(None),
            result => result,
        }
    }
}

/// The options that the kernel in these bytes was built with, as
/// [`Kernel::options`] would say of a file with these contents.
pub fn options_of_bytes(bytes: &[u8]) -> Option<KernelOptions> {
    let source = Source::slice(bytes);
    let image = image::parse(&source).ok()?;
    of_image(&image, &source, None).ok()?
}

/// An ELF file that says where its read-only data is has its options there.
fn of_image(
    image: &Image,
    source: &Source<'_>,
    deadline: Option<Instant>,
) -> io::Result<Option<KernelOptions>> {
    match sections::read_only_data(source) {
        Some(data) => find(contents::part(source, data), deadline),
        None => find(contents::reader(image, source)?, deadline),
    }
}

/// Whether an error is about what is in the file, or the time for it, not about
/// reading it.
fn is_of_contents(error: &io::Error) -> bool {
    use ErrorKind::{InvalidData, InvalidInput, Other, TimedOut, UnexpectedEof, Unsupported};
    matches!(
        error.kind(),
        InvalidData | InvalidInput | UnexpectedEof | Unsupported | Other | TimedOut
    )
}

fn find(mut kernel: impl Read, deadline: Option<Instant>) -> io::Result<Option<KernelOptions>> {
    let finder = memmem::Finder::new(START);
    let step = u64::try_from(STEP).expect("a step is small");
    let mut piece = Vec::with_capacity(STEP + START.len());
    loop {
        if kernel.by_ref().take(step).read_to_end(&mut piece)? == 0 {
            return Ok(None);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(ErrorKind::TimedOut.into());
        }
        if let Some(found) = finder.find(&piece) {
            let packed = piece[found + MARK..].chain(kernel);
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(packed).take(OPTIONS_MAX).read_to_end(&mut text)?;
            return Ok(Some(KernelOptions(String::from_utf8_lossy(&text).into_owned())));
        }
        // What lies across the edge is whole in the next piece.
        piece.drain(..piece.len().saturating_sub(START.len() - 1));
    }
}
