use std::path::{self, Path, PathBuf};
use std::{env, io};

use boot::linux::{Cmdline, CmdlineError};

use super::{RunArgs, VerdictArgs};
use crate::config::{
    CommandConfig, ConfigError, Consoles, NoKernel, VmConfig, default_cmdline, newest_kernel,
};
use crate::exit::ExitStatus;

/// Why the arguments describe no machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// No kernel was named, and there is none to take instead.
    #[error(transparent)]
    Kernel(#[from] NoKernel),
    /// Parts do not go together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A path cannot be made absolute: it is empty, or this directory is gone.
    #[error("{option}: {path} is no path here")]
    Path {
        /// The option with the path.
        option: &'static str,
        /// The path.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The command line would end or break in the middle.
    #[error("{option}: {source}")]
    Cmdline {
        /// The option with the text.
        option: &'static str,
        /// What is in it.
        source: CmdlineError,
    },
}

impl ArgsError {
    /// The exit status: a missing kernel is the host's fault, the rest the
    /// command line's.
    pub fn status(&self) -> ExitStatus {
        match self {
            Self::Kernel(_) => ExitStatus::Failed,
            Self::Config(_) | Self::Path { .. } | Self::Cmdline { .. } => ExitStatus::Usage,
        }
    }
}

/// Words for a kernel whose messages nobody reads: each costs time, and those
/// of a panic come all the same.
const QUIET: &str = " quiet";

/// Words for one whose warnings are counted: they are shown, and little else
/// is (Linux, `KERN_WARNING`).
const WARNINGS: &str = " loglevel=5";

/// What `--shell` runs for who has no shell.
const SHELL: &str = "/bin/sh";

impl VerdictArgs {
    /// What to tell a kernel whose console nobody sees but the verdict.
    fn level(&self) -> &'static str {
        if !self.fail_on.is_empty() || !self.succeed_on.is_empty() {
            ""
        } else if self.fail_on_warning || self.report.is_some() || self.junit.is_some() {
            WARNINGS
        } else {
            QUIET
        }
    }
}

impl RunArgs {
    /// Resolves what was left out and checks what belongs together. `boot` is
    /// the folder with the host's kernels.
    ///
    /// # Errors
    /// [`ArgsError`] names the option and the reason.
    pub fn resolve(self, boot: &Path) -> Result<VmConfig, ArgsError> {
        let command = self.command()?;
        let kernel = match self.kernel {
            Some(path) => path,
            None => newest_kernel(boot)?,
        };
        let mut console = Consoles::collect(self.consoles)?;
        if command.is_some() {
            console.stay_out_of_the_way(self.verbose > 0);
        }
        let line = self.cmdline.unwrap_or_else(|| {
            let has_initrd = !self.initrds.is_empty() || command.is_some();
            let mut line =
                default_cmdline(&console, self.balloon.as_ref(), &self.disks, has_initrd);
            if command.is_some() && !console.is_shown() {
                line.push_str(self.verdict.level());
            }
            line
        });
        let forbidden = |option| move |source| ArgsError::Cmdline { option, source };
        let mut cmdline = Cmdline::new(line).map_err(forbidden("--cmdline"))?;
        for words in &self.append {
            cmdline.append(words).map_err(forbidden("--append"))?;
        }
        let config = VmConfig {
            name: self.name,
            kernel,
            cmdline: cmdline.to_string(),
            initrds: self.initrds,
            cpus: self.cpus,
            memory: self.memory,
            disks: self.disks,
            nets: self.nets,
            vsock: self.vsock,
            rng: self.rng,
            balloon: self.balloon,
            shares: self.shares,
            transport: self.transport,
            command,
            console,
            timeout: self.timeout,
            verdict: self.verdict.into(),
            pvpanic: self.pvpanic,
        };
        config.check()?;
        Ok(config)
    }

    /// The command, if there is to be one.
    fn command(&self) -> Result<Option<CommandConfig>, ArgsError> {
        let argv = if self.shell {
            vec![env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or(SHELL.into())]
        } else {
            self.command.clone()
        };
        if argv.is_empty() {
            return Ok(None);
        }
        let absolute = |option, path: &Path| {
            let whole = path::absolute(path);
            whole.map_err(|source| ArgsError::Path { option, path: path.to_owned(), source })
        };
        let writable = self.writable.iter().map(|path| absolute("--rw", path));
        Ok(Some(CommandConfig {
            argv,
            root: absolute("--root", &self.root)?,
            writable: writable.collect::<Result<_, _>>()?,
            env: self.env.clone(),
            modules: self.modules.clone(),
        }))
    }
}
