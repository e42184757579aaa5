use std::cmp::Ordering;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Why there is no kernel to boot by default.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoKernel {
    /// The folder holds none, or cannot be listed.
    #[error("no --kernel was given and there is no {0}/vmlinuz-* to take instead")]
    Absent(PathBuf),
    /// There are kernels, and none can be read.
    #[error(
        "no --kernel was given and {0} cannot be read by this user: run `sudo chmod +r {0}`, \
         or give a kernel with --kernel"
    )]
    Unreadable(PathBuf),
}

/// The newest `vmlinuz-*` in `folder` that can be read.
///
/// Newest is by version (6.10 after 6.9), not by time.
///
/// # Errors
/// [`NoKernel`] says what was looked for, or which kernel cannot be read.
pub fn newest_kernel(folder: &Path) -> Result<PathBuf, NoKernel> {
    let mut found: Vec<(String, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned();
            entry.path().is_file().then(|| (version, entry.path()))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| compare_versions(b, a));
    let Some((_, newest)) = found.first() else {
        return Err(NoKernel::Absent(folder.to_owned()));
    };
    match found.iter().find(|(_, path)| File::open(path).is_ok()) {
        Some((_, path)) => Ok(path.clone()),
        None => Err(NoKernel::Unreadable(newest.clone())),
    }
}

/// Orders versions by their numbers, then by the text between them. At the
/// end of one, `~` and `-rc` come before nothing, everything else after.
pub(super) fn compare_versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (text_a, rest_a) = cut(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = cut(b, |c| !c.is_ascii_digit());
        let (number_a, rest_a) = cut(rest_a, |c| c.is_ascii_digit());
        let (number_b, rest_b) = cut(rest_b, |c| c.is_ascii_digit());
        let order = rank(text_a)
            .cmp(&rank(text_b))
            .then_with(|| text_a.cmp(text_b))
            .then_with(|| compare_numbers(number_a, number_b));
        if order != Ordering::Equal || (rest_a.is_empty() && rest_b.is_empty()) {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// Pre-releases, then nothing more, then what follows a release.
fn rank(text: &str) -> u8 {
    match text {
        "" => 1,
        _ if text.starts_with('~') || text.starts_with("-rc") => 0,
        _ => 2,
    }
}

/// Splits where `belongs` first fails.
fn cut(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// Compares digits as numbers of any length.
fn compare_numbers(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
