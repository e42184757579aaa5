use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::figure::Figure;
use crate::guest::{Guest, Then};
use crate::session::persist;
use crate::stage::Stage;
use crate::timed::Timed;
use crate::vmm::Vmm;

/// One that takes longer, in virtual time, never ends.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs that count, and one before them that does not. Virtual time repeats.
const ROUNDS: u32 = 3;
/// The same for virtme-ng, which takes many times as long.
const VIRTME_ROUNDS: u32 = 1;

const KILN: &str = "Kiln";
/// Kiln with an initramfs of one small program, and no command.
const HELLO: &str = "Kiln, hello";
const VIRTME: &str = "virtme-ng";

/// What a report has under `phases`.
const PHASES: [&str; 4] = ["setup", "kernel", "init", "command"];

/// In the lab, in virtual time: from exec to the end of a `true` in a guest, of
/// a guest that only says hello, and of a `true` in virtme-ng's guest, all of the same
/// kernel.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let mut to_hello = Figure::new("`kiln run -- true` (lab)", "s");
    to_hello = to_hello.goal("≤ 1.5 × hello").ratios_to(HELLO);
    let mut to_virtme = Figure::new("the same and virtme-ng's (lab)", "s");
    to_virtme = to_virtme.goal("≤ 0.5 × virtme-ng").ratios_to(VIRTME);
    for round in 0..=ROUNDS {
        let own = persist(KILN, || run(stage, own(stage, &[])))?;
        let hello = persist(HELLO, || hello(stage))?;
        // It takes long, so one who waits is told.
        eprintln!("figures: seconds: {KILN} {own:.3}, {HELLO} {hello:.3}");
        if round > 0 {
            to_hello.add(KILN, own);
            to_hello.add(HELLO, hello);
            to_virtme.add(KILN, own);
        }
        if round <= VIRTME_ROUNDS {
            let virtme = persist(VIRTME, || run(stage, virtme(stage)?));
            eprintln!("figures: seconds: {VIRTME} {virtme:.3?}");
            if round > 0 {
                to_virtme.add_or_note(VIRTME, virtme);
            }
        }
    }
    let mut figures = vec![to_hello, to_virtme];
    figures.extend(phases(stage)?);
    Ok(figures)
}

/// `kiln run -- true`.
fn own(stage: &Stage, options: &[OsString]) -> Command {
    let mut command = Command::new(stage.path().join("kiln"));
    command.arg("run").arg("-k").arg(stage.path().join("vmlinux")).args(["-m", "256M"]);
    command.args(options).args(["--", "true"]);
    command
}

/// A guest that says hello and restarts: its seconds.
fn hello(stage: &Stage) -> Result<f64> {
    let guest = Guest::linux(stage.path(), Vmm::Kiln, &[], Then::End);
    run(stage, stage.command(Vmm::Kiln, &guest)?.ok_or("Kiln loads any kernel")?)
}

/// virtme-ng's `true`: on QEMU's microvm, with virtiofsd, as it is quickest.
fn virtme(stage: &Stage) -> Result<Command> {
    let tools = stage.path().join("virtme");
    if !tools.exists() {
        return Err("it is not there".into());
    }
    let mut command = Command::new(tools.join("bin/vng"));
    command.arg("--run").arg(stage.path().join("bzImage"));
    command.args(["--memory", "256M", "--cpus", "1", "--", "true"]);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [tools.join("bin")].into_iter().chain(env::split_paths(&path));
    command.env("PATH", env::join_paths(folders)?).env("PYTHONPATH", &tools);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Seconds of a command that is to succeed and say nothing but what it is asked for.
fn run(stage: &Stage, command: Command) -> Result<f64> {
    let run = Timed::run(command, PATIENCE, &stage.path().join("output"))?;
    if run.status.success() {
        return Ok(run.time.as_secs_f64());
    }
    Err(format!("it failed ({}); it printed:\n{}", run.status, run.tail()).into())
}

/// Where the time of Kiln's goes, by its own report.
fn phases(stage: &Stage) -> Result<Vec<Figure>> {
    let path = stage.path().join("report.json");
    let options = ["--report".into(), path.clone().into_os_string()];
    persist(KILN, || run(stage, own(stage, &options)))?;
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    let figures = PHASES.map(|phase| {
        let seconds = report["phases"][phase].as_f64().ok_or("a report without its phases")?;
        let mut figure = Figure::new(&format!("of a `true`: {phase} (lab)"), "ms");
        figure.add(KILN, seconds * 1e3);
        Ok(figure)
    });
    figures.into_iter().collect()
}
