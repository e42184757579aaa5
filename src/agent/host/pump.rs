use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use devices::backend::console::Escape;
use nix::errno::Errno;
use vmm_core::event::{MachineRequest, RequestSender, StopFlag};
use vmm_core::sys::{terminal, wait_readable, wait_writable};

/// How much moves at once; as much as a Unix socket holds, about.
const CHUNK: usize = 256 << 10;

/// How often to look whether job control has given the terminal back.
const FOREGROUND_CHECK: Duration = Duration::from_millis(200);

/// Moves the bytes of the stream that comes out of `stream` to `to`, a standard
/// stream of Kiln's.
///
/// # Errors
/// What the host said, if it does not take them all, but for a reader that has
/// gone or is not there. The command learns it as it would from a pipe.
pub(super) fn show(
    stream: &Receiver<UnixStream>,
    to: impl AsFd,
    stop: &StopFlag,
) -> io::Result<()> {
    let Ok(mut stream) = stream.recv() else { return Ok(()) };
    let shown = copy(&mut stream, File::from(to.as_fd().try_clone_to_owned()?), stop);
    match shown {
        Ok(()) => Ok(()),
        Err(error) => {
            // Fails only if the guest has closed it, which is as well.
            let _ = stream.shutdown(Shutdown::Both);
            // EBADF: it was opened to be read only.
            let nobody = [Errno::EPIPE, Errno::EBADF].map(|errno| Some(errno as i32));
            if nobody.contains(&error.raw_os_error()) { Ok(()) } else { Err(error) }
        }
    }
}

fn copy(from: &mut UnixStream, mut to: File, stop: &StopFlag) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while !stop.is_set() {
        let mut left = match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => &buffer[..len],
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => return Ok(()),
        };
        while !left.is_empty() && !stop.is_set() {
            let written = match to.write(left) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait_writable(&to).map(|()| 0)
                }
                written => written,
            };
            match written {
                Ok(len) => left = &left[len..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Moves standard input to the stream that comes out of `stream`, until either
/// ends. On a terminal, the escape keys end the run.
pub(super) fn read_input(stream: &Receiver<UnixStream>, requests: &RequestSender, stop: &StopFlag) {
    let Ok(mut stream) = stream.recv() else { return };
    let Ok(fd) = io::stdin().as_fd().try_clone_to_owned() else { return };
    let mut input = File::from(fd);
    let mut escape = input.is_terminal().then(Escape::default);
    let mut buffer = vec![0; CHUNK];
    let mut typed = Vec::new();
    while !stop.is_set() {
        let bytes = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => &buffer[..len],
            Err(error) => match wait_for_input(&input, &error) {
                true => continue,
                false => break,
            },
        };
        let bytes = match &mut escape {
            None => bytes,
            Some(escape) => {
                typed.clear();
                if escape.filter(bytes, &mut typed) {
                    requests.send(MachineRequest::Quit);
                    return;
                }
                &typed
            }
        };
        if !send(&mut stream, bytes, stop) {
            return;
        }
    }
    // Fails only if the guest has closed it, which is as well.
    let _ = stream.shutdown(Shutdown::Write);
}

/// After `error` of a read: waits until it is worth to try again, if it is.
fn wait_for_input(input: &File, error: &io::Error) -> bool {
    if error.kind() == ErrorKind::Interrupted {
        return true;
    }
    // A terminal refuses a process in the background; nothing tells when that
    // is over.
    if input.is_terminal() && terminal::in_background(input) {
        std::thread::sleep(FOREGROUND_CHECK);
        terminal::reapply();
        return true;
    }
    if error.kind() != ErrorKind::WouldBlock {
        return false;
    }
    // Whatever it says, the next read knows better.
    let _ = wait_readable(input, Instant::now() + Duration::from_secs(3600));
    true
}

/// Whether the guest has taken all of `bytes`.
fn send(stream: &mut UnixStream, mut bytes: &[u8], stop: &StopFlag) -> bool {
    while !bytes.is_empty() && !stop.is_set() {
        match stream.write(bytes) {
            Ok(len) => bytes = &bytes[len..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
    true
}
