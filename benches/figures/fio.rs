use crate::Result;

/// How long a job runs.
const SECONDS: u32 = 1;
const MIB: u32 = 64;

/// A job of fio's, the same in guests and on the host.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    kind: &'static str,
    kib: u32,
    depth: u32,
    fsync: bool,
    times: u32,
}

/// What fio found.
pub(crate) struct Outcome {
    kib: f64,
    kib_a_second: f64,
    requests_a_second: f64,
}

impl Job {
    /// 4 KiB at random places, `depth` at a time.
    pub(crate) fn random(kind: &'static str, depth: u32) -> Self {
        Self { kind, kib: 4, depth, fsync: false, times: 1 }
    }

    /// 128 KiB one after the other, 8 at a time.
    pub(crate) fn sequential(kind: &'static str) -> Self {
        Self { kind, kib: 128, depth: 8, fsync: false, times: 1 }
    }

    /// With an fsync after each write.
    pub(crate) fn with_fsync(self) -> Self {
        Self { fsync: true, ..self }
    }

    /// So many of them at once.
    pub(crate) fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }

    /// What it is called.
    pub(crate) fn title(&self) -> String {
        let kind = match self.kind {
            "randread" => "random read",
            "randwrite" => "random write",
            "read" => "sequential read",
            _ => "sequential write",
        };
        let mut title = format!("{} KiB {kind}", self.kib);
        if self.fsync {
            title += " and fsync";
        }
        title += &format!(", depth {}", self.depth);
        if self.times > 1 {
            title += &format!(", {} queues", self.times);
        }
        title
    }

    /// Of [`Job::figure`].
    pub(crate) fn unit(&self) -> &'static str {
        if self.kib > 4 { "MiB/s" } else { "1000/s" }
    }

    /// Thousands of requests a second, or MiB where they are large.
    pub(crate) fn figure(&self, outcome: &Outcome) -> f64 {
        if self.kib > 4 {
            outcome.kib_a_second / 1024.0
        } else {
            outcome.requests_a_second / 1000.0
        }
    }

    /// How many requests there were.
    pub(crate) fn requests(&self, outcome: &Outcome) -> f64 {
        outcome.kib / f64::from(self.kib)
    }

    /// A line of shell that prints what [`Outcome::parse`] reads.
    pub(crate) fn command(&self, file: &str, direct: bool) -> String {
        let Self { kind, kib, depth, fsync, times } = self;
        format!(
            "fio --minimal --name=j --filename={file} --ioengine=io_uring --direct={} --rw={kind} \
             --bs={kib}k --iodepth={depth} --fsync={} --numjobs={times} --group_reporting \
             --size={MIB}m --norandommap --time_based --runtime={SECONDS} \
             | cut -d';' -f5-8,47-49",
            u8::from(direct),
            u8::from(*fsync),
        )
    }
}

impl Outcome {
    /// Reads fio's terse output, version 3, of which `cut` left error, and KiB, KiB/s and requests/s
    /// read and written.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let line = text.lines().last().unwrap_or_default();
        let fields: Vec<f64> = line.split(';').filter_map(|field| field.parse().ok()).collect();
        match fields[..] {
            [0.0, read, read_a_second, reads, written, written_a_second, writes] => Ok(Self {
                kib: read + written,
                kib_a_second: read_a_second + written_a_second,
                requests_a_second: reads + writes,
            }),
            _ => Err(format!("fio failed: {text}").into()),
        }
    }
}
