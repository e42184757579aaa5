use std::fs::File;
use std::process::Command;

use crate::Result;
use crate::devices::Pair;
use crate::figure::{FLOOR, Figure};
use crate::guest::{Disk, Guest, Transport};
use crate::stage::Stage;
use crate::vmm::Vmm;

/// Runs that do not count: they fill caches.
const WARM_UP: u32 = 5;

/// With so many disks, a start is to be as good as without.
const DISKS: usize = 4;
const DISK_BYTES: u64 = 1 << 20;

/// From exec to the first byte of the tiny guest, in turns: each program once,
/// `runs` times over, so that whatever else the machine does hits all alike.
pub(crate) fn measure(stage: &Stage, runs: u32) -> Result<Vec<Figure>> {
    let guest = Guest::tiny(stage.path());
    let mut figure = Figure::new("exec to first byte", "ms").goal("≤ 2.5 × floor");
    let mut disks = Figure::new("four disks on PCI add", "ms").goal("≤ 0.5 ms");
    let mut with_disks = with_disks(stage)?;
    let mut devices = Figure::new("net, vsock, rng and balloon add", "ms").goal("≤ 0.8 ms");
    let pair = Pair::new();
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
            let time = nanoseconds(command)?;
            add(vmm.title(), time);
            if counts && *vmm == Vmm::Kiln {
                disks.add(vmm.title(), (nanoseconds(&mut with_disks)? - time) / 1e6);
                devices.add_or_note(vmm.title(), added(stage, &guest, &pair));
            }
        }
    }
    Ok(vec![figure, disks, devices])
}

/// Milliseconds that devices add to a start of Kiln's.
fn added(stage: &Stage, guest: &Guest, pair: &Result<Pair>) -> Result<f64> {
    let pair = pair.as_ref().map_err(ToString::to_string)?;
    let [mut without, mut with] =
        pair.commands(stage, guest)?.map(|command| first_byte(stage, &command));
    let without = nanoseconds(&mut without)?;
    Ok((nanoseconds(&mut with)? - without) / 1e6)
}

/// Kiln with disks on PCI, under the launcher.
fn with_disks(stage: &Stage) -> Result<Command> {
    let mut guest = Guest::tiny(stage.path());
    guest.transport = Some(Transport::Pci);
    for number in 0..DISKS {
        let path = stage.memory_file(&format!("{number}.img"))?;
        File::create(&path)?.set_len(DISK_BYTES)?;
        guest.disks.push(Disk::raw(path));
    }
    let command = stage.command(Vmm::Kiln, &guest)?.ok_or("Kiln has disks")?;
    Ok(first_byte(stage, &command))
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
