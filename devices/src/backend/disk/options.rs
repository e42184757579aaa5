/// When the guest's writes reach the host's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// Through the host's page cache; a flush makes them stable.
    #[default]
    Writeback,
    /// Past the host's page cache (`O_DIRECT`); a flush makes them stable.
    Direct,
    /// Through the host's page cache, and a flush does nothing: a crash of the
    /// host loses data.
    Unsafe,
}

/// How an image is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// Whether it is only to be read.
    pub read_only: bool,
    /// What flushes and the host's page cache are for.
    pub cache: CacheMode,
    /// Whether discarded space goes back to the host. If not, discards are not
    /// offered, and zeroed space stays allocated.
    pub sparse: bool,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { read_only: false, cache: CacheMode::default(), sparse: true }
    }
}

impl OpenOptions {
    /// The defaults, but for reading only.
    pub fn read_only() -> Self {
        Self { read_only: true, ..Self::default() }
    }
}
