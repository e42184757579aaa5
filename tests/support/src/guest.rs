use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::image::{Form, tiny};
use crate::initramfs::{self, Contents};
use crate::running::{Outcome, Running};
use crate::terminal::Terminal;
use crate::vsock::Vsock;

/// How a guest can reach its devices.
pub const TRANSPORTS: [&str; 2] = ["mmio", "pci"];

/// The user and the group that an unprivileged guest runs as.
pub const USER: u32 = 1000;

/// Longer than anything takes on the slowest machine with the most to do,
/// unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(600);
/// The same for a Linux kernel in the lab.
pub(crate) const LINUX_PATIENCE: Duration = Duration::from_secs(300);

/// The `kiln` that was just built: cargo puts a test's binary in `deps`,
/// right beside it.
///
/// # Panics
/// If it is not there.
pub fn kiln() -> PathBuf {
    let test = env::current_exe().expect("a process knows its binary");
    let kiln = test.parent().and_then(Path::parent).expect("it lies in deps").join("kiln");
    assert!(kiln.exists(), "{} was not built: run `cargo test`", kiln.display());
    kiln
}

/// A guest to be run: `kiln run` with a kernel, and what a test adds.
///
/// Unless told otherwise its stdin is /dev/null, and stdout and stderr are
/// pipes that are read at once.
pub struct Guest {
    arguments: Vec<OsString>,
    /// What the guest is to run.
    command: Vec<OsString>,
    /// The folder that Kiln starts in, if not the test's.
    directory: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    /// Shell redirections, for streams that are to be closed.
    redirections: String,
    /// A network namespace other than the test's.
    namespace: Option<String>,
    /// The user and the group it runs as, if not the test's.
    user: Option<u32>,
    stdin: Stdio,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    terminal: Option<Terminal>,
    /// Whether the terminal is the one that sends Ctrl-C as a signal.
    controlled: bool,
    patience: Duration,
    files: Option<TempDir>,
}

impl Guest {
    /// The tiny guest, obeying `words`, entered by PVH.
    pub fn tiny(words: &[&str]) -> Self {
        Self::tiny_as(Form::Pvh, words)
    }

    /// The tiny guest in another form.
    pub fn tiny_as(form: Form, words: &[&str]) -> Self {
        Self::with_kernel(&tiny(form)).arg("--cmdline").arg(words.join(" "))
    }

    /// Kiln with this kernel and nothing else.
    pub fn with_kernel(kernel: &Path) -> Self {
        let guest = Self {
            arguments: vec!["run".into()],
            command: Vec::new(),
            directory: None,
            environment: Vec::new(),
            redirections: String::new(),
            namespace: None,
            user: None,
            stdin: Stdio::null(),
            stdout: None,
            stderr: None,
            terminal: None,
            controlled: false,
            patience: PATIENCE,
            files: None,
        };
        guest.arg("--kernel").arg(kernel)
    }

    /// A Linux guest: busybox with `init`, a shell script, as its first
    /// process. /proc, /sys and /dev are mounted when it starts.
    ///
    /// # Panics
    /// If the lab's runner has not said where busybox is.
    pub fn linux(kernel: &Path, init: &str) -> Self {
        Self::linux_with_modules(kernel, &[], init)
    }

    /// A Linux guest that finds these modules, `.ko.xz` files, in `/modules`
    /// as `.ko` files.
    ///
    /// # Panics
    /// As [`linux`](Self::linux), or if a module cannot be unpacked.
    pub fn linux_with_modules(kernel: &Path, modules: &[PathBuf], init: &str) -> Self {
        Self::linux_with(kernel, &Contents { modules, ..Contents::default() }, init)
    }

    /// A Linux guest that has these programs of the host, by name.
    ///
    /// # Panics
    /// As [`linux`](Self::linux), or if the host has no such program.
    pub fn linux_with_programs(kernel: &Path, programs: &[&str], init: &str) -> Self {
        Self::linux_with(kernel, &Contents { programs, ..Contents::default() }, init)
    }

    fn linux_with(kernel: &Path, contents: &Contents, init: &str) -> Self {
        let files = tempfile::tempdir().expect("a temporary folder");
        let initrd = files.path().join("initrd");
        initramfs::write(&initrd, contents, init);
        let mut guest = Self::with_kernel(kernel).initrd(&initrd);
        guest.files = Some(files);
        guest.patience = LINUX_PATIENCE;
        guest
    }

    /// Kiln with this kernel and a command for it, whose words stand behind all
    /// other arguments.
    pub fn running(kernel: &Path, words: &[&str]) -> Self {
        let mut guest = Self::with_kernel(kernel).patience(LINUX_PATIENCE);
        guest.command = words.iter().map(Into::into).collect();
        guest
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// That many processors.
    #[must_use]
    pub fn cpus(self, count: u32) -> Self {
        self.arg("--cpus").arg(count.to_string())
    }

    /// That much memory, such as "256M".
    #[must_use]
    pub fn memory(self, size: &str) -> Self {
        self.arg("--memory").arg(size)
    }

    /// One more initrd.
    #[must_use]
    pub fn initrd(self, path: &Path) -> Self {
        self.arg("--initrd").arg(path)
    }

    /// More words for the kernel.
    #[must_use]
    pub fn append(self, words: &str) -> Self {
        self.arg("--append").arg(words)
    }

    /// One more disk; `options` as ",readonly".
    #[must_use]
    pub fn disk(self, path: &Path, options: &str) -> Self {
        let mut value = path.as_os_str().to_owned();
        value.push(options);
        self.arg("--disk").arg(value)
    }

    /// One more network interface.
    #[must_use]
    pub fn tap(self, name: &str) -> Self {
        self.arg("--net").arg(format!("tap={name}"))
    }

    /// A socket device of address `cid`, which the host meets at `sockets`.
    #[must_use]
    pub fn vsock(self, cid: u32, sockets: &Vsock) -> Self {
        self.arg("--vsock").arg(format!("cid={cid},socket={}", sockets.path().display()))
    }

    /// With its devices behind this transport: one of [`TRANSPORTS`].
    #[must_use]
    pub fn transport(self, name: &str) -> Self {
        self.arg("--transport").arg(name)
    }

    /// Starts Kiln in this folder.
    #[must_use]
    pub fn directory(mut self, folder: &Path) -> Self {
        self.directory = Some(folder.to_owned());
        self
    }

    /// Sets a variable of Kiln's environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Stdin from this file.
    #[must_use]
    pub fn stdin(mut self, file: impl Into<OwnedFd>) -> Self {
        self.stdin = file.into().into();
        self.controlled = false;
        self
    }

    /// Stdin from a pipe, for [`Running::write`].
    #[must_use]
    pub fn stdin_pipe(mut self) -> Self {
        self.stdin = Stdio::piped();
        self.controlled = false;
        self
    }

    /// Stdout to this file.
    #[must_use]
    pub fn stdout(mut self, file: impl Into<OwnedFd>) -> Self {
        self.stdout = Some(file.into().into());
        self
    }

    /// Stderr to this file.
    #[must_use]
    pub fn stderr(mut self, file: impl Into<OwnedFd>) -> Self {
        self.stderr = Some(file.into().into());
        self
    }

    /// With a shell's redirections, such as `<&-` for a closed stdin.
    #[must_use]
    pub fn redirect(mut self, redirections: &str) -> Self {
        self.redirections = redirections.to_owned();
        self
    }

    /// In this network namespace, one that `ip netns` has made.
    #[must_use]
    pub fn inside(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// As user and group [`USER`], without capabilities. Only root can do
    /// that, and the lab lets that user reach all files; call it nowhere else.
    ///
    /// # Panics
    /// If the guest's files cannot be opened to that user.
    #[must_use]
    pub fn unprivileged(self) -> Self {
        self.user(USER)
    }

    /// As [`unprivileged`](Self::unprivileged), with this number for user and
    /// group.
    ///
    /// # Panics
    /// As that one.
    #[must_use]
    pub fn user(mut self, id: u32) -> Self {
        if let Some(files) = &self.files {
            let open = Permissions::from_mode(0o755);
            fs::set_permissions(files.path(), open).expect("a folder of ours can be changed");
        }
        self.user = Some(id);
        self
    }

    /// On a terminal, which also controls the process: stdin, and stdout
    /// unless it was set. Stdin may be set to something else afterwards.
    #[must_use]
    pub fn terminal(mut self, terminal: Terminal) -> Self {
        self.stdin = terminal.slave().into();
        self.controlled = true;
        self.stdout.get_or_insert_with(|| terminal.slave().into());
        self.terminal = Some(terminal);
        self
    }

    /// Lets it take this long, instead of [`PATIENCE`] or what Linux takes.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn spawn(self) -> Running {
        let mut command = self.command();
        command.stdin(self.stdin);
        command.stdout(self.stdout.unwrap_or_else(Stdio::piped));
        command.stderr(self.stderr.unwrap_or_else(Stdio::piped));
        let description = format!("{command:?}");
        let child = command.spawn().expect("the command can be started");
        // Our copies of what the child inherited are the command's.
        drop(command);
        Running::new(child, description, self.patience, self.files, self.terminal)
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Outcome {
        self.spawn().wait()
    }

    fn command(&self) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if self.controlled {
            // A session of its own, so that the terminal controls it.
            words.extend(["setsid", "--ctty"].map(Into::into));
        }
        if let Some(namespace) = &self.namespace {
            words.extend(["ip", "netns", "exec", namespace].map(Into::into));
        }
        if let Some(user) = self.user {
            let user = user.to_string();
            words.extend(["setpriv", "--reuid", &user, "--regid", &user].map(Into::into));
            words.extend(
                ["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"].map(Into::into),
            );
        }
        if !self.redirections.is_empty() {
            let script = format!("exec \"$0\" \"$@\" {}", self.redirections);
            words.extend(["sh".into(), "-c".into(), script.into()]);
        }
        words.push(kiln().into());
        words.extend(self.arguments.iter().cloned());
        if !self.command.is_empty() {
            words.push("--".into());
            words.extend(self.command.iter().cloned());
        }
        let mut command = Command::new(&words[0]);
        command.current_dir(self.directory.as_deref().unwrap_or(Path::new(".")));
        command.args(&words[1..]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}
