use devices::virtio::net::{Net, NetOptions};

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
        let options = NetOptions { mac, mtu: net.mtu.map(Mtu::get) };
        let device =
            Net::new(end.into_backends(), &options).map_err(host("make a network device"))?;
        platform.add_virtio(Box::new(device))?;
    }
    Ok(())
}
