use std::fs::File;
use std::io;
use std::path::Path;
use std::process::Stdio;

use crate::Result;
use crate::figure::Figure;
use crate::guest::{Disk, Guest, Transport};
use crate::stage::Stage;
use crate::vmm::Vmm;

/// Runs that count, and one before them that does not.
const ROUNDS: u32 = 20;
const IMAGE_BYTES: u64 = 64 << 20;
/// What is asked for: words of the tiny guest without the clock's rate, what a row calls it.
const LOADS: [(&str, &str); 4] = [
    ("load:read:1:10000", "4 KiB random read, depth 1 (ring 3)"),
    ("load:write:1:10000", "4 KiB random write, depth 1 (ring 3)"),
    ("load:read:32:100000", "4 KiB random read, depth 32 (ring 3)"),
    ("load:write:32:100000", "4 KiB random write, depth 32 (ring 3)"),
];

/// A disk at the processor's own speed: a driver in ring 3 that polls, on virtio-mmio.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let image = stage.memory_file("ring3.img")?;
    io::copy(
        &mut io::Read::take(File::open("/dev/urandom")?, IMAGE_BYTES),
        &mut File::create(&image)?,
    )?;
    let figures = LOADS.map(|(_, name)| Figure::new(name, "µs").ratios_to(Vmm::Qemu.title()));
    let mut figures = figures.to_vec();
    let khz = clock_rate(stage)?;
    for round in 0..=ROUNDS {
        for vmm in stage.vmms() {
            let Some(times) = figures[0].tolerate(vmm, times(stage, vmm, &image, khz))? else {
                continue;
            };
            for (figure, time) in figures.iter_mut().zip(times).filter(|_| round > 0) {
                figure.add(vmm.title(), time);
            }
        }
    }
    for figure in &mut figures {
        figure.notes.dedup();
    }
    Ok(figures)
}

/// Microseconds a request of each load; none of a VMM that is not measured with disks.
fn times(stage: &Stage, vmm: Vmm, image: &Path, khz: u64) -> Result<Vec<f64>> {
    let loads = LOADS.map(|(load, _)| format!("{load}:{khz}")).join(" ");
    let mut guest = Guest::obedient(stage.path(), &format!("{loads} end:triple"));
    guest.disks.push(Disk::raw(image.into()));
    // Another Kiln may be too old to be asked.
    guest.transport = (vmm == Vmm::Kiln).then_some(Transport::Mmio);
    let Some(output) = output(stage, vmm, &guest)? else { return Ok(Vec::new()) };
    let times: Vec<f64> = output.lines().filter_map(time).collect();
    if times.len() == LOADS.len() { Ok(times) } else { Err(format!("it said {output}").into()) }
}

/// The time a request in `load: read, depth 1: 10000 requests in 123456 us, 9999 doorbells`.
fn time(line: &str) -> Option<f64> {
    let (_, numbers) = line.strip_prefix("load: ")?.split_once(": ")?;
    let (requests, rest) = numbers.split_once(" requests in ")?;
    let (time, _) = rest.split_once(" us")?;
    Some(time.parse::<f64>().ok()? / requests.parse::<f64>().ok()?)
}

/// The time stamp counter's rate in kHz, which Kiln tells its guests and others may not.
fn clock_rate(stage: &Stage) -> Result<u64> {
    let guest = Guest::obedient(stage.path(), "cpuid end:triple");
    let output = output(stage, Vmm::Kiln, &guest)?.ok_or("Kiln loads any kernel")?;
    let rate = output.split_once("hypervisor's tsc ").and_then(|(_, rest)| rest.split_once(" kHz"));
    Ok(rate.ok_or("Kiln does not tell the clock's rate")?.0.parse()?)
}

/// What a guest writes to its serial port until it ends.
fn output(stage: &Stage, vmm: Vmm, guest: &Guest) -> Result<Option<String>> {
    let Some(mut command) = stage.command(vmm, guest)? else { return Ok(None) };
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}
