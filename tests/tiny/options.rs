//! A kernel that says how it was built is asked, before it is booted if that is
//! cheap.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use testing::{Form, Guest, Outcome, tiny};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = Command::new("gzip");
    let mut packer = packer.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    packer.stdin.take().unwrap().write_all(bytes).unwrap();
    packer.wait_with_output().unwrap().stdout
}

/// What a kernel holds that was built with these options.
fn held(options: &str) -> Vec<u8> {
    [b"code IKCFG_ST", &gzip(options.as_bytes())[..], b"IKCFG_ED data"].concat()
}

/// A bzImage whose kernel, once unpacked, holds these options.
fn bzimage(options: &str) -> Vec<u8> {
    let payload = gzip(&held(options));
    let mut image = fs::read(tiny(Form::BzImage)).unwrap();
    // Linux, Documentation/arch/x86/boot.rst: "setup_sects", "payload_offset"
    // and "payload_length".
    let code = (usize::from(image[0x1f1]) + 1) * 512;
    for (field, value) in [(0x248, image.len() - code), (0x24c, payload.len())] {
        let value = u32::try_from(value).unwrap();
        image[field..field + 4].copy_from_slice(&value.to_le_bytes());
    }
    image.extend(payload);
    image
}

/// An ELF file of one segment that holds these options.
fn elf(options: &str) -> Vec<u8> {
    let held = held(options);
    let size = u64::try_from(held.len()).unwrap();
    let mut image = b"\x7fELF\x02\x01\x01".to_vec();
    image.resize(120, 0);
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    // Type, machine; entry, program headers; their size and number.
    put(16, &[2, 0, 62, 0]);
    for (at, value) in [(24, 0x20_0000), (32, 64_u64)] {
        put(at, &value.to_le_bytes());
    }
    put(54, &[56, 0, 1, 0]);
    put(64, &[1, 0, 0, 0, 7]);
    for (at, value) in [(72, 120), (80, 0x20_0000), (88, 0x20_0000), (96, size), (104, 0x1000)] {
        put(at, &value.to_le_bytes());
    }
    image.extend(held);
    image
}

fn run(image: &[u8], arguments: &[&str]) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kernel");
    fs::write(&path, image).unwrap();
    let guest = Guest::running(&path, &["true"]);
    arguments.iter().fold(guest, |guest, argument| guest.arg(argument)).run()
}

const ALL: &str = "CONFIG_BLK_DEV_INITRD=y\nCONFIG_DEVTMPFS=y\nCONFIG_PROC_FS=y\nCONFIG_SYSFS=y\n\
                   CONFIG_TMPFS=y\nCONFIG_UNIX98_PTYS=y\nCONFIG_VIRTIO_VSOCKETS=y\n\
                   CONFIG_VIRTIO_FS=y\nCONFIG_OVERLAY_FS=y\nCONFIG_VIRTIO_PCI=y\n";

/// Without some of them.
fn some() -> String {
    let options = ALL.replace("CONFIG_OVERLAY_FS=y", "# CONFIG_OVERLAY_FS is not set");
    options.replace("VIRTIO_FS=y", "VIRTIO_FS=m").replace("CONFIG_SYSFS=y\n", "")
}

const LACK: &str = "it was built without CONFIG_SYSFS, CONFIG_OVERLAY_FS; it has CONFIG_VIRTIO_FS \
                    as modules, and there are none in /lib/modules/";

#[test]
fn a_kernel_without_what_a_command_needs_is_not_booted() {
    let outcome = run(&elf(&some()), &[]);
    assert_eq!(outcome.status, 125, "{outcome}");
    assert!(outcome.stderr.starts_with("kiln: --kernel: kernel /"), "{outcome}");
    assert!(outcome.stderr.contains(&format!(" cannot run a command: {LACK}")), "{outcome}");
    let outcome = run(&elf(ALL), &["--transport", "mmio"]);
    let said = "cannot run a command: it was built without CONFIG_VIRTIO_MMIO\n";
    assert!(outcome.stderr.ends_with(said), "{outcome}");
}

#[test]
fn a_packed_kernel_is_asked_when_the_command_did_not_come_to_its_end() {
    let lost = ["--cmdline", "end:poweroff"];
    let outcome = run(&bzimage(&some()), &lost);
    assert_eq!(outcome.status, 127, "{outcome}");
    let hint = format!("kiln: hint: the kernel is not one for commands: {LACK}");
    assert!(outcome.stderr.contains(&hint), "{outcome}");
    for (options, arguments, status) in [(ALL, lost, 127), (&some(), ["--cmdline", "exit:7"], 7)] {
        let outcome = run(&bzimage(options), &arguments);
        assert!(outcome.status == status && !outcome.stderr.contains("hint"), "{outcome}");
    }
}
