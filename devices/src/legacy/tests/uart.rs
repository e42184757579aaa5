use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use vmm_core::irq::IrqLine;

use super::super::uart::*;

const FCR: u8 = 2;
const MCR: u8 = 4;
const MSR: u8 = 6;
const SCRATCH: u8 = 7;

const NONE: u8 = 0xc1;
const THR_EMPTY: u8 = 0xc2;
const RECEIVED: u8 = 0xc4;

/// Counts the changes of its level, which starts low.
#[derive(Default)]
pub(super) struct Wire(AtomicUsize);

impl Wire {
    pub(super) fn is_high(&self) -> bool {
        self.0.load(Ordering::SeqCst) % 2 == 1
    }
}

impl IrqLine for Wire {
    fn set_level(&self, high: bool) {
        if high != self.is_high() {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

struct Bench {
    uart: Uart,
    wire: Arc<Wire>,
}

impl Bench {
    fn new() -> Self {
        let wire = Arc::new(Wire::default());
        Self { uart: Uart::new(wire.clone()), wire }
    }

    /// A write as the port does it, with a transmitter that is never busy.
    fn write(&mut self, register: u8, value: u8) {
        if self.uart.write(register, value, false).is_some() {
            self.uart.transmitted();
        }
    }

    fn read(&mut self, register: u8) -> u8 {
        self.uart.read(register, false)
    }

    /// As a driver that has opened the port: receive interrupts on.
    fn open(&mut self) {
        self.write(IER, 1);
        self.read(LSR);
    }
}

#[test]
fn linux_finds_a_16550a() {
    let mut bench = Bench::new();
    for value in [0, 0x0f, 0] {
        bench.write(IER, value);
        assert_eq!(bench.read(IER), value);
    }
    // Loopback: RTS and OUT2 show as CTS and DCD.
    bench.write(MCR, 0x1a);
    assert_eq!(bench.read(MSR) & 0xf0, 0x90);
    bench.write(MCR, 0x08);
    bench.write(FCR, 0x01);
    assert_eq!(bench.read(IIR) >> 6, 3);
    bench.write(SCRATCH, 0x5a);
    assert_eq!(bench.read(SCRATCH), 0x5a);
    assert_eq!(bench.read(LSR), 0x60);
    assert!(!bench.wire.is_high());
}

#[test]
fn enabling_the_transmit_interrupt_signals_each_time() {
    let mut bench = Bench::new();
    // The test that Linux makes when it opens the port, for broken chips.
    for _ in 0..2 {
        bench.write(IER, 2);
        assert!(bench.wire.is_high());
        assert_eq!(bench.read(IIR), THR_EMPTY);
        assert!(!bench.wire.is_high(), "reading the cause acknowledges it");
        assert_eq!(bench.read(IIR), NONE);
        bench.write(IER, 0);
    }
}

#[test]
fn each_sent_byte_signals_an_empty_transmitter() {
    let mut bench = Bench::new();
    bench.write(IER, 2);
    bench.read(IIR);
    assert_eq!(bench.uart.write(DATA, b'x', false), Some(b'x'));
    assert!(!bench.wire.is_high(), "not yet taken");
    bench.uart.transmitted();
    assert!(bench.wire.is_high());
    assert_eq!(bench.read(IIR), THR_EMPTY);
}

#[test]
fn a_burst_of_sent_bytes_moves_the_line_once() {
    let mut bench = Bench::new();
    bench.write(IER, 2);
    bench.read(IIR);
    let before = bench.wire.0.load(Ordering::SeqCst);
    for _ in 0..16 {
        bench.write(DATA, b'x');
    }
    assert_eq!(bench.wire.0.load(Ordering::SeqCst), before + 1);
}

#[test]
fn a_busy_transmitter_shows_no_room_and_signals_nothing() {
    let mut bench = Bench::new();
    assert_eq!(bench.uart.read(LSR, true) & 0x60, 0);
    bench.uart.write(IER, 2, true);
    assert!(!bench.wire.is_high());
    bench.uart.transmitted();
    assert!(bench.wire.is_high());
    assert_eq!(bench.read(IIR), THR_EMPTY);
}

#[test]
fn received_data_holds_the_line_until_all_is_read() {
    let mut bench = Bench::new();
    bench.open();
    assert_eq!(bench.uart.receive(b"ab"), 2);
    for expected in [b'a', b'b'] {
        assert!(bench.wire.is_high());
        assert_eq!(bench.read(IIR), RECEIVED, "reading the cause is no acknowledgement");
        assert_eq!(bench.read(LSR) & 1, 1);
        assert_eq!(bench.read(DATA), expected);
    }
    assert!(!bench.wire.is_high());
    assert_eq!(bench.read(IIR), NONE);
}

#[test]
fn received_data_comes_before_an_empty_transmitter() {
    let mut bench = Bench::new();
    bench.open();
    bench.uart.receive(b"a");
    bench.write(IER, 3);
    assert_eq!(bench.read(IIR), RECEIVED);
    bench.read(DATA);
    assert_eq!(bench.read(IIR), THR_EMPTY);
    assert_eq!(bench.read(IIR), NONE);
}

#[test]
fn nothing_is_received_before_the_driver_has_opened_the_port() {
    let mut bench = Bench::new();
    assert_eq!(bench.uart.receive(b"a"), 0);
    // Trying out the enable bits is not opening.
    bench.write(IER, 0x0f);
    bench.read(IER);
    assert_eq!(bench.uart.room(), 0);
    bench.write(IER, 0);
    bench.read(LSR);
    assert_eq!(bench.uart.room(), 0);
    bench.open();
    assert_eq!(bench.uart.room(), 64);
    // While the kernel prints, it masks the interrupt.
    bench.write(IER, 0);
    assert_eq!(bench.uart.room(), 0);
    bench.write(IER, 1);
    assert_eq!(bench.uart.room(), 64);
}

#[test]
fn a_guest_that_polls_the_line_status_receives_without_interrupts() {
    let mut bench = Bench::new();
    for _ in 0..15 {
        assert_eq!(bench.read(LSR) & 1, 0);
        assert_eq!(bench.uart.room(), 0);
    }
    bench.read(LSR);
    assert_eq!(bench.uart.receive(b"a"), 1);
    assert_eq!(bench.read(LSR) & 1, 1);
    assert_eq!(bench.read(DATA), b'a');
    assert!(!bench.wire.is_high());
}

#[test]
fn looking_at_the_line_status_before_each_byte_is_not_polling_for_input() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        bench.read(LSR);
        bench.write(DATA, b'x');
    }
    assert_eq!(bench.uart.room(), 0);
}

#[test]
fn waiting_for_a_busy_transmitter_is_not_polling_for_input() {
    let mut bench = Bench::new();
    for _ in 0..100 {
        bench.uart.read(LSR, true);
    }
    assert_eq!(bench.uart.room(), 0);
}

#[test]
fn the_fifo_takes_64_bytes_and_no_more() {
    let mut bench = Bench::new();
    bench.open();
    assert_eq!(bench.uart.receive(&[7; 100]), 64);
    assert_eq!(bench.uart.room(), 0);
    assert!((0..64).all(|_| bench.read(DATA) == 7));
    assert!(bench.uart.is_drained());
}

#[test]
fn loopback_sends_nothing() {
    let mut bench = Bench::new();
    bench.open();
    bench.write(MCR, 0x10);
    assert_eq!(bench.uart.write(DATA, b'l', false), None);
    assert!(bench.wire.is_high());
    assert_eq!(bench.read(DATA), b'l');
}

#[test]
fn the_divisor_does_not_send_or_enable() {
    let mut bench = Bench::new();
    bench.write(LCR, 0x83);
    assert_eq!(bench.uart.write(DATA, 1, false), None);
    bench.write(IER, 2);
    assert!(!bench.wire.is_high());
    bench.write(LCR, 0x03);
    assert_eq!(bench.read(IER), 0);
}
