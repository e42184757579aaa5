use super::DiskConfig;

/// The command line of a kernel for which nobody gave one: the serial
/// console, a restart through the keyboard controller, a restart at once
/// after a panic, and the first disk as root unless an initrd finds its own.
pub fn default_cmdline(disks: &[DiskConfig], has_initrd: bool) -> String {
    let mut line = String::from("console=ttyS0 reboot=k panic=-1");
    if let (Some(disk), false) = (disks.first(), has_initrd) {
        line.push_str(" root=/dev/vda ");
        line.push_str(if disk.readonly { "ro" } else { "rw" });
    }
    line
}
