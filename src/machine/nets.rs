use devices::backend::net::{NetBackend, Tap};

use super::RunError;
use crate::config::{NetConfig, NetHost, VhostMode};

/// The host's end of an interface, open.
pub(super) enum NetEnd {
    /// A tap, once for each pair of queues.
    Tap(Vec<Tap>),
    /// The same of a tap that is perhaps another network namespace's.
    Inherited(Vec<Tap>),
}

impl NetEnd {
    /// Opens what `net` names.
    pub(super) fn open(net: &NetConfig) -> Result<Self, RunError> {
        if net.is_limited() {
            return Err(RunError::NetTodo("a limit"));
        }
        match &net.backend {
            NetHost::Tap(tap) => {
                if tap.queues.get() > 1 {
                    return Err(RunError::NetTodo("more than one pair of queues"));
                }
                if tap.vhost == VhostMode::On {
                    return Err(RunError::NetTodo("vhost=on"));
                }
                let taps = Tap::open(tap.name.as_str(), 1).map_err(RunError::Net)?;
                if let Some(mtu) = net.mtu {
                    taps[0].set_mtu(mtu.get()).map_err(RunError::Net)?;
                }
                Ok(Self::Tap(taps))
            }
            NetHost::Fd(fd) => {
                let numbers = fd.descriptors.numbers();
                if numbers.len() > 1 {
                    return Err(RunError::NetTodo("more than one pair of queues"));
                }
                if fd.vhost == VhostMode::On {
                    return Err(RunError::NetTodo("vhost=on"));
                }
                let taps = numbers.iter().map(|number| Tap::inherit(*number));
                let taps = taps.collect::<Result<_, _>>().map_err(RunError::Net)?;
                Ok(Self::Inherited(taps))
            }
            NetHost::User(_) => Err(RunError::NetTodo("user")),
        }
    }

    /// What is unique for this end on the host and stays the same from run to
    /// run, if anything is.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Tap(queues) => queues.first().map(Tap::name),
            Self::Inherited(_) => None,
        }
    }

    /// One backend for each pair of queues.
    pub(super) fn into_backends(self) -> Vec<Box<dyn NetBackend>> {
        match self {
            Self::Tap(queues) | Self::Inherited(queues) => {
                queues.into_iter().map(|tap| Box::new(tap) as _).collect()
            }
        }
    }
}
