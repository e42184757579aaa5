use devices::backend::net::{NetBackend, Tap};

use super::RunError;
use crate::config::{NetConfig, NetHost, VhostMode};

/// The host's end of an interface, open.
pub(super) enum NetEnd {
    /// A tap, once for each pair of queues.
    Tap(Vec<Tap>),
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
                let tap = Tap::open(tap.name.as_str()).map_err(RunError::Net)?;
                if let Some(mtu) = net.mtu {
                    tap.set_mtu(mtu.get()).map_err(RunError::Net)?;
                }
                Ok(Self::Tap(vec![tap]))
            }
            NetHost::Fd(_) => Err(RunError::NetTodo("fd=")),
            NetHost::User(_) => Err(RunError::NetTodo("user")),
        }
    }

    /// What is unique for this end on the host and stays the same from run to
    /// run, if anything is.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Tap(queues) => queues.first().map(Tap::name),
        }
    }

    /// One backend for each pair of queues.
    pub(super) fn into_backends(self) -> Vec<Box<dyn NetBackend>> {
        match self {
            Self::Tap(queues) => queues.into_iter().map(|tap| Box::new(tap) as _).collect(),
        }
    }
}
