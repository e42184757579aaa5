use std::fs;
use std::process::Command;

use crate::Result;
use crate::figure::Figure;
use crate::guest::{Guest, Transport};
use crate::server::Server;
use crate::session::{PATIENCE, Session, persist};
use crate::stage::Stage;
use crate::vmm::Vmm;

/// By which clock of the lab it is measured.
#[derive(Debug)]
pub(crate) struct Pace {
    /// What figures are called besides.
    pub(crate) name: &'static str,
    /// Rounds that count, and one before them that does not.
    pub(crate) rounds: u32,
}

/// Two processors, and as much noise as the machine has.
pub(crate) const REAL: Pace = Pace { name: "", rounds: 5 };
/// One processor, and time by its instructions, which repeats.
pub(crate) const VIRTUAL: Pace = Pace { name: " (virtual)", rounds: 2 };

/// What goes through a connection.
const MIB: u32 = 64;
/// Bytes of every socket's buffer, the Unix socket's too: what a program takes that wants to be
/// fast.
const BUFFER: u32 = 1 << 20;

const KILN: &str = "Kiln";
const LOOPBACK: &str = "Unix socket";

/// Kiln's socket; of a port, with the port's number behind it.
const SOCKET: &str = "/run/vsock";
const PORT: u32 = 5000;
/// The socket between two programs of the lab.
const LOOPBACK_SOCKET: &str = "/run/loopback";

/// Which way the bytes go: what the lab's end does, what the other end does.
const WAYS: [(&str, &str, &str); 2] = [
    ("stream guest to host (vsock)", "receive", "send"),
    ("stream host to guest (vsock)", "send", "receive"),
];

/// In the lab: a stream between guest and lab through vsock, and one
/// between two programs of the lab, in turns.
pub(crate) fn measure(stage: &Stage, pace: &Pace) -> Result<Vec<Figure>> {
    let mut figures = WAYS.map(|(name, _, _)| {
        Figure::new(&format!("{name}{}", pace.name), "MiB/s")
            .goal("≥ 0.3 × Unix socket")
            .ratios_to(LOOPBACK)
    });
    let mut session = None;
    for round in 0..=pace.rounds {
        for (figure, (name, host, guest)) in figures.iter_mut().zip(WAYS) {
            let through_vsock = persist(KILN, || {
                vsock(stage, &mut session, host, guest).inspect_err(|_| session = None)
            })?;
            for (column, rate) in [(KILN, through_vsock), (LOOPBACK, loopback(stage, host, guest)?)]
            {
                // It takes long, so one who waits is told.
                eprintln!("figures: {name}: {column} {rate:.1}");
                if round > 0 {
                    figure.add(column, rate);
                }
            }
        }
    }
    Ok(figures.into())
}

/// MiB a second with a guest.
fn vsock(stage: &Stage, session: &mut Option<Session>, host: &str, guest: &str) -> Result<f64> {
    if session.is_none() {
        let options = ["--vsock".to_owned(), format!("cid=3,socket={SOCKET}")];
        let guest = Guest {
            transport: Some(Transport::Pci),
            options: options.into(),
            ..Guest::shell(stage.path(), "net")
        };
        let command = stage.command(Vmm::Kiln, &guest)?.ok_or("Kiln has vsock")?;
        *session = Some(Session::start(command, PATIENCE)?);
    }
    let session = session.as_mut().expect("it has just been started");
    // The host has number 2 (VIRTIO 1.2 §5.10.4).
    rate(stage, &format!("{SOCKET}_{PORT}"), host, || {
        session.run(&format!("stream connect vsock:2:{PORT} {guest} {MIB} {BUFFER}")).map(drop)
    })
}

/// MiB a second without one.
fn loopback(stage: &Stage, host: &str, guest: &str) -> Result<f64> {
    rate(stage, LOOPBACK_SOCKET, host, || {
        let mut stream = Command::new(stage.path().join("stream"));
        stream.args(["connect", &format!("unix:{LOOPBACK_SOCKET}"), guest]);
        stream.args([MIB, BUFFER].map(|number| number.to_string()));
        if stream.status()?.success() { Ok(()) } else { Err("the stream broke".into()) }
    })
}

/// Listens at `path`, has `connect` reach it, and takes the time of the stream.
fn rate(
    stage: &Stage,
    path: &str,
    host: &str,
    connect: impl FnOnce() -> Result<()>,
) -> Result<f64> {
    // One of an attempt that failed.
    if fs::exists(path)? {
        fs::remove_file(path)?;
    }
    let mut stream = Command::new(stage.path().join("stream"));
    stream.args(["serve", &format!("unix:{path}"), host]);
    stream.args([MIB, BUFFER].map(|number| number.to_string()));
    let mut server = Server::start(&mut stream, "ready")?;
    connect()?;
    let nanoseconds: f64 = server.line()?.parse()?;
    Ok(f64::from(MIB) * 1e9 / nanoseconds)
}
