//! Any bytes as a kernel file: named or understood, its options found or not,
//! never a panic.
#![no_main]

use boot::loader::{options_of_bytes, parse_bytes, release_of_bytes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = parse_bytes(data);
    let _ = release_of_bytes(data);
    let _ = options_of_bytes(data);
});
