use std::io;
use std::os::fd::RawFd;

/// Why a tap interface cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TapError {
    /// No interface can have that name.
    #[error(
        "`{name}` is no name for a tap interface: 1 to 15 characters without `/`, `%` or space"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The host cannot do taps.
    #[error("/dev/net/tun does not exist; `modprobe tun` may bring it")]
    NoTun,
    /// The host does not let this user do taps.
    #[error("/dev/net/tun cannot be opened: permission denied; check its mode")]
    TunDenied,
    /// The interface is not there and may not be made.
    #[error(
        "tap {name} does not exist, and making one takes CAP_NET_ADMIN; \
         as root: `ip tuntap add {name} mode tap user USER` and `ip link set {name} up`"
    )]
    Absent {
        /// The interface.
        name: String,
    },
    /// The interface belongs to somebody else.
    #[error("tap {name} may not be used: permission denied; it belongs to another user")]
    Denied {
        /// The interface.
        name: String,
    },
    /// Another process has it.
    #[error("tap {name} is in use by another process")]
    Busy {
        /// The interface.
        name: String,
    },
    /// It is some other kind of interface.
    #[error("interface {name} is no tap")]
    Kind {
        /// The interface.
        name: String,
    },
    /// It was made for one queue.
    #[error(
        "tap {name} is no tap, or one for a single queue; as root: \
         `ip tuntap add {name} mode tap multi_queue user USER`"
    )]
    SingleQueue {
        /// The interface.
        name: String,
    },
    /// A descriptor is none of a tap.
    #[error("descriptor {number} is not open, or no tap's")]
    Descriptor {
        /// Its number.
        number: RawFd,
    },
    /// A tap was opened in a way that packets cannot be told apart or lack
    /// their header.
    #[error(
        "descriptor {number} is of {name}, but not opened with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR"
    )]
    Flags {
        /// The descriptor's number.
        number: RawFd,
        /// The interface.
        name: String,
    },
    /// Its MTU is another, and this user may not change it.
    #[error(
        "tap {name} has an MTU of {has}, and setting {wanted} takes CAP_NET_ADMIN; \
         as root: `ip link set {name} mtu {wanted}`"
    )]
    Mtu {
        /// The interface.
        name: String,
        /// What it has, in bytes.
        has: u32,
        /// What was asked for, in bytes.
        wanted: u32,
    },
    /// Anything else that the host said.
    #[error("cannot {what} for tap {name}")]
    Host {
        /// The interface.
        name: String,
        /// What was tried.
        what: &'static str,
        /// What the host said.
        source: io::Error,
    },
}
