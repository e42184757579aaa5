//! Any bytes as a kernel that holds its own symbols.
#![no_main]

use kiln::symbols::kallsyms;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = kallsyms(data);
});
