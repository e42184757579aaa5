use std::time::SystemTime;

use devices::legacy::{AcpiSleep, Cmos, DebugExit, I8042, ResetControl};
use vmm_core::arch::x86_64::layout;

use crate::machine::RunError;
use crate::machine::platform::{Places, Platform};

/// The ways to reset, power off and end, and the clock.
pub(in crate::machine) fn legacy(platform: &Platform) -> Result<(), RunError> {
    let requests = || platform.requests.clone();
    platform.add_ports(layout::I8042_DATA, I8042::WINDOW, I8042::new(requests()))?;
    platform.add_ports(layout::CMOS, Cmos::WINDOW, Cmos::new(SystemTime::now))?;
    platform.add_ports(layout::DEBUG_EXIT, DebugExit::WINDOW, DebugExit::new(requests()))?;
    platform.add_ports(layout::ACPI_SLEEP, AcpiSleep::WINDOW, AcpiSleep::new(requests()))?;
    match platform.places {
        // It lies between the bus's own ports.
        Places::Pci(_) => Ok(()),
        Places::Mmio(_) => {
            platform.add_ports(layout::RESET_CONTROL, 1, ResetControl::new(requests()))
        }
    }
}
