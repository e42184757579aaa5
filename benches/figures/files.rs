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

/// Rounds that count, and one before them that does not.
const ROUNDS: u32 = 1;
/// Longer than a start and git's first look take, in virtual time, of which a second
/// is several in real time: a guest that hangs is not to be waited for much longer.
const PATIENCE: Duration = Duration::from_secs(40);
/// Directories, files in each, and bytes in each of these.
const SMALL: [u32; 3] = [100, 100, 2048];
/// The same of what git looks through: 20,000 files.
const CHECKOUT: [u32; 3] = [200, 100, 64];

const QEMU: &str = "QEMU q35, 9p";
const LAB: &str = "the lab itself";

/// Where guests mount the share, and where git's files are in it.
const MOUNT: &str = "mkdir -p /mnt && { mount -t virtiofs t /mnt 2>/dev/null || \
                     mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576 t /mnt; }";

/// In the lab, in virtual time: small files read, and git's look at a checkout,
/// through a share of Kiln's, QEMU's 9p, and in the lab itself, in turns.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    eprintln!("figures: files: 30,000 are being made");
    let place = prepare(stage)?;
    eprintln!("figures: files: guests start, and are measured twice");
    let mut read = Figure::new("10,000 small files read, caches empty", "files/s");
    read = read.goal("≥ 2 × QEMU").ratios_to(QEMU);
    let mut status = ["git status, 20,000 files, first", "git status again"]
        .map(|name| Figure::new(name, "ms").goal("≤ 3 × the lab").ratios_to(LAB));
    let mut runners: Vec<Runner> =
        [(Vmm::Kiln, "Kiln", true), (Vmm::Kiln, "Kiln, writable", false)]
            .into_iter()
            .chain([(Vmm::Qemu, QEMU, true)])
            .filter(|(vmm, ..)| stage.vmms().contains(vmm))
            .map(|(vmm, column, read_only)| Runner { vmm, column, read_only, session: None })
            .collect();
    for round in 0..=ROUNDS {
        for runner in &mut runners {
            let measured = persist(runner.column, || runner.measure(stage, &place));
            eprintln!("figures: {}: {measured:?}", runner.column);
            if let Some(measured) = read.tolerate(runner.vmm, measured)?.filter(|_| round > 0) {
                read.add(runner.column, measured.files);
                for (figure, time) in status.iter_mut().zip(measured.status.iter().flatten()) {
                    figure.add(runner.column, *time);
                }
            }
        }
        let times = lab(stage, &place)?;
        eprintln!("figures: {LAB}: {times:?}");
        if round > 0 {
            for (figure, time) in status.iter_mut().zip(times) {
                figure.add(LAB, time);
            }
        }
    }
    Ok([read].into_iter().chain(status).collect())
}

/// What a guest came to.
#[derive(Debug)]
struct Measured {
    /// Small files read in a second.
    files: f64,
    /// Milliseconds of git, with empty caches and again. Through 9p that takes
    /// longer than anybody waits.
    status: Option<[f64; 2]>,
}

/// A guest of one VMM's with the share.
struct Runner {
    vmm: Vmm,
    column: &'static str,
    read_only: bool,
    session: Option<Session>,
}

impl Runner {
    /// One attempt; a guest that fails is ended.
    fn measure(&mut self, stage: &Stage, place: &Path) -> Result<Measured> {
        self.attempt(stage, place).inspect_err(|_| self.session = None)
    }

    fn attempt(&mut self, stage: &Stage, place: &Path) -> Result<Measured> {
        if self.session.is_none() {
            let guest = Guest {
                share: Some((place.into(), self.read_only)),
                transport: Some(Transport::Pci),
                ..Guest::shell(stage.path(), "files")
            };
            let command = stage.command(self.vmm, &guest)?.ok_or("it shares no directories")?;
            let mut session = Session::start(command, PATIENCE)?;
            session.run(MOUNT)?;
            self.session = Some(session);
        }
        let session = self.session.as_mut().expect("it has just been started");
        let empty = "echo 3 > /proc/sys/vm/drop_caches";
        let [directories, files, _] = SMALL;
        session.run(empty)?;
        let line = session.run(&format!("files read /mnt/small {directories} {files}"))?;
        let time: f64 = line.split(' ').next().unwrap_or_default().parse()?;
        let files = f64::from(directories * files) * 1e9 / time;
        if self.vmm == Vmm::Qemu {
            return Ok(Measured { files, status: None });
        }
        session.run(empty)?;
        let status = [session.run(&git("files", "/mnt"))?, session.run(&git("files", "/mnt"))?];
        let [first, again] = status.map(|text| milliseconds(&text));
        Ok(Measured { files, status: Some([first?, again?]) })
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
    format!("HOME=/ {files} time {git} -C {place}/checkout status --porcelain")
}

fn milliseconds(text: &str) -> Result<f64> {
    let time = text.trim().parse::<f64>().map_err(|_| format!("git says: {text}"))?;
    Ok(time / 1e6)
}

/// Makes the files in the lab's memory.
fn prepare(stage: &Stage) -> Result<PathBuf> {
    let place = stage.path().join("shared");
    let checkout = place.join("checkout");
    for (name, [directories, files, bytes]) in [("small", SMALL), ("checkout", CHECKOUT)] {
        fs::create_dir_all(place.join(name))?;
        let mut make = Command::new(stage.path().join("files"));
        make.arg("make").arg(place.join(name));
        make.args([directories, files, bytes].map(|number| number.to_string()));
        run(&mut make)?;
    }
    // The files of a directory are all the same: git has little to compress.
    let identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
    for words in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "x"], &["status"]] {
        let mut git = Command::new("git");
        run(git.arg("-C").arg(&checkout).args(identity).args(words))?;
    }
    Ok(place)
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.env("HOME", "/").output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}
