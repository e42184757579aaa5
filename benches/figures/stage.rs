use std::cell::RefCell;
use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use cpio::NewcBuilder;
use tempfile::TempDir;

use crate::Result;
use crate::args::Args;
use crate::guest::Guest;
use crate::vmm::Vmm;

/// The scripts beside which this benchmark lies.
pub(crate) const RESOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/resources");
/// The binary that cargo has just built, in release form.
const KILN: &str = env!("CARGO_BIN_EXE_kiln");

/// A folder with everything that takes part, under fixed names.
pub(crate) struct Stage {
    path: PathBuf,
    /// Deletes it in the end.
    _folder: Option<TempDir>,
    /// The same for folders on a tmpfs.
    in_memory: RefCell<Vec<TempDir>>,
    /// Whether others take part that are not named.
    searches: bool,
}

impl Stage {
    /// Builds what is measured with and finds who takes part. Also returns a
    /// line on each peer that does not.
    pub(crate) fn build(args: &Args) -> Result<(Self, Vec<String>)> {
        let folder = tempfile::tempdir()?;
        let stage = Self {
            path: folder.path().into(),
            _folder: Some(folder),
            in_memory: RefCell::default(),
            searches: !args.no_search,
        };
        script("bench/build", &[stage.path.as_os_str()])?;
        script("guests/tiny/build", &[stage.path.as_os_str()])?;
        stage.add(Vmm::Kiln, Path::new(KILN))?;
        symlink(env::current_exe()?, stage.path.join("figures"))?;
        let mut absent = Vec::new();
        for vmm in Vmm::PEERS {
            match find(vmm, args)? {
                Some(binary) => stage.add(vmm, &binary)?,
                None if vmm == Vmm::OtherKiln => {}
                None => absent.push(format!(
                    "{} was not found: --peer {}=PATH names it",
                    vmm.title(),
                    vmm.peer_name()
                )),
            }
        }
        Ok((stage, absent))
    }

    /// Makes `binary` known as that of `vmm`.
    fn add(&self, vmm: Vmm, binary: &Path) -> Result<()> {
        // Pages of a file just built count as dirty until they are on disk.
        File::open(binary)?.sync_all()?;
        Ok(symlink(binary, self.binary(vmm))?)
    }

    /// One that somebody has built.
    pub(crate) fn at(path: &Path) -> Self {
        Self { path: path.into(), _folder: None, in_memory: RefCell::default(), searches: false }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the minimal kernel and an initramfs, unless they are there.
    pub(crate) fn add_linux(&self) -> Result<()> {
        let vmlinux = self.path.join("vmlinux");
        if vmlinux.exists() {
            return Ok(());
        }
        let kernel = PathBuf::from(script("kernel/build", &[])?);
        symlink(kernel.join("vmlinux"), vmlinux)?;
        // The kind that unpacks fastest.
        symlink(kernel.join("bzImage.lz4"), self.path.join("bzImage"))?;
        let init = fs::read(self.path.join("init"))?;
        let initrd = File::create(self.path.join("initrd"))?;
        let mut entry = NewcBuilder::new("init")
            .mode(0o100_755)
            .nlink(1)
            .write(initrd, u32::try_from(init.len())?);
        io::copy(&mut init.as_slice(), &mut entry)?;
        cpio::newc::trailer(entry.finish()?)?;
        Ok(())
    }

    /// Adds Linux with what `kind` of device is measured with, disk or net, unless it is there.
    pub(crate) fn add_guest(&self, kind: &str) -> Result<()> {
        let initrd = self.path.join(format!("{kind}-initrd"));
        if !initrd.exists() {
            let guest = PathBuf::from(script(&format!("bench/{kind}_guest"), &[])?);
            symlink(guest.join("vmlinux"), self.path.join(format!("{kind}-vmlinux")))?;
            symlink(guest.join("initrd"), initrd)?;
        }
        Ok(())
    }

    /// Adds virtme-ng, unless it is there or is not to be looked for.
    pub(crate) fn add_virtme(&self) -> Result<()> {
        let virtme = self.path.join("virtme");
        if self.searches && !virtme.exists() {
            symlink(script("bench/virtme", &[])?, virtme)?;
        }
        Ok(())
    }

    /// The path of a file of that name in memory, for as long as the stage is there.
    pub(crate) fn memory_file(&self, name: &str) -> Result<PathBuf> {
        let folder = tempfile::tempdir_in("/dev/shm")?;
        let path = folder.path().join(name);
        self.in_memory.borrow_mut().push(folder);
        Ok(path)
    }

    /// Who takes part: Kiln, then the peers.
    pub(crate) fn vmms(&self) -> Vec<Vmm> {
        let all = [Vmm::Kiln].into_iter().chain(Vmm::PEERS);
        all.filter(|vmm| self.binary(*vmm).exists()).collect()
    }

    /// The command by which `vmm` runs `guest`; `None` if it cannot load it.
    pub(crate) fn command(&self, vmm: Vmm, guest: &Guest) -> Result<Option<Command>> {
        let command = vmm.command(&self.binary(vmm), guest, &self.path)?;
        Ok(command.map(|mut command| {
            // Nobody writes to a home directory.
            command.env("HOME", &self.path);
            command
        }))
    }

    /// What each peer says its version is.
    pub(crate) fn versions(&self) -> Vec<String> {
        let peers = self.vmms().into_iter().filter(|vmm| *vmm != Vmm::Kiln);
        peers.filter_map(|vmm| self.version(vmm)).collect()
    }

    fn version(&self, vmm: Vmm) -> Option<String> {
        let output = Command::new(self.binary(vmm)).arg("--version").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout);
        Some(format!("{}: {}", vmm.title(), text.lines().next()?))
    }

    fn binary(&self, vmm: Vmm) -> PathBuf {
        self.path.join(vmm.staged_name())
    }
}

/// Runs a script under resources/ and returns the line that it prints.
fn script(name: &str, arguments: &[&std::ffi::OsStr]) -> Result<String> {
    let output = Command::new(Path::new(RESOURCES).join(name))
        .args(arguments)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("resources/{name} failed ({})", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

/// The binary of a peer: as named, else in KILN_PEERS, else in PATH.
fn find(vmm: Vmm, args: &Args) -> Result<Option<PathBuf>> {
    if let Some((_, path)) = args.peers.iter().find(|(peer, _)| *peer == vmm) {
        let path = path.canonicalize();
        return path.map(Some).map_err(|e| format!("--peer {}: {e}", vmm.peer_name()).into());
    }
    if args.no_search {
        return Ok(None);
    }
    let folders = ["KILN_PEERS", "PATH"].into_iter().filter_map(env::var_os);
    let folders: Vec<PathBuf> =
        folders.flat_map(|v| env::split_paths(&v).collect::<Vec<_>>()).collect();
    let candidates = folders.iter().flat_map(|f| vmm.file_names().iter().map(|name| f.join(name)));
    Ok(candidates
        .into_iter()
        .find(|path| path.is_file())
        .map(|path| path.canonicalize().unwrap_or(path)))
}
