use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Result;

/// A VMM whose guest has come up. Killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// Reads the guest's output to its end, so that nobody waits for a reader.
    reader: Option<JoinHandle<()>>,
}

/// Memory of a process outside its guest's RAM, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// Resident.
    pub(crate) rss: u64,
    /// Resident and mapped by nobody else.
    pub(crate) private: u64,
    /// Resident, mapped by nobody else, and nowhere else to be had from.
    pub(crate) private_dirty: u64,
}

impl Running {
    /// Starts `command` and waits until its guest has written `mark`.
    pub(crate) fn start(mut command: Command, mark: &[u8]) -> Result<Self> {
        let program = PathBuf::from(command.get_program());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child =
            command.spawn().map_err(|e| format!("{} cannot be started: {e}", program.display()))?;
        let mut stdout = child.stdout.take().expect("it is piped");
        let mut running = Self { child, reader: None };
        if !read_until(&mut stdout, mark)? {
            return Err(format!("{}: its guest ended early", program.display()).into());
        }
        running.reader =
            Some(thread::spawn(move || drop(std::io::copy(&mut stdout, &mut std::io::sink()))));
        Ok(running)
    }

    /// Process number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it run for `time`.
    ///
    /// # Errors
    /// If it has ended meanwhile.
    pub(crate) fn run_for(&mut self, time: Duration) -> Result<()> {
        thread::sleep(time);
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("a VMM has ended by itself ({status})").into()),
        }
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/task", self.id()))?.count())
    }

    /// Processor time of all its threads up to now, its guest's included.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
            // Nanoseconds on a processor, then waiting for one, then turns.
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().ok_or("an empty schedstat")?;
            total += first.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Its memory outside `ram_kib` of guest RAM.
    pub(crate) fn memory(&self, ram_kib: u64) -> Result<Memory> {
        Memory::of(self.id(), ram_kib)
    }
}

impl Memory {
    /// That of process `id` outside `ram_kib` of guest RAM.
    pub(crate) fn of(id: u32, ram_kib: u64) -> Result<Self> {
        let smaps = fs::read_to_string(format!("/proc/{id}/smaps"))?;
        Ok(outside_ram(&smaps, ram_kib))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Whether `mark` came before the end.
fn read_until(stdout: &mut ChildStdout, mark: &[u8]) -> Result<bool> {
    let mut seen = Vec::new();
    let mut bytes = [0; 4096];
    while !seen.windows(mark.len()).any(|window| window == mark) {
        match stdout.read(&mut bytes)? {
            0 => return Ok(false),
            length => seen.extend_from_slice(&bytes[..length]),
        }
    }
    Ok(true)
}

/// Sums up every mapping but guest RAM: the ones at least as large. The
/// kernel may have merged others into such a one, so what it is larger by
/// counts, as far as it is resident at all.
fn outside_ram(smaps: &str, ram_kib: u64) -> Memory {
    let mut total = Memory::default();
    // Only the first line of a mapping lacks a colon behind its first word,
    // and Size is the line that follows it.
    let mut limit = u64::MAX;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        let Ok(kib) = value.parse::<u64>() else { continue };
        let counted = kib.min(limit);
        match key {
            "Size:" => limit = if kib >= ram_kib { kib - ram_kib } else { u64::MAX },
            "Rss:" => total.rss += counted,
            "Private_Clean:" => total.private += counted,
            "Private_Dirty:" => {
                total.private += counted;
                total.private_dirty += counted;
            }
            _ => {}
        }
    }
    total
}
