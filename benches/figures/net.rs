use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::figure::Figure;
use crate::guest::{Guest, Tap, Transport};
use crate::idle::mount_debugfs;
use crate::server::Server;
use crate::session::{PATIENCE, Session, persist};
use crate::stage::Stage;
use crate::vmm::Vmm;

/// By which clock of the lab it is measured.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What figures are called besides.
    name: &'static str,
    /// Rounds that count, and one before them that does not.
    rounds: u32,
    /// How long iperf3 sends.
    seconds: u32,
    patience: Duration,
    /// Without vhost, and with it.
    vhost: &'static [bool],
}

/// Two processors, and as much noise as the machine has: rounds of one guest
/// differ by a half.
pub(crate) const REAL: Pace =
    Pace { name: "", rounds: 16, seconds: 1, patience: PATIENCE, vhost: &[false] };
/// The same by vhost-net.
pub(crate) const REAL_VHOST: Pace = Pace { vhost: &[true], ..REAL };
/// One processor, and time by its instructions, which repeats.
pub(crate) const VIRTUAL: Pace = Pace {
    name: " (virtual)",
    rounds: 2,
    seconds: 1,
    patience: Duration::from_secs(6),
    vhost: &[false, true],
};

/// How many echoes a round takes the median of.
const PINGS: u32 = 100;

const QEMU: &str = "QEMU q35";

/// What is measured one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    /// TCP from the guest to the host.
    Send = 0,
    /// TCP from the host to the guest.
    Receive = 1,
    /// Echoes that the guest asks the host for.
    Ping = 2,
}

/// What came out of a test.
enum Outcome {
    /// How fast it was, in MiB/s, and what a MiB took.
    Stream { rate: f64, user_exits: f64, exits: f64, interrupts: f64 },
    /// Microseconds.
    Trip(f64),
}

/// A guest of one VMM's on a tap of its own.
struct Runner {
    vmm: Vmm,
    column: &'static str,
    vhost: bool,
    tap: String,
    /// The first three bytes of the addresses: .1 is the host, .2 the guest.
    network: String,
    session: Option<Session>,
    /// Whether it is out of it.
    failed: bool,
}

/// The figures with vhost or without.
struct Figures {
    speed: [Figure; 2],
    trip: Figure,
    user_exits: [Figure; 2],
    exits: [Figure; 2],
}

/// In the lab: iperf3 and ping between guests and the lab, in turns.
pub(crate) fn measure(stage: &Stage, pace: &Pace) -> Result<Vec<Figure>> {
    mount_debugfs()?;
    let mut runners = runners(stage, pace)?;
    let mut figures = [false, true].map(|vhost| Figures::new(vhost, pace));
    for round in 0..=pace.rounds {
        for test in [Test::Send, Test::Receive, Test::Ping] {
            for runner in runners.iter_mut().filter(|runner| !runner.failed) {
                let figures = &mut figures[usize::from(runner.vhost)];
                match persist(runner.column, || runner.measure(stage, pace, test)) {
                    Ok(outcome) => {
                        eprintln!("figures: {}: {}", runner.name(), outcome.text(test));
                        if round > 0 {
                            figures.add(runner.column, test, &outcome);
                        }
                    }
                    Err(error) => {
                        // What the others come to is of use all the same.
                        runner.failed = true;
                        let note = format!("{} failed in round {round}: {error}", runner.name());
                        eprintln!("figures: {note}");
                        figures.trip.notes.push(note);
                    }
                }
            }
        }
        eprintln!("figures: round {round} of {}", pace.rounds);
    }
    let figures = figures.into_iter().zip([false, true]);
    let measured = figures.filter(|(_, vhost)| pace.vhost.contains(vhost));
    Ok(measured.flat_map(|(figures, _)| figures.all()).collect())
}

/// Those that are there, in each of the ways.
fn runners(stage: &Stage, pace: &Pace) -> Result<Vec<Runner>> {
    let all = [(Vmm::Kiln, "Kiln"), (Vmm::OtherKiln, "other Kiln"), (Vmm::Qemu, QEMU)];
    let there = stage.vmms();
    let mut runners = Vec::new();
    for (vmm, column) in all.into_iter().filter(|(vmm, _)| there.contains(vmm)) {
        for vhost in pace.vhost.iter().copied() {
            let number = runners.len();
            let runner = Runner {
                vmm,
                column,
                vhost,
                tap: format!("bench{number}"),
                network: format!("10.213.{number}"),
                session: None,
                failed: false,
            };
            runner.make_tap()?;
            runners.push(runner);
        }
    }
    Ok(runners)
}

impl Runner {
    /// What it is called where columns do not tell.
    fn name(&self) -> String {
        format!("{}{}", self.column, if self.vhost { ", vhost" } else { "" })
    }

    /// The lab is gone afterwards, and so are its interfaces.
    fn make_tap(&self) -> Result<()> {
        let Self { tap, network, .. } = self;
        for arguments in [
            format!("tuntap add dev {tap} mode tap"),
            format!("addr add {network}.1/24 dev {tap}"),
            format!("link set {tap} up"),
        ] {
            if !Command::new("ip").args(arguments.split(' ')).status()?.success() {
                return Err(format!("the lab cannot `ip {arguments}`").into());
            }
        }
        Ok(())
    }

    /// One attempt; a guest that fails is ended.
    fn measure(&mut self, stage: &Stage, pace: &Pace, test: Test) -> Result<Outcome> {
        self.attempt(stage, pace, test).inspect_err(|_| self.session = None)
    }

    fn attempt(&mut self, stage: &Stage, pace: &Pace, test: Test) -> Result<Outcome> {
        let host = format!("{}.1", self.network);
        if self.session.is_none() {
            self.session = Some(self.start(stage, pace)?);
        }
        let session = self.session.as_mut().expect("it has just been started");
        if test == Test::Ping {
            let time =
                format!("ping -c {PINGS} -i 0.01 {host} | sed -n 's/.*time=\\(.*\\) ms/\\1/p'");
            let median = session.run(&format!("{time} | sort -n | sed -n {}p", PINGS / 2))?;
            let median: f64 = median.trim().parse().map_err(|_| "ping failed")?;
            return Ok(Outcome::Trip(median * 1000.0));
        }
        let _server = iperf3(&host)?;
        let reverse = if test == Test::Receive { "-R" } else { "" };
        let command =
            format!("iperf3 -c {host} -t {} -i 0 -f m {reverse} | grep receiver", pace.seconds);
        let counts = |session: &Session| -> Result<[f64; 3]> {
            Ok([session.user_exits()?, session.count("exits")?, session.count("irq_injections")?])
        };
        // What reading the line and starting a shell for it costs is not the network's.
        let start = counts(session)?;
        session.run(&format!(": '{command}'"))?;
        let before = counts(session)?;
        let (mib, seconds) = transfer(&session.run(&command)?)?;
        let after = counts(session)?;
        let each = |n: usize| (after[n] - before[n] - (before[n] - start[n])).max(0.0) / mib;
        Ok(Outcome::Stream {
            rate: mib / seconds,
            user_exits: each(0),
            exits: each(1),
            interrupts: each(2),
        })
    }

    fn start(&self, stage: &Stage, pace: &Pace) -> Result<Session> {
        let guest = Guest {
            tap: Some(Tap { name: self.tap.clone(), vhost: self.vhost }),
            transport: Some(Transport::Pci),
            ..Guest::shell(stage.path(), "net")
        };
        let command = stage.command(self.vmm, &guest)?.ok_or("it has no network")?;
        let mut session = Session::start(command, pace.patience)?;
        let address = format!("{}.2/24", self.network);
        session.run(&format!("ip addr add {address} dev eth0 && ip link set eth0 up"))?;
        Ok(session)
    }
}

impl Outcome {
    /// Measuring takes long, so one who waits is told.
    fn text(&self, test: Test) -> String {
        match self {
            Self::Stream { rate, user_exits, exits, interrupts } => format!(
                "{test:?} {rate:.1} MiB/s; a MiB took {exits:.0} exits, {user_exits:.2} of them to \
                 user space, and {interrupts:.0} interrupts"
            ),
            Self::Trip(time) => format!("{test:?} {time:.0} µs"),
        }
    }
}

impl Figures {
    fn new(vhost: bool, pace: &Pace) -> Self {
        let (kind, speed, exits) = if vhost {
            (", vhost", "≥ 1.0 × QEMU", "≤ 10")
        } else {
            ("", "≥ 1.2 × QEMU", "")
        };
        let figure = |name: &str, unit, goal: &str| {
            let figure = Figure::new(&format!("{name}{kind}{}", pace.name), unit).ratios_to(QEMU);
            if goal.is_empty() { figure } else { figure.goal(goal) }
        };
        Self {
            speed: ["TCP guest to host", "TCP host to guest"]
                .map(|name| figure(name, "MiB/s", speed)),
            trip: figure("ping round trip", "µs", "≤ 0.9 × QEMU"),
            user_exits: [
                figure("exits to user space a MiB sent", "exits", exits),
                figure("exits to user space a MiB received", "exits", ""),
            ],
            exits: ["all exits a MiB sent", "all exits a MiB received"]
                .map(|name| figure(name, "exits", "")),
        }
    }

    fn add(&mut self, column: &str, test: Test, outcome: &Outcome) {
        match outcome {
            Outcome::Stream { rate, user_exits, exits, .. } => {
                self.speed[test as usize].add(column, *rate);
                self.user_exits[test as usize].add(column, *user_exits);
                self.exits[test as usize].add(column, *exits);
            }
            Outcome::Trip(time) => self.trip.add(column, *time),
        }
    }

    fn all(self) -> Vec<Figure> {
        let mut all = Vec::from(self.speed);
        all.push(self.trip);
        all.extend(self.user_exits);
        all.extend(self.exits);
        all
    }
}

/// An iperf3 that waits for one client.
fn iperf3(address: &str) -> Result<Server> {
    let mut iperf = Command::new("iperf3");
    // What it says to the client besides fits the pipe.
    Server::start(iperf.args(["-s", "-1", "--forceflush", "-B", address]), "Server listening")
}

/// MiB and seconds in iperf3's `[  5]   0.00-2.01   sec   123 MBytes   517 Mbits/sec   receiver`.
fn transfer(text: &str) -> Result<(f64, f64)> {
    let read = || {
        let (_, line) = text.lines().last()?.split_once("] ")?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let seconds: f64 = words.first()?.split_once('-')?.1.parse().ok()?;
        let rate = words.iter().position(|word| *word == "Mbits/sec")?.checked_sub(1)?;
        let megabits: f64 = words[rate].parse().ok()?;
        Some((megabits * seconds * 1e6 / 8.0 / f64::from(1 << 20), seconds))
    };
    read().ok_or_else(|| format!("iperf3 failed: {text}").into())
}
