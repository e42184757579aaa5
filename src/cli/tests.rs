mod docs;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::*;
use crate::config::{BalloonConfig, Console, EnvChange, Rng, Transport, VmConfig};
use crate::exit::{Chain, ExitStatus};

fn parsed(words: &[&str]) -> Result<Args, Usage> {
    parse(["kiln"].iter().chain(words).map(OsString::from))
}

fn config(words: &[&str]) -> VmConfig {
    let words: Vec<_> = ["run", "-k", "vmlinux"].iter().chain(words).copied().collect();
    match parsed(&words).unwrap().command {
        Command::Run(args) => args.resolve(Path::new("nowhere")).unwrap(),
        Command::Check(_) | Command::Test(_) => unreachable!("`run` was parsed"),
    }
}

fn wrong(words: &[&str]) -> String {
    match parsed(words) {
        Err(Usage::Wrong(text)) => text,
        other => panic!("{words:?} gave {other:?}"),
    }
}

#[test]
fn the_command_line_definition_is_consistent() {
    use clap::CommandFactory;
    Args::command().debug_assert();
}

#[test]
fn a_kernel_is_enough() {
    let config = config(&[]);
    assert_eq!(config.cmdline, "console=ttyS0 reboot=k panic=-1");
    assert_eq!((config.cpus.get(), config.memory.bytes()), (1, 512 << 20));
    assert!(config.disks.is_empty() && config.nets.is_empty() && config.timeout.is_none());
}

#[test]
fn the_first_disk_is_root_unless_there_is_an_initrd() {
    let line = |words: &[&str]| config(words).cmdline;
    assert!(line(&["-d", "a.img"]).ends_with(" root=/dev/vda rw"));
    assert!(line(&["-d", "a.img,readonly", "-d", "b.img"]).ends_with(" root=/dev/vda ro"));
    assert!(!line(&["-d", "a.img", "-i", "initrd"]).contains("root="));
}

#[test]
fn cmdline_replaces_and_append_adds_before_the_init_part() {
    assert_eq!(config(&["--cmdline", ""]).cmdline, "");
    assert_eq!(config(&["--cmdline", "a  b "]).cmdline, "a  b ");
    assert_eq!(
        config(&["--cmdline", "a -- -x", "--append", "b", "--append", "-c"]).cmdline,
        "a b -c -- -x"
    );
}

#[test]
fn initrds_and_disks_keep_their_order() {
    let config = config(&["-i", "1", "--initrd", "2", "-d", "x,id=one", "--disk=y,,z,readonly"]);
    assert_eq!(config.initrds, [Path::new("1"), Path::new("2")]);
    assert_eq!(config.disks[0].id.as_ref().unwrap().as_str(), "one");
    assert_eq!(config.disks[1].path, Path::new("y,z"));
    assert!(config.disks[1].readonly);
}

#[test]
fn parts_that_clash_are_a_usage_error() {
    let args = match parsed(&["run", "-k", "x", "-n", "tap=t0", "-n", "tap=t0"]).unwrap().command {
        Command::Run(args) => args,
        Command::Check(_) | Command::Test(_) => unreachable!("`run` was parsed"),
    };
    let error = args.resolve(Path::new("nowhere")).unwrap_err();
    assert_eq!(error.status(), ExitStatus::Usage);
    assert_eq!(error.to_string(), "--net: two interfaces use the tap t0");
}

#[test]
fn devices_are_reached_by_the_transport_that_is_named() {
    assert_eq!(config(&["--transport", "pci"]).transport, Transport::Pci);
    assert_eq!(config(&["--transport", "mmio"]).transport, Transport::Mmio);
    assert_eq!(
        wrong(&["run", "--transport", "usb"]),
        "--transport usb: a transport is pci or mmio"
    );
}

#[test]
fn what_follows_two_dashes_is_the_command() {
    let machine = config(&["--rw", "/a", "--env", "X=1", "--env", "Y", "--", "make", "-k", "--rw"]);
    let command = machine.command.as_ref().unwrap();
    assert_eq!(command.argv, ["make", "-k", "--rw"]);
    assert_eq!((command.root.as_path(), command.writable.len()), (Path::new("/"), 1));
    assert_eq!(command.env, [EnvChange::Set("X".into(), "1".into()), EnvChange::Unset("Y".into())]);
    let tags: Vec<_> = machine.all_shares().iter().map(|share| share.tag.to_string()).collect();
    assert_eq!(tags, ["kiln-root", "kiln-rw0"]);
    assert_eq!(machine.cmdline, "console=ttyS0 reboot=k panic=-1 quiet");
    assert_eq!(machine.console.serial(), &Console::Off);
}

#[test]
fn a_kernel_says_as_much_as_is_looked_at() {
    let words = |options: &[&str]| {
        let line = config(&[options, &["--", "true"]].concat()).cmdline;
        line.strip_prefix("console=ttyS0 reboot=k panic=-1").unwrap().to_owned()
    };
    assert_eq!(words(&[]), " quiet");
    assert_eq!(words(&["--fail-on-warning"]), " loglevel=5");
    assert_eq!(words(&["--report", "r"]), " loglevel=5");
    assert_eq!(words(&["--junit", "r"]), " loglevel=5");
    assert_eq!(words(&["--fail-on", "x", "--fail-on-warning"]), "");
    assert_eq!(words(&["--succeed-on", "x"]), "");
}

#[test]
fn the_console_keeps_off_a_commands_output() {
    let verbose = config(&["-v", "--", "true"]);
    assert_eq!(verbose.console.serial(), &Console::Stderr);
    assert_eq!(verbose.cmdline, "console=ttyS0 reboot=k panic=-1");
    let file = config(&["--console", "file=log", "--", "true"]);
    assert_eq!(file.console.serial(), &Console::File("log".into()));
    assert!(!file.cmdline.contains("quiet"));
    for console in ["stdio", "hvc=stdio"] {
        let words = ["run", "-k", "x", "--console", console, "--", "true"];
        let args = match parsed(&words).unwrap().command {
            Command::Run(args) => args,
            Command::Check(_) | Command::Test(_) => unreachable!("`run` was parsed"),
        };
        let error = args.resolve(Path::new("nowhere")).unwrap_err();
        assert_eq!(error.status(), ExitStatus::Usage);
        assert!(error.to_string().contains("standard output is the command's"), "{error}");
    }
}

#[test]
fn options_of_a_command_need_one() {
    for option in ["--root", "--rw", "--env", "--modules"] {
        assert!(wrong(&["run", option, "x"]).contains("required"), "{option}");
    }
    assert!(wrong(&["run", "--shell", "--", "true"]).contains("cannot be used with"));
    assert!(wrong(&["run", "-i", "initrd", "--", "true"]).contains("cannot be used with"));
    assert_eq!(wrong(&["run", "--env", "=x", "--", "true"]), "--env =x: the variable has no name");
}

#[test]
fn there_is_an_entropy_device_unless_it_is_off() {
    assert_eq!(config(&[]).rng, Rng::On);
    assert_eq!(config(&["--rng", "on"]).rng, Rng::On);
    assert_eq!(config(&["--rng", "off"]).rng, Rng::Off);
    assert_eq!(wrong(&["run", "--rng", "yes"]), "--rng yes: an entropy device is on or off");
}

#[test]
fn the_virtio_console_is_asked_for_and_named_to_the_kernel() {
    let config = config(&["--console", "hvc=stdio", "--console", "file=boot.log"]);
    assert_eq!(config.cmdline, "console=ttyS0 console=hvc0 reboot=k panic=-1");
    assert_eq!(config.console.hvc, Some(Console::Stdio));
    assert_eq!(*config.console.serial(), Console::File("boot.log".into()));
}

#[test]
fn a_balloon_needs_no_more_than_its_name() {
    assert_eq!(config(&[]).balloon, None);
    let default = BalloonConfig::default();
    assert!(default.free_page_reporting && !default.deflate_on_oom);
    assert_eq!(config(&["--balloon"]).balloon, Some(default.clone()));
    assert_eq!(config(&["--balloon", "--cpus", "2"]).balloon, Some(default));
    let balloon = config(&["--balloon", "size=1G,deflate-on-oom=on", "-m", "2G"]).balloon.unwrap();
    assert_eq!((balloon.size.bytes(), balloon.deflate_on_oom), (1 << 30, true));
}

#[test]
fn a_kernel_is_told_to_report_small_blocks_to_a_balloon() {
    let words = " page_reporting.page_reporting_order=4";
    assert!(config(&["--balloon"]).cmdline.ends_with(words));
    for without in [&[][..], &["--balloon", "free-page-reporting=off"]] {
        assert!(!config(without).cmdline.contains("page_reporting"), "{without:?}");
    }
    assert_eq!(config(&["--balloon", "--cmdline", "mine"]).cmdline, "mine");
}

#[test]
fn a_command_line_is_one_line() {
    for option in ["--cmdline", "--append"] {
        let error = match parsed(&["run", "-k", "x", option, "a\nb"]).unwrap().command {
            Command::Run(args) => args.resolve(Path::new("nowhere")).unwrap_err(),
            Command::Check(_) | Command::Test(_) => unreachable!("`run` was parsed"),
        };
        assert_eq!(error.status(), ExitStatus::Usage);
        let text = Chain(&error).to_string();
        assert!(
            text.starts_with(&format!("{option}: the kernel command line has a newline")),
            "{text}"
        );
    }
}

#[test]
fn without_a_kernel_the_host_must_have_one() {
    let args = match parsed(&["run"]).unwrap().command {
        Command::Run(args) => args,
        Command::Check(_) | Command::Test(_) => unreachable!("`run` was parsed"),
    };
    let error = args.resolve(Path::new("nowhere")).unwrap_err();
    assert_eq!(error.status(), ExitStatus::Failed);
}

#[test]
fn what_is_wrong_is_one_sentence() {
    assert_eq!(
        wrong(&["run", "--memroy", "1G"]),
        "unexpected argument '--memroy' found; a similar argument exists: '--memory' (see --help)"
    );
    assert_eq!(wrong(&["run", "--cpus", "-1"]), "--cpus -1: a guest has 1 to 254 processors");
    assert!(wrong(&["boot"]).starts_with("unrecognized subcommand 'boot'"));
    assert!(wrong(&["run", "-k"]).contains("'--kernel <PATH>'"));
    assert!(wrong(&[]).starts_with("a command is missing"));
}

#[test]
fn paths_may_hold_any_bytes_and_text_may_not() {
    let odd = OsString::from_vec(b"\xff,".to_vec());
    let parse = |option: &str| {
        let words = ["kiln", "run", option].map(OsString::from);
        parse(words.into_iter().chain([odd.clone()]))
    };
    for option in ["--kernel", "--initrd", "--log-file"] {
        assert!(parse(option).is_ok(), "{option}");
    }
    for option in ["--append", "--name", "--memory"] {
        assert_eq!(parse(option).unwrap_err().status(), ExitStatus::Usage, "{option}");
    }
}

#[test]
fn a_command_line_that_is_to_run_a_machine_shows_early() {
    let is_to_run = |words: &[&str]| is_to_run(["kiln"].iter().chain(words).map(OsString::from));
    assert!(is_to_run(&["run", "-k", "x"]) && is_to_run(&["run", "--nonsense"]));
    assert!(!is_to_run(&[]) && !is_to_run(&["test", "run"]) && !is_to_run(&["check"]));
}

#[test]
fn help_is_an_answer() {
    for words in [&["--help"][..], &["run", "--help"], &["--version"]] {
        assert!(matches!(parsed(words), Err(Usage::Answer(_))), "{words:?}");
    }
}
