use vmm_core::bus::BusDevice;

use super::*;
use crate::pci::Function;
use crate::pci::spec::{command, reg};

fn read_config(function: &mut PanicFunction, offset: u16) -> u32 {
    let mut data = [0; 4];
    function.read_config(offset, &mut data);
    u32::from_le_bytes(data)
}

#[test]
fn a_panic_is_noted_once_and_tells_whoever_waits() {
    let note = PanicNote::new().unwrap();
    let mut port = PanicPort::new(note.clone());
    assert!(!note.panicked() && note.event().read().is_err());
    port.write(0, &[1]);
    port.write(0, &[1, 0, 0, 0]);
    assert!(note.panicked() && !note.crash_loaded());
    assert_eq!(note.event().read().unwrap(), 1);
}

#[test]
fn a_second_kernel_and_unknown_events_are_no_panic() {
    let note = PanicNote::new().unwrap();
    let mut port = PanicPort::new(note.clone());
    port.write(0, &[0xfe]);
    assert!(!note.panicked() && note.crash_loaded());
    assert!(note.event().read().is_err());
}

#[test]
fn the_register_reads_as_the_events_that_it_takes() {
    let mut port = PanicPort::new(PanicNote::new().unwrap());
    for len in 1..=4 {
        let mut data = vec![0xff; len];
        port.read(0, &mut data);
        assert_eq!(data[0], 3);
        assert!(data[1..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_function_is_the_one_that_drivers_look_for() {
    let note = PanicNote::new().unwrap();
    let mut function = PanicFunction::new(note.clone());
    assert_eq!(read_config(&mut function, reg::VENDOR_ID), 0x0011_1b36);
    assert_eq!(read_config(&mut function, reg::REVISION) >> 16, 0x0880);
    assert!(function.windows()[0].is_none(), "not before the driver asks for it");
    function.write_config(reg::BAR0, &0xe800_0000_u32.to_le_bytes());
    function.write_config(reg::COMMAND, &command::MEMORY.to_le_bytes());
    assert_eq!(function.windows()[0].unwrap().range.base(), 0xe800_0000);
    let mut data = [0xff; 2];
    function.read_bar(0, 0, &mut data);
    assert_eq!(data, [3, 0]);
    function.write_bar(0, 1, &[1]);
    assert!(!note.panicked(), "only the first byte is the register");
    function.write_bar(0, 0, &[1]);
    assert!(note.panicked());
}
