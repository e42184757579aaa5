use devices::backend::vsock::{LocalPorts, LocalVsock, UnixVsock};
use devices::virtio::vsock::{MAX_CLIENTS, MAX_CONNECTIONS, Vsock};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::{GuestCid, VsockConfig};
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// The host's side of a socket device.
pub(in crate::machine) struct Sockets {
    cid: GuestCid,
    host: LocalVsock<UnixVsock>,
}

impl Sockets {
    /// What `config` and `ports` ask for; nothing if they ask for nothing.
    pub(in crate::machine) fn open(
        config: Option<&VsockConfig>,
        ports: LocalPorts,
    ) -> Result<Option<Self>, RunError> {
        if config.is_none() && ports.is_empty() {
            return Ok(None);
        }
        let cid = config.map_or(GuestCid::FIRST, |vsock| vsock.cid);
        let sockets = config.map(|vsock| UnixVsock::bind(&vsock.socket)).transpose();
        let host = LocalVsock::new(ports, sockets.map_err(RunError::Vsock)?);
        Ok(Some(Self { cid, host }))
    }
}

/// The socket device, if there is to be one.
pub(in crate::machine) fn vsock(
    platform: &mut Platform,
    sockets: Option<Sockets>,
) -> Result<(), RunError> {
    let Some(Sockets { cid, host: sockets }) = sockets else { return Ok(()) };
    allow_connections();
    let device = Vsock::new(cid.get(), Box::new(sockets)).map_err(host("make a socket device"))?;
    platform.add_virtio(Box::new(device))
}

/// Lets this process have a descriptor for each connection, as far as it may:
/// the usual limit is made for programs that have few.
fn allow_connections() {
    let more = u64::try_from(MAX_CONNECTIONS + MAX_CLIENTS).expect("a few thousand");
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, soft.saturating_add(more).min(hard), hard)
    });
    if let Err(error) = raised {
        log::debug!("the limit of descriptors stays as it is: {error}");
    }
}
