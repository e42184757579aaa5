use std::sync::{Arc, Mutex};

use vmm_core::bus::SharedDevice;
use vmm_core::event::{MachineRequest, RequestSender};

use crate::legacy::ResetControl;
use crate::pci::testing::{Messages, Sample};
use crate::pci::{ConfigPorts, Root};

fn ports() -> (ConfigPorts, RequestSender) {
    let root = Arc::new(Root::new());
    root.add(Arc::new(Mutex::new(Sample::new(1, &Messages::default())))).unwrap();
    let requests = RequestSender::new().unwrap();
    (ConfigPorts::new(root, ResetControl::new(requests.clone())), requests)
}

fn read<const N: usize>(ports: &ConfigPorts, offset: u64) -> [u8; N] {
    let mut data = [0; N];
    ports.read(offset, &mut data);
    data
}

fn point(ports: &ConfigPorts, address: u32) {
    ports.write(0, &address.to_le_bytes());
}

#[test]
fn the_address_points_at_four_bytes_of_every_width() {
    let (ports, _) = ports();
    point(&ports, 0x8000_0800);
    assert_eq!(read(&ports, 4), [0x34, 0x12, 0x78, 0x56]);
    assert_eq!(read(&ports, 6), [0x78, 0x56]);
    assert_eq!(read(&ports, 5), [0x12]);
    point(&ports, 0x8000_083c);
    ports.write(4, &[0x2a]);
    ports.write(5, &[0xff]);
    assert_eq!(read(&ports, 4), [0x2a, 1, 0, 0]);
}

#[test]
fn the_address_register_reads_back_without_its_reserved_bits() {
    let (ports, _) = ports();
    point(&ports, u32::MAX);
    assert_eq!(read(&ports, 0), [0xfc, 0xff, 0xff, 0x80]);
    // Linux takes a byte at its end as a test that must change nothing.
    ports.write(3, &[1]);
    ports.write(0, &[0, 0]);
    assert_eq!(read(&ports, 0), [0xfc, 0xff, 0xff, 0x80]);
    assert_eq!(read(&ports, 0), [0xff; 2]);
}

#[test]
fn other_buses_and_a_disabled_address_are_all_ones() {
    let (ports, _) = ports();
    for address in [0x0000_0800, 0x8001_0800, 0x8000_0900, 0x8000_1000] {
        point(&ports, address);
        assert_eq!(read(&ports, 4), [0xff; 4], "{address:#x}");
        ports.write(4, &[0; 4]);
    }
    // An access that leaves the register, or begins before it.
    point(&ports, 0x8000_0800);
    assert_eq!((read(&ports, 7), read(&ports, 3)), ([0xff; 2], [0xff; 3]));
}

#[test]
fn the_reset_control_register_is_the_byte_inside() {
    let (ports, requests) = ports();
    point(&ports, 0x8000_0600);
    assert_eq!(requests.first(), None, "bits 1 and 2 of the byte, but not as a byte");
    ports.write(1, &[0x2]);
    assert_eq!(read(&ports, 1), [0x2]);
    ports.write(1, &[0x6]);
    assert!(matches!(requests.first(), Some(MachineRequest::Reset { .. })));
}
