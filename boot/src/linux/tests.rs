use proptest::prelude::*;
use vmm_core::mem::{allocate, plan};

use super::*;

fn appended(line: &str, words: &str) -> String {
    let mut cmdline = Cmdline::new(line).unwrap();
    cmdline.append(words).unwrap();
    cmdline.as_str().to_owned()
}

#[test]
fn words_are_appended_before_those_for_init() {
    for (line, words, whole) in [
        ("", "", ""),
        ("", "quiet", "quiet"),
        ("quiet", "", "quiet"),
        ("quiet", "debug", "quiet debug"),
        ("quiet ", "debug", "quiet debug"),
        ("quiet -- single", "debug", "quiet debug -- single"),
        ("quiet  --  -x", "debug", "quiet debug  --  -x"),
        ("quiet --", "debug", "quiet debug --"),
        ("-- single", "debug", "debug -- single"),
        ("a --b c--", "debug", "a --b c-- debug"),
        ("a=\"x -- y\" b", "debug", "a=\"x -- y\" b debug"),
        ("a -- b -- c", "debug", "a debug -- b -- c"),
        ("a\t--\tb", "debug", "a debug\t--\tb"),
    ] {
        assert_eq!(appended(line, words), whole);
    }
}

#[test]
fn what_would_end_the_line_is_refused() {
    assert_eq!(
        Cmdline::new("ab\0c").unwrap_err().to_string(),
        "the kernel command line has a NUL at byte 2; it must be one line of text"
    );
    let mut cmdline = Cmdline::new("fine").unwrap();
    assert_eq!(
        cmdline.append("not\nfine").unwrap_err(),
        CmdlineError::Forbidden { what: "newline", position: 3 }
    );
    assert_eq!(cmdline.as_str(), "fine");
}

proptest! {
    #[test]
    fn appending_keeps_every_byte_in_order(line in "[a -]{0,20}", words in "[b-]{1,5}") {
        let whole = appended(&line, &words);
        let at = whole.find(&words).filter(|_| words.contains('b'));
        if let Some(at) = at {
            let rest = format!("{}{}", &whole[..at], &whole[at + words.len()..]);
            prop_assert_eq!(rest.replace(' ', ""), line.replace(' ', ""));
            prop_assert!(whole.len() <= line.len() + words.len() + 2);
            prop_assert!(!whole[..at].split(' ').any(|word| word == "--"));
        }
    }

    #[test]
    fn the_memory_map_is_all_ram_less_the_hole_below_1_mib(mib in 1..8192_u64) {
        let size = mib << 20;
        let ram = allocate(&plan(size)).unwrap();
        let map = memory_map(&ram);
        let of = |kind| map.iter().filter(move |range| range.kind == kind);
        let usable: u64 = of(MemoryKind::Usable).map(|range| range.size).sum();
        prop_assert_eq!(usable, size - 0x6_0400);
        prop_assert!(map.windows(2).all(|two| two[0].base + two[0].size <= two[1].base));
        prop_assert_eq!(of(MemoryKind::Reserved).count(), 3);
    }
}

#[test]
fn a_machine_with_less_than_the_conventional_memory_has_all_of_it() {
    let ram = allocate(&plan(64 << 10)).unwrap();
    let map = memory_map(&ram);
    let first = MemoryRange { base: 0, size: 64 << 10, kind: MemoryKind::Usable };
    assert_eq!(map[0], first);
    assert_eq!(map.iter().filter(|range| range.kind == MemoryKind::Usable).count(), 1);
}
