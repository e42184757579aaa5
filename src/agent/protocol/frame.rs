use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message to the guest, in bytes: arguments and environment are
/// at most what the kernel takes, 2 MiB as a rule.
pub const TO_GUEST_MAX: usize = 8 << 20;
/// The longest message from the guest, in bytes.
pub const FROM_GUEST_MAX: usize = 4 << 10;

/// How much room is made for a message before its bytes are there.
const STEP: usize = 64 << 10;

/// Why a message could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The connection failed, or ended within a frame.
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    /// Longer than messages are.
    #[error("a message of {length} bytes is too long")]
    TooLong {
        /// As its frame says.
        length: usize,
    },
    /// The bytes are no message of this kind.
    #[error("what came is no message of this protocol")]
    Malformed,
}

/// The frame of `message`.
///
/// # Errors
/// [`FrameError::TooLong`] if it is longer than `limit` allows.
pub fn encode(message: &impl Serialize, limit: usize) -> Result<Vec<u8>, FrameError> {
    let body = postcard::to_allocvec(message).map_err(|_| FrameError::Malformed)?;
    let length = body.len();
    let too_long = || FrameError::TooLong { length };
    let header = u32::try_from(length).map_err(|_| too_long())?;
    if length > limit {
        return Err(too_long());
    }
    Ok([&header.to_le_bytes()[..], &body].concat())
}

/// The message that `body`, a frame without its length, holds. Nothing may
/// follow it there.
///
/// # Errors
/// [`FrameError::Malformed`] if it is none.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(body) {
        Ok((message, [])) => Ok(message),
        _ => Err(FrameError::Malformed),
    }
}

/// Writes `message` to `connection`.
///
/// # Errors
/// [`FrameError`] if it is too long, or the connection fails.
pub fn write(
    mut connection: impl Write,
    message: &impl Serialize,
    limit: usize,
) -> Result<(), FrameError> {
    Ok(connection.write_all(&encode(message, limit)?)?)
}

/// Reads the next message; `None` if the other end has ended the connection
/// before it.
///
/// # Errors
/// [`FrameError`] if it is longer than `limit`, is no such message, or the
/// connection fails.
pub fn read<T: DeserializeOwned>(
    mut connection: impl Read,
    limit: usize,
) -> Result<Option<T>, FrameError> {
    let mut header = [0; 4];
    match connection.read(&mut header[..1]) {
        Ok(0) => return Ok(None),
        Ok(_) => connection.read_exact(&mut header[1..])?,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {
            connection.read_exact(&mut header)?;
        }
        Err(error) => return Err(error.into()),
    }
    let length = usize::try_from(u32::from_le_bytes(header)).expect("lengths have 64 bits here");
    if length > limit {
        return Err(FrameError::TooLong { length });
    }
    let mut body = Vec::new();
    while body.len() < length {
        let from = body.len();
        body.resize(length.min(from + STEP), 0);
        connection.read_exact(&mut body[from..])?;
    }
    decode(&body).map(Some)
}
