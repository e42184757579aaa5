use std::os::fd::AsFd;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::TimeVal;

use crate::guest::{LINUX_PATIENCE, PATIENCE};
use crate::lab::in_lab;

/// Starts to watch `path`; calling what is returned waits until somebody has
/// written to it since.
///
/// # Panics
/// If it cannot be watched. Calling what is returned panics if nobody writes.
pub fn wait_for_write(path: &Path) -> impl FnOnce() + use<> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("inotify");
    inotify.add_watch(path, AddWatchFlags::IN_MODIFY).expect("the file can be watched");
    move || {
        let mut fds = [PollFd::new(inotify.as_fd(), PollFlags::POLLIN)];
        let patience = if in_lab() { LINUX_PATIENCE } else { 3 * PATIENCE };
        let patience = PollTimeout::try_from(patience).expect("minutes fit");
        assert_eq!(poll(&mut fds, patience).expect("inotify tells"), 1, "nobody writes");
    }
}

/// The socket, on which nothing is waited for longer than for a Linux guest
/// that hangs.
///
/// # Panics
/// If it is not open.
#[must_use]
pub(crate) fn bounded<S: AsFd>(socket: S) -> S {
    let seconds = LINUX_PATIENCE.as_secs().try_into().expect("minutes fit");
    setsockopt(&socket, ReceiveTimeout, &TimeVal::new(seconds, 0)).expect("a socket's option");
    socket
}
