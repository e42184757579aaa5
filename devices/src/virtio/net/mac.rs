/// The address of network device `index` of the machine `name`: always the
/// same for the same two, and from the locally administered ones (IEEE 802).
pub fn default_mac(name: &str, index: usize) -> [u8; 6] {
    // FNV-1a: short, fixed for ever, and spreads similar names.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    // No name holds 0xff, so that "a" 1 and "a1" differ.
    let bytes = name.bytes().chain([0xff]).chain(index.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, step);
    let [.., a, b, c, d, e] = (hash ^ hash >> 32).to_le_bytes();
    [0x02, a, b, c, d, e]
}
