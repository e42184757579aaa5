use std::path::PathBuf;

use crate::config::{Pattern, Timeout, VerdictConfig};

/// Arguments of `kiln run` about what the run is judged by, and who is told.
#[derive(Clone, Debug, clap::Args)]
pub struct VerdictArgs {
    /// End the run with status 124 if there is no sign of the guest's first process
    /// after this time
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub boot_timeout: Option<Timeout>,

    /// End the run with status 123 when a line of the console matches; repeatable
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub fail_on: Vec<Pattern>,

    /// End the run with status 0 when a line of the console matches, and make it 123
    /// if none does; repeatable
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub succeed_on: Vec<Pattern>,

    /// Make the status 123 instead of 0 if the kernel warned or oopsed
    #[arg(long)]
    pub fail_on_warning: bool,

    /// Say once where the guest is when its console has been silent for this time
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    pub quiet_after: Option<Timeout>,

    /// The kernel with symbols, or its System.map, for saying where a guest hangs
    /// [default: what lies beside the kernel]
    #[arg(long, value_name = "PATH")]
    pub vmlinux: Option<PathBuf>,

    /// Write a report of the run here, as JSON
    #[arg(long, value_name = "PATH")]
    pub report: Option<PathBuf>,

    /// Write a report of the run here, as JUnit's XML
    #[arg(long, value_name = "PATH")]
    pub junit: Option<PathBuf>,
}

impl From<VerdictArgs> for VerdictConfig {
    fn from(args: VerdictArgs) -> Self {
        Self {
            boot_timeout: args.boot_timeout,
            fail_on: args.fail_on,
            succeed_on: args.succeed_on,
            fail_on_warning: args.fail_on_warning,
            quiet_after: args.quiet_after,
            vmlinux: args.vmlinux,
            report: args.report,
            junit: args.junit,
        }
    }
}
