//! Entropy under a Linux guest.

use std::fs;
use std::io::Write;

use tempfile::NamedTempFile;
use testing::{Guest, TRANSPORTS, kernel, patiently};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

/// Has the kernel do without the processor's random numbers.
const NO_RDRAND: &str = "quiet clearcpuid=rdrand,rdseed random.trust_cpu=off";

/// Says when the kernel could give random numbers and when it began init, and
/// where random numbers come from.
const SCRIPT: &str = "
    dmesg | sed -n 's/^\\[[^]]*] //
        s/^random: crng init done/event=seeded/p
        s/^Memory: .*/event=memory/p
        s/^Run .init as init process/event=init/p'
    grep -o -w -e rdrand -e rdseed /proc/cpuinfo | sed 's/^/has=/'
    echo from=$(cat /sys/class/misc/hw_random/rng_current)
    echo bytes=$(head -c 1000 /dev/hwrng | wc -c)
    poweroff -f";

/// The minimal kernel without its 64-bit entry: PVH, by which it is entered
/// then, has no seed for it.
fn without_seed() -> NamedTempFile {
    let mut image = fs::read(kernel(MINIMAL)).unwrap();
    // e_entry (System V ABI, "ELF Header").
    image[24..32].fill(0);
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&image).unwrap();
    file
}

#[test]
fn a_guest_that_takes_no_seed_is_seeded_by_the_device_before_init_starts() {
    patiently(|| {
        for transport in TRANSPORTS {
            let kernel = without_seed();
            let guest = Guest::linux(kernel.path(), SCRIPT).transport(transport);
            let outcome = guest.append(NO_RDRAND).run();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert_eq!(report.all("has"), [""; 0], "{outcome}");
            assert_eq!(report.all("event"), ["memory", "seeded", "init"], "{outcome}");
            assert_eq!(report.one("from"), "virtio_rng.0", "{outcome}");
            assert_eq!(report.number("bytes"), 1000, "{outcome}");
        }
    });
}

#[test]
fn a_guest_that_wants_no_entropy_device_has_none() {
    patiently(|| {
        let kernel = without_seed();
        let guest = Guest::linux(kernel.path(), SCRIPT).arg("--rng").arg("off");
        let outcome = guest.append(NO_RDRAND).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!((report.one("from"), report.number("bytes")), ("none", 0), "{outcome}");
        assert_eq!(report.all("event"), ["memory", "init"], "{outcome}");
    });
}

#[test]
fn a_guest_without_rdrand_is_seeded_before_it_has_devices() {
    patiently(|| {
        for image in [MINIMAL, "minimal/bzImage.lz4"] {
            let guest = Guest::linux(&kernel(image), SCRIPT).arg("--rng").arg("off");
            let outcome = guest.append(NO_RDRAND).run();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert_eq!(report.all("has"), [""; 0], "{outcome}");
            assert_eq!(report.all("event"), ["seeded", "memory", "init"], "{outcome}");
        }
    });
}
