use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Starts to watch `path`; calling what is returned waits until somebody has
/// written to it since.
///
/// # Panics
/// If it cannot be watched.
pub fn wait_for_write(path: &Path) -> impl FnOnce() + use<> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).expect("inotify");
    inotify.add_watch(path, AddWatchFlags::IN_MODIFY).expect("the file can be watched");
    move || {
        inotify.read_events().expect("inotify tells");
    }
}
