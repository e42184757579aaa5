use super::*;

fn net(text: &str) -> Result<NetConfig, BadValue> {
    NetConfig::parse(OsStr::new(text))
}

fn tap(name: &str) -> TapConfig {
    TapConfig {
        name: name.parse().unwrap(),
        queues: QueuePairs::default(),
        vhost: VhostMode::default(),
    }
}

fn plain(backend: NetHost) -> NetConfig {
    NetConfig { backend, mac: None, mtu: None, bandwidth: None, pps: None }
}

#[test]
fn an_interface_is_a_tap_descriptors_or_the_hosts_own_connections() {
    assert_eq!(net("tap=vm0"), Ok(plain(NetHost::Tap(tap("vm0")))));
    let fd = |text: &str| {
        NetHost::Fd(FdConfig { descriptors: text.parse().unwrap(), vhost: VhostMode::Auto })
    };
    assert_eq!(net("fd=3"), Ok(plain(fd("3"))));
    assert_eq!(net("fd=12:3:4"), Ok(plain(fd("12:3:4"))));
    assert_eq!(net("user"), Ok(plain(NetHost::User(UserConfig::default()))));
    let user = UserConfig {
        forwards: vec!["8080:80".parse().unwrap(), "127.0.0.1/53:5353/udp".parse().unwrap()],
        guest: Some("10.0.2.15/24".parse().unwrap()),
    };
    assert_eq!(
        net("forward=8080:80,guest=10.0.2.15/24,user,forward=127.0.0.1/53:5353/udp"),
        Ok(plain(NetHost::User(user)))
    );
    let all = "vhost=off,queues=4,mtu=9000,pps=1000,bandwidth=10M,mac=52:54:00:00:00:01,tap=vm0";
    let expected = NetConfig {
        backend: NetHost::Tap(TapConfig {
            queues: 4.try_into().unwrap(),
            vhost: VhostMode::Off,
            ..tap("vm0")
        }),
        mac: Some("52:54:00:00:00:01".parse().unwrap()),
        mtu: Some(9000.try_into().unwrap()),
        bandwidth: Some("10M".parse().unwrap()),
        pps: Some(1000.try_into().unwrap()),
    };
    assert_eq!(net(all), Ok(expected));
}

#[test]
fn an_interface_takes_only_values_that_it_can_have() {
    for fits in [
        "queues=1",
        "queues=16",
        "mtu=1280",
        "mtu=65520",
        "pps=1",
        "pps=4294967295",
        "bandwidth=4K",
        "vhost=on",
        "vhost=auto",
    ] {
        assert!(net(&format!("tap=a,{fits}")).is_ok(), "{fits}");
    }
    let sentences = [
        ("queues", &["0", "17", "-1", "+", ""][..], "an interface has 1 to 16 pairs of queues"),
        ("mtu", &["1279", "65521", "x"], "an MTU is 1280 to 65520"),
        ("pps", &["0", "4294967296", "1K"], "a limit is 1 to 4294967295 packets a second"),
        ("bandwidth", &["4095", "1025G"], "a limit is 4K to 1T a second"),
        ("vhost", &["yes", ""], "it is on, off or auto"),
        (
            "fd",
            &["", "2", "-1", "+3", "3:", "x", "2147483648"],
            "a descriptor is a number from 3; several stand as in 3:4",
        ),
        ("fd", &["3:4:3"], "3 is there twice"),
    ];
    for (key, values, sentence) in sentences {
        for value in values {
            let tap = if key == "fd" { "" } else { "tap=a," };
            let text = format!("{tap}{key}={value}");
            assert_eq!(reason(net(&text)), format!("{key}={value}: {sentence}"));
        }
    }
    let many = (3..20).map(|n: i32| n.to_string()).collect::<Vec<_>>().join(":");
    assert!(reason(net(&format!("fd={many}"))).ends_with("1 to 16 pairs of queues"));
    for name in ["", "sixteen_bytes_xx", "a/b", "a b", "..", "tap%d", "a\u{7}"] {
        assert!(net(&format!("tap={name}")).is_err(), "{name:?}");
    }
}

#[test]
fn options_of_an_interface_that_do_not_go_together_are_refused() {
    let missing = "tap=NAME, fd=NUMBER or user is missing";
    let several = "only one of tap=, fd= and user can be used";
    let for_user = "forward= and guest= go with user, not with a tap";
    let for_taps = "queues= and vhost= go with a tap, not with user";
    for (text, sentence) in [
        ("mac=52:54:00:00:00:01", missing),
        ("forward=1:1", missing),
        ("tap=a,user", several),
        ("fd=3,user", several),
        ("fd=3,tap=a", several),
        ("tap=a,forward=1:1", for_user),
        ("fd=3,guest=10.0.0.2/24", for_user),
        ("user,queues=1", for_taps),
        ("user,vhost=off", for_taps),
        ("tap=a,tap=b", "tap is given twice"),
        ("user,user", "user is given twice"),
    ] {
        assert_eq!(reason(net(text)), sentence, "{text}");
    }
    assert!(reason(net("fd=3,queues=2")).starts_with("queues= does not go with fd="));
    for limit in ["pps=9", "bandwidth=1M"] {
        assert!(reason(net(&format!("tap=a,vhost=on,{limit}"))).contains("knows no limits"));
        assert!(reason(net(&format!("fd=3,vhost=on,{limit}"))).contains("knows no limits"));
        assert!(net(&format!("tap=a,vhost=auto,{limit}")).is_ok_and(|net| net.is_limited()));
        assert!(net(&format!("user,{limit}")).is_ok());
    }
    for (text, option) in [
        ("vm0", "'vm0'"),
        ("", "''"),
        ("tap=a,", "''"),
        ("user=yes", "'user=yes'"),
        ("tap", "'tap'"),
    ] {
        assert!(reason(net(text)).starts_with(&format!("{option} is no option")), "{text:?}");
    }
}

#[test]
fn a_forward_is_ports_of_the_host_and_as_many_of_the_guest() {
    let parse = |text: &str| text.parse::<Forward>();
    let forward = parse("127.0.0.1/8000-8010:80-90/udp").unwrap();
    assert_eq!(forward.address(), Some("127.0.0.1".parse().unwrap()));
    assert_eq!((forward.host().first(), forward.host().last()), (8000, 8010));
    assert_eq!((forward.guest().first(), forward.guest().last()), (80, 90));
    assert_eq!(forward.protocol(), Protocol::Udp);
    for text in ["80:80", "1-65535:1-65535/udp", "::1/80:8080", "0.0.0.0/1:2/udp"] {
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
    assert_eq!(parse("80:81/tcp"), parse("80:81"));
    assert_eq!(parse("80-80:81"), parse("80:81"));
    let shape = "a forward is HOST:GUEST[/udp]";
    for text in ["", "80", "80:80/sctp", "127.0.0.1:80:80", "80:80/udp/udp", "80:80/tcp/tcp"] {
        assert!(reason(parse(text)).starts_with(shape), "{text}: {:?}", parse(text));
    }
    for text in ["0:80", "80:0", "65536:1", "+1:1", "9-8:9-8", ":", "a:b", "1-:1", "1:1-2-3"] {
        assert!(reason(parse(text)).contains("is no port from 1 to 65535"), "{text}");
    }
    assert!(reason(parse("host/80:80")).starts_with("'host' is no IP address"));
    assert!(reason(parse("80-81:80")).contains("different lengths"));
}

#[test]
fn forwards_clash_where_they_listen() {
    let clash = |a: &str, b: &str| {
        let (a, b): (Forward, Forward) = (a.parse().unwrap(), b.parse().unwrap());
        assert_eq!(a.clashes(&b), b.clashes(&a));
        a.clashes(&b)
    };
    assert!(clash("80:1", "80:2"));
    assert!(clash("80-90:80-90", "90-91:1-2"));
    assert!(clash("127.0.0.1/80:1", "80:2"));
    assert!(clash("127.0.0.1/80:1", "0.0.0.0/80:2"));
    assert!(!clash("80:1", "80:1/udp"));
    assert!(!clash("80:1", "81:1"));
    assert!(!clash("127.0.0.1/80:1", "127.0.0.2/80:1"));
}

#[test]
fn a_guests_address_is_one_in_a_network() {
    let parse = |text: &str| text.parse::<GuestNetwork>();
    let network = parse("10.0.2.15/24").unwrap();
    assert_eq!((network.prefix(), network.mask().to_string()), (24, "255.255.255.0".to_owned()));
    assert_eq!(network.gateway().to_string(), "10.0.2.1");
    assert_eq!(parse("10.0.2.1/24").unwrap().gateway().to_string(), "10.0.2.2");
    assert_eq!(parse("100.64.0.2/1").unwrap().gateway().to_string(), "0.0.0.1");
    for text in ["", "10.0.2.15", "10.0.2.15/0", "10.0.2.15/31", "10.0.2/24", "fd00::1/64", "1/2/3"]
    {
        assert!(reason(parse(text)).contains("as in 10.0.2.15/24"), "{text}");
    }
    for text in ["10.0.2.0/24", "10.0.2.255/24", "127.0.0.2/8", "224.0.0.9/4", "0.0.0.9/8"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn interfaces_that_clash_are_named() {
    let base = serde_json::from_str::<VmConfig>(r#"{"kernel":"k","cmdline":""}"#).unwrap();
    let check = |texts: [&str; 2]| {
        let nets = texts.map(|text| net(text).unwrap()).to_vec();
        VmConfig { nets, ..base.clone() }.check().map_err(|error| error.to_string())
    };
    let clash = |texts| check(texts).unwrap_err();
    assert_eq!(clash(["tap=a", "tap=a"]), "--net: two interfaces use the tap a");
    assert_eq!(clash(["fd=3:4", "fd=5:4"]), "--net: two interfaces use the descriptor 4");
    assert_eq!(
        clash(["user,forward=80:80", "user,forward=79-81:1-3"]),
        "--net: two forwards use the same port of the host: 80:80 and 79-81:1-3"
    );
    assert_eq!(
        clash(["user,forward=80:80,forward=80:81", "user"]),
        "--net: two forwards use the same port of the host: 80:80 and 80:81"
    );
    assert_eq!(
        clash(["tap=a,mac=52:54:00:00:00:01", "fd=3,mac=52:54:00:00:00:01"]),
        "--net: two interfaces have the address 52:54:00:00:00:01"
    );
    assert_eq!(check(["tap=a", "tap=b"]), Ok(()));
    assert_eq!(check(["fd=3", "fd=4"]), Ok(()));
    assert_eq!(check(["user,forward=80:80", "user,forward=80:80/udp"]), Ok(()));
}

#[test]
fn interfaces_are_the_same_after_a_trip_through_a_file() {
    for text in [
        "tap=t,mac=52:54:00:00:00:01,mtu=9000,pps=5,bandwidth=1M,queues=2,vhost=off",
        "fd=3:9,vhost=on",
        "user",
        "user,guest=10.0.2.15/24,forward=::1/80:80,forward=53:53/udp",
    ] {
        let config = net(text).unwrap();
        let file = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NetConfig>(&file).unwrap(), config, "{file}");
    }
    let read = |text: &str| serde_json::from_str::<NetConfig>(text).map_err(|e| e.to_string());
    assert!(read(r#"{"backend":{"tap":{"name":"t"}}}"#).is_ok());
    for (text, reason) in [
        (r#"{"backend":{"tap":{"name":"t","ttl":1}}}"#, "unknown field `ttl`"),
        (r#"{"backend":{"tap":{"name":"t","queues":17}}}"#, "1 to 16 pairs"),
        (r#"{"backend":{"bridge":{}}}"#, "unknown variant `bridge`"),
        (r#"{"backend":{"user":{"forwards":["1"]}}}"#, "HOST:GUEST"),
        (r#"{"backend":{"fd":{"descriptors":"1"}}}"#, "a number from 3"),
        (r#"{"backend":{"user":{}},"mtu":9}"#, "an MTU is"),
    ] {
        assert!(read(text).unwrap_err().contains(reason), "{text}");
    }
    let limited = r#"{"kernel":"k","cmdline":"","nets":[{"pps":1,"backend":{"tap":{"name":"t","vhost":"on"}}}]}"#;
    let error = serde_json::from_str::<VmConfig>(limited).unwrap().check().unwrap_err();
    assert!(error.to_string().starts_with("--net: bandwidth= and pps= do not go with vhost=on"));
}

proptest! {
    #[test]
    fn any_text_is_a_forward_or_a_reason(text in "[0-9:/.,-]{0,24}(/udp)?") {
        match text.parse::<Forward>() {
            Ok(forward) => prop_assert_eq!(forward.to_string().parse(), Ok(forward)),
            Err(reason) => prop_assert!(!reason.to_string().is_empty()),
        }
        if let Ok(network) = text.parse::<GuestNetwork>() {
            prop_assert_eq!(network.to_string().parse(), Ok(network));
            prop_assert_ne!(network.gateway(), network.address());
        }
        if let Ok(descriptors) = text.parse::<Descriptors>() {
            prop_assert_eq!(descriptors.to_string().parse(), Ok(descriptors));
        }
    }
}
