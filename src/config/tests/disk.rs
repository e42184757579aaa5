use super::*;

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
