use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use nix::sys::socket::{MsgFlags, recv};

/// The longest first line of a client, in bytes, its newline included.
pub const GREETING_MAX: usize = 32;

/// What a client has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// The beginning of a line, or nothing.
    Partial,
    /// That it wants this port of the guest.
    Port {
        /// The port.
        port: u32,
        /// Length of the line, in bytes; what follows is the stream's.
        len: usize,
    },
    /// No such line.
    Wrong,
}

impl Greeting {
    /// Reads `CONNECT PORT\n` from the first bytes of a client, in any case
    /// and with any blanks.
    pub fn parse(bytes: &[u8]) -> Self {
        let line = &bytes[..bytes.len().min(GREETING_MAX)];
        let Some(end) = line.iter().position(|byte| *byte == b'\n') else {
            return if line.len() == GREETING_MAX { Self::Wrong } else { Self::Partial };
        };
        match port(&line[..end]) {
            Some(port) => Self::Port { port, len: end + 1 },
            None => Self::Wrong,
        }
    }
}

fn port(line: &[u8]) -> Option<u32> {
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (command, port) = (words.next()?, words.next()?);
    // `parse` alone would take a sign.
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    if !command.eq_ignore_ascii_case("CONNECT") || !is_number || words.next().is_some() {
        return None;
    }
    // The last one is no port, but stands for any (VMADDR_PORT_ANY).
    port.parse().ok().filter(|port| *port != u32::MAX)
}

/// Looks at what `client` has sent. A whole line is taken from it, and
/// nothing else is: the bytes behind it are the stream's.
///
/// # Errors
/// `UnexpectedEof` if the client sends no more; else what the host said.
pub fn read_greeting(client: &UnixStream) -> io::Result<Greeting> {
    let mut bytes = [0; GREETING_MAX];
    let fd = client.as_raw_fd();
    let seen = match recv(fd, &mut bytes, MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(len) => len,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => 0,
        Err(errno) => return Err(errno.into()),
    };
    let greeting = Greeting::parse(&bytes[..seen]);
    if let Greeting::Port { len, .. } = greeting {
        // What was there to be seen is there to be taken, all at once.
        let taken = recv(fd, &mut bytes[..len], MsgFlags::MSG_DONTWAIT)?;
        if taken != len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(greeting)
}
