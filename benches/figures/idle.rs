use std::time::{Duration, Instant};

use crate::Result;
use crate::figure::Figure;
use crate::guest::{Guest, Then};
use crate::process::Running;
use crate::stage::Stage;

/// Once the guest is up, the VMM may still finish its start.
const SETTLE: Duration = Duration::from_secs(2);
/// How long processor time is counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Where KVM counts what guests do, of all that run (debugfs).
const COUNTS: &str = "/sys/kernel/debug/kvm";

/// Processor time of all threads while the tiny guest idles.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let mut figure = Figure::new("idle, tiny guest", "% of a core").goal("≤ 0.5%");
    for vmm in stage.vmms() {
        if let Some(command) = stage.command(vmm, &Guest::tiny(stage.path()))? {
            let running = Running::start(command, Guest::MARK);
            let Some(mut running) = figure.tolerate(vmm, running)? else { continue };
            figure.add(vmm.title(), load(&mut running)?);
        }
    }
    Ok(vec![figure])
}

/// In the lab: the exits of a boot up to init, then processor time while it
/// idles.
pub(crate) fn measure_linux(stage: &Stage) -> Result<Vec<Figure>> {
    let mut idle = Figure::new("idle, Linux (lab)", "% of a core");
    let mut exits = [
        ("exits", Figure::new("exits of a boot", "")),
        ("io_exits", Figure::new("of them port accesses", "")),
        ("mmio_exits", Figure::new("of them MMIO accesses", "")),
    ];
    mount_debugfs()?;
    for vmm in stage.vmms() {
        let guest = Guest::linux(stage.path(), vmm, &[], Then::Idle);
        let Some(command) = stage.command(vmm, &guest)? else { continue };
        let running = Running::start(command, Guest::INIT);
        let Some(mut running) = idle.tolerate(vmm, running)? else { continue };
        for (file, figure) in &mut exits {
            figure.add(vmm.title(), count(file)?);
        }
        idle.add(vmm.title(), load(&mut running)?);
    }
    let mut figures = vec![idle];
    figures.extend(exits.map(|(_, figure)| figure));
    Ok(figures)
}

/// Percent of a core that `running` uses.
fn load(running: &mut Running) -> Result<f64> {
    running.run_for(SETTLE)?;
    let (start, before) = (Instant::now(), running.processor_time()?);
    running.run_for(WINDOW)?;
    let used = running.processor_time()?.saturating_sub(before);
    Ok(used.as_secs_f64() / start.elapsed().as_secs_f64() * 100.0)
}

/// The only guest's: KVM forgets one that has ended.
fn count(file: &str) -> Result<f64> {
    let path = format!("{COUNTS}/{file}");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
    Ok(text.trim().parse()?)
}

/// In the lab: makes KVM's counts readable.
pub(crate) fn mount_debugfs() -> Result<()> {
    let status = std::process::Command::new("mount")
        .args(["-t", "debugfs", "debugfs", "/sys/kernel/debug"])
        .status()?;
    if status.success() { Ok(()) } else { Err("the lab cannot mount debugfs".into()) }
}
