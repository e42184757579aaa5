use devices::backend::console::{Sink, Writer};
use devices::legacy::Serial;
use vmm_core::arch::x86_64::layout;

use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// The serial port and what the host side of it needs.
pub(in crate::machine) struct Console {
    pub writer: Writer,
}

/// The first serial port, with its output going to `sink`.
pub(in crate::machine) fn console(
    platform: &mut Platform,
    sink: Sink,
) -> Result<Console, RunError> {
    let writer =
        Writer::new(sink, platform.requests.clone()).map_err(host("make a console writer"))?;
    let line = platform.irq_line(layout::SERIAL_GSI)?;
    let serial = Serial::new(line, writer.output().clone()).map_err(host("make a serial port"))?;
    platform.add_ports(layout::SERIAL, Serial::WINDOW, serial)?;
    Ok(Console { writer })
}
