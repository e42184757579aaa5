//! Any fields in a Multiboot header whose magic number and checksum are
//! right: the input is flags, addresses, then code.
#![no_main]

use boot::loader::parse_bytes;
use libfuzzer_sys::fuzz_target;

const MAGIC: u32 = 0x1bad_b002;

fuzz_target!(|data: &[u8]| {
    let Some((flags, rest)) = data.split_first_chunk() else { return };
    let flags = u32::from_le_bytes(*flags);
    let checksum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(flags);
    let header = [MAGIC, flags, checksum].map(u32::to_le_bytes).concat();
    let _ = parse_bytes(&[&header, rest].concat());
});
