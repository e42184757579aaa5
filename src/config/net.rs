use std::ffi::OsStr;

use serde::{Deserialize, Serialize};

use super::disk_values::Bandwidth;
use super::forward::{Forward, GuestNetwork};
use super::net_values::{Descriptors, Mtu, PacketRate, QueuePairs, TapName, VhostMode};
use super::{BadValue, MacAddr, list};

/// A network interface: where its packets go, and how the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetConfig {
    /// The host's end.
    pub backend: NetHost,
    /// The guest's address; without it one that stays the same from run to
    /// run for a machine with a name or a tap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// The largest packet; without it the host's end decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<Mtu>,
    /// Bytes a second in each direction, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Packets a second in each direction, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pps: Option<PacketRate>,
}

/// The host's end of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetHost {
    /// A tap of the host.
    Tap(TapConfig),
    /// A tap that whoever started Kiln has opened.
    Fd(FdConfig),
    /// The host's own connections, through passt.
    User(UserConfig),
}

/// A tap by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TapConfig {
    /// The host's interface.
    pub name: TapName,
    /// Pairs of queues.
    #[serde(default)]
    pub queues: QueuePairs,
    /// Who moves the packets.
    #[serde(default)]
    pub vhost: VhostMode,
}

/// A tap by descriptors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FdConfig {
    /// One for each pair of queues.
    pub descriptors: Descriptors,
    /// Who moves the packets.
    #[serde(default)]
    pub vhost: VhostMode,
}

/// What a guest may do through the host's own connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserConfig {
    /// Ports of the host that lead to the guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forwards: Vec<Forward>,
    /// The guest's address and network; without it the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<GuestNetwork>,
}

/// What one may write.
const OPTIONS: &str = "tap=NAME, fd=NUMBER or user, with mac=, mtu=, bandwidth=, pps=, queues=, \
                       vhost=, forward= and guest=";

impl NetConfig {
    /// Reads `tap=NAME`, `fd=NUMBER[:NUMBER]…` or `user` with their options,
    /// in any order.
    ///
    /// # Errors
    /// If none or several of these three are there, an option is unknown, given
    /// twice or malformed, or does not go with the others.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let mut given = Given::default();
        for part in list::split(value) {
            if !given.take(list::key_value(&part)?)? {
                return Err(BadValue(format!(
                    "'{}' is no option of a network interface ({OPTIONS} are)",
                    part.to_string_lossy()
                )));
            }
        }
        let (mac, mtu) = (given.mac.take(), given.mtu.take());
        let (bandwidth, pps) = (given.bandwidth.take(), given.pps.take());
        let config = Self { backend: given.host()?, mac, mtu, bandwidth, pps };
        config.check()?;
        Ok(config)
    }

    /// Whether packets have to be counted.
    pub fn is_limited(&self) -> bool {
        self.bandwidth.is_some() || self.pps.is_some()
    }

    /// Checks what concerns several options.
    pub(super) fn check(&self) -> Result<(), BadValue> {
        if self.is_limited() && self.vhost() == Some(VhostMode::On) {
            return Err(BadValue::new(
                "bandwidth= and pps= do not go with vhost=on: the host's kernel would move the \
                 packets, and knows no limits",
            ));
        }
        Ok(())
    }

    fn vhost(&self) -> Option<VhostMode> {
        match &self.backend {
            NetHost::Tap(tap) => Some(tap.vhost),
            NetHost::Fd(fd) => Some(fd.vhost),
            NetHost::User(_) => None,
        }
    }
}

/// The options as they come.
#[derive(Default)]
struct Given {
    tap: Option<TapName>,
    fd: Option<Descriptors>,
    user: Option<()>,
    mac: Option<MacAddr>,
    mtu: Option<Mtu>,
    bandwidth: Option<Bandwidth>,
    pps: Option<PacketRate>,
    queues: Option<QueuePairs>,
    vhost: Option<VhostMode>,
    forwards: Vec<Forward>,
    guest: Option<GuestNetwork>,
}

impl Given {
    /// Takes one option; false if there is none of that name and form.
    fn take(&mut self, (key, value): (&str, Option<&str>)) -> Result<bool, BadValue> {
        match (key, value) {
            ("user", None) => list::once(&mut self.user, key, ())?,
            // These two name themselves in what they say.
            ("tap", Some(name)) => list::once(&mut self.tap, key, name.parse()?)?,
            ("mac", Some(address)) => list::once(&mut self.mac, key, address.parse()?)?,
            ("fd", Some(value)) => list::read(&mut self.fd, key, value)?,
            ("mtu", Some(value)) => list::read(&mut self.mtu, key, value)?,
            ("bandwidth", Some(value)) => list::read(&mut self.bandwidth, key, value)?,
            ("pps", Some(value)) => list::read(&mut self.pps, key, value)?,
            ("queues", Some(value)) => list::read(&mut self.queues, key, value)?,
            ("vhost", Some(value)) => list::read(&mut self.vhost, key, value)?,
            ("guest", Some(value)) => list::read(&mut self.guest, key, value)?,
            ("forward", Some(value)) => {
                let mut forward: Option<Forward> = None;
                list::read(&mut forward, key, value)?;
                self.forwards.extend(forward);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn host(self) -> Result<NetHost, BadValue> {
        let has_user_options = !self.forwards.is_empty() || self.guest.is_some();
        let host = match (self.tap, self.fd, self.user) {
            (Some(name), None, None) => NetHost::Tap(TapConfig {
                name,
                queues: self.queues.unwrap_or_default(),
                vhost: self.vhost.unwrap_or_default(),
            }),
            (None, Some(descriptors), None) => {
                if self.queues.is_some() {
                    return Err(BadValue::new(
                        "queues= does not go with fd=, which has a pair of queues for each \
                         descriptor, as in fd=3:4",
                    ));
                }
                NetHost::Fd(FdConfig { descriptors, vhost: self.vhost.unwrap_or_default() })
            }
            (None, None, Some(())) => {
                if self.queues.is_some() || self.vhost.is_some() {
                    return Err(BadValue::new("queues= and vhost= go with a tap, not with user"));
                }
                let user = UserConfig { forwards: self.forwards, guest: self.guest };
                return Ok(NetHost::User(user));
            }
            (None, None, None) => {
                return Err(BadValue::new("tap=NAME, fd=NUMBER or user is missing"));
            }
            _ => return Err(BadValue::new("only one of tap=, fd= and user can be used")),
        };
        if has_user_options {
            return Err(BadValue::new("forward= and guest= go with user, not with a tap"));
        }
        Ok(host)
    }
}
