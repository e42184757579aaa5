//! Entropy under a Linux guest.

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

#[test]
fn a_guest_without_rdrand_is_seeded_before_init_starts() {
    patiently(|| {
        for transport in TRANSPORTS {
            let guest = Guest::linux(&kernel(MINIMAL), SCRIPT).transport(transport);
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
        let guest = Guest::linux(&kernel(MINIMAL), SCRIPT).arg("--rng").arg("off");
        let outcome = guest.append(NO_RDRAND).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!((report.one("from"), report.number("bytes")), ("none", 0), "{outcome}");
        assert_eq!(report.all("event"), ["memory", "init"], "{outcome}");
    });
}

#[test]
fn a_guest_that_boots_as_linux_is_seeded_before_it_has_devices() {
    patiently(|| {
        let guest = Guest::linux(&kernel("minimal/bzImage.lz4"), SCRIPT).arg("--rng").arg("off");
        let outcome = guest.append(NO_RDRAND).run();
        outcome.expect(0, POWERED_OFF);
        let report = Report::of(&outcome);
        assert_eq!(report.all("has"), [""; 0], "{outcome}");
        assert_eq!(report.all("event"), ["seeded", "memory", "init"], "{outcome}");
    });
}
