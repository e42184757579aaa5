use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

mod disk;
mod kernel;
mod net;
mod share;
mod vsock;

fn reason<T: std::fmt::Debug>(result: Result<T, BadValue>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn sizes_read_as_written() {
    assert_eq!("512M".parse(), Ok(ByteSize::new(512 << 20)));
    assert_eq!("3g".parse(), Ok(ByteSize::new(3 << 30)));
    assert_eq!("1T".parse(), Ok(ByteSize::new(1 << 40)));
    assert_eq!("4096".parse(), Ok(ByteSize::new(4096)));
}

#[test]
fn what_is_no_size_is_refused() {
    for text in ["", "abc", "M", "-1M", "+1M", "1.5G", "1MB", "1MiB", "0x10", " 1M", "1 M", "١M"] {
        assert_eq!(
            reason(text.parse::<ByteSize>()),
            "a size is a whole number with K, M or G, as in 512M",
            "{text:?}"
        );
    }
    for text in ["18446744073709551616", "17179869184G", "99999999999999999999G"] {
        assert_eq!(reason(text.parse::<ByteSize>()), "no machine has that much", "{text:?}");
    }
}

#[test]
fn sizes_nobody_typed_are_rounded_down() {
    let rounded = |bytes| ByteSize::new(bytes).rounded();
    assert_eq!(rounded((23 << 30) + (970 << 20)), "23.9G");
    assert_eq!(rounded(1 << 30), "1G");
    assert_eq!(rounded(1023), "1023 bytes");
}

#[test]
fn memory_is_at_least_a_megabyte_in_whole_pages() {
    assert_eq!("1M".parse::<MemorySize>().unwrap().bytes(), 1 << 20);
    assert_eq!("1028K".parse::<MemorySize>().unwrap().bytes(), 1028 << 10);
    for text in ["0", "1K", "1023K"] {
        assert_eq!(reason(text.parse::<MemorySize>()), "a guest needs at least 1M of memory");
    }
    assert_eq!(reason("1025K".parse::<MemorySize>()), "memory comes in whole pages of 4K");
}

#[test]
fn the_host_limit_admits_itself_and_no_more() {
    let limits = HostLimits { memory: ByteSize::new(2 << 30) };
    assert_eq!(limits.admit("2G".parse().unwrap()), Ok(()));
    let error = limits.admit("10T".parse().unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "--memory 10T: this host has only 2G, swap included");
    assert!(HostLimits::read().unwrap().memory.bytes() > 1 << 20);
}

#[test]
fn cpus_are_1_to_254() {
    for text in ["1", "8", "254"] {
        assert_eq!(text.parse::<CpuCount>().unwrap().to_string(), text);
    }
    for text in ["0", "255", "256", "257", "-1", "", "two", "18446744073709551617"] {
        assert_eq!(reason(text.parse::<CpuCount>()), "a guest has 1 to 254 processors");
    }
}

#[test]
fn timeouts_have_a_unit_and_an_end() {
    let time = |text: &str| text.parse::<Timeout>().map(Timeout::get);
    assert_eq!(time("30s"), Ok(Duration::from_secs(30)));
    assert_eq!(time("1m 30s"), Ok(Duration::from_secs(90)));
    assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
    for text in ["", "30", "s", "-1s", "soon", "1e3s"] {
        assert!(reason(time(text)).starts_with("a time is a number with a unit"), "{text:?}");
    }
    assert_eq!(reason(time("0s")), "the run would end before it starts");
    assert_eq!(reason(time("1001days")), "the longest timeout is 1000 days");
    assert!(time("99999999999999999999years").is_err());
}

#[test]
fn names_are_fit_for_a_log_line() {
    assert!("web-1.example_x".parse::<VmName>().is_ok());
    let long = "x".repeat(65);
    for name in ["", "a b", "a\nb", "ü", "a/b", long.as_str()] {
        assert!(name.parse::<VmName>().is_err(), "{name:?}");
    }
}

#[test]
fn addresses_are_those_of_one_interface() {
    let mac: MacAddr = "52:54:00:12:aB:56".parse().unwrap();
    assert_eq!(mac.octets(), [0x52, 0x54, 0, 0x12, 0xab, 0x56]);
    for text in [
        "",
        "52:54:00:12:34",
        "52:54:00:12:34:56:78",
        "52:54:00:12:34:5",
        "52-54-0-1-2-3",
        "+2:54:00:12:34:56",
        "525:4:00:12:34:56",
    ] {
        assert!(reason(text.parse::<MacAddr>()).contains("is not six bytes"), "{text:?}");
    }
    assert!(reason("01:00:5e:00:00:01".parse::<MacAddr>()).contains("group address"));
    assert!("00:00:00:00:00:00".parse::<MacAddr>().is_err());
}

fn disk(text: &str) -> Result<DiskConfig, BadValue> {
    DiskConfig::parse(OsStr::new(text))
}

fn balloon(text: &str) -> Result<BalloonConfig, BadValue> {
    BalloonConfig::parse(OsStr::new(text))
}

#[test]
fn balloons_read_as_written() {
    let default = BalloonConfig::default();
    assert_eq!(balloon(""), Ok(default.clone()));
    let half = BalloonConfig { size: ByteSize::new(1 << 29), ..default.clone() };
    assert_eq!(balloon("size=512M"), Ok(half.clone()));
    let other = BalloonConfig { deflate_on_oom: true, free_page_reporting: false, ..half };
    assert_eq!(balloon("free-page-reporting=off,size=512M,deflate-on-oom=on"), Ok(other));
    assert_eq!(balloon("free-page-reporting=on,deflate-on-oom=off"), Ok(default));
}

#[test]
fn what_is_no_balloon_is_refused() {
    for (text, why) in [
        ("512M", "'512M' is no option of a balloon"),
        (",", "'' is no option of a balloon"),
        ("size", "'size' is no option of a balloon"),
        ("size=", "size=: a size is a whole number"),
        ("size=1K,size=1K", "size is given twice"),
        ("deflate-on-oom=yes", "deflate-on-oom=yes: it is on or off"),
        ("free-page-reporting=", "free-page-reporting=: it is on or off"),
    ] {
        assert!(reason(balloon(text)).starts_with(why), "{text}: {}", reason(balloon(text)));
    }
}

#[test]
fn a_balloon_leaves_the_guest_something_in_whole_pages() {
    let memory: MemorySize = "512M".parse().unwrap();
    let check = |text| balloon(text).unwrap().check(memory);
    assert_eq!(check("size=524284K"), Ok(()));
    assert_eq!(
        reason(check("size=512M")),
        "size=512M leaves nothing of the 512M that the guest has"
    );
    assert_eq!(reason(check("size=5K")), "size=5K: memory comes in whole pages of 4K");
}

#[test]
fn a_machine_is_the_same_after_a_trip_through_a_file() {
    let config = VmConfig {
        name: Some("web".parse().unwrap()),
        kernel: "vmlinux".into(),
        initrds: vec!["a".into(), "b".into()],
        cmdline: "console=ttyS0".into(),
        cpus: "4".parse().unwrap(),
        memory: "1G".parse().unwrap(),
        disks: vec![
            disk("x,readonly,id=one").unwrap(),
            disk("y,format=qcow2,serial=S,cache=unsafe,queues=3,queue-size=8,iops=9,bandwidth=1M")
                .unwrap(),
            disk("z,sparse=off").unwrap(),
        ],
        nets: vec![NetConfig::parse(OsStr::new("tap=t,mac=52:54:00:00:00:01")).unwrap()],
        vsock: Some(VsockConfig::parse(OsStr::new("cid=3,socket=s")).unwrap()),
        rng: super::Rng::Off,
        balloon: Some(balloon("size=256M,deflate-on-oom=on,free-page-reporting=off").unwrap()),
        shares: vec![ShareConfig::parse(OsStr::new("src=dir,ro")).unwrap()],
        transport: Transport::Pci,
        command: Some(CommandConfig {
            argv: vec!["make".into(), "check".into()],
            root: "/".into(),
            writable: vec!["/build".into()],
            env: vec![EnvChange::Set("CC".into(), "clang".into()), EnvChange::Unset("X".into())],
            modules: None,
        }),
        console: Consoles::collect(vec![(Port::Hvc, Console::File("log".into()))]).unwrap(),
        timeout: Some("90s".parse().unwrap()),
        verdict: VerdictConfig {
            boot_timeout: Some("5s".parse().unwrap()),
            fail_on: vec!["BUG|Oops".parse().unwrap()],
            succeed_on: vec!["^ok$".parse().unwrap()],
            fail_on_warning: true,
            quiet_after: Some("10s".parse().unwrap()),
            vmlinux: Some("vmlinux".into()),
            report: Some("r.json".into()),
            junit: Some("r.xml".into()),
        },
        pvpanic: PvPanic::Pci,
    };
    let text = serde_json::to_string(&config).unwrap();
    assert!(text.contains(r#""memory":"1G""#) && text.contains(r#""timeout":"1m 30s""#), "{text}");
    assert_eq!(serde_json::from_str::<VmConfig>(&text).unwrap(), config);
}

#[test]
fn a_file_is_held_to_the_same_limits() {
    let read = |text: &str| serde_json::from_str::<VmConfig>(text).map_err(|e| e.to_string());
    assert!(read(r#"{"kernel":"k","cmdline":""}"#).is_ok());
    for (text, reason) in [
        (r#"{"kernel":"k","cmdline":"","cpu":1}"#, "unknown field `cpu`"),
        (r#"{"kernel":"k","cmdline":"","cpus":255}"#, "1 to 254"),
        (r#"{"kernel":"k","cmdline":"","transport":"PCI"}"#, "unknown variant `PCI`"),
        (r#"{"kernel":"k","cmdline":"","rng":"yes"}"#, "unknown variant `yes`"),
        (r#"{"kernel":"k","cmdline":"","vsock":{"cid":2,"socket":"s"}}"#, "from 3 to 4294967294"),
        (r#"{"kernel":"k","cmdline":"","balloon":{"oom":true}}"#, "unknown field `oom`"),
        (r#"{"kernel":"k","cmdline":"","memory":"1K"}"#, "at least 1M"),
        (r#"{"kernel":"k","cmdline":"","disks":[{"path":"x","ro":true}]}"#, "unknown field `ro`"),
        (r#"{"kernel":"k","cmdline":"","disks":[{"path":"x","queues":17}]}"#, "1 to 16 queues"),
        (r#"{"kernel":"k","cmdline":"","disks":[{"path":"x","queue_size":3}]}"#, "power of two"),
        (r#"{"kernel":"k","cmdline":"","disks":[{"path":"x","iops":0}]}"#, "1 to 4294967295"),
        (r#"{"kernel":"k","cmdline":"","disks":[{"path":"x","bandwidth":"1"}]}"#, "4K to 1T"),
    ] {
        assert!(read(text).unwrap_err().contains(reason), "{text}");
    }
}

#[test]
fn parts_that_clash_are_named() {
    let base = serde_json::from_str::<VmConfig>(r#"{"kernel":"k","cmdline":""}"#).unwrap();
    let disks = vec![disk("a,id=x").unwrap(), disk("b").unwrap(), disk("c,id=x").unwrap()];
    let error = VmConfig { disks, ..base.clone() }.check().unwrap_err();
    assert_eq!(error.to_string(), "--disk: two disks have the id x");
    let disks = vec![disk("a").unwrap(), disk("b,serial=x").unwrap(), disk("c,id=x").unwrap()];
    assert_eq!(VmConfig { disks, ..base }.check(), Ok(()));
}

/// Bytes as an operating system string.
fn os_string() -> impl Strategy<Value = OsString> {
    prop::collection::vec(any::<u8>(), 0..40)
        .prop_map(|bytes| OsStr::from_bytes(&bytes).to_os_string())
}

proptest! {
    #[test]
    fn a_size_survives_printing(bytes: u64) {
        let size = ByteSize::new(bytes);
        prop_assert_eq!(size.to_string().parse(), Ok(size));
    }

    #[test]
    fn a_size_with_a_unit_is_its_multiple(number in 0_u64..1 << 24, unit in 0_usize..4) {
        let text = format!("{number}{}", ["K", "M", "G", "T"][unit]);
        let expected = number << (10 * (unit + 1));
        prop_assert_eq!(text.parse(), Ok(ByteSize::new(expected)));
    }

    #[test]
    fn any_text_is_a_value_or_a_reason(text in ".{0,30}") {
        for error in [
            text.parse::<ByteSize>().err(),
            text.parse::<MemorySize>().err(),
            text.parse::<CpuCount>().err(),
            text.parse::<Timeout>().err(),
            text.parse::<VmName>().err(),
            text.parse::<MacAddr>().err(),
        ] {
            prop_assert!(error.is_none_or(|reason| !reason.to_string().is_empty()));
        }
    }

    #[test]
    fn any_bytes_are_a_list_or_a_reason(value in os_string()) {
        if let Ok(disk) = DiskConfig::parse(&value) {
            prop_assert!(!disk.path.as_os_str().is_empty());
        }
        let _ = NetConfig::parse(&value);
        let _ = Console::parse(&value);
        let _ = BalloonConfig::parse(&value);
        let _ = ShareConfig::parse(&value);
    }

    #[test]
    fn a_path_with_doubled_commas_comes_back(path in os_string(), readonly: bool) {
        prop_assume!(!path.is_empty());
        let mut value = Vec::new();
        for byte in path.as_bytes() {
            value.push(*byte);
            if *byte == b',' {
                value.push(b',');
            }
        }
        if readonly {
            value.extend(b",readonly");
        }
        let expected = DiskConfig { readonly, ..DiskConfig::new(path) };
        prop_assert_eq!(DiskConfig::parse(OsStr::from_bytes(&value)), Ok(expected));
    }

    #[test]
    fn a_mac_survives_printing(mut octets: [u8; 6]) {
        octets[0] = octets[0] & !1 | 2;
        let text = octets.map(|octet| format!("{octet:02x}")).join(":");
        let mac: MacAddr = text.parse().unwrap();
        prop_assert_eq!((mac.octets(), mac.to_string()), (octets, text));
    }

    #[test]
    fn a_timeout_survives_printing(millis in 1_u64..86_400_000_000) {
        let timeout: Timeout = format!("{millis}ms").parse().unwrap();
        prop_assert_eq!(timeout.to_string().parse(), Ok(timeout));
    }
}

#[test]
fn a_pattern_is_a_regular_expression() {
    let pattern: Pattern = "^a.c[0-9]+$".parse().unwrap();
    assert!(pattern.matches("abc12") && !pattern.matches("xabc12"));
    assert_eq!(pattern.to_string(), "^a.c[0-9]+$");
    let wrong = |text: &str| text.parse::<Pattern>().unwrap_err().to_string();
    assert!(wrong("a(").starts_with("this is no regular expression that is taken here: "));
    assert_eq!(wrong(""), "an empty expression matches every line");
}

#[test]
fn verdicts_that_cannot_be_had_are_refused() {
    let check = |text: &str| serde_json::from_str::<VmConfig>(text).unwrap().check().unwrap_err();
    let text = r#"{"kernel": "k", "cmdline": "", "pvpanic": "pci", "transport": "mmio"}"#;
    assert_eq!(check(text), ConfigError::PanicWithoutBus);
    let text = r#"{"kernel": "k", "cmdline": "", "verdict": {"report": "r", "junit": "r"}}"#;
    assert_eq!(check(text), ConfigError::ReportTwice("r".into()));
}
