use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use proptest::prelude::*;

use super::*;
use crate::virtio::testing::eventually;

// Other tests start processes, which have a copy of every socket until they
// run their programs: only then is closed what was closed here.

#[test]
fn a_greeting_names_a_port() {
    for (text, port, len) in [
        ("CONNECT 5\n", 5, 10),
        ("connect 0\nhello", 0, 10),
        ("  Connect\t 4294967294 \r\n\n", 4_294_967_294, 24),
        ("CONNECT 00000000000000000000052\n", 52, 32),
    ] {
        assert_eq!(Greeting::parse(text.as_bytes()), Greeting::Port { port, len }, "{text:?}");
    }
}

#[test]
fn what_is_no_greeting_is_wrong() {
    for text in [
        "\n",
        "CONNECT\n",
        "CONNECT \n",
        "CONNECT -1\n",
        "CONNECT +1\n",
        "CONNECT 4294967295\n",
        "CONNECT 99999999999999\n",
        "CONNECT 5 6\n",
        "CONNECT5\n",
        "LISTEN 5\n",
        "CONNECT 0x5\n",
        "CONNECT \u{661}\n",
        "CONNECT 000000000000000000000052\n",
        "GET / HTTP/1.1 and so on and on ",
    ] {
        assert_eq!(Greeting::parse(text.as_bytes()), Greeting::Wrong, "{text:?}");
    }
    assert_eq!(Greeting::parse(b"CONNECT \xff\n"), Greeting::Wrong);
}

proptest! {
    #[test]
    fn a_greeting_is_decided_by_its_first_line_alone(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        more in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let first = Greeting::parse(&bytes);
        let both = Greeting::parse(&[bytes, more].concat());
        prop_assert!(first == Greeting::Partial || first == both);
    }

    #[test]
    fn every_port_can_be_named(port in 0..u32::MAX) {
        let line = format!("CONNECT {port}\n");
        let expected = Greeting::Port { port, len: line.len() };
        prop_assert_eq!(Greeting::parse(line.as_bytes()), expected);
        for end in 0..line.len() {
            prop_assert_eq!(Greeting::parse(&line.as_bytes()[..end]), Greeting::Partial);
        }
    }
}

#[test]
fn only_the_greeting_is_taken_from_a_client() {
    let (client, mut peer) = UnixStream::pair().unwrap();
    for byte in b"CONNECT 77" {
        assert_eq!(read_greeting(&client).unwrap(), Greeting::Partial);
        peer.write_all(&[*byte]).unwrap();
    }
    peer.write_all(b"\nstream").unwrap();
    assert_eq!(read_greeting(&client).unwrap(), Greeting::Port { port: 77, len: 11 });
    drop(peer);
    let mut rest = String::new();
    (&client).read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "stream");
    assert_eq!(read_greeting(&client).unwrap_err().kind(), ErrorKind::UnexpectedEof);
}

/// Whether a client waits to be accepted.
fn is_readable(vsock: &UnixVsock) -> bool {
    let mut fds = [PollFd::new(vsock.poll_fd().unwrap(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
}

#[test]
fn clients_are_accepted_and_servers_connected_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.sock");
    let mut vsock = UnixVsock::bind(&path).unwrap();
    assert_eq!(vsock.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(!is_readable(&vsock));
    let mut client = UnixStream::connect(&path).unwrap();
    assert!(is_readable(&vsock));
    let stream = vsock.accept().unwrap();
    let mut byte = [0];
    assert_eq!((&stream).read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
    client.write_all(b"x").unwrap();
    assert_eq!((&stream).read(&mut byte).unwrap(), 1);

    assert_eq!(vsock.connect(80).unwrap_err().kind(), ErrorKind::NotFound);
    let server = UnixListener::bind(folder.path().join("vm.sock_80")).unwrap();
    let mut stream = vsock.connect(80).unwrap();
    assert_eq!(stream.read(&mut byte).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.write_all(b"y").unwrap();
    server.accept().unwrap().0.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"y");
    drop(server);
    let refused = eventually(|| vsock.connect(80).err());
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_server_that_does_not_accept_never_blocks_the_device() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.sock");
    let mut vsock = UnixVsock::bind(&path).unwrap();
    let server = UnixListener::bind(folder.path().join("vm.sock_1")).unwrap();
    nix::sys::socket::listen(&server, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
    let mut streams = Vec::new();
    let error = loop {
        match vsock.connect(1) {
            Ok(stream) => streams.push(stream),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert_eq!(streams.len(), 2);
}

#[test]
fn the_socket_goes_with_the_device_unless_it_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.sock");
    drop(UnixVsock::bind(&path).unwrap());
    assert!(!path.exists());
    let vsock = UnixVsock::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(vsock);
    assert!(path.exists());
    drop(other);
}

#[test]
fn a_socket_that_nobody_listens_at_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener leaves its socket behind");
    let mut vsock = eventually(|| match UnixVsock::bind(&path) {
        Err(VsockError::Busy { .. }) => None,
        result => Some(result.unwrap()),
    });
    let _client = UnixStream::connect(&path).unwrap();
    vsock.accept().unwrap();
}

#[test]
fn a_socket_in_use_is_left_alone_and_its_holder_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.sock");
    let mut first = UnixVsock::bind(&path).unwrap();
    let error = UnixVsock::bind(&path).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the socket {} is in use by process {}", path.display(), std::process::id())
    );
    // The look was a client that has gone again.
    let mut look = first.accept().unwrap();
    look.set_nonblocking(false).unwrap();
    assert_eq!(look.read(&mut [0]).unwrap(), 0);
    let _client = UnixStream::connect(&path).unwrap();
    first.accept().unwrap();
}

#[test]
fn what_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "precious").unwrap();
    let error = UnixVsock::bind(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("{} exists and is no socket", path.display()));
    // Not even through a link, which could point anywhere.
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(UnixVsock::bind(&link), Err(VsockError::NotSocket { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

#[test]
fn a_path_is_as_long_as_every_port_allows() {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let room = PATH_MAX - folder.path().as_os_str().len() - 1;
    let path = folder.path().join("x".repeat(room));
    let mut vsock = UnixVsock::bind(&path).unwrap();
    assert_eq!(vsock.connect(u32::MAX).unwrap_err().kind(), ErrorKind::NotFound);
    let error = UnixVsock::bind(&folder.path().join("x".repeat(room + 1))).unwrap_err();
    assert!(error.to_string().contains("too long for a socket: it may have 96 bytes"), "{error}");
}

#[test]
fn the_umask_decides_who_may_connect() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vm.sock");
    let _vsock = UnixVsock::bind(&path).unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    let other = folder.path().join("plain.sock");
    let _plain = UnixListener::bind(&other).unwrap();
    assert_eq!(mode, fs::metadata(&other).unwrap().permissions().mode());
}
