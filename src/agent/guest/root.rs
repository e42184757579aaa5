use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::error::{AgentError, kernel};
use crate::agent::protocol::{Job, MountKind};

/// The host's files, the throw-away layer above them, and both together.
const LOWER: &str = "/lower";
const UPPER: &str = "/upper";
const ROOT: &str = "/root";

/// Links that programs expect and devtmpfs has not.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
];

/// Makes the root file system of `job` and moves there.
pub(super) fn enter(job: &Job) -> Result<(), AgentError> {
    let root = match &job.root {
        Some(tag) => {
            overlay(tag)?;
            Path::new(ROOT)
        }
        None => Path::new("/"),
    };
    furnish(root)?;
    for share in &job.mounts {
        let target = below(root, Path::new(share.path.as_os_str()));
        let flags = match share.kind {
            MountKind::ReadOnly => MsFlags::MS_RDONLY,
            MountKind::Writable => MsFlags::empty(),
        };
        attach("virtiofs", &share.tag, &target, flags, "")?;
    }
    if job.root.is_some() {
        switch(root).map_err(kernel("change the root file system"))?;
    }
    Ok(())
}

/// The host's tree, with what the guest changes kept in memory.
fn overlay(tag: &str) -> Result<(), AgentError> {
    attach("virtiofs", tag, Path::new(LOWER), MsFlags::MS_RDONLY, "")?;
    attach("tmpfs", "tmpfs", Path::new(UPPER), MsFlags::empty(), "mode=755")?;
    for folder in ["data", "work"] {
        fs::create_dir(Path::new(UPPER).join(folder)).map_err(kernel("make a folder"))?;
    }
    let layers = format!("lowerdir={LOWER},upperdir={UPPER}/data,workdir={UPPER}/work");
    attach("overlay", "overlay", Path::new(ROOT), MsFlags::empty(), &layers)
}

/// What every root has besides files.
fn furnish(root: &Path) -> Result<(), AgentError> {
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    attach("proc", "proc", &root.join("proc"), safe | MsFlags::MS_NOEXEC, "")?;
    attach("sysfs", "sysfs", &root.join("sys"), safe | MsFlags::MS_NOEXEC, "")?;
    let devices = root.join("dev");
    mount_devices(&devices)?;
    let terminals = "gid=5,mode=620,ptmxmode=666";
    let no_programs = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    attach("devpts", "devpts", &devices.join("pts"), no_programs, terminals)?;
    attach("tmpfs", "shm", &devices.join("shm"), safe, "mode=1777")?;
    attach("tmpfs", "run", &root.join("run"), safe, "mode=755")?;
    for (target, name) in LINKS {
        match symlink(target, devices.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(kernel("make a link")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The device nodes alone, at `path`.
pub(super) fn mount_devices(path: &Path) -> Result<(), AgentError> {
    attach("devtmpfs", "dev", path, MsFlags::MS_NOSUID, "mode=755")
}

/// Mounts a file system, in a folder that is made if it is not there.
fn attach(
    kind: &str,
    source: &str,
    target: &Path,
    flags: MsFlags,
    options: &str,
) -> Result<(), AgentError> {
    let mounted = fs::create_dir_all(target)
        .and_then(|()| Ok(mount(Some(source), target, Some(kind), flags, Some(options))?));
    mounted.map_err(|source| AgentError::Mount {
        what: format!("{kind} on {}", target.display()),
        option: option(kind),
        source,
    })
}

/// What a kernel needs for a file system.
fn option(kind: &str) -> &'static str {
    match kind {
        "virtiofs" => "VIRTIO_FS",
        "overlay" => "OVERLAY_FS",
        "tmpfs" => "TMPFS",
        "proc" => "PROC_FS",
        "sysfs" => "SYSFS",
        "devtmpfs" => "DEVTMPFS",
        "devpts" => "UNIX98_PTYS",
        _ => "",
    }
}

/// `path`, which starts at the root, below `root`.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Makes `root` the root, in place of the initramfs, which cannot be unmounted
/// (Linux, Documentation/filesystems/ramfs-rootfs-initramfs.rst).
fn switch(root: &Path) -> io::Result<()> {
    fs::remove_file("/init")?;
    fs::remove_dir_all(super::MODULES)?;
    std::env::set_current_dir(root)?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    nix::unistd::chroot(".")?;
    std::env::set_current_dir("/")
}
