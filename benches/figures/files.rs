use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::figure::Figure;
use crate::guest::{Guest, Transport};
use crate::session::{Session, persist};
use crate::stage::Stage;
use crate::vmm::Vmm;
use crate::vsock::Pace;

/// Longer than reading all files takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);
/// Longer than a start and git's first look take, in virtual time, of which a second
/// is several in real time: a guest that hangs is not to be waited for much longer.
const VIRTUAL_PATIENCE: Duration = Duration::from_secs(40);
/// Rounds that count where files are read, and one before them that does not.
const READS: u32 = 2;
/// git by the lab's two clocks.
pub(crate) const GIT: Pace = Pace { name: "", rounds: 2 };
pub(crate) const GIT_VIRTUAL: Pace = Pace { name: " (virtual)", rounds: 1 };
/// Directories, files in each, and bytes in each of these.
const SMALL: [u32; 3] = [100, 100, 2048];
/// The same of what git looks through: 20,000 files.
const CHECKOUT: [u32; 3] = [200, 100, 64];

const KILN: &str = "Kiln";
const WRITABLE: &str = "Kiln, writable";
const QEMU: &str = "QEMU q35, 9p";
const LAB: &str = "the lab itself";

/// Where guests mount the share.
const MOUNT: &str = "mkdir -p /mnt && { mount -t virtiofs t /mnt 2>/dev/null || \
                     mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576 t /mnt; }";
const EMPTY_CACHES: &str = "echo 3 > /proc/sys/vm/drop_caches";

/// In the lab: small files read through a share of Kiln's and through QEMU's 9p, in turns.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let place = make(stage, "small", SMALL)?;
    let mut read = Figure::new("10,000 small files read, caches empty", "files/s");
    read = read.goal("≥ 2 × QEMU").ratios_to(QEMU);
    let mut runners = [(Vmm::Kiln, KILN), (Vmm::Qemu, QEMU)]
        .map(|(vmm, column)| Runner::new(vmm, column, true, PATIENCE));
    let [directories, files, _] = SMALL;
    let count = f64::from(directories * files);
    let line = format!("files read /mnt {directories} {files}");
    for round in 0..=READS {
        for runner in runners.iter_mut().filter(|runner| stage.vmms().contains(&runner.vmm)) {
            let printed = runner.measure(stage, &place, &[EMPTY_CACHES, &line]);
            eprintln!("figures: {}: {printed:?}", runner.column);
            let Some(printed) = read.tolerate(runner.vmm, printed)? else { continue };
            let time = printed.split_whitespace().next().unwrap_or_default().parse::<f64>()?;
            if round > 0 {
                read.add(runner.column, count * 1e9 / time);
            }
        }
    }
    Ok(vec![read])
}

/// In the lab: git's look at a checkout through a share of Kiln's and in the lab
/// itself, in turns.
pub(crate) fn measure_git(stage: &Stage, pace: &Pace) -> Result<Vec<Figure>> {
    let place = make(stage, "checkout", CHECKOUT)?;
    commit(&place)?;
    let mut figures = ["first", "again"].map(|time| {
        let name = format!("git status, 20,000 files, {time}{}", pace.name);
        Figure::new(&name, "ms").goal("≤ 3 × the lab").ratios_to(LAB)
    });
    let patience = if pace.name.is_empty() { PATIENCE } else { VIRTUAL_PATIENCE };
    let mut runners = [(KILN, true), (WRITABLE, false)]
        .map(|(column, read_only)| Runner::new(Vmm::Kiln, column, read_only, patience));
    for round in 0..=pace.rounds {
        let mut add = |column: &str, times: [f64; 2]| {
            eprintln!("figures: {column}: {times:?}");
            for (figure, time) in figures.iter_mut().zip(times).filter(|_| round > 0) {
                figure.add(column, time);
            }
        };
        for runner in &mut runners {
            let look = git("files", "/mnt");
            let first = runner.measure(stage, &place, &[EMPTY_CACHES, &look])?;
            let again = runner.measure(stage, &place, &[&look])?;
            add(runner.column, [milliseconds(&first)?, milliseconds(&again)?]);
        }
        add(LAB, lab(stage, &place)?);
    }
    Ok(figures.into())
}

/// A guest of one VMM's with the share.
struct Runner {
    vmm: Vmm,
    column: &'static str,
    read_only: bool,
    patience: Duration,
    session: Option<Session>,
}

impl Runner {
    fn new(vmm: Vmm, column: &'static str, read_only: bool, patience: Duration) -> Self {
        Self { vmm, column, read_only, patience, session: None }
    }

    /// What the last of some lines of shell prints, tried up to three times in all; a
    /// guest that fails is ended.
    fn measure(&mut self, stage: &Stage, place: &Path, lines: &[&str]) -> Result<String> {
        persist(self.column, || {
            self.attempt(stage, place, lines).inspect_err(|_| self.session = None)
        })
    }

    fn attempt(&mut self, stage: &Stage, place: &Path, lines: &[&str]) -> Result<String> {
        if self.session.is_none() {
            let guest = Guest {
                share: Some((place.into(), self.read_only)),
                transport: Some(Transport::Pci),
                ..Guest::shell(stage.path(), "files")
            };
            let command = stage.command(self.vmm, &guest)?.ok_or("it shares no directories")?;
            let mut session = Session::start(command, self.patience)?;
            session.run(MOUNT)?;
            self.session = Some(session);
        }
        let session = self.session.as_mut().expect("it has just been started");
        let mut printed = String::new();
        for line in lines {
            printed = session.run(line)?;
        }
        Ok(printed)
    }
}

/// The times of the lab itself, where nothing is to be emptied: its files are in memory.
fn lab(stage: &Stage, place: &Path) -> Result<[f64; 2]> {
    let line = git(&stage.path().join("files").to_string_lossy(), &place.to_string_lossy());
    let time = || -> Result<f64> {
        let output = Command::new("sh").arg("-c").arg(&line).output()?;
        milliseconds(&String::from_utf8(output.stdout)?)
    };
    Ok([time()?, time()?])
}

/// A line of shell that has git look at the checkout, and says how many
/// nanoseconds that took; more only if git found something.
fn git(files: &str, place: &str) -> String {
    let git = "git -c safe.directory='*' --no-optional-locks";
    format!("HOME=/ {files} time {git} -C {place} status --porcelain")
}

fn milliseconds(text: &str) -> Result<f64> {
    let time = text.trim().parse::<f64>().map_err(|_| format!("git says: {text}"))?;
    Ok(time / 1e6)
}

/// Makes files in the lab's memory; the directory that they are in.
fn make(stage: &Stage, name: &str, [directories, files, bytes]: [u32; 3]) -> Result<PathBuf> {
    eprintln!("figures: {} files are being made", directories * files);
    let place = stage.path().join(name);
    fs::create_dir_all(&place)?;
    let mut make = Command::new(stage.path().join("files"));
    make.arg("make").arg(&place);
    make.args([directories, files, bytes].map(|number| number.to_string()));
    run(&mut make)?;
    Ok(place)
}

/// Has git know the files of a directory.
fn commit(checkout: &Path) -> Result<()> {
    // The files of a directory are all the same: git has little to compress.
    let identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
    for words in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "x"], &["status"]] {
        let mut git = Command::new("git");
        run(git.arg("-C").arg(checkout).args(identity).args(words))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.env("HOME", "/").output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
