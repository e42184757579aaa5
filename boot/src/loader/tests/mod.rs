//! Tests of the loader, on images made here byte by byte.

mod bzimage;
mod elf;
mod facts;
mod foreign;
mod load;
mod multiboot;
mod options;
mod properties;
mod sections;

use std::io::Write;

use super::error::{ParseError, Unusable};
use super::image::{Image, parse};
use super::source::Source;
use crate::Kernel;

/// Parses bytes as if they were a file.
fn image(bytes: &[u8]) -> Result<Image, Unusable> {
    parse(&Source::slice(bytes)).map_err(|error| match error {
        ParseError::Unusable(why) => why,
        ParseError::Read(error) => panic!("{error}"),
    })
}

/// Opens bytes as a kernel file.
fn kernel(bytes: &[u8]) -> (tempfile::NamedTempFile, Kernel) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let kernel = Kernel::open(file.path()).unwrap();
    (file, kernel)
}

/// Puts little-endian bytes at an offset, growing the file as needed.
fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset..end].copy_from_slice(bytes);
}

/// Where the builders place a segment's bytes in the file.
const DATA: usize = 0x1000;
/// Where test kernels are loaded.
const BASE: u64 = 0x20_0000;

/// A loadable segment of an ELF file, code at [`DATA`].
#[derive(Clone)]
struct Load {
    vaddr: u64,
    paddr: u64,
    data: Vec<u8>,
    memsz: u64,
}

impl Load {
    fn at(paddr: u64, data: &[u8], memsz: u64) -> Self {
        Self { vaddr: paddr, paddr, data: data.to_vec(), memsz }
    }
}

/// An ELF file in the making.
#[derive(Clone)]
struct Elf {
    wide: bool,
    kind: u16,
    machine: u16,
    entry: u64,
    loads: Vec<Load>,
    /// Note segments: their bytes and alignment.
    notes: Vec<(Vec<u8>, u64)>,
    interpreter: bool,
}

impl Elf {
    /// A 64-bit kernel of one segment that says "kernel", entered at its start.
    fn new() -> Self {
        Self {
            wide: true,
            kind: 2,
            machine: 62,
            entry: BASE,
            loads: vec![Load::at(BASE, b"kernel", 0x2000)],
            notes: Vec::new(),
            interpreter: false,
        }
    }

    fn with_note(mut self, note: Vec<u8>) -> Self {
        self.notes.push((note, 4));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut file = Vec::new();
        let mut phdrs = Vec::new();
        let mut at = DATA;
        for load in &self.loads {
            let size = load.data.len() as u64;
            phdrs.push([1, 7, at as u64, load.vaddr, load.paddr, size, load.memsz, 0x1000]);
            put(&mut file, at, &load.data);
            at = (at + load.data.len()).next_multiple_of(0x1000);
        }
        for (note, alignment) in &self.notes {
            let size = note.len() as u64;
            phdrs.push([4, 4, at as u64, 0, 0, size, size, *alignment]);
            put(&mut file, at, note);
            at = (at + note.len()).next_multiple_of(0x1000);
        }
        if self.interpreter {
            phdrs.push([3, 4, 0, 0, 0, 0, 0, 1]);
        }
        self.headers(&mut file, &phdrs);
        file
    }

    /// Writes the file header, and the program headers behind it. Each comes
    /// as type, flags, offset, vaddr, paddr, filesz, memsz, align.
    fn headers(&self, file: &mut Vec<u8>, phdrs: &[[u64; 8]]) {
        put(file, 0, b"\x7fELF\x01\x01\x01");
        put(file, 16, &self.kind.to_le_bytes());
        put(file, 18, &self.machine.to_le_bytes());
        let count = (phdrs.len() as u16).to_le_bytes();
        if self.wide {
            file[4] = 2;
            put(file, 24, &self.entry.to_le_bytes());
            put(file, 32, &64_u64.to_le_bytes());
            put(file, 54, &56_u16.to_le_bytes());
            put(file, 56, &count);
        } else {
            put(file, 24, &(self.entry as u32).to_le_bytes());
            put(file, 28, &52_u32.to_le_bytes());
            put(file, 42, &32_u16.to_le_bytes());
            put(file, 44, &count);
        }
        for (n, &[kind, flags, offset, vaddr, paddr, filesz, memsz, align]) in
            phdrs.iter().enumerate()
        {
            if self.wide {
                let mut at = 64 + n * 56;
                put(file, at, &(kind as u32).to_le_bytes());
                put(file, at + 4, &(flags as u32).to_le_bytes());
                for field in [offset, vaddr, paddr, filesz, memsz, align] {
                    at += 8;
                    put(file, at, &field.to_le_bytes());
                }
            } else {
                let fields = [kind, offset, vaddr, paddr, filesz, memsz, flags, align];
                for (i, field) in fields.into_iter().enumerate() {
                    put(file, 52 + n * 32 + i * 4, &(field as u32).to_le_bytes());
                }
            }
        }
    }
}

/// An ELF note, padded to `alignment`.
fn note(name: &[u8], kind: u32, description: &[u8], alignment: usize) -> Vec<u8> {
    let mut note = Vec::new();
    note.extend((name.len() as u32).to_le_bytes());
    note.extend((description.len() as u32).to_le_bytes());
    note.extend(kind.to_le_bytes());
    note.extend(name);
    note.resize(note.len().next_multiple_of(alignment), 0);
    note.extend(description);
    note.resize(note.len().next_multiple_of(alignment), 0);
    note
}

fn pvh_note(entry: u32) -> Vec<u8> {
    note(b"Xen\0", 18, &entry.to_le_bytes(), 4)
}

/// A Multiboot header; `addresses` are header, load, load end, BSS end, entry.
fn multiboot_header(flags: u32, addresses: Option<[u32; 5]>) -> Vec<u8> {
    let flags = flags | u32::from(addresses.is_some()) << 16;
    let magic = 0x1bad_b002_u32;
    let checksum = 0_u32.wrapping_sub(magic).wrapping_sub(flags);
    let fields = [magic, flags, checksum].into_iter().chain(addresses.into_iter().flatten());
    fields.flat_map(u32::to_le_bytes).collect()
}

/// A bzImage with one setup sector and `code` from its protected-mode start.
fn bzimage(code: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 1024];
    put(&mut file, 0x1f1, &[1]); // setup_sects
    put(&mut file, 0x1f4, &(code.len().div_ceil(16) as u32).to_le_bytes()); // syssize
    put(&mut file, 0x1fe, &[0x55, 0xaa]);
    put(&mut file, 0x200, &[0xeb, 0x6a]); // jump: the header ends at 0x26c
    put(&mut file, 0x202, b"HdrS");
    put(&mut file, 0x206, &0x020f_u16.to_le_bytes()); // version
    put(&mut file, 0x211, &[1]); // loadflags: LOADED_HIGH
    put(&mut file, 0x22c, &0x7fff_ffff_u32.to_le_bytes()); // initrd_addr_max
    put(&mut file, 0x236, &1_u16.to_le_bytes()); // xloadflags: XLF_KERNEL_64
    put(&mut file, 0x238, &2047_u32.to_le_bytes()); // cmdline_size
    put(&mut file, 0x258, &BASE.to_le_bytes()); // pref_address
    put(&mut file, 0x260, &0x3000_u32.to_le_bytes()); // init_size
    file.extend(code);
    file.resize(1024 + code.len().next_multiple_of(16), 0);
    file
}
