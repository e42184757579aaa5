use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};

use nix::unistd::{Gid, Uid, setgid, setgroups, setsid, setuid};
use vmm_core::sys::terminal;

use crate::agent::protocol::Job;
use crate::exit::Chain;
use crate::logging::{self, Prefix};

/// What the process between the agent and the command is called. It is this
/// program, too: what is to be done between fork and exec is done in safe code.
const NAME: &str = "kiln (launching)";

/// As a shell says it: the program is not there.
const NOT_FOUND: u8 = 127;
/// As a shell says it: the program is there and cannot be run.
const NOT_EXECUTABLE: u8 = 126;

/// Whether this process is the step between the agent and a command.
pub fn is_launcher() -> bool {
    env::args_os().next().is_some_and(|name| name == NAME)
}

/// Starts the command of `job` with these standard streams.
pub(super) fn start(job: &Job, streams: [Stdio; 3]) -> io::Result<Child> {
    let [input, output, errors] = streams;
    let groups: Vec<_> = job.groups.iter().map(u32::to_string).collect();
    let mut command = Command::new("/proc/self/exe");
    command.arg0(NAME);
    command.args([job.uid.to_string(), job.gid.to_string(), groups.join(",")]);
    command.arg(if job.tty.is_some() { "tty" } else { "" });
    command.arg(job.cwd.as_os_str());
    command.args(job.argv.iter().map(|word| word.as_os_str()));
    command.env_clear();
    command.envs(job.env.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str())));
    command.stdin(input).stdout(output).stderr(errors).spawn()
}

/// Becomes the command; returns only if that fails.
pub fn launch() -> ExitCode {
    let mut words = env::args_os().skip(1);
    let mut next = || words.next().unwrap_or_default();
    let (uid, gid, groups, tty, cwd) = (next(), next(), next(), next(), next());
    let program = next();
    let ready = become_user(&uid, &gid, &groups, &tty);
    if let Err(error) = ready {
        return fail(
            NOT_EXECUTABLE,
            &format!("the guest cannot change the user: {}", Chain(&error)),
        );
    }
    if let Err(error) = env::set_current_dir(&cwd) {
        let cwd = cwd.to_string_lossy();
        return fail(
            NOT_EXECUTABLE,
            &format!("the command cannot start in {cwd}: {}", Chain(&error)),
        );
    }
    let error = Command::new(&program).args(words).exec();
    let status = match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => NOT_EXECUTABLE,
    };
    let program = match program.to_string_lossy() {
        name if name.is_empty() => "''".into(),
        name => name,
    };
    fail(status, &format!("the command {program} cannot be run: {}", Chain(&error)))
}

/// Leads a session, on the terminal if there is one, as this user.
fn become_user(uid: &OsStr, gid: &OsStr, groups: &OsStr, tty: &OsStr) -> io::Result<()> {
    setsid()?;
    if tty == "tty" {
        terminal::control(io::stdin())?;
    }
    let groups = groups.to_str().unwrap_or_default().split(',').filter(|word| !word.is_empty());
    let groups: Vec<_> = groups.map(number).collect::<io::Result<_>>()?;
    setgroups(&groups.into_iter().map(Gid::from_raw).collect::<Vec<_>>())?;
    setgid(Gid::from_raw(number(gid)?))?;
    setuid(Uid::from_raw(number(uid)?))?;
    Ok(())
}

fn number(word: impl AsRef<OsStr>) -> io::Result<u32> {
    let number = word.as_ref().to_str().and_then(|word| word.parse().ok());
    number.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn fail(status: u8, why: &str) -> ExitCode {
    logging::say(&Prefix::new(None), why);
    status.into()
}
