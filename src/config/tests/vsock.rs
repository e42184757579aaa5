use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::reason;
use crate::config::{GuestCid, VsockConfig};

fn parse(text: &str) -> Result<VsockConfig, crate::config::BadValue> {
    VsockConfig::parse(OsStr::new(text))
}

#[test]
fn a_socket_device_has_an_address_and_a_path() {
    for text in ["cid=3,socket=a/b.sock", "socket=a/b.sock,cid=3"] {
        let vsock = parse(text).unwrap();
        assert_eq!((vsock.cid.get(), &*vsock.socket), (3, Path::new("a/b.sock")));
    }
    let vsock = parse("cid=4294967294,socket=a,,b=c").unwrap();
    assert_eq!((vsock.cid.get(), &*vsock.socket), (4_294_967_294, Path::new("a,b=c")));
    let odd = OsStr::from_bytes(b"cid=5,socket=\xff");
    let vsock = VsockConfig::parse(odd).unwrap();
    assert_eq!(vsock.socket.as_os_str().as_bytes(), b"\xff");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    for (text, why) in [
        (
            "",
            "'' is no option of a socket device (cid=N and socket=PATH are; a comma in the path is written twice)",
        ),
        ("cid=3", "socket=PATH is missing"),
        ("socket=x", "cid=N is missing"),
        ("cid=3,socket=", "the path is empty"),
        ("cid=3,socket=x,cid=4", "cid is given twice"),
        ("socket=y,cid=3,socket=x", "socket is given twice"),
        (
            "cid,socket=x",
            "'cid' is no option of a socket device (cid=N and socket=PATH are; a comma in the path is written twice)",
        ),
    ] {
        assert_eq!(reason(parse(text)), why, "{text}");
    }
    for cid in ["", "0", "1", "2", "4294967295", "99999999999", "-3", "+3", "0x3", "3 "] {
        assert_eq!(
            reason(parse(&format!("cid={cid},socket=x"))),
            format!(
                "cid={cid}: a guest's address is a number from 3 to 4294967294; 2 is the host's"
            )
        );
    }
}

#[test]
fn a_file_is_held_to_the_same_addresses() {
    let read = |text: &str| serde_json::from_str::<GuestCid>(text).map(GuestCid::get);
    assert_eq!(read("3").unwrap(), 3);
    for text in ["2", "4294967295", "-1", "\"3\""] {
        assert!(read(text).is_err(), "{text}");
    }
}
