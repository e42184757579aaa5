//! What the two ends say to each other.
//!
//! Every connection is made by the guest, to [`PORT`] of the host, and begins
//! with a frame that says what it is for, an [`Opening`]. On the first, the control
//! connection, the guest then waits for [`ToHost`]'s answer, [`ToGuest::Start`], as long
//! as it takes. The others carry a stream's bytes and nothing else; the end of
//! a direction is the end of the stream.
//!
//! A frame is its length, 32 bits little-endian, and a message as postcard
//! writes it. Either end takes the other for hostile: a frame has a limit, and
//! whatever is no message ends the connection.

mod frame;
mod message;
#[cfg(test)]
mod tests;

pub use frame::{FROM_GUEST_MAX, FrameError, TO_GUEST_MAX, decode, encode, read, write};
pub use message::{
    CommandEnd, Job, Mount, MountKind, Opening, OsBytes, Stream, TerminalSize, ToGuest, ToHost, Tty,
};

/// Reads `bytes` as what either end could send, to the first that is no
/// message; for the fuzzer and its corpus. What is a message is written as it
/// was read, or shorter.
///
/// # Panics
/// If a message does not come out as it went in.
pub fn play(bytes: &[u8]) {
    play_as::<Opening>(bytes, FROM_GUEST_MAX);
    play_as::<ToHost>(bytes, FROM_GUEST_MAX);
    play_as::<ToGuest>(bytes, TO_GUEST_MAX);
}

fn play_as<T>(mut bytes: &[u8], limit: usize)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    while let Ok(Some(message)) = read::<T>(&mut bytes, limit) {
        let frame = encode(&message, limit).expect("what was read is short enough");
        let again = read::<T>(&frame[..], limit).expect("a frame of ours is one");
        assert_eq!(again, Some(message));
    }
}

/// The port of the host (CID 2) that the agent connects to: "kiln".
pub const PORT: u32 = 0x6b69_6c6e;

/// The version of what is said. Both ends are the same program, unless a guest
/// was saved and is resumed by a later one.
pub const VERSION: u32 = 1;
