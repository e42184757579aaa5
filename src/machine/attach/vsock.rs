use devices::backend::vsock::UnixVsock;
use devices::virtio::vsock::{MAX_CLIENTS, MAX_CONNECTIONS, Vsock};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::VsockConfig;
use crate::machine::RunError;
use crate::machine::error::host;
use crate::machine::platform::Platform;

/// The socket device, if there is to be one.
pub(in crate::machine) fn vsock(
    platform: &mut Platform,
    config: Option<&VsockConfig>,
    opened: Option<UnixVsock>,
) -> Result<(), RunError> {
    let (Some(config), Some(sockets)) = (config, opened) else { return Ok(()) };
    allow_connections();
    let device =
        Vsock::new(config.cid.get(), Box::new(sockets)).map_err(host("make a socket device"))?;
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
