use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text::{as_text, as_word, number};
use super::{BadValue, list};

/// The name of a host interface: 1 to 15 bytes, as Linux takes them: no
/// space, `/`, `:` or control character, not `.` or `..`. A `%` is refused
/// too: the host would replace it with a number of its own choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TapName(String);

impl TapName {
    /// The longest name, in bytes: IFNAMSIZ less the NUL.
    pub const MAX_LEN: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TapName {
    type Err = BadValue;

    fn from_str(name: &str) -> Result<Self, BadValue> {
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !"/:%".contains(c);
        if !(1..=Self::MAX_LEN).contains(&name.len()) {
            return Err(BadValue(format!(
                "tap={name}: an interface name has 1 to {} bytes",
                Self::MAX_LEN
            )));
        }
        if !name.chars().all(allowed) || name == "." || name == ".." {
            return Err(BadValue(format!("tap={name}: no interface can have that name")));
        }
        Ok(Self(name.to_owned()))
    }
}

as_text!(TapName);

impl fmt::Display for TapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Descriptors that Kiln inherits, one for each pair of queues: 1 to 16
/// different ones, and none of the three standard streams. Written as `3` or
/// `3:4`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Descriptors(Vec<i32>);

impl Descriptors {
    /// Their numbers, in the order of the queues.
    pub fn numbers(&self) -> &[i32] {
        &self.0
    }
}

impl FromStr for Descriptors {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let mut numbers = Vec::new();
        for part in text.split(':') {
            let number = list::digits(part).filter(|number| *number > 2);
            let number = number.and_then(|number| i32::try_from(number).ok()).ok_or_else(|| {
                BadValue::new("a descriptor is a number from 3; several stand as in 3:4")
            })?;
            if numbers.contains(&number) {
                return Err(BadValue(format!("{number} is there twice")));
            }
            numbers.push(number);
        }
        if numbers.len() > usize::from(QueuePairs::MAX) {
            return Err(BadValue(format!(
                "an interface has 1 to {} pairs of queues",
                QueuePairs::MAX
            )));
        }
        Ok(Self(numbers))
    }
}

as_text!(Descriptors);

impl fmt::Display for Descriptors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        words.join(":").fmt(f)
    }
}

/// Who moves the packets between a tap and the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VhostMode {
    /// The host's kernel, and it must be able to.
    On,
    /// Kiln.
    Off,
    /// The host's kernel if it can and there are no limits, else Kiln.
    #[default]
    Auto,
}

as_word!(VhostMode, "it is on, off or auto", On = "on", Off = "off", Auto = "auto");

/// A number of pairs of queues, one queue for each direction: 1 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct QueuePairs(u16);

impl QueuePairs {
    /// The most pairs.
    pub const MAX: u16 = 16;

    /// The number itself, 1 to 16.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for QueuePairs {
    /// One pair.
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u64> for QueuePairs {
    type Error = BadValue;

    fn try_from(count: u64) -> Result<Self, BadValue> {
        match u16::try_from(count) {
            Ok(count) if (1..=Self::MAX).contains(&count) => Ok(Self(count)),
            _ => Err(BadValue(format!("an interface has 1 to {} pairs of queues", Self::MAX))),
        }
    }
}

/// The largest packet without its Ethernet header, in bytes: 1280, below which
/// a device should not tell it (VIRTIO 1.2 §5.1.4.1) and IPv6 does not work,
/// to 65520.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct Mtu(u16);

impl Mtu {
    /// The smallest.
    pub const MIN: u16 = 1280;
    /// The largest that every host's end takes.
    pub const MAX: u16 = 65520;

    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u64> for Mtu {
    type Error = BadValue;

    fn try_from(mtu: u64) -> Result<Self, BadValue> {
        match u16::try_from(mtu) {
            Ok(mtu) if (Self::MIN..=Self::MAX).contains(&mtu) => Ok(Self(mtu)),
            _ => Err(BadValue(format!("an MTU is {} to {}", Self::MIN, Self::MAX))),
        }
    }
}

/// Packets a second: at least 1, below 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u32")]
pub struct PacketRate(u32);

impl PacketRate {
    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for PacketRate {
    type Error = BadValue;

    fn try_from(rate: u64) -> Result<Self, BadValue> {
        match u32::try_from(rate) {
            Ok(rate) if rate > 0 => Ok(Self(rate)),
            _ => Err(BadValue(format!("a limit is 1 to {} packets a second", u32::MAX))),
        }
    }
}

number!(QueuePairs, u16);
number!(Mtu, u16);
number!(PacketRate, u32);
