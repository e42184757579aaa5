use std::io;

use io_uring::{Builder, IoUring};

/// Makes a ring that has room for `slots` operations and `files` files, with
/// as much of what makes it cheap as the kernel knows.
///
/// # Errors
/// What the kernel said; `Unsupported` if it is too old.
pub(super) fn ring(slots: u16, files: u32) -> io::Result<IoUring> {
    let ring = newest(slots)?;
    let params = ring.params();
    // Waits with a timeout came in 5.11, lasting polls in 5.13, as resource
    // tags did, for which there is a flag.
    if !(params.is_feature_ext_arg() && params.is_feature_resource_tagging()) {
        let message = "the kernel's io_uring is older than that of Linux 5.13";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    let none = vec![-1; usize::try_from(files).map_err(io::Error::other)?];
    ring.submitter().register_files(&none)?;
    Ok(ring)
}

/// Tries flags from the newest kernel's to none.
fn newest(slots: u16) -> io::Result<IoUring> {
    let mut result = Err(io::ErrorKind::Unsupported.into());
    for flags in [
        // 6.6: no array of indices between us and the kernel.
        |b: &mut Builder| {
            b.setup_single_issuer().setup_defer_taskrun().setup_no_sqarray();
        },
        // 6.1: what ends does so when this thread asks, with no interrupt.
        |b: &mut Builder| {
            b.setup_single_issuer().setup_defer_taskrun();
        },
        // 5.19: what ends does so at the next system call.
        |b: &mut Builder| {
            b.setup_coop_taskrun().setup_taskrun_flag();
        },
        |_: &mut Builder| {},
    ] {
        let mut builder = IoUring::builder();
        flags(&mut builder);
        result = builder
            .dontfork()
            .setup_clamp()
            // Room for all that can end, and for the doorbell many times over.
            .setup_cqsize(u32::from(slots).saturating_mul(2).max(16))
            .build(u32::from(slots).clamp(4, 64));
        match &result {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {}
            _ => break,
        }
    }
    result
}
