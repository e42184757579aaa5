use devices::pvpanic::{PanicFunction, PanicNote, PanicPort};
use vmm_core::arch::x86_64::layout;

use crate::config::{PvPanic, VmConfig};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::{Places, Platform};

/// The device through which a kernel says that it panics, unless it is not
/// wanted, and what it says.
pub(in crate::machine) fn pvpanic(
    platform: &Platform,
    config: &VmConfig,
) -> Result<Option<PanicNote>, RunError> {
    if config.pvpanic == PvPanic::Off {
        return Ok(None);
    }
    let note = PanicNote::new().map_err(host("make a panic device"))?;
    match (config.pvpanic, &platform.places) {
        (PvPanic::Pci, Places::Pci(bus)) => bus.add_function(PanicFunction::new(note.clone()))?,
        _ => {
            let port = PanicPort::new(note.clone());
            platform.add_ports(layout::PVPANIC, PanicPort::WINDOW, port)?;
        }
    }
    Ok(Some(note))
}
