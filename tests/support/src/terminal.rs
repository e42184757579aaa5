use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::Command;

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{Termios, tcgetattr};

/// A terminal with a test at the other end.
pub struct Terminal {
    master: File,
    slave: OwnedFd,
}

impl Terminal {
    /// Written to the terminal once the guest has ended: by then all that it
    /// printed lies before it.
    pub(crate) const END: &'static [u8] = b"\x1b[end of the test]";

    /// A new terminal of 24 lines and 80 columns.
    ///
    /// # Panics
    /// If the host has none left.
    pub fn new() -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).expect("a pseudo-terminal");
        // Unlike the first descriptors, ones that the guests of other tests do
        // not inherit.
        let [master, slave] =
            [pair.master, pair.slave].map(|fd| fd.try_clone().expect("a descriptor is left"));
        Self { master: master.into(), slave }
    }

    /// Its settings, as `stty -g` would print them.
    ///
    /// # Panics
    /// Never, as long as a terminal has settings.
    pub fn settings(&self) -> Termios {
        tcgetattr(&self.slave).expect("a terminal has settings")
    }

    /// Gives it another size, as a window that is dragged does; `stty` is safe
    /// code's way.
    ///
    /// # Panics
    /// If the host has no such program.
    pub fn resize(&self, lines: u16, columns: u16) {
        let words = ["rows", &lines.to_string(), "cols", &columns.to_string()];
        let status = Command::new("stty").args(words).stdin(self.slave()).status();
        assert!(status.expect("stty can be run").success());
    }

    /// One more descriptor of the same terminal, to keep or to give away.
    ///
    /// # Panics
    /// If this process has no descriptor left.
    pub fn slave(&self) -> OwnedFd {
        self.slave.try_clone().expect("a descriptor is left")
    }

    /// The same terminal once more, to look at its settings afterwards.
    ///
    /// # Panics
    /// If this process has no descriptor left.
    #[must_use]
    pub fn same(&self) -> Self {
        Self { master: self.master.try_clone().expect("a descriptor is left"), slave: self.slave() }
    }

    pub(crate) fn reader(&self) -> impl Read + Send + 'static {
        self.master.try_clone().expect("a descriptor is left")
    }

    /// Types `bytes`.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.master).write_all(bytes)
    }

    pub(crate) fn mark_end(&self) {
        let mut slave = File::from(self.slave());
        slave.write_all(Self::END).expect("a terminal whose other side is open takes bytes");
    }
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}
