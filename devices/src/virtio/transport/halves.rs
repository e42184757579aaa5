/// The low (0) or high (1) half of `value`; no other half has bits.
pub(in crate::virtio) fn half(value: u64, which: u32) -> u32 {
    match which {
        0 => u32::try_from(value & 0xffff_ffff).expect("masked"),
        1 => u32::try_from(value >> 32).expect("shifted"),
        _ => 0,
    }
}

/// `value` with its low (0) or high (1) half replaced.
pub(super) fn with_half(value: u64, which: u32, new: u32) -> u64 {
    match which {
        0 => value & !0xffff_ffff | u64::from(new),
        1 => value & 0xffff_ffff | u64::from(new) << 32,
        _ => value,
    }
}
