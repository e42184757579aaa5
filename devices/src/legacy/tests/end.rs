use std::time::{Duration, UNIX_EPOCH};

use vmm_core::arch::x86_64::layout::ACPI_S5_SLEEP_TYPE;
use vmm_core::bus::BusDevice;
use vmm_core::event::{MachineRequest, RequestSender};

use super::super::*;

fn read(device: &mut dyn BusDevice, offset: u64) -> u8 {
    let mut data = [0xaa];
    device.read(offset, &mut data);
    data[0]
}

/// What a device that was just made asks for after `writes`.
fn asked<D: BusDevice>(
    new: fn(RequestSender) -> D,
    writes: &[(u64, &[u8])],
) -> Option<MachineRequest> {
    let requests = RequestSender::new().unwrap();
    let mut device = new(requests.clone());
    for (offset, data) in writes {
        device.write(*offset, data);
    }
    requests.first()
}

#[test]
fn the_keyboard_controller_resets_when_line_0_is_pulsed_and_only_then() {
    let resets = |command: u8| {
        let asked = asked(I8042::new, &[(4, &[command])]);
        matches!(asked, Some(MachineRequest::Reset { .. }))
    };
    let which: Vec<u8> = (0..=255).filter(|c| resets(*c)).collect();
    assert_eq!(which, [0xf0, 0xf2, 0xf4, 0xf6, 0xf8, 0xfa, 0xfc, 0xfe]);
    assert_eq!(asked(I8042::new, &[(0, &[0xfe])]), None);
}

#[test]
fn the_keyboard_controller_always_takes_commands_and_has_nothing_to_say() {
    let mut device = I8042::new(RequestSender::new().unwrap());
    assert_eq!(read(&mut device, 4), 0);
    assert_eq!(read(&mut device, 0), 0);
    assert_eq!(read(&mut device, 1), 0xff, "the system control port is not ours");
}

#[test]
fn a_keyboard_driver_is_refused_without_waiting() {
    let mut device = I8042::new(RequestSender::new().unwrap());
    let mut ask = |command: u8| {
        device.write(4, &[command]);
        assert_eq!(read(&mut device, 4), 1, "an answer to {command:#x} is there");
        let answer = read(&mut device, 0);
        assert_eq!(read(&mut device, 4), 0);
        answer
    };
    assert_eq!(ask(0xaa), 0xfc);
    assert_eq!(ask(0xab), 1);
    // Linux wants the same value twice in a row, and gives up after ten.
    let configs: Vec<u8> = (0..10).map(|_| ask(0x20)).collect();
    assert!(configs.windows(2).all(|pair| pair[0] != pair[1]), "{configs:?}");
}

#[test]
fn the_reset_control_register_resets_when_its_reset_bit_rises() {
    assert_eq!(asked(ResetControl::new, &[(0, &[0x02])]), None);
    assert_eq!(asked(ResetControl::new, &[(0, &[0x0a])]), None);
    for value in [0x04, 0x06, 0x0e] {
        let asked = asked(ResetControl::new, &[(0, &[0x02]), (0, &[value])]);
        assert!(matches!(asked, Some(MachineRequest::Reset { .. })), "{value:#x}");
    }
}

#[test]
fn the_reset_control_register_reads_as_written() {
    let mut device = ResetControl::new(RequestSender::new().unwrap());
    assert_eq!(read(&mut device, 0), 0);
    device.write(0, &[0xf3]);
    assert_eq!(read(&mut device, 0), 0x02);
}

#[test]
fn only_sleep_state_s5_powers_off() {
    for sleep_type in 0..8 {
        let enter = (sleep_type << 2) | 0x20;
        let expected = (sleep_type == ACPI_S5_SLEEP_TYPE).then_some(MachineRequest::PowerOff);
        assert_eq!(asked(AcpiSleep::new, &[(0, &[enter])]), expected);
        assert_eq!(asked(AcpiSleep::new, &[(0, &[sleep_type << 2])]), None);
        assert_eq!(asked(AcpiSleep::new, &[(1, &[enter])]), None, "the status register");
    }
}

#[test]
fn the_debug_exit_status_is_the_low_byte_as_given() {
    for width in [1, 2, 4] {
        let data = &0x4433_2217_u32.to_le_bytes()[..width];
        assert_eq!(asked(DebugExit::new, &[(0, data)]), Some(MachineRequest::Exit(0x17)));
    }
    assert_eq!(asked(DebugExit::new, &[(0, &[0]), (0, &[9])]), Some(MachineRequest::Exit(0)));
    assert_eq!(asked(DebugExit::new, &[(1, &[9])]), None);
}

/// Every register of a clock at `seconds` and `micros` after 1970.
fn clock(seconds: u64, micros: u32) -> impl FnMut(u8) -> u8 {
    let now = UNIX_EPOCH + Duration::new(seconds, micros * 1000);
    let mut device = Cmos::new(move || now);
    move |index| {
        device.write(0, &[index]);
        read(&mut device, 1)
    }
}

#[test]
fn the_clock_shows_the_date_and_time() {
    // 2024-02-29 23:59:58 UTC, a Thursday.
    let mut register = clock(1_709_251_198, 0);
    let shown = [0x32, 9, 8, 7, 4, 2, 0, 6].map(&mut register);
    assert_eq!(shown, [0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x58, 0x05]);
    // 2100 is no leap year: 1 March follows 28 February.
    let mut register = clock(4_107_542_400, 0);
    assert_eq!([0x32, 9, 8, 7].map(&mut register), [0x21, 0x00, 0x03, 0x01]);
    // The mask bit for NMIs is not part of the index.
    assert_eq!(register(0x80 | 9), 0x00);
    assert_eq!(register(0x80 | 0x32), 0x21);
}

#[test]
fn the_clock_is_valid_and_warns_before_it_changes() {
    let mut register = clock(0, 999_755);
    assert_eq!([0x0a, 0x0b, 0x0c, 0x0d].map(&mut register), [0x26, 0x02, 0x00, 0x80]);
    assert_eq!(clock(0, 999_756)(0x0a), 0xa6);
}
