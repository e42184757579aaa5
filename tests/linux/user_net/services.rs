//! What guests talk to, in a network namespace of the host's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;

use nix::sched::{CloneFlags, setns};

/// What `make` makes in that namespace; sockets stay there.
pub(super) fn within<T: Send>(namespace: &str, make: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            let file = File::open(format!("/run/netns/{namespace}")).unwrap();
            setns(file, CloneFlags::CLONE_NEWNET).unwrap();
            make()
        });
        inside.join().unwrap()
    })
}

/// A listener, and its port.
pub(super) fn listen(namespace: &str, address: &str) -> (TcpListener, u16) {
    let listener = within(namespace, || TcpListener::bind((address, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Sends back what comes on each connection; returns the port.
pub(super) fn echo(namespace: &str, address: &str) -> u16 {
    let (listener, port) = listen(namespace, address);
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut came = Vec::new();
            // One whose guest was killed in between is of no interest.
            let _ = read_line(&mut connection, &mut came);
            let _ = connection.write_all(&came);
        }
    });
    port
}

fn read_line(mut from: impl Read, line: &mut Vec<u8>) -> io::Result<()> {
    let mut byte = [0];
    while !line.ends_with(b"\n") {
        from.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(())
}

/// A name server that has this address for every name, and no others.
pub(super) fn answer_names(namespace: &str, address: &str, found: [u8; 4]) {
    let socket = within(namespace, || UdpSocket::bind((address, 53)).unwrap());
    thread::spawn(move || {
        let mut query = [0; 512];
        loop {
            let (len, from) = socket.recv_from(&mut query).unwrap();
            if let Some(answer) = answer(&query[..len], found) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// The answer to a query with one question (RFC 1035 §4).
fn answer(query: &[u8], found: [u8; 4]) -> Option<Vec<u8>> {
    const HEADER: usize = 12;
    const A: [u8; 2] = [0, 1];
    let name = query.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    let question = query.get(HEADER..HEADER + name + 5)?;
    let is_a = question[name + 1..name + 3] == A;
    let mut answer = query[..2].to_vec();
    // An answer that recurses; one question, and one record if it is for A.
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        // The question's name, class IN, a minute to live, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(found);
    }
    Some(answer)
}
