use std::io::Cursor;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn job() -> Job {
    Job {
        argv: vec!["cat".into(), "".into(), "-n".into()],
        env: vec![("PATH".into(), "/bin".into())],
        cwd: "/tmp".into(),
        uid: 1000,
        gid: 100,
        groups: vec![4, 27],
        hostname: "kiln".into(),
        root: Some("kiln-root".into()),
        mounts: vec![Mount {
            tag: "kiln-rw0".into(),
            path: "/home".into(),
            kind: MountKind::Writable,
        }],
        tty: None,
        joined: false,
    }
}

fn terminal(output: bool, errors: bool) -> Job {
    let size = TerminalSize { columns: 80, rows: 24 };
    Job { tty: Some(Tty { size, output, errors }), ..job() }
}

#[test]
fn messages_arrive_as_they_were_sent_one_after_the_other() {
    let sent = [
        ToGuest::Start(Box::new(job())),
        ToGuest::Signal(15),
        ToGuest::Resize(TerminalSize { columns: 132, rows: 50 }),
        ToGuest::Start(Box::new(terminal(true, false))),
    ];
    let mut bytes = Vec::new();
    for message in &sent {
        write(&mut bytes, message, TO_GUEST_MAX).unwrap();
    }
    let mut connection = Cursor::new(bytes);
    for message in sent {
        assert_eq!(read(&mut connection, TO_GUEST_MAX).unwrap(), Some(message));
    }
    assert!(read::<ToGuest>(&mut connection, TO_GUEST_MAX).unwrap().is_none());
}

#[test]
fn a_command_on_a_terminal_needs_connections_for_what_is_not_on_it() {
    use Stream::{Errors, Input, Output, Terminal};
    assert_eq!(job().streams(), [Input, Output, Errors]);
    assert_eq!(terminal(true, true).streams(), [Input, Terminal]);
    assert_eq!(terminal(false, true).streams(), [Input, Terminal, Output]);
    assert_eq!(terminal(false, false).streams(), [Input, Terminal, Output, Errors]);
    assert_eq!(Job { joined: true, ..job() }.streams(), [Input, Output]);
    let joined = Job { joined: true, ..terminal(false, false) };
    assert_eq!(joined.streams(), [Input, Terminal, Output]);
}

#[test]
fn what_is_too_long_is_neither_sent_nor_read() {
    let long = ToHost::Failed("x".repeat(FROM_GUEST_MAX));
    assert!(matches!(encode(&long, FROM_GUEST_MAX), Err(FrameError::TooLong { .. })));
    let frame = encode(&long, TO_GUEST_MAX).unwrap();
    let read = read::<ToHost>(Cursor::new(frame), FROM_GUEST_MAX);
    assert!(matches!(read, Err(FrameError::TooLong { length }) if length > FROM_GUEST_MAX));
}

#[test]
fn a_connection_that_ends_within_a_frame_has_failed() {
    let frame = encode(&ToHost::Started, FROM_GUEST_MAX).unwrap();
    for end in 1..frame.len() {
        let cut = read::<ToHost>(Cursor::new(&frame[..end]), FROM_GUEST_MAX);
        assert!(matches!(cut, Err(FrameError::Connection(_))), "after {end} bytes");
    }
}

#[test]
fn a_message_that_goes_on_is_none() {
    let mut body = encode(&ToHost::Started, FROM_GUEST_MAX).unwrap().split_off(4);
    assert_eq!(decode::<ToHost>(&body).unwrap(), ToHost::Started);
    body.push(0);
    assert!(matches!(decode::<ToHost>(&body), Err(FrameError::Malformed)));
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        play(&bytes);
    }

    #[test]
    fn any_words_arrive(argv in vec(vec(any::<u8>(), 0..50), 0..10)) {
        use std::os::unix::ffi::OsStringExt;
        let argv: Vec<OsBytes> =
            argv.into_iter().map(|word| std::ffi::OsString::from_vec(word).into()).collect();
        let message = ToGuest::Start(Box::new(Job { argv, ..job() }));
        let frame = encode(&message, TO_GUEST_MAX).unwrap();
        prop_assert_eq!(read(Cursor::new(frame), TO_GUEST_MAX).unwrap(), Some(message));
    }
}

#[test]
fn the_corpus_of_the_fuzzer_is_survived() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/agent_protocol");
    let mut played = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        play(&std::fs::read(file.unwrap().path()).unwrap());
        played += 1;
    }
    assert!(played >= 4, "{played} files were played");
}
