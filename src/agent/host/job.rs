use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use nix::unistd::{getgid, getgroups, gethostname, getuid};
use vmm_core::sys::terminal;

use super::same_file::same_file;
use crate::agent::protocol::{Job, Mount, MountKind, TerminalSize, Tty};
use crate::config::{CommandConfig, EnvChange, ShareConfig, VmName};

/// Where the guest finds the directories of `--share`.
const SHARES: &str = "/mnt";

/// Why there is no telling what the command is to find.
#[derive(Debug, thiserror::Error)]
#[error("the working directory cannot be found out")]
pub struct JobError(#[from] io::Error);

/// What the guest is to do for `command`: as the user, in the directory and
/// with the environment of this process.
///
/// # Errors
/// [`JobError`] if this process has no working directory any more.
pub fn job(
    command: &CommandConfig,
    shares: &[ShareConfig],
    name: Option<&VmName>,
) -> Result<Job, JobError> {
    let hostname = match name {
        Some(name) => name.as_str().into(),
        None => gethostname().unwrap_or_else(|_| "kiln".into()),
    };
    Ok(Job {
        argv: command.argv.iter().map(|word| word.clone().into()).collect(),
        env: environment(env::vars_os(), &command.env)
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        cwd: directory(&command.root, env::current_dir()?).into_os_string().into(),
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
        groups: getgroups().unwrap_or_default().into_iter().map(nix::unistd::Gid::as_raw).collect(),
        hostname: hostname.into(),
        root: Some(CommandConfig::ROOT_TAG.into()),
        mounts: mounts(command, shares),
        tty: tty(),
        joined: same_file(io::stdout(), io::stderr()),
    })
}

/// `inherited`, changed in this order.
fn environment(
    inherited: impl Iterator<Item = (OsString, OsString)>,
    changes: &[EnvChange],
) -> Vec<(OsString, OsString)> {
    let mut variables: Vec<_> = inherited.collect();
    for change in changes {
        let (EnvChange::Set(name, _) | EnvChange::Unset(name)) = change;
        variables.retain(|(other, _)| other != name);
        if let EnvChange::Set(name, value) = change {
            variables.push((name.clone(), value.clone()));
        }
    }
    variables
}

/// The working directory, if `root` may have one at that path; else the root.
/// One that this user cannot reach is for the guest to complain of.
fn directory(root: &Path, cwd: PathBuf) -> PathBuf {
    let inside = root.join(cwd.strip_prefix("/").unwrap_or(&cwd));
    let is_absent = match fs::metadata(&inside) {
        Ok(found) => !found.is_dir(),
        Err(error) => matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    if is_absent { "/".into() } else { cwd }
}

fn mounts(command: &CommandConfig, shares: &[ShareConfig]) -> Vec<Mount> {
    let writable = command.writable.iter().enumerate().map(|(number, path)| Mount {
        tag: CommandConfig::writable_tag(number),
        path: path.clone().into(),
        kind: MountKind::Writable,
    });
    let shared = shares.iter().map(|share| Mount {
        tag: share.tag.to_string(),
        path: Path::new(SHARES).join(share.tag.as_str()).into(),
        kind: if share.read_only { MountKind::ReadOnly } else { MountKind::Writable },
    });
    writable.chain(shared).collect()
}

/// The command has a terminal if Kiln's standard input is one.
fn tty() -> Option<Tty> {
    io::stdin().is_terminal().then(|| Tty {
        size: terminal_size(),
        output: io::stdout().is_terminal(),
        errors: io::stderr().is_terminal(),
    })
}

/// How large the terminal is now.
pub(super) fn terminal_size() -> TerminalSize {
    let (columns, rows) = terminal::size(io::stdin()).unwrap_or_default();
    TerminalSize { columns, rows }
}

#[cfg(test)]
mod tests;
