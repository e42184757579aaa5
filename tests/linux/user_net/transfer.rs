//! Much data, and none of it changed.

use std::io::{BufReader, Read, Write};
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use testing::{patiently, pattern};

use super::services::listen;
use super::{WORLD, guest, place};
use crate::POWERED_OFF;
use crate::report::Report;

/// Sends that much of the pattern to the first who connects.
fn serve(listener: TcpListener, mib: usize) {
    thread::spawn(move || {
        let block = block();
        let (mut connection, _) = listener.accept().unwrap();
        for chunk in 0..mib {
            // If the guest is gone, the other half of the test says so.
            if connection.write_all(&turned(&block, chunk)).is_err() {
                return;
            }
        }
    });
}

/// How many bytes of the pattern come from the first who connects: so many
/// MiB, unless the connection ends or something else comes before.
fn take(listener: TcpListener, mib: usize) -> JoinHandle<usize> {
    thread::spawn(move || {
        let block = block();
        let mut connection = listener.accept().unwrap().0;
        // passt of 2023 resets connections after 24 s whose server says nothing.
        connection.write_all(b"go on").unwrap();
        let mut from = BufReader::new(connection);
        let (mut total, mut came) = (0, vec![0; block.len()]);
        while total < mib << 20 {
            let mut len = 0;
            while len < came.len() {
                match from.read(&mut came[len..]) {
                    Ok(0) | Err(_) => break,
                    Ok(more) => len += more,
                }
            }
            let expected = turned(&block, total / block.len());
            if len == 0 || came[..len] != expected[..len] {
                break;
            }
            total += len;
        }
        total
    })
}

/// A MiB of which no two parts are alike.
fn block() -> Vec<u8> {
    pattern(1 << 20)
}

/// Block `number` of the stream: none is like the one before.
fn turned(block: &[u8], number: usize) -> Vec<u8> {
    let mut turned = block.to_vec();
    turned.rotate_left(number % 1021);
    turned[..8].copy_from_slice(&u64::try_from(number).unwrap().to_le_bytes());
    turned
}

/// Data goes from the world to the guest, and then back.
fn both_ways(mtu: u16) {
    let Some(place) = place() else { return };
    let mib = std::env::var("KILN_TRANSFER_MIB").map_or(16, |mib| mib.parse().unwrap());
    let (source, from) = listen(&place.router, WORLD);
    let (sink, to) = listen(&place.router, WORLD);
    serve(source, mib);
    let total = take(sink, mib);
    let script = format!(
        "echo mtu=$(cat /sys/class/net/eth0/mtu)
        read start rest </proc/uptime
        mkdir /data; mount -t tmpfs -o size=90% tmpfs /data
        nc {WORLD} {from} <&3 >/data/came
        read middle rest </proc/uptime
        mkfifo /up; exec 4<>/up; cat /data/came >&4 &
        nc {WORLD} {to} <&4 >/dev/null
        read end rest </proc/uptime
        echo took=$start-$middle-$end"
    );
    // What came lies in memory until it goes back.
    let memory = format!("{}M", 256 + mib + mib / 4);
    let guest = guest(&place, &format!(",mtu={mtu}"), &[], &script).cpus(2).memory(&memory);
    let outcome = guest.patience(Duration::from_secs(1500)).run();
    outcome.expect(0, POWERED_OFF);
    let report = Report::of(&outcome);
    assert_eq!(report.one("mtu"), mtu.to_string());
    assert_eq!(total.join().unwrap(), mib << 20, "{outcome}");
    println!(
        "{mib} MiB with MTU {mtu}, there and back, in seconds since boot: {}",
        report.one("took")
    );
}

#[test]
fn data_goes_through_unchanged_with_ordinary_packets() {
    patiently(|| both_ways(1500));
}

#[test]
fn data_goes_through_unchanged_with_the_largest_packets() {
    patiently(|| both_ways(65520));
}
