use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;
use crate::figure::Figure;
use crate::session::persist;
use crate::stage::Stage;
use crate::vsock::Pace;

/// What goes through when it is timed.
const MIB: u32 = 64;
/// One that takes longer, in real time, never ends.
const PATIENCE: Duration = Duration::from_secs(120);
/// The same, for each MiB of one that is compared.
const PATIENCE_MIB: Duration = Duration::from_secs(4);

const KILN: &str = "Kiln";
const PIPE: &str = "pipe";

/// In the lab: what `cat` in a guest of Kiln's takes from its standard input and
/// writes to its standard output, and what `cat` moves in the lab, in turns.
pub(crate) fn measure(stage: &Stage, pace: &Pace) -> Result<Vec<Figure>> {
    let name = format!("`kiln run -- cat`{}", pace.name);
    let mut figure = Figure::new(&name, "MiB/s").goal("≥ 0.2 × pipe").ratios_to(PIPE);
    for round in 0..=pace.rounds {
        // The first round, which does not count, has time to look at each byte.
        let compares = round == 0;
        for (column, command) in [(KILN, kiln(stage)), (PIPE, vec!["cat".into()])] {
            let time = persist(column, || through(stage, &command, MIB, compares))?;
            let rate = f64::from(MIB) / time;
            eprintln!("figures: {name}: {column} {rate:.1}");
            if !compares {
                figure.add(column, rate);
            }
        }
    }
    Ok(vec![figure])
}

/// In the lab: a whole GiB, of which each byte is compared.
pub(crate) fn measure_whole(stage: &Stage) -> Result<Vec<Figure>> {
    let mib = 1024;
    let mut figure = Figure::new("`kiln run -- cat` of 1 GiB, each byte compared", "MiB/s");
    let time = persist(KILN, || through(stage, &kiln(stage), mib, true))?;
    figure.add(KILN, f64::from(mib) / time);
    Ok(vec![figure])
}

/// `kiln run -- cat`.
fn kiln(stage: &Stage) -> Vec<String> {
    let path = |name: &str| stage.path().join(name).to_string_lossy().into_owned();
    let kernel = path("vmlinux");
    let words = ["run", "-k", &kernel, "-m", "256M", "--", "cat"];
    [path("kiln")].into_iter().chain(words.map(Into::into)).collect()
}

/// Seconds from the first byte that comes out of `command` to its end.
fn through(stage: &Stage, command: &[String], mib: u32, compares: bool) -> Result<f64> {
    let bytes = stage.path().join("bytes");
    let mib_text = mib.to_string();
    let mut sender = piped(Command::new(&bytes).args(["send", &mib_text]).stdin(Stdio::null()))?;
    let mut middle = Command::new(Path::new(&command[0]));
    middle.args(&command[1..]).stdin(output(&mut sender));
    let mut middle = piped(&mut middle)?;
    let mut receiver = Command::new(&bytes);
    receiver.args(["receive", &mib_text]).args((!compares).then_some("count"));
    let receiver = piped(receiver.stdin(output(&mut middle)))?;

    let (done, watched) = mpsc::channel::<()>();
    let pid = Pid::from_raw(i32::try_from(middle.id())?);
    let patience = PATIENCE.max(PATIENCE_MIB * mib);
    let watchdog = thread::spawn(move || {
        if watched.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            // Its number is its own until it is reaped, after this thread. The others
            // end with it.
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
    let received = receiver.wait_with_output();
    let sent = sender.wait();
    drop(done);
    watchdog.join().map_err(|_| "the watchdog panicked")?;
    let (received, sent, moved) = (received?, sent?, middle.wait()?);
    if !received.status.success() || !sent.success() || !moved.success() {
        let command = command.join(" ");
        return Err(format!(
            "sending: {sent}; `{command}`: {moved}; receiving: {}",
            received.status
        )
        .into());
    }
    Ok(String::from_utf8(received.stdout)?.trim().parse::<f64>()? / 1e9)
}

fn piped(command: &mut Command) -> Result<Child> {
    let started = command.stdout(Stdio::piped()).spawn();
    started.map_err(|error| format!("{command:?} cannot be started: {error}").into())
}

fn output(child: &mut Child) -> ChildStdout {
    child.stdout.take().expect("it is piped")
}
