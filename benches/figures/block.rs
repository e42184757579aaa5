use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::figure::Figure;
use crate::fio::{Job, Outcome};
use crate::guest::{Disk, Guest, Transport};
use crate::idle::mount_debugfs;
use crate::session::{PATIENCE, Session, persist};
use crate::stage::{RESOURCES, Stage};
use crate::vmm::Vmm;

/// Rounds that count, and one before them that does not.
const ROUNDS: u32 = 5;

const KILN: &str = "Kiln";
const MMIO: &str = "Kiln mmio";
const QEMU: &str = "QEMU q35";
const HOST: &str = "host";

/// Where the images are made, in the lab.
const IMAGES: &str = "/run/disks";

/// An image of each runner's own, and which of the guest's disks it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Image {
    /// Raw on ext4, through the page cache.
    Files = 0,
    /// Raw on ext4, past the page cache.
    Direct = 1,
    /// Raw on tmpfs.
    Memory = 2,
    /// qcow2 on ext4, through the page cache.
    Qcow2 = 3,
}

/// One that runs jobs: a guest, or the host itself.
struct Runner {
    column: &'static str,
    name: &'static str,
    vmm: Option<(Vmm, Transport)>,
    session: Option<Session>,
}

/// A job, where it runs, and what it is measured for.
struct Case {
    job: Job,
    image: Image,
    figure: Figure,
    /// Exits to user space a request, for some.
    exits: Option<Figure>,
    /// Whether virtio-mmio and the host take part.
    columns: &'static [&'static str],
}

/// In the lab, in real time: fio in guests and beside them, in turns.
pub(crate) fn measure(stage: &Stage) -> Result<Vec<Figure>> {
    mount_debugfs()?;
    let mut figures = Vec::new();
    let mut runners = runners(stage);
    let names = runners.iter().map(|runner| runner.name);
    let mut make = Command::new(Path::new(RESOURCES).join("bench/disks"));
    if !make.arg(IMAGES).args(names).status()?.success() {
        return Err("the lab cannot make disk images".into());
    }
    for (cpus, mut cases) in [(1, one_queue()), (2, two_queues())] {
        for round in 0..=ROUNDS {
            for case in &mut cases {
                for runner in runners.iter_mut().filter(|r| case.columns.contains(&r.column)) {
                    runner.measure(stage, cpus, case, round > 0)?;
                }
            }
            eprintln!("figures: round {round} of {ROUNDS} with {cpus} processors");
        }
        runners.iter_mut().for_each(|runner| runner.session = None);
        figures
            .extend(cases.into_iter().flat_map(|case| [Some(case.figure), case.exits]).flatten());
    }
    figures.push(qcow2_of_raw(&figures));
    Ok(figures)
}

/// Who takes part, of those that are there.
fn runners(stage: &Stage) -> Vec<Runner> {
    let there = stage.vmms();
    let all = [
        (KILN, "kiln", Some((Vmm::Kiln, Transport::Pci))),
        (MMIO, "mmio", Some((Vmm::Kiln, Transport::Mmio))),
        (QEMU, "qemu", Some((Vmm::Qemu, Transport::Pci))),
        (HOST, "host", None),
    ];
    let all = all.map(|(column, name, vmm)| Runner { column, name, vmm, session: None });
    all.into_iter()
        .filter(|runner| runner.vmm.is_none_or(|(vmm, _)| there.contains(&vmm)))
        .collect()
}

fn one_queue() -> Vec<Case> {
    const ALL: &[&str] = &[KILN, MMIO, QEMU, HOST];
    const MAIN: &[&str] = &[KILN, QEMU, HOST];
    let case = |image, job: Job, goal: &str, columns| Case::new(image, job, goal, columns);
    let mut cases = vec![
        case(Image::Files, Job::random("randread", 1), "", ALL),
        case(Image::Files, Job::random("randread", 32), "≥ 1.3 × QEMU", ALL),
        // Right after raw, which it is compared with.
        case(Image::Qcow2, Job::random("randread", 32), "", &[KILN, QEMU]),
        case(Image::Files, Job::random("randwrite", 1), "", ALL),
        case(Image::Files, Job::random("randwrite", 32), "", ALL),
        case(Image::Files, Job::random("randwrite", 1).with_fsync(), "≥ 1.0 × QEMU", ALL),
        case(Image::Files, Job::sequential("read"), "≥ 0.8 × host", MAIN),
        case(Image::Files, Job::sequential("write"), "", MAIN),
        case(Image::Direct, Job::random("randread", 1), "", MAIN),
        case(Image::Direct, Job::random("randread", 32), "", MAIN),
        case(Image::Direct, Job::random("randwrite", 32), "", MAIN),
        case(Image::Direct, Job::sequential("read"), "", MAIN),
        case(Image::Memory, Job::random("randread", 32), "", MAIN),
        case(Image::Memory, Job::random("randwrite", 32), "", MAIN),
    ];
    let exits = Figure::new("exits to user space a request, 4 KiB random read, depth 32", "exits");
    cases[1].exits = Some(exits.goal("< 0.05").ratios_to(QEMU));
    cases
}

fn two_queues() -> Vec<Case> {
    const WHO: &[&str] = &[KILN, QEMU, HOST];
    let jobs = ["randread", "randwrite"].map(|kind| Job::random(kind, 32).times(2));
    jobs.map(|job| Case::new(Image::Files, job, "", WHO)).into()
}

/// What qcow2 makes of the speed of raw, round by round.
fn qcow2_of_raw(figures: &[Figure]) -> Figure {
    let mut of = Figure::new("qcow2, 4 KiB random read, depth 32", "× raw").goal("≥ 0.8 × raw");
    let job = Job::random("randread", 32);
    let find = |image| figures.iter().find(|figure| figure.name == name(image, &job));
    if let Some((raw, qcow2)) = find(Image::Files).zip(find(Image::Qcow2)) {
        for series in &qcow2.series {
            let raw = raw.series.iter().find(|raw| raw.column == series.column);
            for (qcow2, raw) in series.values.iter().zip(raw.map_or(&[][..], |raw| &raw.values)) {
                of.add(&series.column, qcow2 / raw);
            }
        }
    }
    of
}

fn name(image: Image, job: &Job) -> String {
    let place = match image {
        Image::Files => "",
        Image::Direct => ", direct",
        Image::Memory => ", tmpfs",
        Image::Qcow2 => ", qcow2",
    };
    format!("{}{place}", job.title())
}

impl Case {
    fn new(image: Image, job: Job, goal: &str, columns: &'static [&'static str]) -> Self {
        let base = if goal.ends_with(HOST) { HOST } else { QEMU };
        let mut figure = Figure::new(&name(image, &job), job.unit()).ratios_to(base);
        if !goal.is_empty() {
            figure = figure.goal(goal);
        }
        Self { job, image, figure, exits: None, columns }
    }
}

impl Runner {
    /// Runs the job of `case` once, and adds what came out if it `counts`.
    fn measure(&mut self, stage: &Stage, cpus: u32, case: &mut Case, counts: bool) -> Result<()> {
        let (outcome, exits) = persist(self.column, || {
            self.attempt(stage, cpus, case).inspect_err(|_| self.session = None)
        })?;
        if counts {
            let value = case.job.figure(&outcome);
            // It takes long, so one who waits is told.
            eprintln!("figures: {}: {} {value:.2}", case.figure.name, self.column);
            case.figure.add(self.column, value);
            if let Some((figure, exits)) = case.exits.as_mut().zip(exits) {
                figure.add(self.column, exits / case.job.requests(&outcome));
            }
        }
        Ok(())
    }

    /// What fio found, and for a guest how often it left for user space meanwhile.
    fn attempt(&mut self, stage: &Stage, cpus: u32, case: &Case) -> Result<(Outcome, Option<f64>)> {
        let Some((vmm, transport)) = self.vmm else {
            let direct = case.image == Image::Direct;
            let file = image(case.image, self.name);
            let command = case.job.command(&file.to_string_lossy(), direct);
            let output = Command::new("/bin/sh").args(["-c", &command]).output()?;
            return Ok((Outcome::parse(&String::from_utf8_lossy(&output.stdout))?, None));
        };
        if self.session.is_none() {
            let disks = [Image::Files, Image::Direct, Image::Memory, Image::Qcow2];
            let disks = disks.map(|kind| Disk {
                direct: kind == Image::Direct,
                qcow2: kind == Image::Qcow2,
                ..Disk::raw(image(kind, self.name))
            });
            let guest = Guest {
                cpus,
                disks: disks.into(),
                transport: Some(transport),
                ..Guest::shell(stage.path(), "disk")
            };
            let command = stage.command(vmm, &guest)?.ok_or("it has no disks")?;
            self.session = Some(Session::start(command, PATIENCE)?);
        }
        let session = self.session.as_mut().expect("it has just been started");
        let disk = ["/dev/vda", "/dev/vdb", "/dev/vdc", "/dev/vdd"][case.image as usize];
        let command = case.job.command(disk, true);
        if case.exits.is_none() {
            return Ok((Outcome::parse(&session.run(&command)?)?, None));
        }
        // What reading the line and starting a shell for it costs is not the disk's.
        let start = session.user_exits()?;
        session.run(&format!(": \"{command}\""))?;
        let before = session.user_exits()?;
        let outcome = Outcome::parse(&session.run(&command)?)?;
        let during = session.user_exits()? - before;
        Ok((outcome, Some((during - (before - start)).max(0.0))))
    }
}

fn image(kind: Image, name: &str) -> PathBuf {
    let images = Path::new(IMAGES);
    match kind {
        Image::Files => images.join(format!("files/{name}.img")),
        Image::Direct => images.join(format!("files/{name}-direct.img")),
        Image::Memory => images.join(format!("memory/{name}.img")),
        Image::Qcow2 => images.join(format!("files/{name}.qcow2")),
    }
}
