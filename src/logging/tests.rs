use super::*;

#[test]
fn lines_name_the_machine_and_the_level() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let file = Mutex::new(append_to(&path).unwrap());
    let name = "web".parse().unwrap();
    let logger = Logger { prefix: Prefix::new(Some(name)), target: Target::File(file) };
    log::set_max_level(LevelFilter::Warn);
    for level in [Level::Warn, Level::Info] {
        logger.log(&Record::builder().level(level).args(format_args!("hello {level}")).build());
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), "kiln[web]: warn: hello WARN\n");
}

#[test]
fn what_a_guest_makes_a_library_say_is_a_detail() {
    let line = |target| Metadata::builder().level(Level::Error).target(target).build();
    assert!(is_of_guests(&line("fuse_backend_rs::passthrough")));
    assert!(!is_of_guests(&line("devices::virtio::fs")));
}

#[test]
fn a_log_file_is_added_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for _ in 0..2 {
        append_to(&path).unwrap().write_all(b"x").unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), "xx");
}

#[test]
fn a_log_file_that_cannot_be_made_is_named() {
    let error = append_to(Path::new("/nowhere/log")).unwrap_err();
    assert_eq!(error.to_string(), "--log-file /nowhere/log cannot be written");
}

#[test]
fn nothing_in_a_message_steers_the_terminal() {
    assert_eq!(harmless("a\u{1b}[2Jb\r\u{9b}c\tü\nd"), "a\\u{1b}[2Jb\\r\\u{9b}c\\tü\nd");
}

#[test]
fn errors_of_the_host_are_told_in_words() {
    let gone = std::io::Error::from_raw_os_error(5);
    let line = format!("disk a: {gone} (2 more), {gone}");
    assert_eq!(
        without_error_numbers(&line),
        "disk a: Input/output error (2 more), Input/output error"
    );
    for untouched in ["plain", "a (os error x) b", "a (os error 5"] {
        assert_eq!(without_error_numbers(untouched), untouched);
    }
}

#[test]
fn a_bug_is_told_without_debug_output() {
    assert_eq!(words("counter is one: Os { code: 2, kind: NotFound }"), "counter is one");
    assert_eq!(words("left is right\n  left: 1"), "left is right");
    assert_eq!(words(""), "");
}

#[test]
fn a_bug_names_its_thread_and_place() {
    static SAID: Mutex<String> = Mutex::new(String::new());
    let before = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        // Other tests may fail meanwhile.
        if thread::current().name() == Some("vcpu0") {
            *SAID.lock().unwrap() = bug_report(info);
        }
    }));
    let bug = || {
        let missing = File::open("/nowhere");
        missing.expect("the file was there before");
    };
    let ended = thread::Builder::new().name("vcpu0".into()).spawn(bug).unwrap().join();
    panic::set_hook(before);
    assert!(ended.is_err());
    let said = SAID.lock().unwrap();
    assert!(said.starts_with("internal error in thread vcpu0 at src/logging/tests.rs:"), "{said}");
    assert!(said.ends_with(": the file was there before; please report it"), "{said}");
}
