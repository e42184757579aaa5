use std::os::fd::RawFd;

use crate::config::{Forward, Protocol, UserConfig};

/// What passt is told: to stay a child of ours, to say only what is wrong, to
/// use the connection `stream`, and what the guest is to get by DHCP.
pub(super) fn arguments(user: &UserConfig, mtu: u16, stream: RawFd) -> Vec<String> {
    let mut words = vec!["--foreground".to_owned(), "--quiet".to_owned()];
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    option("--fd", stream.to_string());
    option("--mtu", mtu.to_string());
    if let Some(network) = &user.guest {
        option("--address", network.address().to_string());
        option("--netmask", network.mask().to_string());
        option("--gateway", network.gateway().to_string());
    }
    for forward in &user.forwards {
        let name = match forward.protocol() {
            Protocol::Tcp => "--tcp-ports",
            Protocol::Udp => "--udp-ports",
        };
        option(name, ports(forward));
    }
    words
}

/// `[ADDRESS/]PORT[-PORT]:PORT[-PORT]`, as passt has it.
fn ports(forward: &Forward) -> String {
    let address = forward.address().map(|address| format!("{address}/")).unwrap_or_default();
    format!("{address}{}:{}", forward.host(), forward.guest())
}
