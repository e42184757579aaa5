//! The guest's agent waits until it is told what to run: its other end need
//! not know that when the guest starts.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use boot::loader::loaded_size;
use cpio::NewcBuilder;
use cpio::newc::{ModeFileType, trailer};
use kiln::agent::guest::MODULES;
use kiln::agent::protocol::{
    self, CommandEnd, FROM_GUEST_MAX, Job, Opening, PORT, Stream, TO_GUEST_MAX, ToGuest, ToHost,
    VERSION,
};
use testing::{Guest, Vsock, busybox, kernel, kiln, patiently};

use crate::{MINIMAL, POWERED_OFF};

/// What Kiln makes for a command, with busybox: the command has no other files.
fn initramfs(path: &Path) {
    let mut archive = File::create(path).unwrap();
    let mut add = |name: &str, kind, mode, device: (u32, u32), contents: &[u8]| {
        let entry = NewcBuilder::new(name).mode(mode).set_mode_file_type(kind);
        let entry = entry.rdev_major(device.0).rdev_minor(device.1);
        let mut writer = entry.write(&mut archive, contents.len().try_into().unwrap());
        writer.write_all(contents).unwrap();
        writer.finish().unwrap();
    };
    for folder in ["dev", "bin", MODULES.trim_start_matches('/')] {
        add(folder, ModeFileType::Directory, 0o755, (0, 0), &[]);
    }
    add("dev/console", ModeFileType::Char, 0o600, (5, 1), &[]);
    add("dev/null", ModeFileType::Char, 0o600, (1, 3), &[]);
    let program = File::open(kiln()).unwrap();
    let mut init = Vec::new();
    (&program).take(loaded_size(&program).unwrap()).read_to_end(&mut init).unwrap();
    add("init", ModeFileType::Regular, 0o755, (0, 0), &init);
    add("bin/sh", ModeFileType::Regular, 0o755, (0, 0), &std::fs::read(busybox()).unwrap());
    trailer(&mut archive).unwrap();
}

fn job(script: &str) -> Job {
    Job {
        argv: ["sh", "-c", script].map(Into::into).to_vec(),
        env: vec![("PATH".into(), "/bin".into())],
        cwd: "/".into(),
        uid: 0,
        gid: 0,
        groups: Vec::new(),
        hostname: "late".into(),
        root: None,
        mounts: Vec::new(),
        tty: None,
        joined: false,
    }
}

fn accept(listener: &UnixListener, expected: &Opening) -> UnixStream {
    let connection = listener.accept().unwrap().0;
    let opening = protocol::read(&connection, FROM_GUEST_MAX).unwrap();
    assert_eq!(opening.as_ref(), Some(expected));
    connection
}

#[test]
fn an_agent_waits_for_its_command_and_runs_it_when_told() {
    patiently(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("initramfs");
        initramfs(&path);
        let sockets = Vsock::new();
        let listener = sockets.listen(PORT);
        let guest = Guest::with_kernel(&kernel(MINIMAL)).initrd(&path).append("quiet");
        let running = guest.vsock(3, &sockets).spawn();
        let control = accept(&listener, &Opening::Control { version: VERSION });

        // Nobody tells it anything, and it neither says a word nor goes.
        control.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let silence = (&control).read(&mut [0]).unwrap_err();
        assert_eq!(silence.kind(), ErrorKind::WouldBlock);
        control.set_read_timeout(None).unwrap();

        let script = "echo \"$(hostname) for $(cat)\"; echo aside >&2; exit 7";
        let start = ToGuest::Start(Box::new(job(script)));
        protocol::write(&control, &start, TO_GUEST_MAX).unwrap();
        let [mut input, mut output, mut errors] = [Stream::Input, Stream::Output, Stream::Errors]
            .map(|stream| accept(&listener, &Opening::Stream(stream)));
        let next = || protocol::read::<ToHost>(&control, FROM_GUEST_MAX).unwrap();
        assert_eq!(next(), Some(ToHost::Started));
        input.write_all(b"work").unwrap();
        input.shutdown(Shutdown::Write).unwrap();
        let (mut out, mut aside) = (String::new(), String::new());
        output.read_to_string(&mut out).unwrap();
        errors.read_to_string(&mut aside).unwrap();
        assert_eq!((out.as_str(), aside.as_str()), ("late for work\n", "aside\n"));
        assert_eq!(next(), Some(ToHost::Ended(CommandEnd::Exited(7))));
        // Without anybody to tell it more, it ends.
        control.shutdown(Shutdown::Both).unwrap();
        running.wait().expect(0, POWERED_OFF);
    });
}
