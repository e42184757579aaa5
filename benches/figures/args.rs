use std::fmt;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::vmm::Vmm;

/// Measures Kiln beside a floor program and other VMMs, and prints a table.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --")]
pub(crate) struct Args {
    /// What to measure; all of it if nothing is named
    #[arg(value_enum)]
    pub(crate) figures: Vec<Name>,
    /// Another VMM's binary: firecracker, cloud-hypervisor, qemu, kvmtool, or kiln for another
    /// build of it. Those not named are looked for in the directory KILN_PEERS and in PATH
    #[arg(long = "peer", value_name = "NAME=PATH", value_parser = peer)]
    pub(crate) peers: Vec<(Vmm, PathBuf)>,
    /// Measure only Kiln and what --peer names
    #[arg(long)]
    pub(crate) no_search: bool,
    /// Start-ups of each program that count
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print a table in Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    /// Inside the lab: where everything needed has been copied
    #[arg(long, hide = true, requires = "figures")]
    pub(crate) in_lab: Option<PathBuf>,
    /// What cargo adds
    #[arg(long, hide = true)]
    bench: bool,
}

/// A group of figures that is measured together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// From exec to the first byte of a tiny guest
    Startup,
    /// Memory outside guest RAM, the tiny guest idling
    Memory,
    /// Memory that devices add to Kiln's under Linux, in the lab
    LinuxMemory,
    /// Processor time, the tiny guest idling
    Idle,
    /// Minimal Linux to its init and to the end, in the lab's virtual time
    Boot,
    /// The slowest device initcalls of that boot
    Initcalls,
    /// Exits of that boot, and processor time once its init idles, in the lab
    LinuxIdle,
    /// A disk, driven from ring 3 by the tiny guest
    Ring3,
    /// A disk, by fio in Linux guests, in the lab
    Block,
    /// A network on a tap, by iperf3 and ping in Linux guests, in the lab
    Net,
    /// The same by vhost-net
    NetVhost,
    /// Both on one processor of the lab, in its virtual time
    NetVirtual,
    /// Small files read through a shared directory and through 9p, in the lab
    Files,
    /// `git status` in a shared directory, in the lab
    Git,
    /// The same on one processor of the lab, in its virtual time
    GitVirtual,
    /// A stream through vsock and one through a Unix socket, in the lab
    Vsock,
    /// The same on one processor of the lab, in its virtual time
    VsockVirtual,
    /// `kiln run -- true`, a guest that says hello, and virtme-ng, in the lab's virtual time
    Command,
    /// From what ends a guest to the end of its run, in the lab
    Verdicts,
    /// The same on one processor of the lab, in its virtual time
    VerdictsVirtual,
    /// `kiln run -- cat` and a `cat` without a guest, in the lab
    Pipe,
    /// The same on one processor of the lab, in its virtual time
    PipeVirtual,
    /// `kiln run -- cat` of 1 GiB, each byte of which is compared, in the lab
    PipeWhole,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a terminal.
    Text,
    /// For `docs/performance.md`.
    Markdown,
    /// For programs, with everything measured.
    Json,
}

impl Args {
    /// What is to be measured, in order.
    pub(crate) fn selected(&self) -> Vec<Name> {
        if self.figures.is_empty() { Name::value_variants().to_vec() } else { self.figures.clone() }
    }

    /// How results are printed.
    pub(crate) fn form(&self) -> Form {
        match (self.json, self.markdown) {
            (true, _) => Form::Json,
            (_, true) => Form::Markdown,
            _ => Form::Text,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no name is skipped").get_name())
    }
}

fn peer(text: &str) -> Result<(Vmm, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("it is not NAME=PATH")?;
    let vmm = Vmm::PEERS.into_iter().find(|vmm| vmm.peer_name() == name);
    let vmm = vmm.ok_or_else(|| format!("no VMM called {name} is known"))?;
    Ok((vmm, path.into()))
}
