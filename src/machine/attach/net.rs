use std::num::NonZeroU64;

use devices::virtio::net::NetOptions;
use devices::virtio::rate::Limits;

use crate::config::{Mtu, VmConfig};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::nets::Interface;
use crate::machine::platform::Platform;

/// One virtio network device for each interface, in order: eth0, eth1, ...
pub(in crate::machine) fn nets(
    platform: &mut Platform,
    config: &VmConfig,
    opened: Vec<Interface>,
) -> Result<(), RunError> {
    for (net, Interface { end, mac }) in config.nets.iter().zip(opened) {
        let limits = Limits {
            operations: net.pps.and_then(|pps| NonZeroU64::new(pps.get().into())),
            bytes: net.bandwidth.and_then(|bandwidth| NonZeroU64::new(bandwidth.bytes())),
        };
        let options = NetOptions { mac, mtu: net.mtu.map(Mtu::get), limits };
        let device = end.into_device(&options).map_err(host("make a network device"))?;
        platform.add_virtio(device)?;
    }
    Ok(())
}
