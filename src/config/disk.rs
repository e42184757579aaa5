use std::ffi::OsStr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::disk_values::{Bandwidth, CacheMode, DiskFormat, DiskId, Iops, QueueCount, QueueSize};
use super::{BadValue, CpuCount, list};

/// A disk: an image or a block device, and how the guest uses it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskConfig {
    /// The image or the device.
    pub path: PathBuf,
    /// What the file is; without it raw, unless its name and its header both
    /// say qcow2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<DiskFormat>,
    /// Whether the guest may only read it.
    #[serde(default)]
    pub readonly: bool,
    /// What messages call the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<DiskId>,
    /// What the guest sees as the disk's serial number; without it the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<DiskId>,
    /// Which caches of the host are used.
    #[serde(default)]
    pub cache: CacheMode,
    /// Request queues; without it as [`DiskConfig::queues`] says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queues: Option<QueueCount>,
    /// Requests in flight in each queue.
    #[serde(default)]
    pub queue_size: QueueSize,
    /// Requests a second, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iops: Option<Iops>,
    /// Bytes a second, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// Whether space that the guest gives back goes back to the host.
    #[serde(default = "yes")]
    pub sparse: bool,
}

fn yes() -> bool {
    true
}

/// What one may write behind the path.
const OPTIONS: &str = "format=, readonly, id=, serial=, cache=, queues=, queue-size=, iops=, \
                       bandwidth= and sparse=";

/// Queues of a disk that nobody set: more keep no host's disk busier, and each
/// costs a thread.
const MOST_DEFAULT_QUEUES: u16 = 4;

impl DiskConfig {
    /// A disk with nothing said but its path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: None,
            readonly: false,
            id: None,
            serial: None,
            cache: CacheMode::default(),
            queues: None,
            queue_size: QueueSize::default(),
            iops: None,
            bandwidth: None,
            sparse: true,
        }
    }

    /// Reads `PATH[,option]…`; a comma in the path is doubled.
    ///
    /// # Errors
    /// If the path is empty, or an option is unknown, given twice or malformed.
    pub fn parse(value: &OsStr) -> Result<Self, BadValue> {
        let parts = list::split(value);
        let path = parts.first().map(PathBuf::from).unwrap_or_default();
        if path.as_os_str().is_empty() {
            return Err(BadValue::new("the path is empty"));
        }
        let mut given = Given::default();
        for part in parts.iter().skip(1) {
            if !given.take(list::key_value(part)?)? {
                return Err(BadValue(format!(
                    "'{}' is no option of a disk ({OPTIONS} are; a comma in the path is \
                     written twice)",
                    part.to_string_lossy()
                )));
            }
        }
        Ok(given.of(path))
    }

    /// How many request queues the disk has in a machine of `cpus` processors:
    /// as many as asked for, or one for each processor up to four.
    pub fn queues(&self, cpus: CpuCount) -> u16 {
        match self.queues {
            Some(queues) => queues.get(),
            None => u16::from(cpus.get()).min(MOST_DEFAULT_QUEUES),
        }
    }

    /// The serial number that the guest sees, if one was given.
    pub fn serial(&self) -> Option<&DiskId> {
        self.serial.as_ref().or(self.id.as_ref())
    }
}

/// The options as they come.
#[derive(Default)]
struct Given {
    format: Option<DiskFormat>,
    readonly: Option<()>,
    id: Option<DiskId>,
    serial: Option<DiskId>,
    cache: Option<CacheMode>,
    queues: Option<QueueCount>,
    queue_size: Option<QueueSize>,
    iops: Option<Iops>,
    bandwidth: Option<Bandwidth>,
    sparse: Option<bool>,
}

impl Given {
    /// Takes one option; false if there is none of that name and form.
    fn take(&mut self, (key, value): (&str, Option<&str>)) -> Result<bool, BadValue> {
        match (key, value) {
            ("readonly", None) => list::once(&mut self.readonly, key, ())?,
            ("format", Some(value)) => list::read(&mut self.format, key, value)?,
            ("id", Some(value)) => list::read(&mut self.id, key, value)?,
            ("serial", Some(value)) => list::read(&mut self.serial, key, value)?,
            ("cache", Some(value)) => list::read(&mut self.cache, key, value)?,
            ("queues", Some(value)) => list::read(&mut self.queues, key, value)?,
            ("queue-size", Some(value)) => list::read(&mut self.queue_size, key, value)?,
            ("iops", Some(value)) => list::read(&mut self.iops, key, value)?,
            ("bandwidth", Some(value)) => list::read(&mut self.bandwidth, key, value)?,
            ("sparse", Some("on")) => list::once(&mut self.sparse, key, true)?,
            ("sparse", Some("off")) => list::once(&mut self.sparse, key, false)?,
            ("sparse", Some(value)) => {
                return Err(BadValue(format!("sparse={value}: it is on or off")));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn of(self, path: PathBuf) -> DiskConfig {
        DiskConfig {
            path,
            format: self.format,
            readonly: self.readonly.is_some(),
            id: self.id,
            serial: self.serial,
            cache: self.cache.unwrap_or_default(),
            queues: self.queues,
            queue_size: self.queue_size.unwrap_or_default(),
            iops: self.iops,
            bandwidth: self.bandwidth,
            sparse: self.sparse.unwrap_or(true),
        }
    }
}
