//! Kiln's figures beside a floor program's and other VMMs': `cargo bench`.
//!
//! `docs/performance.md` has the method. Each figure is a file here; `table`
//! prints them all.

mod args;
mod block;
mod boot;
mod command;
mod devices;
mod figure;
mod files;
mod fio;
mod guest;
mod idle;
mod lab;
mod memory;
mod native;
mod net;
mod pipe;
mod process;
mod server;
mod session;
mod stage;
mod startup;
mod statistics;
mod table;
mod timed;
mod verdicts;
mod vmm;
mod vsock;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Form, Name};
use figure::Figure;
use stage::Stage;

/// What goes wrong here is told, and ends the run.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("figures: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    if let Some(stage) = &args.in_lab {
        let figures = lab::inside(&Stage::at(stage), args.figures[0])?;
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(());
    }
    let (stage, mut notes) = Stage::build(args)?;
    let mut figures = Vec::new();
    for name in args.selected() {
        eprintln!("figures: measuring {name}");
        figures.extend(measure(name, &stage, args)?);
    }
    notes.extend(stage.versions());
    let mut failures: Vec<_> = figures.iter().flat_map(|figure| figure.notes.clone()).collect();
    failures.dedup();
    notes.extend(failures);
    match args.form() {
        Form::Text => print!("{}", table::text(&figures, &notes)),
        Form::Markdown => print!("{}", table::markdown(&figures, &notes)),
        Form::Json => println!("{}", table::json(&figures, &notes)?),
    }
    Ok(())
}

fn measure(name: Name, stage: &Stage, args: &Args) -> Result<Vec<Figure>> {
    match name {
        Name::Startup => startup::measure(stage, args.runs),
        Name::Memory => memory::measure(stage),
        Name::Idle => idle::measure(stage),
        Name::Ring3 => native::measure(stage),
        _ => lab::run(stage, name),
    }
}
