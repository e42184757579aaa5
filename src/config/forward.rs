use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{BadValue, list, text::as_text};

/// What a forwarded port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Ports from `first` to `last`, neither of them 0. Written as `80` or
/// `8000-8010`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
}

impl Ports {
    /// The first port.
    pub const fn first(self) -> u16 {
        self.first
    }

    /// The last port, at least the first.
    pub const fn last(self) -> u16 {
        self.last
    }

    /// How many more than one.
    const fn span(self) -> u16 {
        self.last - self.first
    }

    /// Whether some port is in both.
    const fn meets(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl FromStr for Ports {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let port = |text: &str| {
            let port = list::digits(text).and_then(|port| u16::try_from(port).ok());
            port.filter(|port| *port > 0)
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(BadValue(format!(
                "'{text}' is no port from 1 to 65535, nor a range of them as 8000-8010"
            ))),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.span() > 0 { write!(f, "-{}", self.last) } else { Ok(()) }
    }
}

/// Ports of the host that lead to as many of the guest. Written as
/// `[ADDRESS/]PORT[-PORT]:PORT[-PORT][/udp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Forward {
    address: Option<IpAddr>,
    host: Ports,
    guest: Ports,
    protocol: Protocol,
}

impl Forward {
    /// The host's address that is listened on; all of them without it.
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The host's ports.
    pub const fn host(&self) -> Ports {
        self.host
    }

    /// The guest's ports, as many.
    pub const fn guest(&self) -> Ports {
        self.guest
    }

    /// What the ports carry.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether both would listen on the same port of the same address.
    pub fn clashes(&self, other: &Self) -> bool {
        let same_address = match (self.address, other.address) {
            (Some(a), Some(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
            _ => true,
        };
        same_address && self.protocol == other.protocol && self.host.meets(other.host)
    }
}

impl FromStr for Forward {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let malformed = || {
            BadValue::new("a forward is HOST:GUEST[/udp], as in 8080:80 or 127.0.0.1/5353:53/udp")
        };
        // No part but the address has other colons.
        let (host, guest) = text.rsplit_once(':').ok_or_else(malformed)?;
        let (guest, protocol) = match guest.split_once('/') {
            None | Some((_, "tcp")) => (guest.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((guest, "udp")) => (guest, Protocol::Udp),
            Some(_) => return Err(malformed()),
        };
        let (address, host) = match host.split_once('/') {
            None => (None, host),
            Some((address, host)) => {
                let address = address
                    .parse()
                    .map_err(|_| BadValue(format!("'{address}' is no IP address")))?;
                (Some(address), host)
            }
        };
        if host.contains(':') {
            return Err(malformed());
        }
        let (host, guest): (Ports, Ports) = (host.parse()?, guest.parse()?);
        if host.span() != guest.span() {
            return Err(BadValue::new("the two ranges of ports are of different lengths"));
        }
        Ok(Self { address, host, guest, protocol })
    }
}

as_text!(Forward);

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(address) = self.address {
            write!(f, "{address}/")?;
        }
        write!(f, "{}:{}", self.host, self.guest)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => write!(f, "/udp"),
        }
    }
}

/// An IPv4 address of a guest and its network, with room for a gateway.
/// Written as `10.0.2.15/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GuestNetwork {
    address: Ipv4Addr,
    prefix: u8,
}

impl GuestNetwork {
    /// The guest's address.
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// How many bits of it name the network: 1 to 30.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The bits that name the network.
    pub fn mask(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.mask_bits())
    }

    /// The network's first address, or the second if the guest has the first:
    /// where the guest's way out leads.
    pub fn gateway(&self) -> Ipv4Addr {
        let network = self.address.to_bits() & self.mask_bits();
        let first = Ipv4Addr::from_bits(network + 1);
        if first == self.address { Ipv4Addr::from_bits(network + 2) } else { first }
    }

    fn mask_bits(&self) -> u32 {
        u32::MAX << (32 - u32::from(self.prefix))
    }
}

impl FromStr for GuestNetwork {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let malformed = || {
            BadValue::new(
                "a guest's address is one of IPv4 with the bits of its network, 1 to 30, as in \
                 10.0.2.15/24",
            )
        };
        let (address, prefix) = text.split_once('/').ok_or_else(malformed)?;
        let address: Ipv4Addr = address.parse().map_err(|_| malformed())?;
        let prefix = list::digits(prefix).and_then(|bits| u8::try_from(bits).ok());
        let prefix = prefix.filter(|bits| (1..=30).contains(bits)).ok_or_else(malformed)?;
        let network = Self { address, prefix };
        let within = address.to_bits() & !network.mask_bits();
        if within == 0 || within == !network.mask_bits() {
            return Err(BadValue(format!("{address} is that of the network or of all in it")));
        }
        if address.is_loopback() || address.is_multicast() || address.octets()[0] == 0 {
            return Err(BadValue(format!("{address} is no address of one machine")));
        }
        Ok(network)
    }
}

as_text!(GuestNetwork);

impl fmt::Display for GuestNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}
