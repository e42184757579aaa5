use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::reason;
use crate::config::{BadValue, ConfigError, ShareConfig, ShareTag, VmConfig};

fn parse(text: &str) -> Result<ShareConfig, BadValue> {
    ShareConfig::parse(OsStr::new(text))
}

#[test]
fn a_share_is_a_tag_and_a_directory() {
    let share = |tag: &str, path: &str, read_only| {
        Ok(ShareConfig { tag: tag.parse().unwrap(), path: path.into(), read_only })
    };
    assert_eq!(parse("src=/a/b"), share("src", "/a/b", false));
    assert_eq!(parse("src=.,ro"), share("src", ".", true));
    assert_eq!(parse("a=b=c"), share("a", "b=c", false));
    assert_eq!(parse("a,,b=c,,d,ro"), share("a,b", "c,d", true));
    assert_eq!(parse("/dev/root=/"), share("/dev/root", "/", false));
    let odd = ShareConfig::parse(OsStr::from_bytes(b"t=\xff")).unwrap();
    assert_eq!(odd.path.as_os_str().as_bytes(), b"\xff");
}

#[test]
fn what_is_no_share_is_refused() {
    let tag = "a tag is 1 to 36 printable ASCII characters without '='";
    for (text, why) in [
        ("", "a share is TAG=DIR, and ,ro to only read"),
        ("dir", "a share is TAG=DIR, and ,ro to only read"),
        ("=dir", tag),
        ("a b=dir", tag),
        ("ü=dir", tag),
        ("0123456789012345678901234567890123456=dir", tag),
        ("tag=", "the path is empty"),
        ("tag=dir,ro,ro", "ro is given twice"),
    ] {
        assert_eq!(reason(parse(text)), why, "{text}");
    }
    for text in ["tag=dir,rw", "tag=dir,ro=on", "tag=dir,"] {
        assert!(reason(parse(text)).contains("is no option of a share"), "{text}");
    }
    assert!("012345678901234567890123456789012345".parse::<ShareTag>().is_ok());
}

#[test]
fn a_file_is_held_to_the_same_tags() {
    let read = |text: &str| serde_json::from_str::<ShareConfig>(text).map_err(|e| e.to_string());
    let share = read(r#"{"tag":"t","path":"p"}"#).unwrap();
    assert_eq!(Ok(share), parse("t=p"));
    assert!(read(r#"{"tag":"","path":"p"}"#).unwrap_err().contains("1 to 36"));
    assert!(read(r#"{"tag":"t","path":"p","ro":true}"#).unwrap_err().contains("unknown field"));
}

#[test]
fn two_shares_have_two_tags() {
    let mut config = serde_json::from_str::<VmConfig>(r#"{"kernel":"k","cmdline":""}"#).unwrap();
    config.shares = vec![parse("a=x").unwrap(), parse("b=x").unwrap()];
    assert_eq!(config.check(), Ok(()));
    config.shares.push(parse("a=y,ro").unwrap());
    let error = config.check().unwrap_err();
    assert_eq!(error, ConfigError::ShareTagTwice("a".parse().unwrap()));
    assert_eq!(error.to_string(), "--share: two shares have the tag a");
}

#[test]
fn with_a_command_a_tag_is_a_path_below_the_shares() {
    let text = r#"{"kernel":"k","cmdline":"","command":{"argv":["true"]}}"#;
    let mut config = serde_json::from_str::<VmConfig>(text).unwrap();
    config.console.stay_out_of_the_way(false);
    for (tag, fits) in
        [("a", true), ("a/b", true), ("..", false), ("a/../../b", false), ("/a", false)]
    {
        config.shares = vec![parse(&format!("{tag}=x")).unwrap()];
        let wrong = ConfigError::ShareTagPath(tag.parse().unwrap());
        let expected = if fits { Ok(()) } else { Err(wrong) };
        assert_eq!(config.check(), expected, "{tag}");
    }
    config.command = None;
    assert_eq!(config.check(), Ok(()), "a guest may mount it by any tag");
}
