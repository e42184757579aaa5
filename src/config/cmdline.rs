use super::{Consoles, DiskConfig};

/// The command line of a kernel for which nobody gave one: the consoles that
/// are shown, a restart through the keyboard controller, a restart at once
/// after a panic, and the first disk as root unless an initrd finds its own.
pub fn default_cmdline(consoles: &Consoles, disks: &[DiskConfig], has_initrd: bool) -> String {
    let mut line = String::new();
    for name in consoles.names() {
        line.push_str("console=");
        line.push_str(name);
        line.push(' ');
    }
    line.push_str("reboot=k panic=-1");
    if let (Some(disk), false) = (disks.first(), has_initrd) {
        line.push_str(" root=/dev/vda ");
        line.push_str(if disk.readonly { "ro" } else { "rw" });
    }
    line
}
