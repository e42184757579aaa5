use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::*;

/// Descriptors of this process that are sockets.
fn sockets() -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap().flatten();
    links.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.starts_with("socket:"))).count()
}

/// Lets this process have as many descriptors as it may.
fn allow_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

#[test]
fn connections_are_limited_and_one_that_ends_makes_room() {
    allow_descriptors();
    let mut bench = Bench::new();
    let open: Vec<_> = (0..u32::try_from(MAX_CONNECTIONS).unwrap())
        .map(|guest| bench.open(guest, guest % SERVED))
        .collect();
    let one_more = Ports { guest: 5000, host: 1, credit: (100, 0) };
    bench.send(one_more, OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RST);
    let mut client = bench.host.connect().unwrap();
    client.write_all(b"CONNECT 5\n").unwrap();
    bench.guest.pump();
    assert!(is_ended(&client));
    // Each of them works.
    for (ports, server) in &open {
        bench.send(*ports, OP_RW, &ports.guest.to_le_bytes());
        assert_eq!(read_some(server), ports.guest.to_le_bytes());
    }
    bench.shut_down(open[7].0, SHUTDOWN_BOTH);
    assert_eq!(bench.only().op(), OP_RST);
    bench.send(one_more, OP_REQUEST, &[]);
    assert_eq!(bench.only().op(), OP_RESPONSE);
}

#[test]
fn all_connections_have_their_turn() {
    let mut bench = Bench::new();
    let mut open: Vec<_> = (0..100).map(|guest| bench.open(guest, 1)).collect();
    for (ports, server) in &mut open {
        // More than one turn gives to any of them.
        while server.write(&[u8::try_from(ports.guest).unwrap(); 4000]).is_ok() {}
    }
    bench.offer(256 - bench.places.len());
    let (mut seen, mut rounds) = (std::collections::HashSet::new(), 0);
    while seen.len() < 100 {
        for packet in bench.received() {
            seen.insert(packet.header.dst_port.get());
        }
        rounds += 1;
        assert!(rounds <= 100, "some starve");
        bench.offer(64);
    }
}

#[test]
fn a_few_hundred_silent_clients_make_room_for_one_that_speaks() {
    let mut bench = Bench::new();
    let silent: Vec<_> = (0..MAX_CLIENTS + 50)
        .map(|_| {
            let mut client = bench.host.connect().unwrap();
            client.write_all(b"CONN").unwrap();
            client
        })
        .collect();
    bench.guest.pump();
    assert_eq!(silent.iter().filter(|client| is_ended(client)).count(), 50);
    assert!(silent[..50].iter().all(is_ended), "the oldest have to go");
    let (ports, client) = bench.opened_by_host(5);
    bench.send(ports, OP_RW, b"hello");
    assert_eq!(read_some(&client), b"hello");
}

#[test]
fn thousands_of_connections_leave_no_socket() {
    let mut bench = Bench::new();
    let ends: [fn(&mut Bench, Ports, UnixStream); 4] = [
        |bench, ports, _| bench.send(ports, OP_RST, &[]),
        |bench, ports, _| bench.shut_down(ports, SHUTDOWN_BOTH),
        |bench, _, server| {
            drop(server);
            bench.guest.pump();
        },
        |bench, ports, server| {
            bench.shut_down(ports, SHUTDOWN_SEND);
            drop(server);
            bench.guest.pump();
        },
    ];
    let mut round = |count: u32| {
        for guest in 0..count {
            let (ports, server) =
                if guest % 3 == 0 { bench.opened_by_host(guest) } else { bench.open(guest, 1) };
            ends[usize::try_from(guest).unwrap() % 4](&mut bench, ports, server);
            bench.everything();
        }
        sockets()
    };
    let before = round(50);
    // Other tests of this process have sockets, too, and come and go.
    assert!(round(2000) < before + 1000);
}
