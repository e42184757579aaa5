use std::fs;
use std::path::Path;

use crate::kvm::probe::HostKind;

/// A host with these files under a root of its own.
fn kind_of(files: &[(&str, &str)]) -> HostKind {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        fs::write(path, text).unwrap();
    }
    HostKind::detect_under(root.path())
}

#[test]
fn modules_tell_hardware_from_software() {
    let kvm = ("dev/kvm", "");
    assert_eq!(kind_of(&[]), HostKind::Absent);
    assert_eq!(kind_of(&[("sys/module/kvm_intel/refcnt", "")]), HostKind::Absent);
    assert_eq!(kind_of(&[kvm, ("sys/module/kvm_intel/refcnt", "")]), HostKind::Hardware);
    assert_eq!(kind_of(&[kvm, ("sys/module/kvm_amd/refcnt", "")]), HostKind::Hardware);
    assert_eq!(kind_of(&[kvm, ("sys/module/kvm_pvm/refcnt", "")]), HostKind::Software);
}

#[test]
fn without_modules_the_processor_flags_tell() {
    let flags = |flags| [("dev/kvm", ""), ("proc/cpuinfo", flags)];
    assert_eq!(kind_of(&flags("vendor_id : X\nflags\t: fpu vmx sse\n")), HostKind::Hardware);
    assert_eq!(kind_of(&flags("flags\t: fpu svm\n")), HostKind::Hardware);
    assert_eq!(kind_of(&flags("flags\t: fpu svm_lock\nvmx\n")), HostKind::Software);
}

#[test]
fn a_software_host_shows_its_module_even_if_the_processor_has_more() {
    let files =
        [("dev/kvm", ""), ("sys/module/kvm_pvm/refcnt", ""), ("proc/cpuinfo", "flags\t: vmx\n")];
    assert_eq!(kind_of(&files), HostKind::Software);
}

#[test]
fn only_software_warns() {
    assert!(HostKind::Software.stock_kernel_warning().is_some());
    assert!(HostKind::Hardware.stock_kernel_warning().is_none());
}
