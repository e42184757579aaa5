use std::time::{Duration, SystemTime, UNIX_EPOCH};

use vmm_core::bus::BusDevice;

/// Offsets of the two ports.
const INDEX: u64 = 0;
const DATA: u64 = 1;

/// The top bit of the index port masks NMIs; it is not part of the index.
const INDEX_MASK: u8 = 0x7f;

/// Status A: time base and rate as a BIOS leaves them; bit 7 says that the
/// time is about to change.
const STATUS_A: u8 = 0x26;
const UPDATE_IN_PROGRESS: u8 = 0x80;
/// Status B: 24-hour clock, binary-coded decimal.
const STATUS_B: u8 = 0x02;
/// Status D: the time is valid.
const STATUS_D: u8 = 0x80;

/// How long before the change the update bit is set, in microseconds.
const UPDATE_WARNING: u32 = 244;

const SECONDS_A_DAY: u64 = 86_400;

/// The real-time clock of PCs (MC146818), read-only, in UTC.
///
/// Linux under KVM takes its time from kvm-clock and is told by ACPI not to
/// look here. This is for the others: with nothing at these ports the update
/// bit reads as set for ever, and what waits for it to clear hangs. Writes do
/// not change the time; there are no alarms and no memory.
pub struct Cmos {
    now: Box<dyn Fn() -> SystemTime + Send>,
    index: u8,
}

impl Cmos {
    /// Length of the window from
    /// [`CMOS`](vmm_core::arch::x86_64::layout::CMOS), in ports.
    pub const WINDOW: u64 = 2;

    /// A clock that shows what `now` gives.
    pub fn new(now: impl Fn() -> SystemTime + Send + 'static) -> Self {
        Self { now: Box::new(now), index: 0 }
    }

    fn register(&self) -> u8 {
        let now = (self.now)().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let second = now.as_secs() % SECONDS_A_DAY;
        let days = now.as_secs() / SECONDS_A_DAY;
        let (year, month, day) = date(days);
        match self.index {
            0x00 => bcd(second % 60),
            0x02 => bcd(second / 60 % 60),
            0x04 => bcd(second / 3600),
            // 1 January 1970 was a Thursday; Sunday is day 1.
            0x06 => bcd((days + 4) % 7 + 1),
            0x07 => bcd(day),
            0x08 => bcd(month),
            0x09 => bcd(year % 100),
            0x0a if now.subsec_micros() >= 1_000_000 - UPDATE_WARNING => {
                STATUS_A | UPDATE_IN_PROGRESS
            }
            0x0a => STATUS_A,
            0x0b => STATUS_B,
            0x0d => STATUS_D,
            0x32 => bcd(year / 100),
            _ => 0,
        }
    }
}

impl BusDevice for Cmos {
    fn read(&mut self, offset: u64, data: &mut [u8]) {
        data.fill(0);
        if offset == DATA {
            data[0] = self.register();
        }
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        if offset == INDEX {
            self.index = data[0] & INDEX_MASK;
        }
    }
}

/// Binary-coded decimal of a number below 100.
fn bcd(number: u64) -> u8 {
    let digits = ((number / 10 % 10) << 4) | (number % 10);
    digits.to_le_bytes()[0]
}

/// Year, month and day that lie `days` days after 1 January 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    while days >= 365 + leap(year) {
        days -= 365 + leap(year);
        year += 1;
    }
    let months = [31, 28 + leap(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// The days that `year` has over 365.
fn leap(year: u64) -> u64 {
    u64::from(year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)))
}
