//! A function to test with, and scripts of accesses as a hostile guest would
//! make them.
//!
//! Functions panic where PCI breaks its promises.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_core::bus::{AddrRange, SharedDevice};
use vmm_core::event::RequestSender;
use vmm_core::irq::{MsiMessage, MsiSink, MsiVector};
use vmm_sys_util::eventfd::EventFd;

use super::spec::{capability, class};
use super::{
    Aperture, BAR_COUNT, Bar, Capability, ConfigPorts, ConfigSpace, Ecam, Function, Identity,
    MsixPlace, MsixTable, Root, Space, Window,
};
use crate::legacy::ResetControl;

/// A sink that remembers, by vector, what it routes and how often it sent.
#[derive(Clone, Default)]
pub struct Messages(Arc<Mutex<Vec<Arc<Vector>>>>);

/// A vector of [`Messages`].
#[derive(Default)]
struct Vector {
    routed: Mutex<Option<MsiMessage>>,
    sent: AtomicU64,
    attached: Mutex<Vec<RawFd>>,
}

impl Messages {
    /// What vector `index` sends, if anything.
    pub fn routed(&self, index: usize) -> Option<MsiMessage> {
        *lock(&lock(&self.0)[index].routed)
    }

    /// How often vector `index` has sent.
    pub fn sent(&self, index: usize) -> u64 {
        lock(&self.0)[index].sent.load(Ordering::SeqCst)
    }

    /// How many events vector `index` sends for.
    pub fn attached(&self, index: usize) -> usize {
        lock(&lock(&self.0)[index].attached).len()
    }
}

impl MsiSink for Messages {
    fn vector(&self) -> io::Result<Box<dyn MsiVector>> {
        let vector = Arc::new(Vector::default());
        lock(&self.0).push(Arc::clone(&vector));
        Ok(Box::new(Handle(vector)))
    }
}

struct Handle(Arc<Vector>);

impl MsiVector for Handle {
    fn route(&self, message: Option<MsiMessage>) -> io::Result<()> {
        *lock(&self.0.routed) = message;
        Ok(())
    }

    fn signal(&self) {
        assert!(lock(&self.0.routed).is_some(), "only a routed vector sends");
        self.0.sent.fetch_add(1, Ordering::SeqCst);
    }

    fn attach(&self, event: &Arc<EventFd>) -> io::Result<()> {
        assert!(lock(&self.0.routed).is_some(), "only a routed vector sends");
        lock(&self.0.attached).push(event.as_raw_fd());
        Ok(())
    }

    fn detach(&self, event: &EventFd) {
        lock(&self.0.attached).retain(|fd| *fd != event.as_raw_fd());
    }
}

/// A function with a window of 32 bits that holds an MSI-X table and its
/// pending bits, a window of 64 bits that is plain memory, and ports that are
/// the start of that memory.
pub struct Sample {
    config: ConfigSpace,
    msix: Arc<MsixTable>,
    msix_at: u16,
    memory: Vec<u8>,
}

impl Sample {
    /// The register of the window with the table at 0, and with the pending
    /// bits at [`Sample::PBA`].
    pub const MSIX_BAR: usize = 0;
    /// Offset of the pending bits.
    pub const PBA: u64 = 0x800;
    /// The register of the window with the memory, which takes two.
    pub const MEMORY_BAR: usize = 2;
    /// Size of both windows.
    pub const SIZE: u64 = 0x1000;
    /// The register of the ports.
    pub const PORT_BAR: usize = 4;
    /// How many there are.
    pub const PORTS: u64 = 8;

    /// A function with `vectors` vectors, at most 128.
    pub fn new(vectors: u16, sink: &dyn MsiSink) -> Self {
        let mut config = ConfigSpace::new(Identity {
            vendor: 0x1234,
            device: 0x5678,
            revision: 0,
            class: class::UNASSIGNED,
            subsystem_vendor: 0,
            subsystem: 0,
            has_pin: true,
        });
        config.add_bar(Self::MSIX_BAR, Bar::memory32(Self::SIZE));
        config.add_bar(Self::MEMORY_BAR, Bar::memory64(Self::SIZE));
        config.add_bar(Self::PORT_BAR, Bar::io(Self::PORTS));
        config.add_capability(&Capability::read_only(capability::VENDOR, [5, 1, 2]));
        let msix = MsixTable::new(vectors, sink).expect("vectors");
        let place = MsixPlace { table_bar: 0, table_offset: 0, pba_bar: 0, pba_offset: 0x800 };
        let msix_at = config.add_capability(&msix.capability(place));
        Self { config, msix: Arc::new(msix), msix_at, memory: vec![0; 0x1000] }
    }

    /// Its vectors.
    pub fn msix(&self) -> Arc<MsixTable> {
        Arc::clone(&self.msix)
    }

    /// The bytes of the memory that an access means.
    fn memory(&mut self, offset: u64, len: usize) -> &mut [u8] {
        let at = usize::try_from(offset).expect("inside the window");
        &mut self.memory[at..at + len]
    }
}

impl Function for Sample {
    fn read_config(&mut self, offset: u16, data: &mut [u8]) {
        assert!(usize::from(offset) % 4 + data.len() <= 4, "accesses stay in one group of four");
        self.config.read(offset, data);
    }

    fn write_config(&mut self, offset: u16, data: &[u8]) {
        assert!(usize::from(offset) % 4 + data.len() <= 4, "accesses stay in one group of four");
        self.config.write(offset, data);
        self.msix.set_control(self.config.read16(self.msix_at + 2));
    }

    fn windows(&self) -> [Option<Window>; BAR_COUNT] {
        self.config.windows()
    }

    fn read_bar(&mut self, bar: usize, offset: u64, data: &mut [u8]) {
        match bar {
            Self::MSIX_BAR if offset < Self::PBA => self.msix.read_table(offset, data),
            Self::MSIX_BAR => self.msix.read_pba(offset - Self::PBA, data),
            _ => {
                let len = data.len();
                data.copy_from_slice(self.memory(offset, len));
            }
        }
    }

    fn write_bar(&mut self, bar: usize, offset: u64, data: &[u8]) {
        match bar {
            Self::MSIX_BAR if offset < Self::PBA => self.msix.write_table(offset, data),
            Self::MSIX_BAR => {}
            _ => self.memory(offset, data.len()).copy_from_slice(data),
        }
    }
}

/// Where [`play_pci`] has its aperture.
const APERTURE: u64 = 0xe800_0000;
const APERTURE_SIZE: u64 = 0x4000;
/// And its ports.
const PORTS: u64 = 0xc000;
const PORTS_SIZE: u64 = 16;
/// What the two functions' spaces hold that no guest can change: vendor and
/// device, class, header type, subsystem, capabilities.
const CONSTANT: [u16; 6] = [0x00, 0x08, 0x2c, 0x34, 0x40, 0x44];

/// Plays `script` on a bus with two functions: eight bytes an access, of
/// which the first says what it is.
pub fn play_pci(script: &[u8]) {
    let messages = Messages::default();
    let root = Arc::new(Root::new());
    let tables = [(); 2].map(|()| {
        let sample = Sample::new(3, &messages);
        let msix = sample.msix();
        root.add(Arc::new(Mutex::new(sample))).expect("a slot");
        msix
    });
    let aperture = AddrRange::new(APERTURE, APERTURE_SIZE).expect("not empty");
    let io = AddrRange::new(PORTS, PORTS_SIZE).expect("not empty");
    root.assign(aperture, io, |slot| slot).expect("the windows fit exactly");
    let requests = RequestSender::new().expect("a descriptor");
    let ports = ConfigPorts::new(Arc::clone(&root), ResetControl::new(requests));
    let ecam = Ecam::new(Arc::clone(&root));
    let memory = Aperture::new(Arc::clone(&root), Space::Memory, APERTURE);
    let io = Aperture::new(Arc::clone(&root), Space::Io, PORTS);
    let before = constants(&ecam);
    for access in script.chunks_exact(8) {
        let at = u64::from(u16::from_le_bytes([access[1], access[2]]));
        let width = 1 + usize::from(access[0] >> 4) % 8;
        let mut data = [access[3], access[4], access[5], access[6], access[7], 0, 0xff, 0];
        let data = &mut data[..width];
        match access[0] & 0xf {
            0..=2 => ecam.write(at << 2 | u64::from(access[3] & 3), data),
            3 => ecam.read(at << 2, data),
            4 | 5 => ports.write(at % (9 - width as u64), data),
            6 => ports.read(at % (9 - width as u64), data),
            7..=9 => memory.write(at % (APERTURE_SIZE - 7), data),
            10 if access[2] & 1 == 0 => io.write(at % (PORTS_SIZE - 7), data),
            10 => io.read(at % (PORTS_SIZE - 7), data),
            11 | 12 => memory.read(at % (APERTURE_SIZE - 7), data),
            13 => tables[usize::from(access[1] & 1)].clear_pending(),
            _ => signal(&tables[usize::from(access[1] & 1)], access[2].into()),
        }
    }
    assert_eq!(constants(&ecam), before, "what is constant did not change");
}

/// Signals a vector and checks where that went.
fn signal(table: &MsixTable, vector: u16) {
    let taken = table.signal(vector);
    assert_eq!(taken, table.is_enabled(), "the pin is for when MSI-X is not enabled");
}

fn constants(ecam: &Ecam) -> Vec<[u8; 4]> {
    let place = |slot: u64| CONSTANT.map(|register| slot << 15 | u64::from(register));
    let read = |at| {
        let mut data = [0; 4];
        ecam.read(at, &mut data);
        data
    };
    [0, 1, 2].into_iter().flat_map(place).map(read).collect()
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
