//! Sockets between programs of a Linux guest and of the host.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::{self, JoinHandle};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use testing::{Guest, TRANSPORTS, Vsock, fnv1a, kernel, patiently, pattern};

use crate::report::Report;
use crate::{MINIMAL, POWERED_OFF};

fn guest(sockets: &Vsock, script: &str) -> Guest {
    let script = format!("{script}\npoweroff -f");
    let guest = Guest::linux_with_programs(&kernel(MINIMAL), &["vsock"], &script);
    guest.append("quiet").vsock(3, sockets).stdin_pipe()
}

/// The first `len` bytes that the guest's program sends.
fn guest_pattern(len: u32) -> Vec<u8> {
    let byte = |i: u32| (i.wrapping_mul(31) + (i >> 8).wrapping_mul(7) + (i >> 16)) & 0xff;
    (0..len).map(|i| u8::try_from(byte(i)).unwrap()).collect()
}

/// Takes one connection: reads all, answers with the `answer` and closes.
fn answer(listener: UnixListener, answer: Vec<u8>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut got = Vec::new();
        stream.read_to_end(&mut got).unwrap();
        stream.write_all(&answer).unwrap();
        got
    })
}

/// Sends `data` and ends that half; what comes back until the other one ends.
fn exchange(mut stream: UnixStream, data: Vec<u8>) -> Vec<u8> {
    let mut writer = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        writer.write_all(&data).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    sender.join().unwrap();
    back
}

#[test]
fn guest_and_host_connect_to_each_other_on_either_transport() {
    patiently(|| {
        for transport in TRANSPORTS {
            let sockets = Vsock::new();
            let server = answer(sockets.listen(6000), pattern(200_000));
            let script = "
            vsock echo 5000 &
            vsock send 6000 300000
            vsock send 6666 1 | sed s/refused/nobody/
            read line";
            let mut guest = guest(&sockets, script).transport(transport).spawn();
            guest.wait_for("listening=5000").wait_for("nobody=");
            assert!(sockets.connect(5001).is_none(), "nobody listens there");
            let data = pattern(4 << 20);
            assert!(exchange(sockets.connect(5000).unwrap(), data.clone()) == data);
            assert_eq!(exchange(sockets.connect(5000).unwrap(), Vec::new()), [0_u8; 0]);
            guest.write("end\n");
            let outcome = guest.wait();
            outcome.expect(0, POWERED_OFF);
            let report = Report::of(&outcome);
            assert!(server.join().unwrap() == guest_pattern(300_000));
            assert_eq!(report.number("sent"), 300_000, "{outcome}");
            assert_eq!(report.number("received"), 200_000, "{outcome}");
            assert_eq!(report.number("hash"), u64::from(fnv1a(&pattern(200_000))), "{outcome}");
            assert_eq!(report.one("nobody"), "Connection reset by peer", "{outcome}");
            assert_eq!(fs::read_dir(sockets.folder()).unwrap().count(), 1, "the socket is gone");
        }
    });
}

/// Answers any number of connections with what they send.
fn echo(listener: UnixListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::Builder::new()
                .stack_size(64 << 10)
                .spawn(move || {
                    let mut bytes = [0; 64];
                    while let Ok(len @ 1..) = stream.read(&mut bytes) {
                        stream.write_all(&bytes[..len]).unwrap();
                    }
                })
                .unwrap();
        }
    });
}

/// Lets this process have as many descriptors as it may.
fn allow_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

/// How many descriptors a process has.
fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn a_thousand_connections_leave_nothing_behind() {
    patiently(|| {
        let sockets = Vsock::new();
        echo(sockets.listen(6001));
        let script = "
        vsock echo 5000 &
        read line
        vsock open 6001 1000
        vsock many 6001 100
        echo all=over
        read line";
        let mut guest = guest(&sockets, script).spawn();
        // Kiln itself has the usual limit, and has to see to that.
        allow_descriptors();
        guest.wait_for("listening=5000");
        let before = descriptors(guest.pid());
        guest.write("begin\n").wait_for("open=1000").wait_for("answered=1000");
        guest.wait_for("answered=100").wait_for("all=over");
        for number in 0..100_u32 {
            let back = exchange(sockets.connect(5000).unwrap(), number.to_le_bytes().into());
            assert_eq!(back, number.to_le_bytes());
        }
        // One more has gone through the device after all the others ended.
        assert!(sockets.connect(5001).is_none());
        assert_eq!(descriptors(guest.pid()), before);
        guest.write("end\n");
        guest.wait().expect(0, POWERED_OFF);
    });
}

#[test]
fn a_slow_reader_stalls_only_its_own_connection() {
    patiently(|| {
        let sockets = Vsock::new();
        let (slow, quick) = (sockets.listen(6001), answer(sockets.listen(6002), pattern(50_000)));
        let script = "
        vsock hold 5001 &
        vsock echo 5000 &
        vsock send 6001 3000000 | sed s/^/slow-/ &
        slow=$!
        read line
        vsock send 6002 400000
        read line
        wait $slow";
        let mut guest = guest(&sockets, script).spawn();
        // The host does not read from this one, and the guest not from that.
        let mut unread = slow.accept().unwrap().0;
        guest.wait_for("listening=").wait_for("listening=");
        let mut stuck = sockets.connect(5001).unwrap();
        stuck.set_nonblocking(true).unwrap();
        let error = loop {
            if let Err(error) = stuck.write(&[0; 65536]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        // The others go on, both ways.
        let data = pattern(300_000);
        assert!(exchange(sockets.connect(5000).unwrap(), data.clone()) == data);
        guest.write("quick\n").wait_for("hash=");
        assert!(quick.join().unwrap() == guest_pattern(400_000));
        let mut late = Vec::new();
        unread.read_to_end(&mut late).unwrap();
        assert!(late == guest_pattern(3_000_000));
        drop(unread);
        guest.write("end\n");
        let outcome = guest.wait();
        outcome.expect(0, POWERED_OFF);
        assert_eq!(Report::of(&outcome).number("slow-sent"), 3_000_000, "{outcome}");
    });
}
