use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

const VSOCK: Driver = Driver { module: "vmw_vsock_virtio_transport", option: "VIRTIO_VSOCKETS" };
const FUSE: Driver = Driver { module: "virtiofs", option: "VIRTIO_FS" };
const OVERLAY: Driver = Driver { module: "overlay", option: "OVERLAY_FS" };

const NEEDED: &str = "\
kernel/net/vmw_vsock/vmw_vsock_virtio_transport.ko.xz: \
kernel/net/vmw_vsock/vmw-vsock-virtio-transport-common.ko.xz kernel/net/vmw_vsock/vsock.ko.xz
kernel/net/vmw_vsock/vmw-vsock-virtio-transport-common.ko.xz: kernel/net/vmw_vsock/vsock.ko.xz
kernel/net/vmw_vsock/vsock.ko.xz:
kernel/fs/overlayfs/overlay.ko.xz:
kernel/lib/helper.ko.xz:
";

fn tree(built_in: &str, wished: &str) -> ModuleTree {
    ModuleTree::parse("modules".into(), built_in, NEEDED, wished)
}

#[test]
fn dependencies_come_first_and_once() {
    let tree = tree("kernel/fs/fuse/virtiofs.ko\n", "");
    let order = tree.order(&[VSOCK, FUSE, OVERLAY, VSOCK]).unwrap();
    let expected =
        ["vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport", "overlay"];
    assert_eq!(order, expected);
}

#[test]
fn what_a_module_wishes_for_is_loaded_before_it_if_it_is_there() {
    let wished = "# a comment\nsoftdep overlay pre: helper absent post: vsock\nsoftdep\n";
    assert_eq!(tree("", wished).order(&[OVERLAY]).unwrap(), ["helper", "overlay"]);
}

#[test]
fn what_is_missing_is_listed_with_its_options() {
    let error = tree("", "").order(&[FUSE, OVERLAY]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the kernel has neither built in nor as a module in modules: virtiofs (CONFIG_VIRTIO_FS)"
    );
}

#[test]
fn a_circle_of_modules_ends() {
    let needed = "a/overlay.ko: a/b.ko\na/b.ko: a/overlay.ko\n";
    let tree = ModuleTree::parse("x".into(), "", needed, "");
    assert_eq!(tree.order(&[OVERLAY]).unwrap(), ["b", "overlay"]);
}

#[test]
fn a_tree_is_found_in_the_folder_or_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = ModuleTree::open(folder.path(), Some("6.1")).unwrap_err().to_string();
    assert!(error.contains("lib/modules/6.1/modules.dep"), "{error}");
    let inside = folder.path().join("lib/modules/6.1");
    fs::create_dir_all(&inside).unwrap();
    fs::write(inside.join("modules.dep"), NEEDED).unwrap();
    assert!(ModuleTree::open(folder.path(), Some("6.1")).unwrap().order(&[OVERLAY]).is_ok());
    assert!(ModuleTree::open(&inside, None).unwrap().order(&[OVERLAY]).is_ok());
    assert!(ModuleTree::open(folder.path(), Some("6.2")).is_err());
}

/// `bytes`, packed by a program of the host.
fn packed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(["-c", "-q"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn modules_are_unpacked_by_what_they_are_called() {
    let folder = tempfile::tempdir().unwrap();
    let module: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let xz = ["xz", "--check=crc32", "--lzma2=dict=1MiB"];
    let xz = {
        let file = folder.path().join("raw");
        fs::write(&file, &module).unwrap();
        Command::new(xz[0]).args(&xz[1..]).args(["-c"]).arg(&file).output().unwrap().stdout
    };
    let zst = packed("zstd", &module);
    let gz = packed("gzip", &module);
    let files = [("a.ko", module.clone()), ("b.ko.xz", xz), ("c.ko.zst", zst), ("d.ko.gz", gz)];
    for (name, bytes) in &files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let needed = "a.ko: b.ko.xz\nb.ko.xz: c.ko.zst\nc.ko.zst: d.ko.gz\nd.ko.gz:\n";
    fs::write(folder.path().join("modules.dep"), needed).unwrap();
    let tree = ModuleTree::open(folder.path(), None).unwrap();
    let loaded = tree.load(&[Driver { module: "a", option: "A" }]).unwrap();
    let names: Vec<_> = loaded.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["d", "c", "b", "a"]);
    for (name, contents) in &loaded {
        assert!(*contents == module, "{name} is as it was");
    }
}

#[test]
fn a_damaged_module_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.ko.xz", "c.ko.zst", "d.ko.gz", "e.ko.lzo"] {
        fs::write(folder.path().join(name), b"not packed at all").unwrap();
        fs::write(folder.path().join("modules.dep"), format!("{name}:\n")).unwrap();
        let tree = ModuleTree::open(folder.path(), None).unwrap();
        let module: &'static str = match &name[..1] {
            "b" => "b",
            "c" => "c",
            "d" => "d",
            _ => "e",
        };
        let error = tree.load(&[Driver { module, option: "X" }]).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("unpacked"), "{error}");
    }
}

proptest! {
    #[test]
    fn any_lists_give_an_order_or_an_error(
        built_in in "[a-e./\n]{0,40}",
        needed in "[a-e./: \n]{0,200}",
        wished in "(softdep [a-e] pre: [a-e] [a-e]\n){0,4}[a-e :\n]{0,20}",
    ) {
        play_lists(format!("{built_in}\0{needed}\0{wished}").as_bytes());
    }
}
