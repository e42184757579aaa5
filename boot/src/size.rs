use std::fmt;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A number of bytes as people read it: `312 bytes`, `17.3 MiB`, `2 GiB`.
#[derive(Clone, Copy)]
pub(crate) struct Size(pub(crate) u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            // Less than whole gibibytes would hide too much of the number.
            bytes if bytes >= GIB && bytes.is_multiple_of(GIB) => (GIB, "GiB"),
            MIB.. => (MIB, "MiB"),
            KIB.. => (KIB, "KiB"),
            bytes => return write!(f, "{bytes} bytes"),
        };
        let (whole, tenth) = (self.0 / unit, self.0 % unit * 10 / unit);
        match tenth {
            0 => write!(f, "{whole} {name}"),
            _ => write!(f, "{whole}.{tenth} {name}"),
        }
    }
}

/// The value for `--memory` that holds `bytes`: whole multiples of 64 MiB.
pub(crate) fn memory_option(bytes: u64) -> String {
    format!("--memory {}M", bytes.div_ceil(64 * MIB).saturating_mul(64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (17 * MIB + 400 * KIB, "17.3 MiB"),
            (3 * GIB, "3 GiB"),
            (3 * GIB - MIB, "3071 MiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }

    #[test]
    fn the_memory_asked_for_holds_what_is_needed() {
        assert_eq!(memory_option(1), "--memory 64M");
        assert_eq!(memory_option(64 * MIB), "--memory 64M");
        assert_eq!(memory_option(64 * MIB + 1), "--memory 128M");
    }
}
