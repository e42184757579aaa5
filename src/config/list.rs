//! Option values of the form `FIRST[,flag][,key=value]`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::str::FromStr;

use super::BadValue;

/// Splits at single commas; a doubled comma stands for one in the text.
/// The first part is always there, and may be empty.
pub(super) fn split(value: &OsStr) -> Vec<OsString> {
    let mut parts = vec![Vec::new()];
    let mut bytes = value.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if byte == b',' && bytes.next_if_eq(&b',').is_none() {
            parts.push(Vec::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(byte);
        }
    }
    parts.into_iter().map(OsString::from_vec).collect()
}

/// One part after the first, as `key` and the value behind `=` if there is one.
pub(super) fn key_value(part: &OsStr) -> Result<(&str, Option<&str>), BadValue> {
    let text = part.to_str().ok_or_else(|| {
        BadValue(format!("{} is no option (it is not UTF-8)", part.to_string_lossy()))
    })?;
    Ok(match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    })
}

/// Stores `value` in `slot`, which must be empty.
pub(super) fn once<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<(), BadValue> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(BadValue(format!("{key} is given twice"))),
    }
}

/// Reads `key=value` into its slot.
pub(super) fn read<T: FromStr<Err = BadValue>>(
    slot: &mut Option<T>,
    key: &str,
    value: &str,
) -> Result<(), BadValue> {
    let parsed =
        value.parse().map_err(|BadValue(why)| BadValue(format!("{key}={value}: {why}")))?;
    once(slot, key, parsed)
}

/// A number of nothing but digits, which `parse` alone would let have a sign.
pub(super) fn digits(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}
