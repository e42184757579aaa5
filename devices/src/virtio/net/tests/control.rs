use super::*;

const CONTROL: usize = 2;
const COMMANDS: u64 = 0x30_0000;
const ANSWER: u64 = 0x31_0000;

const SET_MAC: [u8; 8] = [1, 1, 2, 9, 8, 7, 6, 5];
const AGREED: u64 = F_CTRL_VQ | F_CTRL_MAC_ADDR;

/// Gives the device a command in the given pieces; its answer, if it wrote one.
fn command(bench: &mut Bench, queue: usize, command: &[u8], cuts: &[u32]) -> Option<u8> {
    bench.guest.write(COMMANDS, command);
    bench.guest.write(ANSWER, &[0xee; 2]);
    let mut segments = Vec::new();
    let (mut start, len) = (0, u32::try_from(command.len()).unwrap());
    for end in cuts.iter().copied().chain([len]) {
        segments.push(read_only(COMMANDS + u64::from(start), end - start));
        start = end;
    }
    segments.push(write_only(ANSWER, 1));
    let head = bench.guest.queues[queue].add(&bench.guest.mem, &segments);
    bench.guest.kick(u32::try_from(queue).unwrap());
    let (id, written) = bench.guest.used(queue)?;
    assert_eq!((id, written), (u32::from(head), 1));
    assert_eq!(bench.guest.read(ANSWER + 1, 1), [0xee], "only the answer is written");
    Some(bench.guest.read(ANSWER, 1)[0])
}

fn mac(bench: &mut Bench) -> [u8; 6] {
    let mut mac = [0; 6];
    bench.guest.regs.read_config(0, &mut mac);
    mac
}

#[test]
fn the_driver_may_change_its_address_until_a_reset() {
    let mut bench = Bench::new(AGREED);
    assert_eq!(command(&mut bench, CONTROL, &SET_MAC, &[]), Some(ctrl::OK));
    assert_eq!(mac(&mut bench), SET_MAC[2..]);
    bench.guest.regs.set_status(0);
    assert_eq!(mac(&mut bench), MAC);
}

#[test]
fn a_command_may_be_split_at_every_byte() {
    let mut bench = Bench::new(AGREED | feature::EVENT_IDX);
    for at in 0..=8 {
        let mut wanted = SET_MAC;
        wanted[7] = u8::try_from(at).unwrap();
        assert_eq!(command(&mut bench, CONTROL, &wanted, &[at]), Some(ctrl::OK));
        assert_eq!(mac(&mut bench), wanted[2..]);
    }
    let every: Vec<u32> = (0..8).collect();
    assert_eq!(command(&mut bench, CONTROL, &SET_MAC, &every), Some(ctrl::OK));
}

#[test]
fn commands_that_are_wrong_or_not_agreed_on_are_refused() {
    let refused = |features, bytes: &[u8]| {
        let mut bench = Bench::new(features);
        assert_eq!(command(&mut bench, CONTROL, bytes, &[]), Some(ctrl::ERR), "{bytes:?}");
        assert_eq!(mac(&mut bench), MAC);
        assert!(!bench.guest.is_reset_needed());
        // The next one is answered all the same.
        let answer = command(&mut bench, CONTROL, &SET_MAC, &[]);
        assert_eq!(answer == Some(ctrl::OK), features & F_CTRL_MAC_ADDR != 0);
    };
    refused(F_CTRL_VQ, &SET_MAC);
    for len in 0..8 {
        refused(AGREED, &SET_MAC[..len]);
    }
    refused(AGREED, &[&SET_MAC[..], &[0]].concat());
    refused(AGREED, &[0xff; 5000]);
    refused(AGREED, &[1, 1, 3, 0, 0, 0, 0, 0]);
    refused(AGREED, &[1, 1, 0, 0, 0, 0, 0, 0]);
    // Modes, tables, VLANs, announcements and pairs are not on offer.
    for class in 0..=5 {
        for code in 0..=5 {
            if (class, code) != (1, 1) {
                refused(AGREED, &[class, code, 1]);
                refused(AGREED, &[class, code, 1, 0]);
                refused(AGREED, &[class, code, 0, 0, 0, 0, 0, 0, 0, 0]);
            }
        }
    }
}

#[test]
fn a_command_without_room_for_its_answer_does_nothing() {
    let mut bench = Bench::new(AGREED);
    bench.guest.write(COMMANDS, &SET_MAC);
    bench.guest.queues[CONTROL].add(&bench.guest.mem, &[read_only(COMMANDS, 8)]);
    bench.guest.kick(2);
    assert_eq!(bench.guest.used(CONTROL), Some((0, 0)));
    assert_eq!(mac(&mut bench), MAC);
    bench.guest.queues[CONTROL].add(&bench.guest.mem, &[write_only(ANSWER, 1)]);
    bench.guest.kick(2);
    assert_eq!(bench.guest.used(CONTROL), Some((1, 1)));
    assert_eq!(bench.guest.read(ANSWER, 1), [ctrl::ERR]);
}

#[test]
fn without_a_control_queue_nobody_looks_at_it() {
    let mut bench = Bench::new(F_CTRL_MAC_ADDR);
    assert_eq!(command(&mut bench, CONTROL, &SET_MAC, &[]), None);
    assert_eq!(mac(&mut bench), MAC);
}

#[test]
fn pairs_are_set_within_what_there_is() {
    let (mut bench, _peers, enabled) = super::pairs::bench(3, F_MQ | AGREED);
    let set = |bench: &mut Bench, count: u16| {
        let [low, high] = count.to_le_bytes();
        command(bench, 6, &[4, 0, low, high], &[])
    };
    for (count, answer) in
        [(2, ctrl::OK), (0, ctrl::ERR), (4, ctrl::ERR), (0x100, ctrl::ERR), (u16::MAX, ctrl::ERR)]
    {
        assert_eq!(set(&mut bench, count), Some(answer), "{count}");
        assert_eq!(*enabled.lock().unwrap(), [true, true, false]);
    }
    assert_eq!(set(&mut bench, 3), Some(ctrl::OK));
    assert_eq!(*enabled.lock().unwrap(), [true; 3]);
    assert_eq!(set(&mut bench, 1), Some(ctrl::OK));
    assert_eq!(*enabled.lock().unwrap(), [true, false, false]);
    assert_eq!(set(&mut bench, 3), Some(ctrl::OK));
    bench.guest.regs.set_status(0);
    assert_eq!(*enabled.lock().unwrap(), [true, false, false]);
}

#[test]
fn without_several_pairs_the_control_queue_is_the_third() {
    let (mut bench, _peers, _) = super::pairs::bench(3, AGREED);
    assert_eq!(command(&mut bench, 2, &SET_MAC, &[]), Some(ctrl::OK));
    assert_eq!(command(&mut bench, 2, &[4, 0, 1, 0], &[]), Some(ctrl::ERR));
    assert_eq!(command(&mut bench, 6, &SET_MAC, &[]), None);
}

proptest! {
    #[test]
    fn any_command_is_answered(
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        class in 0_u8..6,
        features: u64,
    ) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = class;
        }
        let mut bench = Bench::new(features | F_CTRL_VQ);
        let answer = command(&mut bench, CONTROL, &bytes, &[]);
        prop_assert!(matches!(answer, Some(ctrl::OK | ctrl::ERR)));
        prop_assert!(mac(&mut bench)[0] & 1 == 0);
    }
}
