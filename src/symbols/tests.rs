use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::map;
use super::*;

const MAP: &str = "\
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000100 t helper
ffffffff81200000 T entry_SYSCALL_64
ffffffff81300000 D some_data
ffffffff81400000 W weak_one
";

fn symbols() -> Symbols {
    Symbols::of(map::read(MAP.as_bytes()).unwrap())
}

#[test]
fn an_address_belongs_to_the_symbol_before_it() {
    let symbols = symbols();
    assert_eq!(symbols.lookup(0xffff_ffff_8100_0000), Some(("_text", 0)));
    assert_eq!(symbols.lookup(0xffff_ffff_8100_0104), Some(("helper", 4)));
    assert_eq!(symbols.lookup(0xffff_ffff_8140_0010), Some(("weak_one", 0x10)));
    assert_eq!(symbols.lookup(0xffff_ffff_80ff_ffff), None, "before all");
    assert_eq!(symbols.lookup(0xffff_ffff_c000_0000), None, "far behind all: a module");
}

#[test]
fn where_a_kernel_lies_follows_from_its_system_call_entry() {
    let symbols = symbols();
    assert_eq!(symbols.base(Some(0xffff_ffff_8120_0000)), Base::At(0));
    assert_eq!(symbols.base(Some(0xffff_ffff_9320_0000)), Base::At(0x1200_0000));
    assert_eq!(symbols.base(Some(0)), Base::Unknown);
    assert_eq!(symbols.base(None), Base::Unknown);
    for other in [0xffff_ffff_8120_1000, 0xffff_ffff_8100_0000, 0x40_0000] {
        assert_eq!(symbols.base(Some(other)), Base::Foreign, "{other:#x}");
    }
    let plain = Symbols::of(vec![(0x10_0000, "main".into())]);
    assert_eq!(plain.base(None), Base::At(0), "this is not Linux");
}

#[test]
fn a_file_without_symbols_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for contents in [&b""[..], b"hello\n", b"\x7fELF", &[0; 5000], b"zzz T x\n", b"12 T\n"] {
        fs::write(&path, contents).unwrap();
        let error = Symbols::read(&path).unwrap_err();
        assert!(matches!(error, SymbolError::None { .. }), "{error}");
    }
    // What Debian has instead of a System.map.
    fs::write(&path, "ffffffffffffffff B The real System.map is elsewhere\n").unwrap();
    assert!(Symbols::read(&path).is_err());
    assert!(matches!(Symbols::read(folder.path()), Err(SymbolError::None { .. })));
    let absent = Symbols::read(&folder.path().join("absent")).unwrap_err();
    assert!(matches!(absent, SymbolError::Read { .. }), "{absent}");
}

#[test]
fn this_very_program_has_symbols() {
    let symbols = Symbols::read(&std::env::current_exe().unwrap()).unwrap();
    let main = symbols.address("main").unwrap();
    assert_eq!(symbols.lookup(main + 1).unwrap().1, 1);
}

#[test]
fn symbols_are_looked_for_where_builds_and_distributions_put_them() {
    let has = |kernel: &str, release, path: &str| {
        let found = candidates(Path::new(kernel), release);
        assert!(found.iter().any(|p| p == Path::new(path)), "{path} is not in {found:?}");
    };
    has("/k/vmlinux", None, "/k/vmlinux");
    has("/boot/vmlinuz-6.1.0", None, "/boot/System.map-6.1.0");
    has("/boot/vmlinuz-6.1.0", None, "/usr/lib/debug/boot/vmlinux-6.1.0");
    has("/src/arch/x86/boot/bzImage", None, "/src/arch/x86/boot/../../../vmlinux");
    has("bzImage", Some("6.12.1"), "System.map");
    has("bzImage", Some("6.12.1"), "/boot/System.map-6.12.1");
    let found = candidates(Path::new("bzImage"), Some("../../etc"));
    assert!(!found.iter().any(|path| path.to_string_lossy().contains("etc")), "{found:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_a_map_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..4000)) {
        let _ = map::read(&bytes[..]);
    }

    #[test]
    fn any_addresses_are_looked_up(
        entries in proptest::collection::vec((any::<u64>(), "[a-c]{1,2}"), 0..50),
        address in any::<u64>(),
    ) {
        let entries: Vec<_> = entries.into_iter().map(|(a, n)| (a, n.into_boxed_str())).collect();
        if let Some((name, offset)) = Symbols::of(entries.clone()).lookup(address) {
            prop_assert!(entries.contains(&(address - offset, name.into())));
        }
    }
}
