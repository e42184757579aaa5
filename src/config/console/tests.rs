use super::*;

fn parse(text: &[u8]) -> Result<(Port, Console), BadValue> {
    Console::parse(OsStr::from_bytes(text))
}

fn consoles(given: &[&str]) -> Consoles {
    Consoles::collect(given.iter().map(|text| parse(text.as_bytes()).unwrap()).collect()).unwrap()
}

#[test]
fn a_console_is_one_of_three_on_either_port() {
    for (prefix, port) in [("", Port::Serial), ("hvc=", Port::Hvc)] {
        let console = |text: &[u8]| parse(&[prefix.as_bytes(), text].concat());
        assert_eq!(console(b"stdio"), Ok((port, Console::Stdio)));
        assert_eq!(console(b"off"), Ok((port, Console::Off)));
        assert_eq!(console(b"file=a=b,c"), Ok((port, Console::File("a=b,c".into()))));
        let odd = PathBuf::from(OsStr::from_bytes(b"\xff"));
        assert_eq!(console(b"file=\xff"), Ok((port, Console::File(odd))));
        for text in ["", "file", "file=", "Stdio", "pty", "hvc=hvc=off", "serial=off"] {
            assert!(console(text.as_bytes()).is_err(), "{prefix}{text}");
        }
    }
    assert_eq!(parse(b"hvc").unwrap_err(), parse(b"pty").unwrap_err());
}

#[test]
fn the_serial_port_has_stdio_unless_it_or_the_virtio_console_was_named() {
    assert_eq!(*consoles(&[]).serial(), Console::Stdio);
    assert_eq!(*consoles(&["off"]).serial(), Console::Off);
    for hvc in ["hvc=stdio", "hvc=off", "hvc=file=x"] {
        assert_eq!(*consoles(&[hvc]).serial(), Console::Off, "{hvc}");
    }
    assert_eq!(*consoles(&["hvc=off", "stdio"]).serial(), Console::Stdio);
}

#[test]
fn a_kernel_is_told_of_the_consoles_that_are_shown_and_last_of_the_terminal() {
    for (given, names) in [
        (&[][..], &["ttyS0"][..]),
        (&["off"], &["ttyS0"]),
        (&["file=x"], &["ttyS0"]),
        (&["hvc=stdio"], &["hvc0"]),
        (&["hvc=off"], &["hvc0"]),
        (&["hvc=stdio", "off"], &["hvc0"]),
        (&["hvc=stdio", "file=x"], &["ttyS0", "hvc0"]),
        (&["hvc=file=x", "file=y"], &["ttyS0", "hvc0"]),
        (&["hvc=file=x", "stdio"], &["hvc0", "ttyS0"]),
    ] {
        assert_eq!(consoles(given).names(), names, "{given:?}");
    }
}

#[test]
fn consoles_that_clash_are_named() {
    let twice = |given: &[&str]| {
        let given = given.iter().map(|text| parse(text.as_bytes()).unwrap()).collect();
        Consoles::collect(given).unwrap_err().to_string()
    };
    assert_eq!(twice(&["off", "stdio"]), "--console: the serial port is given twice");
    assert_eq!(twice(&["hvc=off", "hvc=stdio"]), "--console: hvc0 is given twice");
    let clash = |given: &[&str]| consoles(given).check().unwrap_err().to_string();
    assert_eq!(
        clash(&["stdio", "hvc=stdio"]),
        "--console: the serial port and hvc0 cannot both be on stdio"
    );
    assert_eq!(
        clash(&["file=x", "hvc=file=x"]),
        "--console: the serial port and hvc0 cannot both write to x"
    );
    for fine in [&["off", "hvc=off"][..], &["file=x", "hvc=file=y"], &["hvc=stdio"], &[]] {
        assert_eq!(consoles(fine).check(), Ok(()), "{fine:?}");
    }
}

#[test]
fn consoles_are_the_same_after_a_trip_through_a_file() {
    for given in [&[][..], &["off"], &["hvc=stdio"], &["hvc=file=x", "stdio"]] {
        let text = serde_json::to_string(&consoles(given)).unwrap();
        assert_eq!(serde_json::from_str::<Consoles>(&text).unwrap(), consoles(given), "{text}");
    }
    assert!(serde_json::from_str::<Consoles>(r#"{"hvc0":"off"}"#).is_err());
}
