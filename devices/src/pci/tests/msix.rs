use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};

use vmm_core::irq::{MsiMessage, MsiSink, MsiVector};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::pci::{MsixPlace, MsixTable};

const ENABLE: u16 = 0x8000;
const FUNCTION_MASK: u16 = 0x4000;

/// What a host was told, in order.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Route(usize, Option<MsiMessage>),
    Sent(usize),
    Attached(usize, RawFd),
    Detached(usize, RawFd),
}

#[derive(Default)]
struct Host {
    told: Arc<Mutex<Vec<Told>>>,
    vectors: Mutex<usize>,
}

struct HostVector {
    index: usize,
    told: Arc<Mutex<Vec<Told>>>,
}

impl MsiSink for Host {
    fn vector(&self) -> io::Result<Box<dyn MsiVector>> {
        let mut vectors = self.vectors.lock().unwrap();
        *vectors += 1;
        Ok(Box::new(HostVector { index: *vectors - 1, told: self.told.clone() }))
    }
}

impl MsiVector for HostVector {
    fn route(&self, message: Option<MsiMessage>) -> io::Result<()> {
        self.told.lock().unwrap().push(Told::Route(self.index, message));
        Ok(())
    }
    fn signal(&self) {
        self.told.lock().unwrap().push(Told::Sent(self.index));
    }
    fn attach(&self, event: &Arc<EventFd>) -> io::Result<()> {
        self.told.lock().unwrap().push(Told::Attached(self.index, event.as_raw_fd()));
        Ok(())
    }
    fn detach(&self, event: &EventFd) {
        self.told.lock().unwrap().push(Told::Detached(self.index, event.as_raw_fd()));
    }
}

impl Host {
    /// What came since the last time.
    fn heard(&self) -> Vec<Told> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn table(count: u16) -> (Host, MsixTable) {
    let host = Host::default();
    let table = MsixTable::new(count, &host).unwrap();
    (host, table)
}

fn message(n: u32) -> MsiMessage {
    MsiMessage { address: 0xfee0_0000 | u64::from(n) << 12, data: 0x4000 | n }
}

/// Writes an entry as Linux does: address, data, then vector control.
fn program(table: &MsixTable, index: u64, message: MsiMessage, masked: bool) {
    table.write_table(16 * index, &message.address.to_le_bytes());
    table.write_table(16 * index + 8, &message.data.to_le_bytes());
    table.write_table(16 * index + 12, &u32::from(masked).to_le_bytes());
}

fn pending(table: &MsixTable) -> u64 {
    let mut data = [0; 8];
    table.read_pba(0, &mut data);
    u64::from_le_bytes(data)
}

#[test]
fn nothing_reaches_the_host_until_a_vector_is_unmasked() {
    let (host, table) = table(3);
    assert!(!table.signal(1), "it is the pin's");
    program(&table, 1, message(1), true);
    table.set_control(ENABLE | FUNCTION_MASK);
    program(&table, 1, message(1), false);
    assert_eq!(host.heard(), []);
    table.set_control(ENABLE);
    assert_eq!(host.heard(), [Told::Route(1, Some(message(1)))]);
    assert!(table.signal(1));
    assert_eq!(host.heard(), [Told::Sent(1)]);
}

#[test]
fn a_masked_vector_is_pending_and_sent_once_on_unmask() {
    let (host, table) = table(4);
    table.set_control(ENABLE);
    program(&table, 2, message(2), true);
    assert!(table.signal(2) && table.signal(2));
    assert_eq!((pending(&table), host.heard().len()), (0b100, 0));
    program(&table, 2, message(5), false);
    assert_eq!(host.heard(), [Told::Route(2, Some(message(5))), Told::Sent(2)]);
    assert_eq!(pending(&table), 0);
}

#[test]
fn the_function_mask_holds_all_vectors_back() {
    let (host, table) = table(2);
    table.set_control(ENABLE);
    program(&table, 0, message(0), false);
    program(&table, 1, message(1), false);
    host.heard();
    table.set_control(ENABLE | FUNCTION_MASK);
    assert!(table.signal(0) && table.signal(1));
    assert_eq!((pending(&table), host.heard().len()), (0b11, 0));
    table.write_table(16 + 12, &1_u32.to_le_bytes());
    table.set_control(ENABLE);
    // The host still knows the way.
    assert_eq!(host.heard(), [Told::Sent(0)]);
    assert_eq!(pending(&table), 0b10);
}

#[test]
fn a_new_message_takes_effect_while_unmasked() {
    let (host, table) = table(1);
    table.set_control(ENABLE);
    program(&table, 0, message(1), false);
    host.heard();
    table.write_table(8, &message(9).data.to_le_bytes());
    let mixed = MsiMessage { address: message(1).address, data: message(9).data };
    assert_eq!(host.heard(), [Told::Route(0, Some(mixed))]);
}

#[test]
fn disabled_it_gives_back_its_routes_and_forgets_what_waited() {
    let (host, table) = table(2);
    table.set_control(ENABLE);
    program(&table, 0, message(0), false);
    assert!(table.signal(1));
    host.heard();
    table.set_control(0);
    assert_eq!(host.heard(), [Told::Route(0, None)]);
    assert!(!table.signal(0));
    assert_eq!(pending(&table), 0);
}

#[test]
fn an_unchanged_control_costs_nothing() {
    let (host, table) = table(2);
    table.set_control(ENABLE);
    program(&table, 0, message(0), false);
    host.heard();
    // The low bits are the table's size.
    table.set_control(ENABLE | 1);
    assert_eq!(host.heard(), []);
}

#[test]
fn entries_read_back_and_only_whole_words_count() {
    let (_host, table) = table(2);
    let mut entry = [0; 16];
    let read = |entry: &mut [u8; 16]| {
        table.read_table(16, &mut entry[..8]);
        table.read_table(24, &mut entry[8..12]);
        table.read_table(28, &mut entry[12..]);
    };
    read(&mut entry);
    assert_eq!(entry, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    table.write_table(16, &[0xff; 8]);
    table.write_table(24, &[0xff; 8]);
    read(&mut entry);
    let mut all = [0xff; 16];
    all[0] = 0xfc;
    all[12..].copy_from_slice(&[1, 0, 0, 0]);
    assert_eq!(entry, all);
    table.write_table(16, &[0]);
    table.write_table(18, &[0; 4]);
    table.write_table(20, &[0; 8]);
    table.write_table(32, &[0; 8]);
    table.write_table(u64::MAX - 3, &[0; 4]);
    read(&mut entry);
    assert_eq!(entry, all);
}

#[test]
fn a_full_table_has_a_pending_bit_each() {
    let (_host, table) = table(MsixTable::MAX_VECTORS);
    assert_eq!((table.table_size(), table.pba_size()), (32 << 10, 256));
    table.set_control(ENABLE);
    assert!(table.signal(2047) && table.signal(64));
    let mut bits = [0; 8];
    table.read_pba(248, &mut bits);
    assert_eq!(bits, [0, 0, 0, 0, 0, 0, 0, 0x80]);
    table.read_pba(8, &mut bits[..4]);
    assert_eq!(bits[..4], [1, 0, 0, 0]);
    table.read_pba(256, &mut bits);
    assert_eq!(bits, [0; 8]);
    table.read_pba(u64::MAX, &mut bits);
    assert_eq!(bits, [0; 8]);
    table.clear_pending();
    table.read_pba(248, &mut bits);
    assert_eq!(bits, [0; 8]);
}

#[test]
fn the_capability_says_where_table_and_bits_are() {
    let (_host, table) = table(65);
    assert_eq!(table.pba_size(), 16);
    let place = MsixPlace { table_bar: 1, table_offset: 0x2000, pba_bar: 2, pba_offset: 0x3008 };
    let capability = table.capability(place);
    assert_eq!(capability.id, 0x11);
    assert_eq!(capability.body, [64, 0, 1, 0x20, 0, 0, 0x0a, 0x30, 0, 0]);
    assert_eq!(capability.writable, [0, 0xc0]);
}

#[test]
fn an_entry_that_is_not_there_swallows_its_interrupts() {
    let (host, table) = table(1);
    assert!(!table.signal(1));
    table.set_control(ENABLE);
    host.heard();
    assert!(table.signal(1) && table.signal(u16::MAX));
    assert_eq!(host.heard(), []);
}

fn event() -> Arc<EventFd> {
    Arc::new(EventFd::new(EFD_NONBLOCK).unwrap())
}

#[test]
fn the_host_follows_an_event_while_its_interrupt_may_be_sent() {
    let (host, table) = table(2);
    let event = event();
    let (attached, detached) =
        (Told::Attached(1, event.as_raw_fd()), Told::Detached(1, event.as_raw_fd()));
    table.follow(1, Arc::clone(&event));
    program(&table, 1, message(1), false);
    assert_eq!(host.heard(), [], "MSI-X is not enabled");
    table.set_control(ENABLE);
    assert_eq!(host.heard(), [Told::Route(1, Some(message(1))), attached]);
    program(&table, 1, message(1), true);
    assert_eq!(host.heard(), [detached], "it is masked");
    program(&table, 1, message(2), false);
    let attached = Told::Attached(1, event.as_raw_fd());
    assert_eq!(host.heard(), [Told::Route(1, Some(message(2))), attached]);
    table.set_control(ENABLE | FUNCTION_MASK);
    assert_eq!(host.heard(), [Told::Detached(1, event.as_raw_fd())], "all are masked");
    table.set_control(0);
    assert_eq!(host.heard(), [Told::Route(1, None)]);
}

#[test]
fn what_came_for_a_masked_event_is_sent_before_the_host_follows_it_again() {
    let (host, table) = table(1);
    table.set_control(ENABLE);
    program(&table, 0, message(0), true);
    let event = event();
    table.follow(0, Arc::clone(&event));
    // As the reader of the event does.
    assert!(table.signal(0));
    assert_eq!(pending(&table), 1);
    host.heard();
    program(&table, 0, message(0), false);
    let attached = Told::Attached(0, event.as_raw_fd());
    assert_eq!(host.heard(), [Told::Route(0, Some(message(0))), Told::Sent(0), attached]);
}

#[test]
fn an_event_that_is_followed_no_longer_leaves_the_others() {
    let (host, table) = table(1);
    table.set_control(ENABLE);
    program(&table, 0, message(0), false);
    let (first, second) = (event(), event());
    table.follow(0, Arc::clone(&first));
    table.follow(0, Arc::clone(&second));
    table.follow(1, Arc::clone(&first));
    host.heard();
    table.unfollow(0, &first);
    table.unfollow(0, &first);
    table.unfollow(1, &first);
    assert_eq!(host.heard(), [Told::Detached(0, first.as_raw_fd())]);
    program(&table, 0, message(0), true);
    assert_eq!(host.heard(), [Told::Detached(0, second.as_raw_fd())]);
}
