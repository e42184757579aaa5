use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::args::Name;
use crate::figure::Figure;
use crate::stage::{RESOURCES, Stage};
use crate::{Result, block, boot, command, files, idle, memory, net, pipe, verdicts, vsock};

/// Copies the stage into the lab's memory and goes on there: a look at a file
/// of the host's makes virtual time jump by seconds. Only QEMU stays where it
/// is, as it finds its firmware from there. A guest that has the lab's root does not
/// see what is in `/dev`, `/run` and `/tmp`.
const ENTER: &str = r#"
mount -t tmpfs figures /mnt || exit
to=/mnt/figures
cp -rL "$0" $to || exit
if [ -e $to/qemu ]; then ln -sf "$(readlink "$0/qemu")" $to/qemu; fi
exec $to/figures --in-lab $to "$1"
"#;

/// How many labs may be started for one group of figures.
const LABS: u32 = 3;
/// How long one may take where guests hang and labs with them. Five minutes are usual, half an hour
/// where much is done in virtual time or the machine has other work.
const LAB_SECONDS: &str = "3600";
/// `lab/run`'s own status.
const LAB_DIED: i32 = 125;

/// Measures in the lab, in virtual time where that is what is measured.
pub(crate) fn run(stage: &Stage, name: Name) -> Result<Vec<Figure>> {
    match name {
        Name::Block => stage.add_guest("disk")?,
        Name::Files | Name::Git | Name::GitVirtual => stage.add_guest("files")?,
        Name::Net
        | Name::NetVhost
        | Name::NetVirtual
        | Name::Vsock
        | Name::VsockVirtual
        | Name::LinuxMemory => {
            stage.add_guest("net")?;
        }
        Name::Command => {
            stage.add_linux()?;
            stage.add_virtme()?;
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

/// A program that spins while nothing else runs. Virtual time goes by
/// instructions while there are any, and leaps to the next timer where there are none:
/// while the lab waits for the host, seconds would go by.
struct Spinner(Child);

impl Spinner {
    fn start() -> Result<Self> {
        let mut command = Command::new("chrt");
        command.args(["--idle", "0", "/bin/sh", "-c", "while :; do :; done"]);
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        // It does not end by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether it is measured in the lab's virtual time.
fn is_virtual(name: Name) -> bool {
    use Name::{Boot, Command, GitVirtual, Initcalls};
    use Name::{NetVirtual, PipeVirtual, VerdictsVirtual, VsockVirtual};
    matches!(name, Boot | Command | GitVirtual | Initcalls)
        || matches!(name, NetVirtual | PipeVirtual | VerdictsVirtual | VsockVirtual)
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
    // What looks at the host's files waits for the host.
    let waits = matches!(
        name,
        Name::Command | Name::GitVirtual | Name::PipeVirtual | Name::VerdictsVirtual
    );
    let _spinner = waits.then(Spinner::start).transpose()?;
    match name {
        Name::Boot => boot::measure(stage),
        Name::Initcalls => boot::measure_initcalls(stage),
        Name::LinuxIdle => idle::measure_linux(stage),
        Name::Block => block::measure(stage),
        Name::Net => net::measure(stage, &net::REAL),
        Name::NetVhost => net::measure(stage, &net::REAL_VHOST),
        Name::NetVirtual => net::measure(stage, &net::VIRTUAL),
        Name::LinuxMemory => memory::measure_linux(stage),
        Name::Vsock => vsock::measure(stage, &vsock::REAL),
        Name::VsockVirtual => vsock::measure(stage, &vsock::VIRTUAL),
        Name::Files => files::measure(stage),
        Name::Git => files::measure_git(stage, &files::GIT),
        Name::GitVirtual => files::measure_git(stage, &files::GIT_VIRTUAL),
        Name::Command => command::measure(stage),
        Name::Pipe => pipe::measure(stage, &vsock::REAL),
        Name::PipeVirtual => pipe::measure(stage, &vsock::VIRTUAL),
        Name::PipeWhole => pipe::measure_whole(stage),
        Name::Verdicts => verdicts::measure(stage, &vsock::REAL),
        Name::VerdictsVirtual => verdicts::measure(stage, &vsock::VIRTUAL),
        other => Err(format!("{other} is not measured in the lab").into()),
    }
}
