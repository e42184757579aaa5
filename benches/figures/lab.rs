use std::path::Path;
use std::process::{Command, Stdio};

use crate::args::Name;
use crate::figure::Figure;
use crate::stage::{RESOURCES, Stage};
use crate::{Result, block, boot, idle, net};

/// Copies the stage into the lab's memory and goes on there: a look at a file
/// of the host's makes virtual time jump by seconds. Only QEMU stays where it
/// is, as it finds its firmware from there.
const ENTER: &str = r#"
to=/dev/shm/figures
cp -rL "$0" $to || exit
if [ -e $to/qemu ]; then ln -sf "$(readlink "$0/qemu")" $to/qemu; fi
exec $to/figures --in-lab $to "$1"
"#;

/// Measures in the lab, in virtual time where that is what is measured.
pub(crate) fn run(stage: &Stage, name: Name) -> Result<Vec<Figure>> {
    match name {
        Name::Block => stage.add_guest("disk")?,
        Name::Net => stage.add_guest("net")?,
        _ => stage.add_linux()?,
    }
    let mut lab = Command::new(Path::new(RESOURCES).join("lab/run"));
    if !matches!(name, Name::LinuxIdle | Name::Block | Name::Net) {
        lab.arg("--icount");
    }
    lab.args(["--", "/bin/sh", "-c", ENTER]).arg(stage.path()).arg(name.to_string());
    let output = lab.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("measuring {name} in the lab failed ({})", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The lab's side of [`run`].
pub(crate) fn inside(stage: &Stage, name: Name) -> Result<Vec<Figure>> {
    match name {
        Name::Boot => boot::measure(stage),
        Name::Initcalls => boot::measure_initcalls(stage),
        Name::LinuxIdle => idle::measure_linux(stage),
        Name::Block => block::measure(stage),
        Name::Net => net::measure(stage),
        other => Err(format!("{other} is not measured in the lab").into()),
    }
}
