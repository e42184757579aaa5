use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text::{as_text, as_word, number};
use super::{BadValue, ByteSize};

/// What an image file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskFormat {
    /// The disk's bytes, as they are.
    Raw,
    /// QEMU's format: it grows as it is written, and may have a backing file.
    Qcow2,
}

as_word!(DiskFormat, "a format is raw or qcow2", Raw = "raw", Qcow2 = "qcow2");

/// Which caches of the host a disk uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheMode {
    /// The page cache; what the guest flushes is on the host's disk.
    #[default]
    Writeback,
    /// Past the page cache (`O_DIRECT`); flushes as with `writeback`.
    Direct,
    /// The page cache, and flushes do nothing: a crash of the host loses data.
    Unsafe,
}

as_word!(
    CacheMode,
    "a cache is writeback, direct or unsafe",
    Writeback = "writeback",
    Direct = "direct",
    Unsafe = "unsafe"
);

/// A disk's id or serial number: 1 to 20 printable ASCII characters (VIRTIO
/// 1.2 §5.2.6 gives it 20 bytes), without a space.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DiskId(String);

impl DiskId {
    /// The longest id, in bytes.
    pub const MAX_LEN: usize = 20;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DiskId {
    type Err = BadValue;

    fn from_str(id: &str) -> Result<Self, BadValue> {
        let fits = (1..=Self::MAX_LEN).contains(&id.len());
        if !fits || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadValue(format!(
                "that is not 1 to {} printable ASCII characters",
                Self::MAX_LEN
            )));
        }
        Ok(Self(id.to_owned()))
    }
}

as_text!(DiskId);

impl fmt::Display for DiskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of request queues: 1 to 16. Each has a thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct QueueCount(u16);

impl QueueCount {
    /// The most queues.
    pub const MAX: u16 = 16;

    /// The number itself, 1 to 16.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u64> for QueueCount {
    type Error = BadValue;

    fn try_from(count: u64) -> Result<Self, BadValue> {
        match u16::try_from(count) {
            Ok(count) if (1..=Self::MAX).contains(&count) => Ok(Self(count)),
            _ => Err(BadValue(format!("a disk has 1 to {} queues", Self::MAX))),
        }
    }
}

/// How many descriptors a queue has: a power of two (VIRTIO 1.2 §2.7) from 4,
/// so that a request has room for its header, data and status, to 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct QueueSize(u16);

impl QueueSize {
    /// The smallest queue.
    pub const MIN: u16 = 4;
    /// The largest queue: as many parts as one write of the host may have.
    pub const MAX: u16 = 1024;

    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for QueueSize {
    /// What a guest gets when nobody says: 256.
    fn default() -> Self {
        Self(256)
    }
}

impl TryFrom<u64> for QueueSize {
    type Error = BadValue;

    fn try_from(size: u64) -> Result<Self, BadValue> {
        match u16::try_from(size) {
            Ok(size) if (Self::MIN..=Self::MAX).contains(&size) && size.is_power_of_two() => {
                Ok(Self(size))
            }
            _ => Err(BadValue(format!(
                "a queue's size is a power of two from {} to {}",
                Self::MIN,
                Self::MAX
            ))),
        }
    }
}

/// Requests a second: at least 1, below 2³².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u32")]
pub struct Iops(u32);

impl Iops {
    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u64> for Iops {
    type Error = BadValue;

    fn try_from(rate: u64) -> Result<Self, BadValue> {
        match u32::try_from(rate) {
            Ok(rate) if rate > 0 => Ok(Self(rate)),
            _ => Err(BadValue(format!("a limit is 1 to {} requests a second", u32::MAX))),
        }
    }
}

number!(QueueCount, u16);
number!(QueueSize, u16);
number!(Iops, u32);

/// Bytes a second: at least 4 KiB, at most 1 TiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ByteSize", into = "ByteSize")]
pub struct Bandwidth(ByteSize);

impl Bandwidth {
    /// The least with which a guest gets anywhere: a page a second.
    pub const MIN: ByteSize = ByteSize::new(4 << 10);
    /// The most.
    pub const MAX: ByteSize = ByteSize::new(1 << 40);

    /// Bytes a second.
    pub const fn bytes(self) -> u64 {
        self.0.bytes()
    }
}

impl TryFrom<ByteSize> for Bandwidth {
    type Error = BadValue;

    fn try_from(rate: ByteSize) -> Result<Self, BadValue> {
        if rate < Self::MIN || rate > Self::MAX {
            return Err(BadValue(format!("a limit is {} to {} a second", Self::MIN, Self::MAX)));
        }
        Ok(Self(rate))
    }
}

impl From<Bandwidth> for ByteSize {
    fn from(rate: Bandwidth) -> Self {
        rate.0
    }
}

impl FromStr for Bandwidth {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse::<ByteSize>()?.try_into()
    }
}
