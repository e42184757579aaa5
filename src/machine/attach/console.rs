use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use devices::backend::console::{ConsoleFacts, ConsoleInput, InputPort, Output, Sink, Writer};
use devices::legacy::Serial;
use devices::virtio::console::{self, Handle, Size};
use vmm_core::arch::x86_64::layout;
use vmm_core::sys::terminal::{self, RawTerminal};

use crate::logging::{self, Prefix};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// How long a reader has for what is left when a run is cut short.
const LAST_MOMENT: Duration = Duration::from_millis(500);

/// The host's side of the consoles.
pub(in crate::machine) struct Consoles {
    serial: Writer,
    hvc: Option<Hvc>,
    /// Where standard input goes, if it does.
    input: Option<Arc<dyn InputPort>>,
    terminal: Option<RawTerminal>,
}

struct Hvc {
    writer: Writer,
    device: Handle,
}

/// The first serial port. What the guest sends goes to `sink`; with standard
/// output, standard input goes to the guest.
pub(in crate::machine) fn serial(
    platform: &mut Platform,
    sink: Sink,
) -> Result<Consoles, RunError> {
    let with_input = matches!(sink, Sink::Stdout);
    let writer =
        Writer::new(sink, platform.requests.clone()).map_err(host("make a console writer"))?;
    let line = platform.irq_line(layout::SERIAL_GSI)?;
    let serial = Serial::new(line, writer.output().clone()).map_err(host("make a serial port"))?;
    let input = with_input.then(|| serial.input());
    platform.add_ports(layout::SERIAL, Serial::WINDOW, serial)?;
    let mut consoles = Consoles { serial: writer, hvc: None, input: None, terminal: None };
    if let Some(port) = input {
        consoles.take_input(platform, port)?;
    }
    Ok(consoles)
}

/// The virtio console, beside the serial port, in the same way.
pub(in crate::machine) fn hvc(
    platform: &mut Platform,
    consoles: &mut Consoles,
    sink: Sink,
) -> Result<(), RunError> {
    let with_input = matches!(sink, Sink::Stdout);
    let writer = Writer::for_virtio(sink, platform.requests.clone())
        .map_err(host("make a console writer"))?;
    let size = if with_input { terminal_size() } else { None };
    let device = console::Console::new(Arc::clone(writer.output()), size)
        .map_err(host("make a virtio console"))?;
    if with_input {
        consoles.take_input(platform, device.input())?;
    }
    consoles.hvc = Some(Hvc { writer, device: device.handle() });
    platform.add_virtio(Box::new(device))
}

/// How large the terminal is that standard input and output are on.
fn terminal_size() -> Option<Size> {
    let (columns, rows) = terminal::size(io::stdin()).or_else(|| terminal::size(io::stdout()))?;
    Some(Size { columns, rows })
}

impl Consoles {
    /// Standard input goes to `port`.
    fn take_input(
        &mut self,
        platform: &mut Platform,
        port: Arc<dyn InputPort>,
    ) -> Result<(), RunError> {
        let source = ConsoleInput::stdin(Arc::clone(&port), platform.requests.clone())
            .map_err(host("read standard input"))?;
        platform.subscribe(Arc::new(Mutex::new(source)));
        self.input = Some(port);
        Ok(())
    }

    fn writers(&self) -> impl Iterator<Item = &Writer> {
        std::iter::once(&self.serial).chain(self.hvc.as_ref().map(|hvc| &hvc.writer))
    }

    /// What the guest has sent, console by console.
    pub(in crate::machine) fn outputs(&self) -> impl Iterator<Item = &Arc<Output>> {
        self.writers().map(Writer::output)
    }

    /// What it says about the guest.
    pub(in crate::machine) fn facts(&self) -> ConsoleFacts {
        self.outputs().map(|output| output.facts()).fold(ConsoleFacts::default(), ConsoleFacts::and)
    }

    /// The latest output of the console that had most.
    pub(in crate::machine) fn tail(&self) -> Vec<u8> {
        let loudest = self.outputs().max_by_key(|output| output.total());
        loudest.map(|output| output.tail()).unwrap_or_default()
    }

    /// Begins to write, and takes the terminal if standard input is one.
    pub(in crate::machine) fn start(&mut self) -> Result<(), RunError> {
        if self.input.is_some() && io::stdin().is_terminal() {
            logging::say(&Prefix::new(None), "type Ctrl-A X to end the machine");
            let terminal = RawTerminal::enter(io::stdin().as_fd());
            self.terminal = Some(terminal.map_err(host("set up the terminal"))?);
        }
        self.writers().for_each(Writer::start);
        Ok(())
    }

    /// Takes the terminal back after job control has continued the process.
    pub(in crate::machine) fn resume(&self) {
        terminal::reapply();
        if let Some(port) = &self.input {
            // Fails only when the counter is full, and then it is readable too.
            let _ = port.ready().write(1);
        }
        self.fit();
    }

    /// Tells the guest how large its terminal is now. A serial port has no
    /// words for that.
    pub(in crate::machine) fn fit(&self) {
        if let (Some(hvc), Some(size)) = (&self.hvc, terminal_size()) {
            hvc.device.resize(size);
        }
    }

    /// Lets vCPUs go on that wait for room.
    pub(in crate::machine) fn release(&self) {
        self.outputs().for_each(|output| output.release());
    }

    /// Gives the terminal back; from now on Ctrl-C ends the run.
    pub(in crate::machine) fn leave_terminal(&mut self) {
        self.terminal = None;
    }

    /// Says that no more output comes, once no vCPU runs: with what still
    /// waits to be written, each becomes done.
    pub(in crate::machine) fn close(&self) {
        self.serial.output().close();
        if let Some(hvc) = &self.hvc {
            hvc.device.close();
        }
    }

    /// Ends the output. What is not written yet has a last moment: a run that
    /// a signal ends is over within a second.
    pub(in crate::machine) fn finish(self) -> Result<(), RunError> {
        let deadline = Instant::now() + LAST_MOMENT;
        let mut lost = self.serial.finish(deadline)?;
        if let Some(hvc) = self.hvc {
            lost += hvc.writer.finish(deadline)?;
        }
        if lost > 0 {
            log::warn!("{lost} bytes of console output were never read, and are lost");
        }
        Ok(())
    }
}
