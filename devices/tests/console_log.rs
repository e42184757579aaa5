//! What the console writer says in the log. A file of its own, as a process
//! has one logger.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use devices::backend::console::{Sink, Writer};
use vmm_core::event::RequestSender;

static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Listener;

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        SAID.lock().unwrap().push(format!("{}: {}", record.level(), record.args()));
    }
    fn flush(&self) {}
}

/// Writes much, in many writes, to `file` under the name `path`.
fn write_to(file: impl Into<OwnedFd>, path: &str) {
    let sink = Sink::File { file: File::from(file.into()), path: path.into() };
    let writer = Writer::new(sink, RequestSender::new().unwrap()).unwrap();
    writer.start();
    (0..500_000).for_each(|_| writer.output().push(b'x'));
    writer.finish(Instant::now() + Duration::from_secs(600)).unwrap();
}

/// The lines about `path`.
fn said_of(path: &str) -> Vec<String> {
    SAID.lock().unwrap().iter().filter(|line| line.contains(path)).cloned().collect()
}

#[test]
fn lost_output_is_said_once_and_plainly() {
    log::set_logger(&Listener).unwrap();
    log::set_max_level(log::LevelFilter::Trace);

    write_to(File::options().write(true).open("/dev/full").unwrap(), "full.log");
    assert_eq!(
        said_of("full.log"),
        ["WARN: the console file full.log has no room left, console output is lost: \
          No space left on device (os error 28)"]
    );

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    write_to(writer, "gone.log");
    assert_eq!(
        said_of("gone.log"),
        ["WARN: the console file gone.log takes no more console output: \
          Broken pipe (os error 32)"]
    );

    // Not open for writing, as standard output may be: nothing to say.
    write_to(File::open("/dev/null").unwrap(), "closed.log");
    assert!(said_of("closed.log").is_empty());
}
