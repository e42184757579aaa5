use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use devices::backend::console::{ConsoleInput, InputPort, Output, Sink, Writer};
use devices::legacy::Serial;
use vmm_core::arch::x86_64::layout;
use vmm_core::sys::terminal::{self, RawTerminal};

use crate::logging::{self, Prefix};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// How long a reader has for what is left when a run is cut short.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// The host's side of the serial port.
pub(in crate::machine) struct Console {
    writer: Writer,
    /// Where standard input goes, if it does.
    input: Option<Arc<dyn InputPort>>,
    terminal: Option<RawTerminal>,
}

/// The first serial port. What the guest sends goes to `sink`; with standard
/// output, standard input goes to the guest.
pub(in crate::machine) fn console(
    platform: &mut Platform,
    sink: Sink,
) -> Result<Console, RunError> {
    let with_input = matches!(sink, Sink::Stdout);
    let writer =
        Writer::new(sink, platform.requests.clone()).map_err(host("make a console writer"))?;
    let line = platform.irq_line(layout::SERIAL_GSI)?;
    let serial = Serial::new(line, writer.output().clone()).map_err(host("make a serial port"))?;
    let input = with_input.then(|| serial.input());
    if let Some(port) = &input {
        let source = ConsoleInput::stdin(Arc::clone(port), platform.requests.clone())
            .map_err(host("read standard input"))?;
        platform.subscribe(Arc::new(Mutex::new(source)));
    }
    platform.add_ports(layout::SERIAL, Serial::WINDOW, serial)?;
    Ok(Console { writer, input, terminal: None })
}

impl Console {
    /// What the guest has sent.
    pub(in crate::machine) fn output(&self) -> &Arc<Output> {
        self.writer.output()
    }

    /// Begins to write, and takes the terminal if standard input is one.
    pub(in crate::machine) fn start(&mut self) -> Result<(), RunError> {
        if self.input.is_some() && io::stdin().is_terminal() {
            logging::say(&Prefix::new(None), "type Ctrl-A X to end the machine");
            let terminal = RawTerminal::enter(io::stdin().as_fd());
            self.terminal = Some(terminal.map_err(host("set up the terminal"))?);
        }
        self.writer.start();
        Ok(())
    }

    /// Takes the terminal back after job control has continued the process.
    pub(in crate::machine) fn resume(&self) {
        terminal::reapply();
        if let Some(port) = &self.input {
            // Fails only when the counter is full, and then it is readable too.
            let _ = port.ready().write(1);
        }
    }

    /// Gives the terminal back; from now on Ctrl-C ends the run.
    pub(in crate::machine) fn leave_terminal(&mut self) {
        self.terminal = None;
    }

    /// Ends the output. What is not written yet has a last moment: a run that
    /// a signal ends is over within a second.
    pub(in crate::machine) fn finish(self) -> Result<(), RunError> {
        let lost = self.writer.finish(Instant::now() + LAST_MOMENT)?;
        if lost > 0 {
            log::warn!("{lost} bytes of console output were never read, and are lost");
        }
        Ok(())
    }
}
