use std::path::{Path, PathBuf};

/// Where the symbols of the kernel image `kernel` may be, the likeliest first:
/// in itself, beside it under the names that builds and distributions use, and
/// for its `release` where distributions put them.
pub fn candidates(kernel: &Path, release: Option<&str>) -> Vec<PathBuf> {
    let mut found = vec![kernel.to_owned()];
    let folder = kernel.parent().unwrap_or(Path::new(""));
    let name = kernel.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let version = name.strip_prefix("vmlinuz-").or_else(|| name.strip_prefix("bzImage-"));
    match version {
        Some(version) => {
            found.extend(["vmlinux-", "System.map-"].map(|n| folder.join(format!("{n}{version}"))));
        }
        None => found.extend(["vmlinux", "System.map"].map(|name| folder.join(name))),
    }
    // arch/x86/boot/bzImage of a tree that it was built in.
    if folder.ends_with("arch/x86/boot") || folder.ends_with("arch/x86_64/boot") {
        let tree = folder.join("../../..");
        found.extend(["vmlinux", "System.map"].map(|name| tree.join(name)));
    }
    if let Some(release) = release.or(version).filter(|release| !release.contains('/')) {
        found.push(format!("/usr/lib/debug/boot/vmlinux-{release}").into());
        found.push(format!("/usr/lib/debug/lib/modules/{release}/vmlinux").into());
        found.push(format!("/lib/modules/{release}/build/vmlinux").into());
        found.push(format!("/boot/System.map-{release}").into());
        found.push(format!("/lib/modules/{release}/System.map").into());
    }
    found
}
