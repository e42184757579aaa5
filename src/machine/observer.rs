use std::path::PathBuf;
use std::time::{Duration, Instant};

use devices::pvpanic::PanicNote;
use vmm_core::vcpu::VcpuThread;

use super::RunError;
use super::attach::Consoles;
use super::outcome::Outcome;
use super::patterns::Patterns;
use super::silence::SilenceWatch;
use super::supervisor::Times;
use super::verdict::{Ending, Evidence, verdict};
use super::whereabouts::{self, ExitHistory, Names};
use crate::agent::host::complaint;
use crate::config::VmConfig;
use crate::logging::{self, Prefix};

/// What a run is watched for, beside how the guest ends itself.
pub(super) struct Observer {
    prefix: Prefix,
    timeout: Option<Duration>,
    boot_timeout: Option<Duration>,
    patterns: Patterns,
    fail_on_warning: bool,
    silence: SilenceWatch,
    exits: ExitHistory,
    panic_note: Option<PanicNote>,
    /// When the guest kernel told the panic device.
    panicked: Option<Instant>,
    kernel: PathBuf,
    vmlinux: Option<PathBuf>,
    cmdline: String,
}

impl Observer {
    /// How long a guest kernel that has told the panic device has for its last
    /// words and its restart.
    pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

    /// How long it may take to unpack the kernel for its symbols. A large one
    /// takes a second.
    const AT_THE_END: Duration = Duration::from_secs(20);
    /// The same while the run goes on, and other things wait.
    const UNDER_WAY: Duration = Duration::from_millis(500);

    /// Begins to read the consoles' lines along, if there is a use for it.
    pub(super) fn new(
        config: &VmConfig,
        consoles: &Consoles,
        panic_note: Option<PanicNote>,
    ) -> Self {
        let judge = &config.verdict;
        let patterns = Patterns::of(judge);
        for output in consoles.outputs() {
            if let Some(test) = patterns.test() {
                output.test_lines(test);
            }
            if judge.report.is_some() || judge.junit.is_some() {
                output.keep_tail(Outcome::TAIL);
            }
        }
        let quiet_after = judge.quiet_after.map(|after| after.get());
        Self {
            prefix: Prefix::new(config.name.clone()),
            timeout: config.timeout.map(|t| t.get()),
            boot_timeout: judge.boot_timeout.map(|t| t.get()),
            silence: SilenceWatch::new(patterns.test().is_some(), quiet_after),
            patterns,
            fail_on_warning: judge.fail_on_warning,
            exits: ExitHistory::default(),
            panic_note,
            panicked: None,
            kernel: config.kernel.clone(),
            vmlinux: judge.vmlinux.clone(),
            cmdline: config.cmdline.clone(),
        }
    }

    /// When it wants to be told of the time.
    pub(super) fn times(&self) -> Times {
        Times {
            timeout: self.timeout,
            boot_timeout: self.boot_timeout,
            console_check: self.silence.period(),
            grace: false,
        }
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn boot_timeout(&self) -> Option<Duration> {
        self.boot_timeout
    }

    /// What the news of a console end, if anything.
    pub(super) fn news(&self, consoles: &Consoles) -> Option<Ending> {
        if self.patterns.matched().is_some() {
            return Some(Ending::Matched);
        }
        consoles.facts().panic_ended.then_some(Ending::PanicEnded)
    }

    /// Looks for lines without an end and for a silence, of which it says
    /// where the guest is.
    pub(super) fn look_at_consoles(&mut self, consoles: &Consoles, vcpus: &[VcpuThread]) {
        if self.silence.look(consoles.outputs(), Instant::now()) {
            let snapshots = whereabouts::snapshots(vcpus);
            let exits = self.exits.lately(vcpus);
            let names = self.names(Self::UNDER_WAY);
            let note = whereabouts::note(&snapshots, &names, &exits, &self.cmdline);
            logging::say(&self.prefix, format_args!("the console is silent: {note}"));
        }
    }

    /// The guest kernel has told the panic device.
    pub(super) fn panicked(&mut self) {
        self.panicked.get_or_insert_with(Instant::now);
    }

    /// Whether a guest kernel that panicked has had its time.
    pub(super) fn is_over(&self) -> bool {
        self.panicked.is_some_and(|time| time.elapsed() >= Self::LAST_WORDS)
    }

    /// Notes how often the processors have left the guest.
    pub(super) fn mark(&mut self, vcpus: &[VcpuThread]) {
        self.exits.mark(vcpus);
    }

    /// Lines that say where the guest is.
    pub(super) fn whereabouts(&self, vcpus: &[VcpuThread]) -> Vec<String> {
        let snapshots = whereabouts::snapshots(vcpus);
        // Before the names: to find those may take its time.
        let exits = self.exits.lately(vcpus);
        whereabouts::report(&snapshots, &self.names(Self::AT_THE_END), &exits)
    }

    fn names(&self, patience: Duration) -> Names {
        Names::find(self.vmlinux.as_deref(), &self.kernel, patience)
    }

    /// All that was seen, once the consoles show nothing more. If there are
    /// `whereabouts`, says them, with the last lines of the console.
    pub(super) fn conclude(&self, consoles: &Consoles, mut whereabouts: Vec<String>) -> Seen {
        consoles.outputs().for_each(|output| output.test_open_line());
        let tail = consoles.tail();
        if !whereabouts.is_empty() {
            whereabouts.extend(whereabouts::console_lines(&tail));
        }
        for line in &whereabouts {
            logging::say(&self.prefix, line);
        }
        let evidence = Evidence {
            facts: consoles.facts(),
            panic_noted: self.panic_note.as_ref().is_some_and(PanicNote::panicked),
            matched: self.patterns.matched(),
            must_match: self.patterns.is_awaiting(),
            fail_on_warning: self.fail_on_warning,
            command: None,
            complaint: complaint(&tail),
        };
        Seen { evidence, tail, whereabouts }
    }
}

/// What was seen of a run.
pub(super) struct Seen {
    pub evidence: Evidence,
    tail: Vec<u8>,
    whereabouts: Vec<String>,
}

impl Seen {
    /// How the run went that ended so.
    pub(super) fn outcome(self, ending: Ending) -> Result<Outcome, RunError> {
        let verdict = verdict(ending, &self.evidence)?;
        let facts = self.evidence.facts;
        Ok(Outcome {
            verdict,
            tail: self.tail,
            oopses: facts.oopses,
            warnings: facts.warnings,
            complaint: facts.complaint,
            whereabouts: self.whereabouts,
        })
    }
}
