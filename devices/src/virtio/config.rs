//! Configuration space as plain bytes.

/// Fills `data` from `config` at `offset`; zeros past its end.
pub(super) fn read(config: &[u8], offset: usize, data: &mut [u8]) {
    data.fill(0);
    let from = config.get(offset..).unwrap_or_default();
    let len = from.len().min(data.len());
    data[..len].copy_from_slice(&from[..len]);
}
