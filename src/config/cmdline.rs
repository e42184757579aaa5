use super::{BalloonConfig, Consoles, DiskConfig};

/// Has Linux report free blocks of 64 KiB and more. Unasked it waits for some
/// of 2 or 4 MiB, and much of what is freed never grows so large; smaller ones
/// it keeps at hand for each processor.
const REPORT_SMALL_BLOCKS: &str = " page_reporting.page_reporting_order=4";

/// The command line of a kernel for which nobody gave one: the consoles that
/// are shown, a restart through the keyboard controller, a restart at once
/// after a panic, what a balloon needs, and the first disk as root unless an
/// initrd finds its own.
pub fn default_cmdline(
    consoles: &Consoles,
    balloon: Option<&BalloonConfig>,
    disks: &[DiskConfig],
    has_initrd: bool,
) -> String {
    let mut line = String::new();
    for name in consoles.names() {
        line.push_str("console=");
        line.push_str(name);
        line.push(' ');
    }
    line.push_str("reboot=k panic=-1");
    if balloon.is_some_and(|balloon| balloon.free_page_reporting) {
        line.push_str(REPORT_SMALL_BLOCKS);
    }
    if let (Some(disk), false) = (disks.first(), has_initrd) {
        line.push_str(" root=/dev/vda ");
        line.push_str(if disk.readonly { "ro" } else { "rw" });
    }
    line
}
