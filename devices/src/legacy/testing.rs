//! Plays scripts of port accesses, as a hostile guest would make them.
//!
//! Functions panic where a device breaks its promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use vmm_core::bus::BusDevice;
use vmm_core::event::RequestSender;
use vmm_core::irq::IrqLine;

use super::{AcpiSleep, Cmos, DebugExit, I8042, ResetControl, Serial};
use crate::backend::console::{Sink, Writer};

/// A line that shows its level.
#[derive(Default)]
struct Line(AtomicBool);

impl IrqLine for Line {
    fn set_level(&self, high: bool) {
        self.0.store(high, Ordering::SeqCst);
    }
}

/// Reads the interrupt identification, and checks that the line had said so.
fn identify(serial: &mut Serial, line: &Line) {
    let high = line.0.load(Ordering::SeqCst);
    let mut cause = [0];
    serial.read(2, &mut cause);
    assert_eq!(high, cause[0] & 1 == 0, "the line is high exactly with a cause ({cause:?})");
}

/// Plays `script` on a serial port and on the devices around it: three bytes
/// an access, of which the first says what it is.
pub fn play_ports(script: &[u8]) {
    let requests = RequestSender::new().expect("a descriptor");
    let writer = Writer::new(Sink::Off, requests.clone()).expect("a descriptor");
    let line = Arc::new(Line::default());
    let mut serial = Serial::new(line.clone(), writer.output().clone()).expect("a descriptor");
    let input = serial.input();
    let mut others: [(u64, Box<dyn BusDevice>); 5] = [
        (I8042::WINDOW, Box::new(I8042::new(requests.clone()))),
        (Cmos::WINDOW, Box::new(Cmos::new(SystemTime::now))),
        (AcpiSleep::WINDOW, Box::new(AcpiSleep::new(requests.clone()))),
        (DebugExit::WINDOW, Box::new(DebugExit::new(requests.clone()))),
        (1, Box::new(ResetControl::new(requests))),
    ];
    for access in script.chunks_exact(3) {
        let [what, place, value] = [access[0], access[1], access[2]];
        let width = 1 + usize::from(what >> 4) % 8;
        let mut data = vec![value; width];
        let (window, other) = &mut others[usize::from(place >> 4) % 5];
        match what & 0xf {
            0..=4 => serial.write(u64::from(place) % Serial::WINDOW, &data),
            5..=8 => serial.read(u64::from(place) % Serial::WINDOW, &mut data),
            9 | 10 => {
                let room = input.room();
                let taken = input.receive(&data);
                assert!(taken <= room, "no more is taken than there is room for");
            }
            11..=13 => other.write(u64::from(place) % *window, &data),
            _ => other.read(u64::from(place) % *window, &mut data),
        }
        identify(&mut serial, &line);
    }
}
