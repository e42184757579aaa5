use std::cmp::Ordering;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::kernel::compare_versions;
use super::*;

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

#[test]
fn a_disk_is_a_path_and_its_options() {
    let id = |id: &str| Some(id.parse().unwrap());
    let plain = DiskConfig::new("a");
    assert_eq!(disk("a"), Ok(plain.clone()));
    assert_eq!(disk("a,readonly"), Ok(DiskConfig { readonly: true, ..plain.clone() }));
    assert_eq!(
        disk("a,id=x,readonly"),
        Ok(DiskConfig { readonly: true, id: id("x"), ..plain.clone() })
    );
    assert_eq!(disk("a,,b"), Ok(DiskConfig { path: "a,b".into(), ..plain.clone() }));
    assert_eq!(disk("a,,,id=x=y"), Ok(DiskConfig { path: "a,".into(), id: id("x=y"), ..plain }));
    let all = "a,sparse=off,bandwidth=10M,iops=500,queue-size=64,queues=2,cache=direct,\
               serial=S1,id=x,readonly,format=qcow2";
    let expected = DiskConfig {
        path: "a".into(),
        format: Some(DiskFormat::Qcow2),
        readonly: true,
        id: id("x"),
        serial: id("S1"),
        cache: CacheMode::Direct,
        queues: Some(2.try_into().unwrap()),
        queue_size: 64.try_into().unwrap(),
        iops: Some(500.try_into().unwrap()),
        bandwidth: Some("10M".parse().unwrap()),
        sparse: false,
    };
    assert_eq!(disk(all), Ok(expected));
}

#[test]
fn what_is_not_said_of_a_disk_follows_from_the_rest() {
    let serial = |text| disk(text).unwrap().serial().map(ToString::to_string);
    assert_eq!(serial("a"), None);
    assert_eq!(serial("a,id=x"), Some("x".to_owned()));
    assert_eq!(serial("a,id=x,serial=y"), Some("y".to_owned()));
    let queues = |text, cpus| disk(text).unwrap().queues(CpuCount::try_from(cpus).unwrap());
    assert_eq!([1, 2, 4, 64].map(|cpus| queues("a", cpus)), [1, 2, 4, 4]);
    assert_eq!(queues("a,queues=8", 1), 8);
}

#[test]
fn a_disk_takes_only_numbers_that_it_can_have() {
    for fits in [
        "queues=1",
        "queues=16",
        "queue-size=4",
        "queue-size=1024",
        "iops=1",
        "iops=4294967295",
        "bandwidth=4K",
        "bandwidth=1T",
        "sparse=on",
        "format=raw",
        "cache=writeback",
        "cache=unsafe",
    ] {
        assert!(disk(&format!("a,{fits}")).is_ok(), "{fits}");
    }
    let sentences = [
        ("queues", &["0", "17", "-1", "two", ""][..], "a disk has 1 to 16 queues"),
        (
            "queue-size",
            &["2", "96", "2048", "x"],
            "a queue's size is a power of two from 4 to 1024",
        ),
        ("iops", &["0", "4294967296", "1K"], "a limit is 1 to 4294967295 requests a second"),
        ("bandwidth", &["4095", "1025G", "0"], "a limit is 4K to 1T a second"),
        ("sparse", &["yes", ""], "it is on or off"),
        ("format", &["vmdk", "RAW"], "a format is raw or qcow2"),
        ("cache", &["none", ""], "a cache is writeback, direct or unsafe"),
    ];
    for (key, values, sentence) in sentences {
        for value in values {
            let text = format!("a,{key}={value}");
            assert_eq!(reason(disk(&text)), format!("{key}={value}: {sentence}"));
        }
    }
    assert_eq!(reason(disk("a,queues=1,queues=2")), "queues is given twice");
}

#[test]
fn a_disk_option_that_is_none_is_named() {
    assert_eq!(reason(disk("")), "the path is empty");
    assert_eq!(reason(disk(",readonly")), "the path is empty");
    assert_eq!(reason(disk("a,readonly,readonly")), "readonly is given twice");
    assert_eq!(reason(disk("a,id=")), "id=: that is not 1 to 20 printable ASCII characters");
    assert!(reason(disk("a,id=123456789012345678901")).contains("1 to 20"));
    for (text, option) in [
        ("a,", "''"),
        ("a,readonyl", "'readonyl'"),
        ("a,readonly=1", "'readonly=1'"),
        ("a,id", "'id'"),
        ("a,sparse", "'sparse'"),
        ("a,queue_size=4", "'queue_size=4'"),
    ] {
        assert!(reason(disk(text)).starts_with(&format!("{option} is no option")), "{text:?}");
    }
}

#[test]
fn versions_order_by_number() {
    let ordered = ["6.1.0-9-amd64", "6.1.0-10-amd64", "6.9.0", "6.10.0-rc1", "6.10.0", "6.10.1"];
    for (i, a) in ordered.iter().enumerate() {
        for (j, b) in ordered.iter().enumerate() {
            assert_eq!(compare_versions(a, b), i.cmp(&j), "{a} and {b}");
        }
    }
}

#[test]
fn the_newest_kernel_is_taken_and_folders_are_not() {
    let boot = tempfile::tempdir().unwrap();
    for name in ["vmlinuz-6.9.0", "vmlinuz-6.10.0", "initrd.img-7.0.0", "vmlinux-8.0"] {
        fs::write(boot.path().join(name), "x").unwrap();
    }
    fs::create_dir(boot.path().join("vmlinuz-9.0")).unwrap();
    assert_eq!(newest_kernel(boot.path()), Ok(boot.path().join("vmlinuz-6.10.0")));
}

#[test]
fn a_kernel_that_only_root_can_read_is_named_with_what_helps() {
    let boot = tempfile::tempdir().unwrap();
    fs::set_permissions(boot.path(), Permissions::from_mode(0o755)).unwrap();
    let (old, new) = (boot.path().join("vmlinuz-6.1"), boot.path().join("vmlinuz-6.2"));
    for path in [&old, &new] {
        fs::write(path, "x").unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o0)).unwrap();
    }
    let newest = || {
        // Takes this thread's rights over files away, if it is root's.
        nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
        newest_kernel(boot.path())
    };
    let error = thread::scope(|scope| scope.spawn(newest).join()).unwrap().unwrap_err();
    let path = new.display();
    assert_eq!(
        error.to_string(),
        format!(
            "no --kernel was given and {path} cannot be read by this user: run `sudo chmod +r \
             {path}`, or give a kernel with --kernel"
        )
    );

    fs::set_permissions(&old, Permissions::from_mode(0o644)).unwrap();
    let found = thread::scope(|scope| scope.spawn(newest).join()).unwrap();
    assert_eq!(found, Ok(old), "the newest that can be read");
}

#[test]
fn no_kernel_says_what_was_looked_for() {
    let error = newest_kernel(Path::new("/nowhere")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no --kernel was given and there is no /nowhere/vmlinuz-* to take instead"
    );
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

    #[test]
    fn versions_are_totally_ordered(a in "[0-9a-c.~-]{0,8}", b in "[0-9a-c.~-]{0,8}", c in "[0-9a-c.~-]{0,8}") {
        prop_assert_eq!(compare_versions(&a, &b), compare_versions(&b, &a).reverse());
        if compare_versions(&a, &b) != Ordering::Greater && compare_versions(&b, &c) != Ordering::Greater {
            prop_assert_ne!(compare_versions(&a, &c), Ordering::Greater);
        }
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
