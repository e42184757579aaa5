use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;
use crate::figure::Figure;
use crate::session::persist;
use crate::stage::Stage;
use crate::vsock::Pace;

/// One that takes longer, in real time, never ends.
const PATIENCE: Duration = Duration::from_secs(120);
const KILN: &str = "Kiln";

/// How the line begins that a guest has its kernel say right before the event.
const NOW: &str = "event";

/// A way in which a guest comes to grief while it runs a command.
struct Case {
    name: &'static str,
    /// Words for the kernel.
    append: &'static str,
    /// What the guest's shell does.
    event: &'static str,
    /// How the line on a console goes that the event begins with.
    mark: &'static str,
    /// How the run is to end, and with which words.
    status: i32,
    said: &'static str,
}

const PANICKED: &str = "the guest kernel died: Kernel panic - not syncing: ";

const CASES: [Case; 6] = [
    Case {
        name: "sysrq-c",
        append: "",
        event: "echo c >/proc/sysrq-trigger",
        mark: NOW,
        status: 126,
        said: PANICKED,
    },
    Case {
        name: "no init",
        append: "rdinit=/nowhere",
        event: "",
        mark: "Kernel panic",
        status: 126,
        said: PANICKED,
    },
    Case {
        name: "sysrq-c, panic=0",
        append: "panic=0",
        event: "echo c >/proc/sysrq-trigger",
        mark: NOW,
        status: 126,
        said: PANICKED,
    },
    Case {
        name: "triple fault",
        append: "reboot=t",
        // Without a word of the kernel's that it restarts.
        event: "echo b >/proc/sysrq-trigger",
        mark: NOW,
        status: 127,
        said: "a triple fault",
    },
    Case {
        name: "poweroff",
        append: "",
        event: "echo o >/proc/sysrq-trigger; while :; do :; done",
        mark: NOW,
        status: 127,
        said: "the guest powered off before the command had ended",
    },
    Case {
        name: "agent killed",
        append: "",
        // The kernel shields it from signals; without its code, it ends by one of its own.
        event: "while read -r range way rest; do case \"$way $rest\" in \"r-xp \"*/init*) \
                from=$((0x${range%-*} / 4096)); to=$((0x${range#*-} / 4096)); \
                echo \"<0>event\" >/dev/kmsg; \
                dd if=/dev/zero of=/proc/1/mem bs=4096 seek=$from count=$((to - from)) \
                conv=notrunc 2>/dev/null; esac; done </proc/1/maps",
        mark: NOW,
        status: 126,
        said: PANICKED,
    },
];

/// In the lab: from the event that ends a guest to the end of `kiln run -- sh`, with
/// its status and its line.
pub(crate) fn measure(stage: &Stage, pace: &Pace) -> Result<Vec<Figure>> {
    let mut figures = CASES.map(|case| {
        let name = format!("verdict: {}{}", case.name, pace.name);
        Figure::new(&name, "ms").goal("≤ 5,000 ms")
    });
    for round in 0..=pace.rounds {
        for (figure, case) in figures.iter_mut().zip(&CASES) {
            let time = persist(KILN, || end_of(stage, case))?;
            // It takes long, so one who waits is told.
            eprintln!("figures: {}: {time:.1} ms", figure.name);
            if round > 0 {
                figure.add(KILN, time);
            }
        }
    }
    Ok(figures.into())
}

/// Milliseconds from the event until Kiln has ended as it should.
fn end_of(stage: &Stage, case: &Case) -> Result<f64> {
    let script = match case.mark {
        NOW => format!("echo '<0>{NOW}' >/dev/kmsg; {}", case.event),
        _ => case.event.to_owned(),
    };
    let mut command = Command::new(stage.path().join("kiln"));
    command.arg("run").arg("-k").arg(stage.path().join("vmlinux")).args(["-m", "256M"]);
    // What the kernel says, to see the event by.
    command.args(["--console", "stderr", "--append", &format!("quiet {}", case.append)]);
    command.args(["--", "sh", "-c", &script]).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let (done, watched) = mpsc::channel::<()>();
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let watchdog = thread::spawn(move || {
        if watched.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            // Its number is its own until it is reaped, after this thread.
            let _ = kill(pid, Signal::SIGKILL);
        }
    });
    let seen = watch(&mut child, case.mark);
    drop(done);
    watchdog.join().map_err(|_| "the watchdog panicked")?;
    let (event, ended, output) = seen?;
    let status: ExitStatus = child.wait()?;
    let was_as_told = status.code() == Some(case.status) && output.contains(case.said);
    match event {
        Some(event) if was_as_told => Ok(ended.duration_since(event).as_secs_f64() * 1e3),
        _ => Err(format!("{} ended otherwise ({status}):\n{output}", case.name).into()),
    }
}

/// When the line came that has `mark`, when the program's output ended, which is when it
/// did, and all of that output.
fn watch(child: &mut Child, mark: &str) -> Result<(Option<Instant>, Instant, String)> {
    let output = BufReader::new(child.stderr.take().ok_or("it is piped")?);
    let (mut event, mut all) = (None, String::new());
    for line in output.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        if line.contains(mark) {
            event.get_or_insert_with(Instant::now);
        }
        all.push_str(&line);
        all.push('\n');
    }
    Ok((event, Instant::now(), all))
}
