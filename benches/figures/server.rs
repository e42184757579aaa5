use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::Result;

/// A program that listens for one that a guest runs. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts `command` and waits for a line that begins with `ready`.
    ///
    /// # Errors
    /// If it ends before it has said so.
    pub(crate) fn start(command: &mut Command, ready: &str) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut server = Self { child, output };
        while !server.line()?.starts_with(ready) {}
        Ok(server)
    }

    /// The next line that it prints.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err("a server has ended early".into());
        }
        Ok(line.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
