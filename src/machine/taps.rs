use std::io;

use devices::backend::net::{Tap, VhostError, VhostNet, VhostTap};
use devices::virtio::VirtioDevice;
use devices::virtio::net::{KernelNet, Net, NetOptions};

use super::RunError;
use crate::config::VhostMode;
use crate::exit::Chain;

/// A tap with who moves its packets, once for each pair of queues.
pub(super) enum TapQueues {
    /// The event loop.
    Loop(Vec<Tap>),
    /// The host's kernel.
    Kernel(Vec<VhostTap>),
}

impl TapQueues {
    /// Finds somebody to move the packets of `taps`, as `mode` says. Of an
    /// interface that `is_limited` the packets have to be counted, which the
    /// kernel does not do.
    pub(super) fn open(
        taps: Vec<Tap>,
        mode: VhostMode,
        is_limited: bool,
    ) -> Result<Self, RunError> {
        let name = taps.first().map_or("", Tap::name).to_owned();
        let vhosts = match mode {
            VhostMode::Off => None,
            VhostMode::On => Some(open(taps.len()).map_err(RunError::Vhost)?),
            VhostMode::Auto if is_limited => None,
            VhostMode::Auto => open(taps.len())
                .inspect_err(|error| log::debug!("tap {name} is without vhost: {}", Chain(error)))
                .ok(),
        };
        Ok(match vhosts {
            Some(vhosts) => {
                log::info!("tap {name}: the host's kernel moves its packets (vhost-net)");
                let pairs = vhosts.into_iter().zip(taps);
                Self::Kernel(pairs.map(|(vhost, tap)| VhostTap::new(vhost, tap)).collect())
            }
            None => {
                log::info!("tap {name}: Kiln moves its packets (without vhost-net)");
                Self::Loop(taps)
            }
        })
    }

    /// The device whose packets these are.
    pub(super) fn into_device(self, options: &NetOptions) -> io::Result<Box<dyn VirtioDevice>> {
        Ok(match self {
            Self::Loop(taps) => {
                let backends = taps.into_iter().map(|tap| Box::new(tap) as _).collect();
                Box::new(Net::new(backends, options)?)
            }
            Self::Kernel(pairs) => {
                let pairs = pairs.into_iter().map(|pair| Box::new(pair) as _).collect();
                Box::new(KernelNet::new(pairs, options)?)
            }
        })
    }
}

/// One instance for each pair of queues.
fn open(pairs: usize) -> Result<Vec<VhostNet>, VhostError> {
    (0..pairs).map(|_| VhostNet::open()).collect()
}
