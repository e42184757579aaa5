//! Ports of the host that lead to the guest.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use testing::patiently;

use super::services::within;
use super::{WORLD, guest, place};
use crate::POWERED_OFF;

/// What a connection from `namespace` to that address is greeted with.
fn greeting(namespace: &str, address: &str) -> String {
    let mut connection = within(namespace, || TcpStream::connect(address).unwrap());
    connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut page = String::new();
    connection.read_to_string(&mut page).unwrap();
    page.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn forwarded_ports_carry_connections_and_datagrams_to_the_guest() {
    patiently(|| {
        let Some(place) = place() else { return };
        let script = "
        mkdir /www; echo this is the guest >/www/index.html
        httpd -p 80 -h /www; httpd -p 81 -h /www
        mkfifo /back; nc.openbsd -u -l 53 </back | cat >/back &
        until grep -q ':0035 ' /proc/net/udp; do sleep 0.1; done
        echo up
        read line";
        let forwards = ",forward=8080:80,forward=127.0.0.1/8081-8082:80-81,forward=5353:53/udp";
        let guest = guest(&place, forwards, &["nc.openbsd"], script);
        let mut guest = guest.stdin_pipe().spawn();
        guest.wait_for("up\r\n");
        let page = "this is the guest";
        assert_eq!(greeting(&place.router, "192.0.2.10:8080"), page);
        for address in ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:8082"] {
            assert_eq!(greeting(&place.host, address), page);
        }
        // That one is the host's alone.
        let refused = within(&place.router, || TcpStream::connect("192.0.2.10:8081"));
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);

        let socket = within(&place.router, || UdpSocket::bind((WORLD, 0)).unwrap());
        socket.connect("192.0.2.10:5353").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        for word in ["there\n", "and back again\n"] {
            socket.send(word.as_bytes()).unwrap();
            let mut answer = [0; 64];
            let len = socket.recv(&mut answer).unwrap();
            assert_eq!(&answer[..len], word.as_bytes());
        }
        guest.write("go on\n");
        guest.wait().expect(0, POWERED_OFF);
    });
}

#[test]
fn a_port_that_is_taken_is_told_before_the_guest_starts() {
    let Some(place) = place() else { return };
    let taken = within(&place.host, || std::net::TcpListener::bind("0.0.0.0:8080").unwrap());
    let _v6 = within(&place.host, || std::net::TcpListener::bind("[::]:8080"));
    let outcome = guest(&place, ",forward=8080:80", &[], "").run();
    let line =
        "kiln: --net: passt ended at once: Failed to bind any port for '-t 8080:80', exiting";
    outcome.expect(125, line);
    drop(taken);
}
