use devices::backend::fs::{Limits, Share, ShareOptions};
use log::Level;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::RunError;
use crate::config::{ShareConfig, VmConfig};

/// Descriptors that are left for the rest of a machine.
const OTHERS: u64 = 4096;
/// The most that guests may hold: what a host has for all of its processes is
/// often not much more.
const MOST: u64 = 512 << 10;

/// The most files that guests may know.
const MOST_KNOWN: u64 = 1 << 20;

/// Fewer open files than that, and guests will notice.
const FEW: usize = 256;

/// The directories that guests mount.
pub(super) fn open(config: &VmConfig) -> Result<Vec<Share>, RunError> {
    let shares = config.all_shares();
    let Ok(count @ 1..) = u64::try_from(shares.len()) else { return Ok(Vec::new()) };
    let descriptors = allow_descriptors();
    let limits = limits(descriptors, count);
    let open = |share: &ShareConfig| {
        let options = ShareOptions { read_only: share.read_only, limits };
        Share::open(&share.path, options)
            .map_err(|source| RunError::Share { option: option(config, share), source })
    };
    let open = shares.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    if limits.handles < FEW {
        // A command's own streams are no place for this.
        let level = if config.command.is_some() { Level::Info } else { Level::Warn };
        log::log!(
            level,
            "--share: a guest can open only {} files at once, as ulimit -Hn is {descriptors}",
            limits.handles
        );
    }
    Ok(open)
}

/// The option that has `share` be there.
fn option(config: &VmConfig, share: &ShareConfig) -> &'static str {
    if config.shares.contains(share) {
        "--share"
    } else if share.read_only {
        "--root"
    } else {
        "--rw"
    }
}

/// Lets this process have as many descriptors as it may; returns how many.
fn allow_descriptors() -> u64 {
    let wanted = MOST + OTHERS;
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        // Root may have more.
        if hard < wanted && setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).is_ok() {
            return Ok(wanted);
        }
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(hard)
    });
    raised.unwrap_or_else(|error| {
        log::debug!("the limit of descriptors stays as it is: {error}");
        1024
    })
}

/// What a guest may hold of each of `count` shares: two descriptors for each open
/// file, and one for each that was used of late.
pub(super) fn limits(descriptors: u64, count: u64) -> Limits {
    let all = descriptors.saturating_sub(OTHERS.min(descriptors / 2)).min(MOST) / count;
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits {
        inodes: number(MOST_KNOWN / count),
        descriptors: number(all - all / 4),
        handles: number(all / 4),
    }
}
