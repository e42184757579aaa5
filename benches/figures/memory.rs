use std::time::Duration;

use crate::Result;
use crate::devices::Pair;
use crate::figure::Figure;
use crate::guest::Guest;
use crate::process::{Memory, Running};
use crate::session::{PATIENCE, Session, persist};
use crate::stage::Stage;
use crate::vmm::Vmm;

/// How long a guest idles before its VMM is looked at.
const SETTLE: Duration = Duration::from_secs(3);
const ROUNDS: u32 = 3;

/// Memory outside guest RAM, and threads, while the tiny guest idles.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    let guest = Guest::tiny(stage.path());
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
            let memory = running.memory(ram_kib(&guest))?;
            private.add(vmm.title(), mib(memory.private)?);
            dirty.add(vmm.title(), mib(memory.private_dirty)?);
            rss.add(vmm.title(), mib(memory.rss)?);
            threads.add(vmm.title(), f64::from(u32::try_from(running.threads()?)?));
        }
    }
    Ok(vec![private, dirty, rss, threads, added(stage, &guest)])
}

/// Private memory that devices add to Kiln's, before a driver has found them.
fn added(stage: &Stage, guest: &Guest) -> Figure {
    let mut figure =
        Figure::new("net, vsock, rng and balloon add, private memory", "MiB").goal("≤ 0.4 MiB");
    for _ in 0..ROUNDS {
        figure.add_or_note(Vmm::Kiln.title(), added_once(stage, guest));
    }
    figure
}

fn added_once(stage: &Stage, guest: &Guest) -> Result<f64> {
    let pair = Pair::new()?;
    let mut private = [0.0; 2];
    for (private, command) in private.iter_mut().zip(pair.commands(stage, guest)?) {
        let mut running = Running::start(command, Guest::MARK)?;
        running.run_for(SETTLE)?;
        *private = mib(running.memory(ram_kib(guest))?.private)?;
    }
    Ok(private[1] - private[0])
}

/// In the lab: the same under Linux, whose drivers run all of the devices.
pub(crate) fn measure_linux(stage: &Stage) -> Result<Vec<Figure>> {
    let name = "net, vsock, rng and balloon add, private memory, Linux (lab)";
    let mut figure = Figure::new(name, "MiB").goal("≤ 0.4 MiB");
    let pair = Pair::new()?;
    let guest = Guest::shell(stage.path(), "net");
    for _ in 0..ROUNDS {
        let mut private = [0.0; 2];
        for (number, private) in private.iter_mut().enumerate() {
            *private = persist(Vmm::Kiln.title(), || {
                let [without, with] = pair.commands(stage, &guest)?;
                let command = if number == 0 { without } else { with };
                let mut session = Session::start(command, PATIENCE)?;
                if number > 0 {
                    session.run("ip link set eth0 up")?;
                }
                // Looks as long as the other, and at a guest that answers still.
                session.run(&format!("sleep {}", SETTLE.as_secs()))?;
                mib(Memory::of(session.id(), ram_kib(&guest))?.private)
            })?;
        }
        eprintln!("figures: private memory in MiB, without and with: {private:.3?}");
        figure.add(Vmm::Kiln.title(), private[1] - private[0]);
    }
    Ok(vec![figure])
}

fn ram_kib(guest: &Guest) -> u64 {
    u64::from(guest.mib) << 10
}

fn mib(kib: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(kib)?) / 1024.0)
}
