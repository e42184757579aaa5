use std::time::Duration;

use crate::Result;
use crate::figure::Figure;
use crate::guest::Guest;
use crate::process::Running;
use crate::stage::Stage;

/// How long a guest idles before its VMM is looked at.
const SETTLE: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 3;

/// Memory outside guest RAM, and threads, while the tiny guest idles.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let guest = Guest::tiny(stage.path());
    let ram_kib = u64::from(guest.mib) << 10;
    let mut private = Figure::new("private memory", "MiB").goal("≤ 1.3 MiB");
    let mut dirty = Figure::new("of it dirty", "MiB");
    let mut rss = Figure::new("resident memory", "MiB");
    let mut threads = Figure::new("threads", "");
    for _ in 0..ROUNDS {
        for vmm in stage.vmms() {
            let Some(command) = stage.command(vmm, &guest)? else { continue };
            let running = Running::start(command, Guest::MARK);
            let Some(mut running) = private.tolerate(vmm, running)? else { continue };
            running.run_for(SETTLE)?;
            let memory = running.memory(ram_kib)?;
            private.add(vmm.title(), mib(memory.private)?);
            dirty.add(vmm.title(), mib(memory.private_dirty)?);
            rss.add(vmm.title(), mib(memory.rss)?);
            threads.add(vmm.title(), f64::from(u32::try_from(running.threads()?)?));
        }
    }
    Ok(vec![private, dirty, rss, threads])
}

fn mib(kib: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(kib)?) / 1024.0)
}
