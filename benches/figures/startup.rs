use std::process::Command;

use crate::Result;
use crate::figure::{FLOOR, Figure};
use crate::guest::Guest;
use crate::stage::Stage;

/// Runs that do not count: they fill caches.
const WARM_UP: u32 = 5;

/// From exec to the first byte of the tiny guest, in turns: each program once,
/// `runs` times over, so that whatever else the machine does hits all alike.
pub(crate) fn measure(stage: &Stage, runs: u32) -> Result<Vec<Figure>> {
    let guest = Guest::tiny(stage.path());
    let mut figure = Figure::new("exec to first byte", "ms").goal("≤ 2.5 × floor");
    let mut floor = Command::new(stage.path().join(FLOOR));
    let mut programs = Vec::new();
    for vmm in stage.vmms() {
        if let Some(command) = stage.command(vmm, &guest)? {
            let mut command = first_byte(stage, &command);
            let first = nanoseconds(&mut command);
            if figure.tolerate(vmm, first)?.is_some() {
                programs.push((vmm, command));
            }
        }
    }
    for run in 0..WARM_UP + runs {
        let counts = run >= WARM_UP;
        let mut add = |column, nanoseconds: f64| {
            if counts {
                figure.add(column, nanoseconds / 1e6);
            }
        };
        add(FLOOR, nanoseconds(&mut floor)?);
        for (vmm, command) in &mut programs {
            add(vmm.title(), nanoseconds(command)?);
        }
    }
    Ok(vec![figure])
}

/// `command` under the launcher that takes the times.
fn first_byte(stage: &Stage, command: &Command) -> Command {
    let mut launcher = Command::new(stage.path().join("first_byte"));
    launcher.arg(command.get_program()).args(command.get_args());
    launcher
}

/// Runs a program that prints a time in nanoseconds.
fn nanoseconds(command: &mut Command) -> Result<f64> {
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}
