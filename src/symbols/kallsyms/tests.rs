use proptest::prelude::*;

use super::read;

const BASE: u64 = 0xffff_ffff_8100_0000;

/// How a kernel has its tables.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Offsets behind the tokens, as since Linux 6.5.
    is_new: bool,
    /// `CONFIG_KALLSYMS_ABSOLUTE_PERCPU`.
    is_split: bool,
    /// Markers of 64 bits.
    has_wide_marks: bool,
    /// An order of the names before the tokens.
    has_order: bool,
    /// As since Linux 7.0: aligned to 4 bytes, and offsets each from its own place.
    is_late: bool,
    /// Bytes before the tables, a multiple of 8, or of 4 with `is_late`.
    before: usize,
}

const SHAPE: Shape = Shape {
    is_new: true,
    is_split: false,
    has_wide_marks: false,
    has_order: false,
    is_late: false,
    before: 64,
};

const LATE: Shape = Shape { is_late: true, before: 68, ..SHAPE };

impl Shape {
    fn pad(self, image: &mut Vec<u8>) {
        let alignment = if self.is_late { 4 } else { 8 };
        image.resize(image.len().next_multiple_of(alignment), 0);
    }
}

/// Types and names as numbers of tokens: letters, but for "idle", which is one
/// token.
fn packed(symbol: &str) -> Vec<u8> {
    let bytes = symbol.replace("idle", "\u{1}").into_bytes();
    let length = bytes.len();
    let head = match length {
        0..0x80 => vec![length as u8],
        _ => vec![(length & 0x7f | 0x80) as u8, (length >> 7) as u8],
    };
    [head, bytes].concat()
}

/// A kernel that has these symbols, each with its type before it, and where
/// they are.
fn kernel(shape: Shape, symbols: &[(String, u64)]) -> Vec<u8> {
    let mut offsets = Vec::new();
    for (number, (_, address)) in symbols.iter().enumerate() {
        // Where the table lies is not known to who reads it.
        let place = (BASE - 0x10_0000).wrapping_add(4 * number as u64);
        let offset = match (shape.is_split, address.checked_sub(BASE)) {
            _ if shape.is_late => address.wrapping_sub(place) as u32,
            (true, Some(up)) => (-1 - up as i64) as u32,
            (_, up) => up.unwrap_or(*address) as u32,
        };
        offsets.extend(offset.to_le_bytes());
    }
    if !shape.is_late {
        shape.pad(&mut offsets);
        offsets.extend(BASE.to_le_bytes());
    }

    let mut image = vec![0xcc; shape.before];
    if !shape.is_new {
        image.extend(&offsets);
    }
    image.extend(&(symbols.len() as u64).to_le_bytes()[..if shape.is_late { 4 } else { 8 }]);
    let (names, mut marks): (_, Vec<u8>) = (image.len(), Vec::new());
    for (number, (name, _)) in symbols.iter().enumerate() {
        if number % 256 == 0 {
            let mark = (image.len() - names) as u64;
            let width = if shape.has_wide_marks { 8 } else { 4 };
            marks.extend(&mark.to_le_bytes()[..width]);
        }
        image.extend(packed(name));
    }
    shape.pad(&mut image);
    image.extend(marks);
    shape.pad(&mut image);
    if shape.has_order {
        image.extend(vec![7; 3 * symbols.len()]);
        shape.pad(&mut image);
    }
    let (mut index, tokens) = (Vec::new(), image.len());
    for number in 0..=255 {
        index.extend(((image.len() - tokens) as u16).to_le_bytes());
        match number {
            0 => image.push(0),
            1 => image.extend(b"idle\0"),
            byte => image.extend([byte, 0]),
        }
    }
    shape.pad(&mut image);
    image.extend(index);
    if shape.is_new {
        shape.pad(&mut image);
        image.extend(&offsets);
    }
    image
}

fn symbols() -> Vec<(String, u64)> {
    let mut symbols = vec![("Apercpu_thing".to_owned(), 0x1000)];
    symbols.push(("T_text".into(), BASE));
    symbols.extend((0..600).map(|n| (format!("tcall_{n}"), BASE + 0x100 * n)));
    symbols.push(("Tdefault_idle".into(), BASE + 0x10_0000));
    symbols.push(("Dsome_data".into(), BASE + 0x20_0000));
    symbols.push((format!("t{}", "long_".repeat(40)), BASE + 0x30_0000));
    symbols
}

fn code(symbols: &[(String, u64)]) -> Vec<(u64, Box<str>)> {
    let is_code = |(name, _): &&(String, u64)| name.starts_with(['t', 'T', 'w', 'W']);
    symbols.iter().filter(is_code).map(|(name, at)| (*at, name[1..].into())).collect()
}

#[test]
fn the_code_of_a_kernel_has_names_however_its_tables_lie() {
    for is_new in [true, false] {
        for is_split in [true, false] {
            for has_wide_marks in [true, false] {
                for has_order in [true, false] {
                    let marks = Shape { has_wide_marks, has_order, ..SHAPE };
                    let shape = Shape { is_new, is_split, before: 4096, ..marks };
                    let found = read(&kernel(shape, &symbols()));
                    assert_eq!(found.unwrap(), code(&symbols()), "{shape:?}");
                }
            }
        }
    }
}

#[test]
fn the_code_of_a_late_kernel_has_names_and_distances() {
    let low = |found: Vec<(u64, Box<str>)>| {
        let moved = |(at, name)| (at + (BASE - 0xffff_ffff_8000_0000), name);
        found.into_iter().map(moved).collect::<Vec<_>>()
    };
    for before in [4, 64, 4092, 4096] {
        for has_order in [true, false] {
            let found = read(&kernel(Shape { before, has_order, ..LATE }, &symbols()));
            assert_eq!(low(found.unwrap()), code(&symbols()), "{before}");
        }
    }
    // Without the first symbol of code, nothing tells where the others are.
    let others: Vec<_> = symbols().into_iter().filter(|(name, _)| name != "T_text").collect();
    assert_eq!(read(&kernel(LATE, &others)), None);
    assert!(read(&kernel(SHAPE, &others)).is_some());
}

#[test]
fn what_stands_around_the_tables_does_not_matter() {
    let tables = kernel(SHAPE, &symbols());
    // Numbers from 0 to 9, but no tokens; and a count, but no names.
    let digits: Vec<_> = (b'0'..=b'9').flat_map(|digit| [digit, 0]).collect();
    let one = [&1_u64.to_le_bytes()[..], &[1, b't', 0, 0, 0, 0, 0, 0], &[0; 16]].concat();
    let other = [&300_u64.to_le_bytes()[..], &[5; 4096]].concat();
    let mut image = [&digits[..], &[0; 4], &one, &other].concat();
    SHAPE.pad(&mut image);
    image.extend(tables);
    image.extend([0xff; 1000]);
    assert_eq!(read(&image).unwrap(), code(&symbols()));
}

#[test]
fn a_kernel_without_the_tables_has_no_names() {
    assert_eq!(read(b""), None);
    assert_eq!(read(&[b'0', 0].repeat(5000)), None);
    let whole = kernel(SHAPE, &symbols());
    for end in (0..whole.len()).step_by(97) {
        assert_eq!(read(&whole[..end]), None, "{end}");
    }
    // Of a late one, the offsets come last, and none is missed.
    let whole = kernel(LATE, &symbols());
    for end in (0..whole.len() - 4 * symbols().len()).step_by(97) {
        assert_eq!(read(&whole[..end]), None, "{end}");
    }
}

#[test]
fn the_corpus_of_the_fuzzer_is_survived() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/kallsyms");
    let mut understood = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let found = read(&std::fs::read(entry.unwrap().path()).unwrap());
        understood +=
            usize::from(found.is_some_and(|names| names.iter().any(|n| &*n.1 == "idle_loop")));
    }
    assert!(understood >= 4, "{understood} were understood");
}

/// One symbol of each kind is enough to be spoilt.
fn small(shape: Shape) -> Vec<u8> {
    let all = symbols();
    kernel(shape, &[&all[..4], &all[602..]].concat())
}

proptest! {
    #[test]
    fn any_bytes_are_names_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes);
    }

    #[test]
    fn spoilt_tables_are_names_or_none(
        is_late in any::<bool>(),
        spoils in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut image = small(if is_late { LATE } else { SHAPE });
        for (place, value) in spoils {
            let at = place.index(image.len());
            image[at] = value;
        }
        if let Some(found) = read(&image) {
            prop_assert!(found.len() <= image.len());
        }
    }
}
