use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Result;
use crate::guest::Guest;

/// How long a guest may take over its start or one command, in real time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Where KVM counts what each guest does (debugfs).
const COUNTS: &str = "/sys/kernel/debug/kvm";
/// The lab's guests hang now and then, so what one does may be tried again.
const TRIES: u32 = 3;

/// Makes up to three attempts at something that `who` is to do; a hung guest
/// is to be gone after a failed one.
///
/// # Errors
/// The last attempt's.
pub(crate) fn persist<T>(who: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut failed = 1;
    loop {
        match attempt() {
            Err(error) if failed < TRIES => eprintln!("figures: {who}, once more: {error}"),
            outcome => return outcome,
        }
        failed += 1;
    }
}

/// A Linux guest with a shell on its serial port (`resources/bench/shell_init`).
pub(crate) struct Session {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
    patience: Duration,
}

impl Session {
    /// Starts a VMM and waits until its guest's shell is there. A guest that
    /// takes longer than `patience` over that or over a command hangs.
    pub(crate) fn start(mut command: Command, patience: Duration) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        let reader = thread::spawn(move || {
            // It ends with the VMM, or with whoever listens.
            for line in output.split(b'\n').map_while(|line| line.ok()) {
                let line = String::from_utf8_lossy(&line).trim().to_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let session = Self { child, input, lines, reader: Some(reader), patience };
        let up = String::from_utf8_lossy(Guest::INIT).trim().to_owned();
        session.until(|line| line.ends_with(&up))?;
        Ok(session)
    }

    /// Process number of the VMM.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Runs a line of shell in the guest; what it printed.
    ///
    /// # Errors
    /// If it failed, or if the guest hangs or has ended.
    pub(crate) fn run(&mut self, line: &str) -> Result<String> {
        writeln!(self.input, "{line}")?;
        let mut lines = self.until(|line| line.starts_with("status "))?;
        match lines.pop().as_deref() {
            Some("status 0") => Ok(lines.join("\n")),
            other => Err(format!("`{line}` in a guest: {other:?}, {}", lines.join("\n")).into()),
        }
    }

    /// What KVM has counted under that name, of this guest alone.
    pub(crate) fn count(&self, name: &str) -> Result<f64> {
        let own = format!("{}-", self.child.id());
        for entry in fs::read_dir(COUNTS)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&own) {
                return Ok(fs::read_to_string(entry.path().join(name))?.trim().parse()?);
            }
        }
        Err("KVM counts nothing of a guest".into())
    }

    /// How often the guest has left for user space. KVM gives the VMM its
    /// floating-point registers back each time, and counts that.
    pub(crate) fn user_exits(&self) -> Result<f64> {
        self.count("fpu_reload")
    }

    /// The lines up to one that is `last`, with it.
    fn until(&self, last: impl Fn(&str) -> bool) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.lines.recv_timeout(self.patience);
            let line = line.map_err(|e| format!("a guest says no more ({e}): {lines:?}"))?;
            lines.push(line);
            if lines.last().is_some_and(|line| last(line)) {
                return Ok(lines);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
