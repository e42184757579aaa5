use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The forms of the tiny guest, and so the ways to enter it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 64-bit ELF with the PVH note.
    Pvh,
    /// 64-bit ELF without it.
    Elf64,
    /// bzImage.
    BzImage,
    /// 32-bit ELF with a Multiboot 1 header.
    Multiboot,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pvh, Self::Elf64, Self::BzImage, Self::Multiboot];

    fn file_name(self) -> &'static str {
        match self {
            Self::Pvh => "tiny-pvh",
            Self::Elf64 => "tiny-elf64",
            Self::BzImage => "tiny.bz",
            Self::Multiboot => "tiny.mb",
        }
    }
}

/// The tiny guest's image, built if its source has changed.
///
/// # Panics
/// If it cannot be built.
pub fn tiny(form: Form) -> PathBuf {
    static IMAGES: OnceLock<PathBuf> = OnceLock::new();
    IMAGES.get_or_init(build).join(form.file_name())
}

/// Builds all forms beside the test's binary, in a folder that is named for
/// the source.
fn build() -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../resources/guests/tiny");
    let test = env::current_exe().expect("a process knows its binary");
    let target = test.parent().expect("it lies in a folder");
    let images = target.join(format!("tiny-guest-{:016x}", hash(&source)));
    if images.exists() {
        return images;
    }
    let fresh = tempfile::tempdir_in(target).expect("a folder beside the test's binary").keep();
    let output = Command::new(source.join("build")).arg(&fresh).output();
    let output = output.expect("the build script of the tiny guest can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cannot build the tiny guest (cc and ld are needed): {said}");
    // Another test's process may have been faster: then its images serve.
    if fs::rename(&fresh, &images).is_err() {
        fs::remove_dir_all(&fresh).expect("the folder is ours");
    }
    images
}

fn hash(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).expect("the tiny guest's source is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(file.file_name().expect("a listed file has a name").as_encoded_bytes());
        hasher.write(&fs::read(&file).expect("it can be read"));
    }
    hasher.finish()
}
