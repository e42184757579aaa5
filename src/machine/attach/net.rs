use std::hash::{BuildHasher, RandomState};

use devices::virtio::net::{Net, NetOptions, default_mac};

use crate::config::{MacAddr, Mtu, VmConfig};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::nets::NetEnd;
use crate::machine::platform::Platform;

/// One virtio network device for each interface, in order: eth0, eth1, ...
///
/// An interface without an address gets one that stays the same from run to
/// run: by the machine's name, or if it has none, by the tap's, which is unique
/// on the host. Without either, it is random, so that no two machines share one.
pub(in crate::machine) fn nets(
    platform: &mut Platform,
    config: &VmConfig,
    opened: Vec<NetEnd>,
) -> Result<(), RunError> {
    for (index, (net, end)) in config.nets.iter().zip(opened).enumerate() {
        let name = config.name.as_ref().map(|name| name.as_str()).or(end.name());
        let default = || match name {
            Some(name) => default_mac(name, index),
            None => default_mac(&RandomState::new().hash_one(index).to_string(), index),
        };
        let options = NetOptions {
            mac: net.mac.map_or_else(default, MacAddr::octets),
            mtu: net.mtu.map(Mtu::get),
        };
        let device =
            Net::new(end.into_backends(), &options).map_err(host("make a network device"))?;
        platform.add_virtio(Box::new(device))?;
    }
    Ok(())
}
