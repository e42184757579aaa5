use std::hash::{BuildHasher, RandomState};
use std::io;

use devices::backend::net::{Passt, Tap};
use devices::virtio::VirtioDevice;
use devices::virtio::net::{Net, NetOptions, default_mac};

use super::RunError;
use super::passt::PasstProcess;
use super::taps::TapQueues;
use crate::config::{MacAddr, Mtu, NetConfig, NetHost, VmConfig, VmName};

/// The interfaces of a machine, open, and what runs for them.
pub(super) struct Nets {
    /// In the order of the configuration.
    pub interfaces: Vec<Interface>,
    /// To be kept for as long as the interfaces are to work.
    pub passts: Vec<PasstProcess>,
}

/// An interface with its host's end open.
pub(super) struct Interface {
    /// The host's end.
    pub end: NetEnd,
    /// The guest's address.
    pub mac: [u8; 6],
}

impl Nets {
    /// Opens the host's ends of all interfaces.
    pub(super) fn open(config: &VmConfig) -> Result<Self, RunError> {
        let mut nets = Self { interfaces: Vec::new(), passts: Vec::new() };
        let machine = config.name.as_ref().map(VmName::as_str);
        // Before any passt: it is to inherit none of their descriptors.
        let taps = config.nets.iter().map(NetEnd::open).collect::<Result<Vec<_>, _>>()?;
        for ((index, net), tap) in config.nets.iter().enumerate().zip(taps) {
            let name = machine.or(tap.as_ref().and_then(NetEnd::name));
            let mac = address(net, index, name);
            let end = match (tap, &net.backend) {
                (None, NetHost::User(user)) => {
                    let mtu = net.mtu.map_or(Mtu::MAX, Mtu::get);
                    let (passt, process) = PasstProcess::start(user, mtu, mac)?;
                    nets.passts.push(process);
                    NetEnd::User(Box::new(passt))
                }
                (tap, _) => tap.expect("all others are taps"),
            };
            nets.interfaces.push(Interface { end, mac });
        }
        Ok(nets)
    }
}

/// The guest's address on its interface `index`.
///
/// One that is not given stays the same from run to run: by the machine's
/// name, or if it has none, by the tap's, which is unique on the host. Without
/// either, it is random, so that no two machines share one.
fn address(net: &NetConfig, index: usize, name: Option<&str>) -> [u8; 6] {
    let default = || match name {
        Some(name) => default_mac(name, index),
        None => default_mac(&RandomState::new().hash_one(index).to_string(), index),
    };
    net.mac.map_or_else(default, MacAddr::octets)
}

/// The host's end of an interface, open.
pub(super) enum NetEnd {
    /// A tap by its name.
    Tap {
        /// The interface.
        name: String,
        /// Its queues.
        queues: TapQueues,
    },
    /// A tap that is perhaps another network namespace's.
    Inherited(TapQueues),
    /// The connection with a passt.
    User(Box<Passt>),
}

impl NetEnd {
    /// Opens the tap that `net` names; none for a network of the user.
    fn open(net: &NetConfig) -> Result<Option<Self>, RunError> {
        match &net.backend {
            NetHost::Tap(tap) => {
                let name = tap.name.as_str();
                let taps = Tap::open(name, tap.queues.get()).map_err(RunError::Net)?;
                if let Some(mtu) = net.mtu {
                    taps[0].set_mtu(mtu.get()).map_err(RunError::Net)?;
                }
                let queues = TapQueues::open(taps, tap.vhost, net.is_limited())?;
                Ok(Some(Self::Tap { name: name.to_owned(), queues }))
            }
            NetHost::Fd(fd) => {
                let numbers = fd.descriptors.numbers();
                let taps = numbers.iter().map(|number| Tap::inherit(*number));
                let taps = taps.collect::<Result<_, _>>().map_err(RunError::Net)?;
                Ok(Some(Self::Inherited(TapQueues::open(taps, fd.vhost, net.is_limited())?)))
            }
            NetHost::User(_) => Ok(None),
        }
    }

    /// What is unique for this end on the host and stays the same from run to
    /// run, if anything is.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Tap { name, .. } => Some(name),
            Self::Inherited(_) | Self::User(_) => None,
        }
    }

    /// The device at this end.
    pub(super) fn into_device(self, options: &NetOptions) -> io::Result<Box<dyn VirtioDevice>> {
        match self {
            Self::Tap { queues, .. } | Self::Inherited(queues) => queues.into_device(options),
            Self::User(passt) => Ok(Box::new(Net::new(vec![passt], options)?)),
        }
    }
}
