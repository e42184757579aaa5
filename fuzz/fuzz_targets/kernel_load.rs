//! Any bytes as a kernel file, loaded into a small guest's memory. Its
//! corpus is that of `kernel_open`.
#![no_main]

use std::io::Write;

use boot::{Kernel, load};
use libfuzzer_sys::fuzz_target;
use vm_memory::GuestAddress;
use vmm_core::mem::{allocate, plan};

fuzz_target!(|data: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(data).expect("room for a temporary file");
    if let Ok(mut kernel) = Kernel::open(file.path()) {
        let ram = allocate(&plan(32 << 20)).expect("32 MiB of address space");
        let _ = load(&ram, &mut kernel, &[], "console=ttyS0", GuestAddress(0xe_0000));
    }
});
