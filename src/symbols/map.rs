use std::io::{BufRead, BufReader, Read};

/// A `System.map` of a large kernel has some 20 MB.
const LIMIT: u64 = 256 << 20;
/// Its lines are short: what has longer ones is none.
const LONGEST_LINE: usize = 4096;

/// The symbols of code in a `System.map`, lines of `ADDRESS TYPE NAME`; `None`
/// if the file is something else.
pub(super) fn read(file: impl Read) -> Option<Vec<(u64, Box<str>)>> {
    let mut lines = BufReader::new(file.take(LIMIT));
    let (mut symbols, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        let room = u64::try_from(LONGEST_LINE).ok()?;
        if lines.by_ref().take(room).read_until(b'\n', &mut line).ok()? == 0 {
            return Some(symbols);
        }
        let (address, kind, name) = parse(str::from_utf8(&line).ok()?.trim_end())?;
        if matches!(kind, "t" | "T" | "w" | "W") {
            symbols.push((address, name.into()));
        }
    }
}

fn parse(line: &str) -> Option<(u64, &str, &str)> {
    let (address, rest) = line.split_once(' ')?;
    let (kind, name) = rest.split_once(' ')?;
    let plain = kind.len() == 1 && !address.starts_with('+');
    Some((u64::from_str_radix(address, 16).ok().filter(|_| plain)?, kind, name))
}

/// Whether the first line is one of a `System.map`.
pub(super) fn begins(file: impl Read) -> Option<bool> {
    let mut line = Vec::new();
    let room = u64::try_from(LONGEST_LINE).ok()?;
    BufReader::new(file.take(room)).read_until(b'\n', &mut line).ok()?;
    Some(parse(str::from_utf8(&line).ok()?.trim_end()).is_some())
}
