use super::*;

#[test]
fn the_configuration_tells_capacity_and_segments() {
    let mut bench = Bench::new(false, 0);
    let mut config = [0xff; 24];
    bench.guest.regs.read_config(0, &mut config);
    assert_eq!(config[..8], (DISK_LEN / 512).to_le_bytes());
    assert_eq!(config[8..], [0, 0, 0, 0, 254, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0]);
}

fn config<const LEN: usize>(bench: &mut Bench, at: u64) -> [u8; LEN] {
    let mut bytes = [0xff; LEN];
    bench.guest.regs.read_config(at, &mut bytes);
    bytes
}

#[test]
fn the_configuration_tells_the_limits_of_changes() {
    let mut bench = Bench::new(false, 0);
    let word = |bench: &mut Bench, at| u32::from_le_bytes(config(bench, at));
    assert_eq!(word(&mut bench, 36), 1 << 21);
    assert_eq!(word(&mut bench, 40), 32);
    assert_eq!(word(&mut bench, 44), 1);
    assert_eq!(word(&mut bench, 48), 1 << 18);
    assert_eq!(word(&mut bench, 52), 32);
    assert_eq!(word(&mut bench, 56), 1);
    assert_eq!(word(&mut bench, 60), 0);
    let mut fixed = Bench::new(true, 0);
    assert_eq!(word(&mut fixed, 56), 0);
}

#[test]
fn queues_and_their_size_are_as_asked_for() {
    let disk = MemoryDisk::new(pattern(), false);
    let queues = 3.try_into().unwrap();
    let options = DiskOptions { queues, queue_size: 8, ..options() };
    let device = Blk::on_loop(Arc::new(disk.clone()), &options).unwrap();
    let mut bench = Bench::with(device, disk, blk::F_MQ);
    assert_eq!(bench.guest.queues.iter().map(|q| q.size).collect::<Vec<_>>(), [8, 8, 8]);
    assert_eq!(config(&mut bench, 34), 3_u16.to_le_bytes());
    assert_eq!(config(&mut bench, 12), 6_u32.to_le_bytes());
    for queue in [2, 0, 1] {
        bench.put(blk::T_IN, 1, &[], 512);
        let request = [read_only(OUT, 16), write_only(IN, 513)];
        let index = usize::try_from(queue).unwrap();
        bench.guest.queues[index].add(&bench.guest.mem, &request);
        bench.guest.kick(queue);
        assert_eq!(bench.guest.used(index).unwrap().1, 513);
        assert_eq!(bench.guest.read(IN, 512), pattern()[512..1024]);
    }
}

#[test]
fn large_blocks_and_granularities_are_told_in_their_units() {
    use crate::backend::disk::Geometry;
    let geometry = Geometry {
        size: 1 << 30,
        block_size: 512,
        physical_block_size: 4096,
        memory_align: 1,
        discard_granularity: 65_536,
    };
    let config = super::super::config::Config {
        capacity: geometry.size,
        geometry,
        queues: 1,
        queue_size: 256,
        writeback: true,
    };
    let bytes = config.bytes();
    assert_eq!(bytes[20..24], 512_u32.to_le_bytes());
    assert_eq!(bytes[24..32], [3, 0, 8, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[44..48], 128_u32.to_le_bytes());
}

/// The cache is on unless the driver switched it off.
const WRITEBACK: u64 = 32;

#[test]
fn the_driver_switches_the_cache_while_live() {
    let mut bench = Bench::new(false, blk::F_FLUSH | blk::F_CONFIG_WCE);
    let write = |bench: &mut Bench| bench.request(blk::T_OUT, 0, &[1; 512], 0);
    assert_eq!(config(&mut bench, WRITEBACK), [1]);
    assert_eq!((write(&mut bench), bench.disk.flushes()), ((1, blk::S_OK), 0));
    bench.guest.regs.write_config(WRITEBACK, &[0]);
    assert_eq!(config(&mut bench, WRITEBACK), [0]);
    assert_eq!((write(&mut bench), bench.disk.flushes()), ((1, blk::S_OK), 1));
    bench.disk.inject([Fault::None, Fault::Os(libc::EIO)]);
    assert_eq!(write(&mut bench), (1, blk::S_IOERR));
    bench.guest.regs.write_config(WRITEBACK, &[1]);
    assert_eq!((write(&mut bench), bench.disk.flushes()), ((1, blk::S_OK), 1));
}

#[test]
fn the_cache_is_off_for_a_driver_that_cannot_flush() {
    let mut bench = Bench::new(false, blk::F_CONFIG_WCE);
    assert_eq!(config(&mut bench, WRITEBACK), [0]);
    assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.flushes(), 1);
    // The next driver finds it on.
    bench.guest.start(feature::VERSION_1 | blk::F_FLUSH | blk::F_CONFIG_WCE);
    assert_eq!(config(&mut bench, WRITEBACK), [1]);
    assert_eq!(bench.request(blk::T_OUT, 0, &[1; 512], 0), (1, blk::S_OK));
    assert_eq!(bench.disk.flushes(), 1);
}

#[test]
fn what_the_driver_writes_elsewhere_changes_nothing() {
    let mut bench = Bench::new(false, 0);
    let before: [u8; 64] = config(&mut bench, 0);
    for at in 0..64 {
        if at != WRITEBACK {
            bench.guest.regs.write_config(at, &[0xaa]);
        }
    }
    assert_eq!(config(&mut bench, 0), before);
    let mut fixed = Bench::new(true, 0);
    fixed.guest.regs.write_config(WRITEBACK, &[0]);
    assert_eq!(config(&mut fixed, WRITEBACK), [1]);
}

fn resizable() -> (Bench, Resizer) {
    let disk = MemoryDisk::new(pattern(), false);
    let device = Blk::on_loop(Arc::new(disk.clone()), &options()).unwrap();
    let resizer = device.resizer();
    (Bench::with(device, disk, 0), resizer)
}

#[test]
fn a_grown_disk_is_told_to_the_driver() {
    use crate::virtio::spec::isr;
    let (mut bench, resizer) = resizable();
    assert_eq!(resizer.resize().unwrap(), None);
    assert_eq!(bench.guest.regs.take_interrupts(), 0);
    bench.disk.resize(128 * 512);
    assert_eq!(bench.request(blk::T_IN, 100, &[], 512), (0, blk::S_IOERR));
    bench.guest.regs.take_interrupts();
    let resized = resizer.resize().unwrap();
    assert_eq!(resized, Some(Resized { from: DISK_LEN, to: 2 * DISK_LEN }));
    assert_eq!(bench.guest.regs.take_interrupts(), isr::CONFIG);
    assert_eq!(config(&mut bench, 0), 128_u64.to_le_bytes());
    assert_eq!(bench.request(blk::T_IN, 100, &[], 512), (513, blk::S_OK));
}

#[test]
fn requests_past_the_end_of_a_shrunk_disk_fail() {
    let (mut bench, resizer) = resizable();
    bench.disk.resize(32 * 512);
    // Before anybody has looked, too.
    assert_eq!(bench.request(blk::T_IN, 40, &[], 512), (0, blk::S_IOERR));
    resizer.resize().unwrap();
    assert_eq!(config(&mut bench, 0), 32_u64.to_le_bytes());
    assert_eq!(bench.request(blk::T_IN, 31, &[], 1024), (0, blk::S_IOERR));
    assert_eq!(bench.request(blk::T_OUT, 32, &[1; 512], 0), (1, blk::S_IOERR));
    bench.assert_works();
}

#[test]
fn a_stopped_device_is_resized_silently() {
    let (mut bench, resizer) = resizable();
    bench.guest.regs.set_status(0);
    bench.disk.resize(2 * 512);
    assert!(resizer.resize().unwrap().is_some());
    assert!(!bench.guest.line.is_high());
    assert_eq!(config(&mut bench, 0), 2_u64.to_le_bytes());
    bench.disk.inject([Fault::Os(libc::EIO)]);
    assert!(resizer.resize().is_err());
}
