//! The names that a kernel holds of its own code (`CONFIG_KALLSYMS`), found
//! without its symbol table.
//!
//! Source: Linux, scripts/kallsyms.c and kernel/kallsyms.c. The tables lie one
//! after the other in read-only data, each aligned to 8 bytes, and since Linux
//! 7.0 to 4: the number of symbols, their names, markers, tokens, their index; and
//! offsets, behind these since Linux 6.5, before them until then. A name is a
//! length and as many numbers of tokens; the first letter of what they spell is
//! the symbol's type. Offsets count from an address that stands behind them, and
//! since Linux 7.0 each from where it lies itself.

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "the numbers in tests are small")]
mod tests;

use memchr::memmem;

/// What the tokens have for digits: each stands for itself, and none is
/// missing in the names of a kernel.
const DIGITS: &[u8] = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0";
/// How many tokens there are.
const TOKENS: usize = 256;
/// How far before the tokens the names begin at most, in bytes.
const NAMES_MAX: usize = 64 << 20;
/// More symbols than any kernel has.
const SYMBOLS_MAX: usize = 2 << 20;
/// The longest name, type included, in bytes (`KSYM_NAME_LEN`).
const NAME_MAX: usize = 512;
/// All names that are kept have at most this many bytes together.
const SPELLED_MAX: usize = 128 << 20;
/// How many steps the search may take, whatever the image holds.
const STEPS: usize = 64 << 20;
/// One of so many symbols has a marker.
const MARKED: usize = 256;
/// How the tables have been aligned, in bytes.
const ALIGNMENTS: [usize; 2] = [8, 4];
/// The symbol with which a kernel's code begins.
const FIRST: &str = "_text";
/// The letters that a type can be.
const TYPES: &[u8] = b"aAbBcCdDgGiInNpPrRsStTuUvVwW?-";
/// Where 64-bit kernels are linked (Linux,
/// Documentation/arch/x86/x86_64/mm.rst, "kernel text mapping").
const LINKED: std::ops::Range<u64> = 0xffff_ffff_8000_0000..0xffff_ffff_c000_0000;

/// The symbols of code in the kernel `image`; `None` if it holds none that are
/// understood. Of Linux 7.0 and later only their distances are known: there, the
/// addresses are those of a kernel that lies as low as it can be linked.
pub fn read(image: &[u8]) -> Option<Vec<(u64, Box<str>)>> {
    let mut steps = STEPS;
    let places = memmem::find_iter(image, DIGITS);
    let mut places = places.flat_map(|digits| ALIGNMENTS.map(|alignment| (digits, alignment)));
    places.find_map(|(digits, alignment)| {
        steps = steps.checked_sub(TOKENS)?;
        let tokens = Tokens::around(image, digits, alignment)?;
        let names = Names::before(image, &tokens, &mut steps)?;
        let spelled = names.spell(image, &tokens);
        let addresses = Addresses::of(image, &tokens, &names, &spelled)?;
        let placed = spelled.into_iter().filter_map(|(number, name)| {
            let address = addresses.get(image, number)?;
            Some((address, name))
        });
        Some(placed.collect::<Vec<_>>()).filter(|symbols| !symbols.is_empty())
    })
}

/// Bytes at `at` of `image`.
fn bytes<const N: usize>(image: &[u8], at: usize) -> Option<[u8; N]> {
    image.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(image: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(bytes(image, at)?).into())
}

fn u32_at(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes(image, at)?))
}

fn u64_at(image: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes(image, at)?))
}

/// The text at `at`, which ends with a NUL.
fn text(image: &[u8], at: usize) -> Option<&[u8]> {
    let rest = image.get(at..)?;
    let rest = &rest[..rest.len().min(NAME_MAX)];
    Some(&rest[..memchr::memchr(0, rest)?])
}

/// What each number stands for.
struct Tokens<'a> {
    texts: [&'a [u8]; TOKENS],
    /// Where they begin, and where their index ends.
    start: usize,
    end: usize,
    /// How all tables are aligned.
    alignment: usize,
}

impl<'a> Tokens<'a> {
    /// The tokens of which those of the digits lie at `digits`.
    fn around(image: &'a [u8], digits: usize, alignment: usize) -> Option<Self> {
        const ZERO: usize = b'0' as usize;
        // To the end: the index lies behind.
        let mut at = digits;
        for _ in ZERO..TOKENS {
            at += text(image, at)?.len() + 1;
        }
        let index = at.next_multiple_of(alignment);
        let end = index + 2 * TOKENS;
        let start = digits.checked_sub(u16_at(image, index + 2 * ZERO)?)?;
        let mut texts = [&[][..]; TOKENS];
        let mut expected = start;
        for (number, token) in texts.iter_mut().enumerate() {
            let here = start + u16_at(image, index + 2 * number)?;
            if here != expected {
                return None;
            }
            *token = text(image, here)?;
            expected = here + token.len() + 1;
        }
        Some(Self { texts, start, end, alignment })
    }
}

/// The names of all symbols, as numbers of tokens.
struct Names {
    /// Where the number of symbols lies, and how many there are.
    at: usize,
    count: usize,
    /// Where the first name lies.
    start: usize,
}

impl Names {
    /// The names that lie before `tokens`.
    fn before(image: &[u8], tokens: &Tokens<'_>, steps: &mut usize) -> Option<Self> {
        let alignment = tokens.alignment;
        let from = tokens.start.saturating_sub(NAMES_MAX).next_multiple_of(alignment);
        (from..tokens.start).step_by(alignment).rev().find_map(|at| {
            // A number of 32 bits, and padding.
            let count = match alignment {
                4 => u32_at(image, at)?.into(),
                _ => u64_at(image, at)?,
            };
            let names = Self { at, count: usize::try_from(count).ok()?, start: at + alignment };
            let count = names.count;
            let fits = (1..=SYMBOLS_MAX).contains(&count);
            (fits && names.are_there(image, tokens, steps) == Some(true)).then_some(names)
        })
    }

    /// Whether these are names: each begins with a type, and the markers between
    /// them and the tokens say where one of 256 lies.
    fn are_there(&self, image: &[u8], tokens: &Tokens<'_>, steps: &mut usize) -> Option<bool> {
        let mut marks = Vec::new();
        let mut at = self.start;
        for number in 0..self.count {
            *steps = steps.checked_sub(1)?;
            if number % MARKED == 0 {
                marks.push(u32::try_from(at - self.start).ok()?);
            }
            let (text, next) = name(image, at)?;
            let first = tokens.texts[usize::from(*text.first()?)].first()?;
            if !TYPES.contains(first) || next > tokens.start {
                return Some(false);
            }
            at = next;
        }
        // Until Linux 4.19 a marker had 64 bits.
        let aligned = |at: usize| at.next_multiple_of(tokens.alignment);
        let at = aligned(at);
        Some([4, 8].into_iter().any(|width| {
            let agree =
                |(number, mark): (usize, &u32)| u32_at(image, at + width * number) == Some(*mark);
            let end = aligned(at + width * marks.len());
            // Linux 6.2 to 6.4 have an order of the names between, 3 bytes each.
            let behind = [end, aligned(end + 3 * self.count)];
            behind.contains(&tokens.start) && marks.iter().enumerate().all(agree)
        }))
    }

    /// Those of code, spelled, each with its number among all.
    fn spell(&self, image: &[u8], tokens: &Tokens<'_>) -> Vec<(usize, Box<str>)> {
        let (mut symbols, mut at, mut room) = (Vec::new(), self.start, SPELLED_MAX);
        let mut spelled = Vec::new();
        for number in 0..self.count {
            let Some((text, next)) = name(image, at) else { break };
            at = next;
            spelled.clear();
            for token in text {
                spelled.extend_from_slice(tokens.texts[usize::from(*token)]);
                if spelled.len() > NAME_MAX {
                    break;
                }
            }
            let Some((b't' | b'T' | b'w' | b'W', rest)) = spelled.split_first() else { continue };
            let Ok(name) = str::from_utf8(rest) else { continue };
            let Some(left) = room.checked_sub(name.len()) else { break };
            room = left;
            symbols.push((number, name.into()));
        }
        symbols
    }
}

/// The numbers of tokens of the name at `at`, and where the next one begins. A
/// length of 128 and more takes two bytes (since Linux 6.1).
fn name(image: &[u8], at: usize) -> Option<(&[u8], usize)> {
    const MORE: usize = 0x80;
    let first = usize::from(*image.get(at)?);
    let (length, start) = match first & MORE {
        0 => (first, at + 1),
        _ => (first & !MORE | usize::from(*image.get(at + 1)?) << 7, at + 2),
    };
    if length == 0 {
        return None;
    }
    let end = start + length;
    Some((image.get(start..end)?, end))
}

/// Where each symbol lies.
struct Addresses {
    /// Where the table of their offsets is.
    at: usize,
    count: Count,
}

/// How offsets count.
enum Count {
    /// Up from an address.
    Up(u64),
    /// Those that are not negative are addresses themselves, and the others
    /// count down from this one (`CONFIG_KALLSYMS_ABSOLUTE_PERCPU`).
    Split(u64),
    /// Each from its own place in the table, which lies at this address.
    Here(u64),
}

impl Addresses {
    fn of(
        image: &[u8],
        tokens: &Tokens<'_>,
        names: &Names,
        spelled: &[(usize, Box<str>)],
    ) -> Option<Self> {
        if tokens.alignment == 4 {
            let (first, _) = spelled.iter().find(|(_, name)| **name == *FIRST)?;
            let table = Self { at: tokens.end, count: Count::Here(0) };
            let below = table.get(image, *first)?;
            let count = Count::Here(LINKED.start.wrapping_sub(below));
            return Some(Self { count, ..table });
        }
        let size = (4 * names.count).next_multiple_of(tokens.alignment);
        let behind = tokens.end;
        let before = names.at.checked_sub(8 + size);
        let places = [Some((behind, behind + size)), before.map(|at| (at, at + size))];
        let (at, base) = places.into_iter().flatten().find_map(|(at, base)| {
            u64_at(image, base).filter(|base| LINKED.contains(base)).map(|base| (at, base))
        })?;
        let is_negative = |number| u32_at(image, at + 4 * number).is_some_and(|o| o >> 31 == 1);
        let is_split = (0..names.count).any(is_negative);
        Some(Self { at, count: if is_split { Count::Split(base) } else { Count::Up(base) } })
    }

    fn get(&self, image: &[u8], number: usize) -> Option<u64> {
        let offset = u32_at(image, self.at + 4 * number)?;
        let signed = i64::from(offset.cast_signed());
        match self.count {
            Count::Up(base) => base.checked_add(offset.into()),
            // Linux: base - 1 - offset, the offset being negative.
            Count::Split(base) => {
                (signed < 0).then(|| base.checked_add(signed.unsigned_abs() - 1)).flatten()
            }
            Count::Here(table) => {
                let place = table.wrapping_add(4 * u64::try_from(number).ok()?);
                Some(place.wrapping_add_signed(signed))
            }
        }
    }
}
