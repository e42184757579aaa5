use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::figure::Figure;
use crate::guest::{Guest, Then};
use crate::stage::Stage;
use crate::timed::Timed;
use crate::vmm::Vmm;

/// A VMM that takes longer, in virtual time, never ends.
const PATIENCE: Duration = Duration::from_secs(30);
/// Boots that count. Virtual time repeats.
const RUNS: u32 = 3;
/// An initcall below this is not worth a row, unless it is the slowest.
const WORTH_A_ROW: f64 = 5.0;

/// In the lab: from exec through the minimal kernel and its init to the end
/// of the VMM.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let mut loud = Figure::new("Linux boot and reset (lab)", "s").goal("≤ 0.70 s");
    let mut quiet = Figure::new("the same with `quiet`", "s");
    for vmm in stage.vmms() {
        let booted = boots(stage, vmm);
        // It takes long, so one who waits is told.
        eprintln!("figures: {} boots in seconds: {booted:.3?}", vmm.title());
        if let Some([first, second]) = loud.tolerate(vmm, booted)? {
            first.into_iter().for_each(|time| loud.add(vmm.title(), time));
            second.into_iter().for_each(|time| quiet.add(vmm.title(), time));
        }
    }
    Ok(vec![loud, quiet])
}

/// Seconds of each boot with the usual command line, and with `quiet`.
fn boots(stage: &Stage, vmm: Vmm) -> Result<[Vec<f64>; 2]> {
    let run = |words: &[&str]| {
        let guest = Guest::linux(stage.path(), vmm, words, Then::End);
        let command = stage.command(vmm, &guest)?.ok_or("it loads no Linux kernel")?;
        Ok(boot(stage, vmm, command)?.0.as_secs_f64())
    };
    // The first boot fills caches.
    run(&[])?;
    let loud: Result<_> = (0..RUNS).map(|_| run(&[])).collect();
    let quiet: Result<_> = (0..RUNS).map(|_| run(&["quiet"])).collect();
    Ok([loud?, quiet?])
}

/// In the lab: what takes longest in Kiln's boot, by `initcall_debug`.
pub(crate) fn measure_initcalls(stage: &Stage) -> Result<Vec<Figure>> {
    let words = ["initcall_debug", "loglevel=8"];
    let guest = Guest::linux(stage.path(), Vmm::Kiln, &words, Then::End);
    let mut calls = Vec::new();
    // The first boot fills caches.
    for _ in 0..2 {
        let command = stage.command(Vmm::Kiln, &guest)?.ok_or("Kiln loads any kernel")?;
        let (_, output) = boot(stage, Vmm::Kiln, command)?;
        calls = initcalls(&output);
    }
    calls.sort_by(|a, b| b.1.total_cmp(&a.1));
    if calls.is_empty() {
        return Err("the kernel tells nothing of its initcalls".into());
    }
    let shown = calls.iter().enumerate().filter(|(n, call)| *n == 0 || call.1 >= WORTH_A_ROW);
    let figures = shown.map(|(_, (name, ms))| {
        let mut figure = Figure::new(&format!("initcall {name} (lab)"), "ms").goal("≤ 20 ms");
        figure.add(Vmm::Kiln.title(), *ms);
        figure
    });
    Ok(figures.collect())
}

/// Runs a guest to its end; how long that took and what it printed.
fn boot(stage: &Stage, vmm: Vmm, command: Command) -> Result<(Duration, String)> {
    let run = Timed::run(command, PATIENCE, &stage.path().join("console"))?;
    let came_up = run.output.contains(&*String::from_utf8_lossy(Guest::INIT));
    if !run.status.success() || !came_up {
        let (who, how, tail) = (vmm.title(), run.status, run.tail());
        return Err(format!("{who} did not boot ({how}); it printed:\n{tail}").into());
    }
    Ok((run.time, run.output))
}

/// Names and milliseconds from lines such as
/// `initcall acpi_init+0x0/0x420 returned 0 after 8123 usecs`, and
/// `probe of serial8250 returned 0 after 97 usecs`.
fn initcalls(output: &str) -> Vec<(String, f64)> {
    output.lines().filter_map(initcall).collect()
}

fn initcall(line: &str) -> Option<(String, f64)> {
    let (call, time) = line.split_once(" returned ")?;
    let name = call.split_once("initcall ").or_else(|| call.split_once("probe of "))?.1;
    let microseconds = time.split_once(" after ")?.1.split_whitespace().next()?;
    let name = name.split('+').next().unwrap_or(name);
    Some((name.into(), microseconds.parse::<f64>().ok()? / 1000.0))
}
