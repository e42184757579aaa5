/// The first `length` bytes that the tiny guest's `flood` prints: blocks of
/// 1024 bytes, each of them its number and then always the same.
pub fn pattern(length: usize) -> Vec<u8> {
    const BLOCK: usize = 1024;
    let mut state = 1_u32;
    let rest: Vec<u8> = (8..BLOCK)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    let mut bytes = Vec::with_capacity(length + BLOCK);
    for number in 0..length.div_ceil(BLOCK) {
        bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        bytes.extend_from_slice(&rest);
    }
    bytes.truncate(length);
    bytes
}

/// The hash that the tiny guest prints of what it was given.
pub fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193))
}
