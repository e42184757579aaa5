use std::path::Path;

use boot::linux::{Cmdline, CmdlineError};

use super::RunArgs;
use crate::config::{ConfigError, Consoles, NoKernel, VmConfig, default_cmdline, newest_kernel};
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
            Self::Config(_) | Self::Cmdline { .. } => ExitStatus::Usage,
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
        let kernel = match self.kernel {
            Some(path) => path,
            None => newest_kernel(boot)?,
        };
        let console = Consoles::collect(self.consoles)?;
        let line = self.cmdline.unwrap_or_else(|| {
            let has_initrd = !self.initrds.is_empty();
            default_cmdline(&console, self.balloon.as_ref(), &self.disks, has_initrd)
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
            console,
            timeout: self.timeout,
            verdict: self.verdict.into(),
            pvpanic: self.pvpanic,
        };
        config.check()?;
        Ok(config)
    }
}
