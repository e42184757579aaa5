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

/// `line` with `extra` added: before its ` -- `, behind which everything is
/// init's, else at the end.
pub fn append_cmdline(line: &str, extra: &str) -> String {
    let (kernel, init) = line.split_at(end_of_kernel_part(line));
    let space = |needed: bool| if needed { " " } else { "" };
    let before = space(!kernel.is_empty() && !extra.is_empty() && !kernel.ends_with(' '));
    let after = space(!init.is_empty() && !extra.is_empty());
    format!("{kernel}{before}{extra}{after}{init}")
}

/// Where the word `--` outside quotes starts, or the line's end.
fn end_of_kernel_part(line: &str) -> usize {
    let mut quoted = false;
    let mut word = 0;
    for (at, byte) in line.bytes().chain([b' ']).enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            byte if byte.is_ascii_whitespace() && !quoted => {
                if &line.as_bytes()[word..at] == b"--" {
                    return word;
                }
                word = at + 1;
            }
            _ => {}
        }
    }
    line.len()
}
