use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::epoll::{ControlOperation, Epoll, EpollEvent, EventSet};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::*;
use crate::arch::x86_64::{EntryPoint, regs};
use crate::bus::{AddrRange, Bus, BusDevice, Doorbells, Knock};
use crate::event::{MachineRequest, RequestSender};
use crate::kvm::{System, Vcpu, Vm};
use crate::mem::{allocate, plan};

const CODE: u64 = 0x8000;

/// A machine with 64 KiB of RAM and one vCPU in protected mode at `code`.
fn machine(code: &[u8]) -> (Vm, Vcpu, RunContext) {
    let ram = allocate(&plan(0x1_0000)).unwrap();
    ram.write_slice(code, GuestAddress(CODE)).unwrap();
    let vm = System::open().expect("these tests need /dev/kvm").create_vm().unwrap();
    vm.set_ram(&ram).unwrap();
    vm.create_interrupt_chip().unwrap();
    let vcpu = vm.create_vcpu(0).unwrap();
    let entry = EntryPoint::Pvh { rip: CODE, start_info: 0 };
    let (regs, sregs) = regs::enter(&ram, entry, vcpu.sregs().unwrap()).unwrap();
    vcpu.set_sregs(&sregs).unwrap();
    vcpu.set_regs(&regs).unwrap();
    let context = RunContext {
        ports: Arc::new(Bus::new()),
        mmio: Arc::new(Bus::new()),
        requests: RequestSender::new().unwrap(),
        control: Arc::new(Control::new()),
        with_stats: true,
    };
    (vm, vcpu, context)
}

/// Runs `code` until it asks for something of the machine.
fn first_request(code: &[u8]) -> MachineRequest {
    let (_vm, vcpu, context) = machine(code);
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    context.control.set(Desired::Running);
    await_request(&context.requests);
    thread.stop().unwrap();
    context.requests.first().unwrap()
}

/// Blocks until something is asked, with a deadline far away.
fn await_request(requests: &RequestSender) {
    await_readable(requests.wake());
}

fn await_readable(file: &impl AsRawFd) {
    let epoll = Epoll::new().unwrap();
    let event = EpollEvent::new(EventSet::IN, 0);
    epoll.ctl(ControlOperation::Add, file.as_raw_fd(), event).unwrap();
    let ready = epoll.wait(600_000, &mut [EpollEvent::default()]).unwrap();
    assert_eq!(ready, 1, "the guest does nothing");
}

/// Tells of each write that it gets.
struct Tell(EventFd);

impl BusDevice for Tell {
    fn read(&mut self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }
    fn write(&mut self, _offset: u64, _data: &[u8]) {
        self.0.write(1).unwrap();
    }
}

#[test]
fn a_doorbell_takes_writes_from_the_bus_until_it_is_detached() {
    // mov dword [0xe8000000], 1; jmp back
    let (vm, vcpu, context) = machine(&[0xc7, 0x05, 0, 0, 0, 0xe8, 1, 0, 0, 0, 0xeb, 0xf4]);
    let (bell, bus) = (EventFd::new(0).unwrap(), EventFd::new(0).unwrap());
    let device = Arc::new(Mutex::new(Tell(bus.try_clone().unwrap())));
    context.mmio.insert(AddrRange::new(0xe800_0000, 4).unwrap(), device).unwrap();
    let (doorbells, addr) = (vm.doorbells(), 0xe800_0000);
    // The narrower one does not ring for this value.
    let narrow = EventFd::new(EFD_NONBLOCK).unwrap();
    doorbells.attach(&narrow, Knock::Word(addr, 2)).unwrap();
    doorbells.attach(&bell, Knock::Word(addr + 0x1000, 1)).unwrap();
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    context.control.set(Desired::Running);
    await_readable(&bus);
    doorbells.detach(&narrow, Knock::Word(addr, 2)).unwrap();
    doorbells.attach(&bell, Knock::Memory(addr)).unwrap();
    await_readable(&bell);
    doorbells.detach(&bell, Knock::Memory(addr)).unwrap();
    assert!(doorbells.detach(&bell, Knock::Memory(addr)).is_err());
    bus.read().unwrap();
    await_readable(&bus);
    thread.stop().unwrap();
    assert!(narrow.read().is_err());
}

#[test]
fn a_doorbell_hears_its_own_value_at_a_port() {
    // mov dx, 0xc040; mov ax, 1; out dx, ax; jmp back
    let (vm, vcpu, context) =
        machine(&[0x66, 0xba, 0x40, 0xc0, 0x66, 0xb8, 1, 0, 0x66, 0xef, 0xeb, 0xf4]);
    let (bell, bus) = (EventFd::new(0).unwrap(), EventFd::new(0).unwrap());
    let device = Arc::new(Mutex::new(Tell(bus.try_clone().unwrap())));
    context.ports.insert(AddrRange::new(0xc040, 4).unwrap(), device).unwrap();
    let doorbells = vm.doorbells();
    let other = EventFd::new(EFD_NONBLOCK).unwrap();
    doorbells.attach(&other, Knock::Port(0xc040, 2)).unwrap();
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    context.control.set(Desired::Running);
    await_readable(&bus);
    let knock = Knock::Port(0xc040, 1);
    doorbells.attach(&bell, knock).unwrap();
    await_readable(&bell);
    doorbells.detach(&bell, knock).unwrap();
    assert!(doorbells.detach(&bell, knock).is_err());
    bus.read().unwrap();
    await_readable(&bus);
    thread.stop().unwrap();
    assert!(other.read().is_err());
}

#[test]
fn a_spinning_vcpu_is_stopped_by_a_kick() {
    let (_vm, vcpu, context) = machine(&[0xeb, 0xfe]); // jmp .
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    context.control.set(Desired::Running);
    thread.stop().unwrap();
    assert_eq!(context.control.desired(), Desired::Stopped);
    context.control.set(Desired::Running);
    assert_eq!(context.control.desired(), Desired::Stopped, "nothing follows a stop");
}

#[test]
fn the_processor_time_of_a_vcpu_grows_while_it_works() {
    let (_vm, vcpu, context) = machine(&[0xeb, 0xfe]);
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    context.control.set(Desired::Running);
    let deadline = Instant::now() + Duration::from_secs(600);
    while thread.cpu_time() < Some(Duration::from_millis(20)) {
        assert!(Instant::now() < deadline, "{:?}", thread.cpu_time());
        std::thread::yield_now();
    }
    thread.stop().unwrap();
}

#[test]
fn a_vcpu_that_never_ran_is_stopped() {
    let (_vm, vcpu, context) = machine(&[0xf4]);
    drop(VcpuThread::spawn(vcpu, context).unwrap());
}

#[test]
fn a_vcpu_pauses_and_goes_on() {
    let (_vm, vcpu, context) = machine(&[0xeb, 0xfe]);
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    for _ in 0..100 {
        context.control.set(Desired::Running);
        context.control.set(Desired::Paused);
        thread.kick();
        context.control.await_waiting(1);
        assert_eq!(context.control.waiting(), 1);
    }
    thread.stop().unwrap();
}

#[test]
fn a_triple_fault_is_reported() {
    let request = first_request(&[0x0f, 0x0b]); // ud2, without an IDT
    assert!(matches!(request, MachineRequest::TripleFault { cpu: 0, .. }), "{request:?}");
}

#[test]
fn halting_with_interrupts_masked_is_found_by_a_probe() {
    let (_vm, vcpu, context) = machine(&[0xfa, 0xf4, 0xeb, 0xfd]); // cli; hlt; jmp hlt
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    context.control.set(Desired::Running);
    let deadline = Instant::now() + Duration::from_secs(600);
    while !thread.was_halted() {
        assert!(Instant::now() < deadline, "the halt was never found");
        thread.probe();
        // A probe keeps the vCPU out of the guest for a moment: probing
        // without pause, it would never get to its halt.
        std::thread::sleep(Duration::from_millis(1));
    }
    thread.stop().unwrap();
}

#[test]
fn halting_with_interrupts_enabled_is_not_for_good() {
    let (_vm, vcpu, context) = machine(&[0xfb, 0xf4, 0xeb, 0xfd]); // sti; hlt; jmp hlt
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    context.control.set(Desired::Running);
    for _ in 0..50 {
        thread.probe();
        std::thread::sleep(Duration::from_millis(1));
        assert!(!thread.was_halted());
    }
    thread.stop().unwrap();
}

#[test]
fn a_snapshot_shows_where_a_running_vcpu_is() {
    let (_vm, vcpu, context) = machine(&[0xeb, 0xfe]); // jmp .
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    thread.ask_snapshot();
    assert!(thread.snapshot(Instant::now()).is_none(), "it has not begun");
    context.control.set(Desired::Running);
    for _ in 0..100 {
        thread.ask_snapshot();
        let snapshot = thread.snapshot(Instant::now() + Duration::from_secs(600)).unwrap();
        assert_eq!((snapshot.regs.rip, snapshot.halted), (CODE, false));
    }
    thread.stop().unwrap();
}

#[test]
fn exits_are_counted_by_reason() {
    // out 0x80, al; out 0x80, al; in al, 0x80; ud2
    let code = [0xe6, 0x80, 0xe6, 0x80, 0xe4, 0x80, 0x0f, 0x0b];
    let (_vm, vcpu, context) = machine(&code);
    let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
    let before = thread.exits();
    assert_eq!(before, ExitCounts::default());
    context.control.set(Desired::Running);
    await_request(&context.requests);
    let counts = thread.exits().since(&before);
    let of = |kind| counts.by_kind().find(|(k, _)| *k == kind).unwrap().1;
    assert_eq!((of(ExitKind::PortOut), of(ExitKind::PortIn), of(ExitKind::Other)), (2, 1, 1));
    assert_eq!((of(ExitKind::MmioRead), of(ExitKind::MmioWrite)), (0, 0));
    thread.stop().unwrap();
}

#[test]
fn kvm_counts_exits_too_if_it_is_asked() {
    // out 0x80, al; out 0x80, al; ud2
    let code = [0xe6, 0x80, 0xe6, 0x80, 0x0f, 0x0b];
    for with_stats in [true, false] {
        let (_vm, vcpu, context) = machine(&code);
        let has_stats = vcpu.stats().is_ok();
        let context = RunContext { with_stats, ..context };
        let thread = VcpuThread::spawn(vcpu, context.clone()).unwrap();
        let before = thread.kvm_counts();
        assert_eq!(before.is_some(), with_stats && has_stats);
        context.control.set(Desired::Running);
        await_request(&context.requests);
        if let Some(before) = before {
            let counts = thread.kvm_counts().unwrap().since(&before);
            let exits = counts.by_name().find(|(name, _)| *name == "exits").unwrap().1;
            assert!(exits >= 2, "{counts:?}");
        }
        thread.stop().unwrap();
    }
}
