use std::panic::{self, UnwindSafe};

/// How often a test may fail in the lab.
const ATTEMPTS: usize = 3;

/// Whether this runs in the lab, where root may do anything at no risk.
pub fn in_lab() -> bool {
    std::env::var_os("KILN_LAB").is_some()
}

/// Runs `test`; in the lab again, if it fails, up to three times in all.
///
/// The lab's emulated processor now and then takes an interrupt where a guest
/// has masked them, or loses a wake-up, whichever VMM runs the guest
/// (docs/lab.md): about one boot in 30 hangs or dies of it. What Kiln does
/// wrong, it does each time. A lab can also go wrong for good, so what fails
/// is run in one more (`resources/runner`). On hardware there is one attempt.
pub fn patiently(test: impl Fn() + UnwindSafe + Copy) {
    let attempts = if in_lab() { ATTEMPTS } else { 1 };
    for attempt in 1..attempts {
        match panic::catch_unwind(test) {
            Ok(()) => return,
            Err(_) => eprintln!("lab: attempt {attempt} of {attempts} failed; trying again"),
        }
    }
    test();
}
