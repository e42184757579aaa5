use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use vmm_core::bus::BusDevice;
use vmm_core::event::RequestSender;

use super::super::Serial;
use super::uart::Wire;
use crate::backend::console::{Sink, Writer};
use crate::virtio::testing::PATIENCE;

fn far() -> Instant {
    Instant::now() + PATIENCE
}

fn read(serial: &mut Serial, register: u64) -> u8 {
    let mut data = [0];
    serial.read(register, &mut data);
    data[0]
}

/// A port whose output goes into a pipe, and the pipe's other end.
fn piped() -> (Serial, Writer, std::io::PipeReader, Arc<Wire>) {
    let (reader, writer) = std::io::pipe().unwrap();
    let file = std::fs::File::from(std::os::fd::OwnedFd::from(writer));
    let sink = Sink::File { file, path: "pipe".into() };
    let writer = Writer::new(sink, RequestSender::new().unwrap()).unwrap();
    let wire = Arc::new(Wire::default());
    let serial = Serial::new(wire.clone(), writer.output().clone()).unwrap();
    (serial, writer, reader, wire)
}

#[test]
fn what_the_guest_sends_is_written_in_order() {
    let (mut serial, writer, mut reader, _) = piped();
    writer.start();
    for byte in 0..=255 {
        serial.write(0, &[byte]);
    }
    assert_eq!(writer.finish(far()).unwrap(), 0);
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert_eq!(got, (0..=255).collect::<Vec<u8>>());
}

#[test]
fn an_interrupt_driven_guest_waits_while_nobody_reads_and_then_goes_on() {
    let (mut serial, writer, mut reader, wire) = piped();
    writer.start();
    serial.write(1, &[2]);
    let mut sent = 0;
    // 64 KiB fit in the pipe, 1 MiB may wait.
    while !writer.output().is_busy() {
        assert_eq!(read(&mut serial, 5) & 0x60, 0x60);
        serial.write(0, b"x");
        sent += 1;
    }
    assert!(!wire.is_high(), "at once, not at the next access");
    assert!((1 << 20..2 << 20).contains(&sent), "{sent}");
    assert_eq!(read(&mut serial, 5) & 0x60, 0);
    assert_eq!(read(&mut serial, 2), 0xc1, "no interrupt while busy");
    let mut got = vec![0; sent];
    reader.read_exact(&mut got).unwrap();
    // The writer signals after it has written enough: before it ends.
    assert_eq!(writer.finish(far()).unwrap(), 0);
    assert!(wire.is_high());
    assert_eq!(read(&mut serial, 2), 0xc2);
    assert_eq!(read(&mut serial, 5) & 0x60, 0x60);
}

#[test]
fn wide_accesses_use_the_first_register_and_never_panic() {
    let (mut serial, _writer, _reader, _) = piped();
    for offset in 0..Serial::WINDOW {
        for width in 1..=8 {
            let mut data = vec![0xff; width];
            serial.read(offset, &mut data);
            assert!(data[1..].iter().all(|b| *b == 0));
            serial.write(offset, &data);
        }
    }
}

/// A port whose output is only watched.
fn unwritten() -> Serial {
    let writer = Writer::new(Sink::Off, RequestSender::new().unwrap()).unwrap();
    Serial::new(Arc::new(Wire::default()), writer.output().clone()).unwrap()
}

#[test]
fn input_is_called_for_once_when_the_guest_opens_the_port() {
    let mut serial = unwritten();
    let input = serial.input();
    assert_eq!((input.room(), input.receive(b"early")), (0, 0));
    assert!(input.ready().read().is_err());
    serial.write(1, &[1]);
    assert!(input.ready().read().is_err(), "trying out the enable bits");
    read(&mut serial, 5);
    assert_eq!(input.ready().read().unwrap(), 1);
    read(&mut serial, 5);
    assert!(input.ready().read().is_err(), "nobody has asked again");
    assert_eq!(input.room(), 64);
}

#[test]
fn input_is_called_for_when_the_guest_has_read_all() {
    let mut serial = unwritten();
    let input = serial.input();
    serial.write(1, &[1]);
    read(&mut serial, 5);
    assert_eq!(input.receive(&[b'x'; 70]), 64);
    for _ in 0..63 {
        read(&mut serial, 0);
        assert!(input.ready().read().is_err());
    }
    read(&mut serial, 0);
    assert_eq!(input.ready().read().unwrap(), 1);
    assert_eq!(input.receive(&[b'x'; 6]), 6);
    assert!((0..6).all(|_| read(&mut serial, 0) == b'x'));
    assert!(input.ready().read().is_err(), "all was taken");
}

#[test]
fn input_is_called_for_when_the_kernel_has_done_printing() {
    let mut serial = unwritten();
    let input = serial.input();
    serial.write(1, &[1]);
    read(&mut serial, 5);
    serial.write(1, &[0]);
    assert_eq!(input.room(), 0);
    serial.write(0, b"p");
    assert!(input.ready().read().is_err());
    serial.write(1, &[1]);
    assert_eq!(input.ready().read().unwrap(), 1, "no other access may follow");
}
