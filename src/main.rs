//! The `kiln` command: parse, run, say how it ended.

use std::error::Error;
use std::io::{self, Write};
use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use devices::backend::vsock::LocalPorts;
use kiln::agent;
use kiln::check::Report;
use kiln::cli::{self, CheckArgs, Command, RunArgs, TestArgs, Usage};
use kiln::config::{HostLimits, VmConfig};
use kiln::exit::{Chain, ExitStatus, Verdict};
use kiln::logging::{self, Prefix};
use kiln::machine::{self, Groundwork, Phases};
use kiln::report::RunReport;
use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::unistd;

/// Where Linux systems keep their kernels.
const BOOT: &str = "/boot";

// The standard library has opened /dev/null for each of the descriptors 0 to
// 2 that was closed, so none of ours can land there, and it ignores SIGPIPE.
fn main() -> ExitCode {
    if agent::guest::is_called_for() {
        return agent::guest::main();
    }
    if agent::guest::is_launcher() {
        return agent::guest::launch();
    }
    vmm_core::sys::footprint::share_one_arena();
    logging::install_panic_hook(vmm_core::sys::terminal::restore);
    // The hook has told a bug on this thread; the status is for the parent.
    panic::catch_unwind(obey).unwrap_or(ExitStatus::Failed).into()
}

/// Does what the command line says.
fn obey() -> ExitStatus {
    let groundwork = cli::is_to_run(std::env::args_os()).then(Groundwork::begin);
    match cli::parse(std::env::args_os()) {
        Ok(args) => match args.command {
            Command::Run(args) => run(*args, groundwork.unwrap_or_else(Groundwork::begin)),
            Command::Test(args) => test(&args),
            Command::Check(args) => check(&args),
        },
        Err(usage) => explain(&usage),
    }
}

/// Boots, runs, says in a line how it ended, and writes the reports of that.
fn run(args: RunArgs, groundwork: Groundwork) -> ExitStatus {
    let phases = Arc::new(Phases::begin());
    let prefix = Prefix::new(args.name.clone());
    let mut report = RunReport::begin(&args.verdict.clone().into());
    let (status, sentence) = match start(args, groundwork, &prefix, &phases, &mut report) {
        Ok(verdict) => {
            let sentence = verdict.to_string();
            match verdict {
                // Its own words are enough.
                Verdict::Command(_) => log::info!("{sentence}"),
                _ => logging::say(&prefix, &sentence),
            }
            (verdict.status(), sentence)
        }
        Err(Failure { status, error }) => {
            let sentence = Chain(error.as_ref()).to_string();
            logging::say(&prefix, &sentence);
            (status, sentence)
        }
    };
    if let Some(hint) = report.hint() {
        logging::say(&prefix, format_args!("hint: {hint}"));
    }
    match report.end(status, &sentence, &phases) {
        Ok(()) => status,
        Err(error) => {
            let why = Chain(&error).to_string();
            if why != sentence {
                logging::say(&prefix, why);
            }
            // Whoever waits for the report must not take its absence for a success.
            if status.is_success() { ExitStatus::Failed } else { status }
        }
    }
}

/// What to say and which status to end with when nothing ran.
struct Failure {
    status: ExitStatus,
    error: Box<dyn Error>,
}

/// Most errors are the host's.
impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { status: ExitStatus::Failed, error: error.into() }
    }
}

fn start(
    args: RunArgs,
    groundwork: Groundwork,
    prefix: &Prefix,
    phases: &Arc<Phases>,
    report: &mut RunReport,
) -> Result<Verdict, Failure> {
    if args.die_with_parent {
        follow_parent()?;
    }
    report.check()?;
    logging::start(prefix.clone(), args.log_file.as_deref(), args.verbose)?;
    let config = args
        .resolve(Path::new(BOOT))
        .map_err(|error| Failure { status: error.status(), error: error.into() })?;
    report.describe(&config);
    HostLimits::read()?.admit(config.memory)?;
    let VmConfig { kernel, cpus, memory, cmdline, .. } = &config;
    log::info!("booting {} with {memory} of memory, processors: {cpus}", kernel.display());
    log::debug!("kernel command line: {cmdline}");
    let outcome = machine::run(groundwork, &config, LocalPorts::default(), phases)?;
    report.observe(&outcome, machine::hint(&config, &outcome.verdict, phases));
    Ok(outcome.verdict)
}

/// Has SIGTERM come when the process that started this one ends.
fn follow_parent() -> Result<(), Failure> {
    let parent = unistd::getppid();
    prctl::set_pdeathsig(Signal::SIGTERM)?;
    // It may just have ended: then nothing comes any more.
    if unistd::getppid() != parent {
        signal::raise(Signal::SIGTERM)?;
    }
    Ok(())
}

/// Prints what clap has to say: answers to stdout, errors to stderr.
fn explain(usage: &Usage) -> ExitStatus {
    match usage {
        Usage::Answer(text) => print(text),
        Usage::Wrong(sentence) => logging::say(&Prefix::new(None), sentence.trim_end()),
    }
    usage.status()
}

/// Runs a matrix.
fn test(args: &TestArgs) -> ExitStatus {
    kiln::suite::run(args).unwrap_or_else(|error| {
        logging::say(&Prefix::new(None), Chain(&error));
        error.status()
    })
}

fn check(args: &CheckArgs) -> ExitStatus {
    let report = Report::of_this_host();
    if args.json {
        print(&format!("{}\n", report.to_json()))
    } else {
        print(&report.to_string())
    }
    report.status()
}

/// Writes to stdout; whoever closed it does not want to know.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}
