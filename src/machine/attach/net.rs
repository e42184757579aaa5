use devices::backend::net::Tap;
use devices::virtio::net::{Net, default_mac};

use crate::config::{MacAddr, VmConfig};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// One virtio network device for each interface, in order: eth0, eth1, ...
///
/// An interface without an address gets one that stays the same from run to
/// run: by the machine's name, or by the tap's, which is unique on the host,
/// if the machine has none.
pub(in crate::machine) fn nets(
    platform: &mut Platform,
    config: &VmConfig,
    opened: Vec<Tap>,
) -> Result<(), RunError> {
    for (index, (net, tap)) in config.nets.iter().zip(opened).enumerate() {
        let name = config.name.as_ref().map_or(net.tap.as_str(), |name| name.as_str());
        let mac = net.mac.map_or_else(|| default_mac(name, index), MacAddr::octets);
        let device = Net::new(Box::new(tap), mac).map_err(host("make a network device"))?;
        platform.add_virtio(Box::new(device))?;
    }
    Ok(())
}
