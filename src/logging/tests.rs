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
fn a_bug_is_told_without_debug_output() {
    assert_eq!(words("counter is one: Os { code: 2, kind: NotFound }"), "counter is one: Os");
    assert_eq!(words("left is right\n  left: 1"), "left is right");
    assert_eq!(words(""), "");
}
