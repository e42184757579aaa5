use std::sync::Arc;
use std::time::{Duration, Instant};

use kvm_bindings::{
    KVM_IRQCHIP_IOAPIC, kvm_ioapic_state, kvm_ioapic_state__bindgen_ty_1, kvm_irqchip,
    kvm_irqchip__bindgen_ty_1,
};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::arch::x86_64::layout;
use crate::irq::{IrqLine, MsiMessage, MsiSink};
use crate::kvm::{IrqfdLine, MsiRoutes, System, Vcpu, Vm};
use crate::mem::{allocate, plan};

/// Local APIC registers (Intel SDM 3A, table 11-1).
const SPURIOUS: usize = 0xf0;
const REQUESTS: usize = 0x200;
const APIC_ENABLE: u8 = 1;

/// A machine whose one vCPU, id 0, accepts interrupts but never runs.
fn machine() -> (Vm, Vcpu) {
    let ram = allocate(&plan(0x1_0000)).unwrap();
    let vm = System::open().expect("these tests need /dev/kvm").create_vm().unwrap();
    vm.set_ram(&ram).unwrap();
    vm.create_interrupt_chip().unwrap();
    let vcpu = vm.create_vcpu(0).unwrap();
    let mut apic = vcpu.lapic().unwrap();
    apic.regs[SPURIOUS + 1] |= i8::try_from(APIC_ENABLE).unwrap();
    vcpu.set_lapic(&apic).unwrap();
    (vm, vcpu)
}

fn message(vector: u8) -> MsiMessage {
    MsiMessage { address: 0xfee0_0000, data: vector.into() }
}

fn is_requested(vcpu: &Vcpu, vector: u8) -> bool {
    let byte = REQUESTS + usize::from(vector / 32) * 16 + usize::from(vector % 32 / 8);
    vcpu.lapic().unwrap().regs[byte].cast_unsigned() >> (vector % 8) & 1 != 0
}

/// KVM may hand an interrupt to a thread of its own.
fn await_request(vcpu: &Vcpu, vector: u8) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !is_requested(vcpu, vector) {
        assert!(Instant::now() < deadline, "vector {vector} never came");
        std::thread::yield_now();
    }
}

/// Has the I/O APIC send `vector` for input `gsi`, at the level or the edge.
fn connect(vm: &Vm, gsi: usize, vector: u8, is_level: bool) {
    let mut state = kvm_ioapic_state { base_address: layout::IO_APIC, ..Default::default() };
    let bits = u64::from(vector) | u64::from(is_level) << 15;
    state.redirtbl[gsi] = kvm_ioapic_state__bindgen_ty_1 { bits };
    let chip = kvm_irqchip__bindgen_ty_1 { ioapic: state };
    let chip = kvm_irqchip { chip_id: KVM_IRQCHIP_IOAPIC, chip, ..Default::default() };
    vm.0.fd.set_irqchip(&chip).unwrap();
}

#[test]
fn a_vector_sends_the_message_that_it_was_last_routed_to() {
    let (vm, vcpu) = machine();
    let sink = vm.msi_routes();
    let (one, two) = (sink.vector().unwrap(), sink.vector().unwrap());
    one.route(Some(message(0x41))).unwrap();
    two.route(Some(message(0x52))).unwrap();
    two.signal();
    await_request(&vcpu, 0x52);
    assert!(!is_requested(&vcpu, 0x41));
    one.route(Some(message(0x63))).unwrap();
    one.signal();
    await_request(&vcpu, 0x63);
    assert!(!is_requested(&vcpu, 0x41));
}

#[test]
fn a_vector_without_a_route_sends_nothing_and_nothing_is_left_of_it() {
    let (vm, vcpu) = machine();
    let sink = vm.msi_routes();
    let vector = sink.vector().unwrap();
    vector.signal();
    vector.route(Some(message(0x41))).unwrap();
    vector.route(None).unwrap();
    vector.signal();
    vector.route(Some(message(0x52))).unwrap();
    // What comes after it in the same queue has come: so would have this.
    vector.route(Some(message(0x63))).unwrap();
    vector.signal();
    await_request(&vcpu, 0x63);
    assert!(!is_requested(&vcpu, 0x41) && !is_requested(&vcpu, 0x52));
}

#[test]
fn routes_are_bounded_and_come_back() {
    let (vm, vcpu) = machine();
    let sink = MsiRoutes::with_limit(Arc::clone(&vm.0), 24 + 2);
    let vectors = [(); 3].map(|()| sink.vector().unwrap());
    vectors[0].route(Some(message(0x41))).unwrap();
    vectors[1].route(Some(message(0x41))).unwrap();
    let refused = vectors[2].route(Some(message(0x52))).unwrap_err();
    assert_eq!(refused.to_string(), "KVM has no more interrupt routes");
    let [first, _second, third] = vectors;
    drop(first);
    third.route(Some(message(0x52))).unwrap();
    third.signal();
    await_request(&vcpu, 0x52);
    assert!(!is_requested(&vcpu, 0x41));
}

/// Whether somebody who waits for `event` would wake up.
fn is_readable(event: &EventFd) -> bool {
    event.read().is_ok()
}

#[test]
fn an_attached_event_sends_the_message_and_wakes_nobody_else() {
    let (vm, vcpu) = machine();
    let vector = vm.msi_routes().vector().unwrap();
    let event = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    assert!(vector.attach(&event).is_err(), "there is no route");
    vector.route(Some(message(0x41))).unwrap();
    vector.attach(&event).unwrap();
    event.write(1).unwrap();
    await_request(&vcpu, 0x41);
    assert!(!is_readable(&event), "KVM took it");
    // The message may change meanwhile.
    vector.route(Some(message(0x52))).unwrap();
    event.write(1).unwrap();
    await_request(&vcpu, 0x52);
    vector.signal();
}

#[test]
fn a_detached_event_keeps_what_is_written_and_sends_nothing() {
    let (vm, vcpu) = machine();
    let sink = vm.msi_routes();
    let vector = sink.vector().unwrap();
    let events = [(); 2].map(|()| Arc::new(EventFd::new(EFD_NONBLOCK).unwrap()));
    vector.route(Some(message(0x41))).unwrap();
    for event in &events {
        vector.attach(event).unwrap();
    }
    vector.detach(&events[0]);
    vector.detach(&events[0]);
    // The other goes with the route, whose number the next vector gets.
    vector.route(None).unwrap();
    let other = sink.vector().unwrap();
    other.route(Some(message(0x52))).unwrap();
    for event in &events {
        event.write(1).unwrap();
        assert!(is_readable(event));
    }
    // What comes after them in the same queue has come: so would have they.
    other.route(Some(message(0x63))).unwrap();
    other.signal();
    await_request(&vcpu, 0x63);
    assert!(!is_requested(&vcpu, 0x41) && !is_requested(&vcpu, 0x52));
}

#[test]
fn the_pins_keep_their_routes_when_messages_get_theirs() {
    let (vm, vcpu) = machine();
    connect(&vm, 4, 0x30, false);
    let event = EventFd::new(EFD_NONBLOCK).unwrap();
    vm.attach_irq(&event, 4).unwrap();
    let line = IrqfdLine::new(event);
    let vector = vm.msi_routes().vector().unwrap();
    vector.route(Some(message(0x41))).unwrap();
    line.set_level(true);
    await_request(&vcpu, 0x30);
}

#[test]
fn a_level_line_reaches_the_io_apic() {
    let (vm, vcpu) = machine();
    connect(&vm, 16, 0x70, true);
    let line = vm.level_line(16);
    line.set_level(false);
    assert!(!is_requested(&vcpu, 0x70));
    line.set_level(true);
    await_request(&vcpu, 0x70);
}
