use std::path::Path;
use std::process::{Command, Stdio};

use crate::args::Name;
use crate::figure::Figure;
use crate::stage::{RESOURCES, Stage};
use crate::{Result, block, boot, files, idle, memory, net, vsock};

/// Copies the stage into the lab's memory and goes on there: a look at a file
/// of the host's makes virtual time jump by seconds. Only QEMU stays where it
/// is, as it finds its firmware from there.
const ENTER: &str = r#"
to=/dev/shm/figures
cp -rL "$0" $to || exit
if [ -e $to/qemu ]; then ln -sf "$(readlink "$0/qemu")" $to/qemu; fi
exec $to/figures --in-lab $to "$1"
"#;

/// How many labs may be started for one group of figures.
const LABS: u32 = 3;
/// How long one may take over guests with networks, which takes about five minutes.
const LAB_SECONDS: &str = "900";
/// `lab/run`'s own status.
const LAB_DIED: i32 = 125;

/// Measures in the lab, in virtual time where that is what is measured.
pub(crate) fn run(stage: &Stage, name: Name) -> Result<Vec<Figure>> {
    match name {
        Name::Block => stage.add_guest("disk")?,
        Name::Files => stage.add_guest("files")?,
        Name::Net | Name::NetVirtual | Name::Vsock | Name::VsockVirtual | Name::LinuxMemory => {
            stage.add_guest("net")?;
        }
        _ => stage.add_linux()?,
    }
    for _ in 1..LABS {
        match in_lab(stage, name) {
            Ok(Some(figures)) => return Ok(figures),
            Ok(None) => eprintln!("figures: the lab died; once more in a new one"),
            Err(error) => return Err(error),
        }
    }
    in_lab(stage, name)?.ok_or_else(|| "the lab keeps dying".into())
}

/// Whether it is measured in the lab's virtual time.
fn is_virtual(name: Name) -> bool {
    use Name::{Boot, Files, Initcalls, NetVirtual, VsockVirtual};
    matches!(name, Boot | Initcalls | NetVirtual | Files | VsockVirtual)
}

/// What one lab measures; `None` if it died of its own faults.
fn in_lab(stage: &Stage, name: Name) -> Result<Option<Vec<Figure>>> {
    let mut lab = Command::new(Path::new(RESOURCES).join("lab/run"));
    if is_virtual(name) {
        lab.arg("--icount");
    }
    if !matches!(name, Name::Boot | Name::Initcalls | Name::LinuxIdle | Name::Block) {
        // A lab that hangs as a whole does not notice any time limit inside.
        lab.args(["--timeout", LAB_SECONDS]);
    }
    lab.args(["--", "/bin/sh", "-c", ENTER]).arg(stage.path()).arg(name.to_string());
    let output = lab.stderr(Stdio::inherit()).output()?;
    match output.status.code() {
        Some(0) => Ok(Some(serde_json::from_slice(&output.stdout)?)),
        Some(LAB_DIED) => Ok(None),
        _ => Err(format!("measuring {name} in the lab failed ({})", output.status).into()),
    }
}

/// The lab's side of [`run`].
pub(crate) fn inside(stage: &Stage, name: Name) -> Result<Vec<Figure>> {
    match name {
        Name::Boot => boot::measure(stage),
        Name::Initcalls => boot::measure_initcalls(stage),
        Name::LinuxIdle => idle::measure_linux(stage),
        Name::Block => block::measure(stage),
        Name::Net => net::measure(stage, &net::REAL),
        Name::NetVirtual => net::measure(stage, &net::VIRTUAL),
        Name::LinuxMemory => memory::measure_linux(stage),
        Name::Vsock => vsock::measure(stage, &vsock::REAL),
        Name::VsockVirtual => vsock::measure(stage, &vsock::VIRTUAL),
        Name::Files => files::measure(stage),
        other => Err(format!("{other} is not measured in the lab").into()),
    }
}
