//! Random programs at both ends, against what each should see.

use std::collections::HashMap;
use std::net::Shutdown;

use proptest::prelude::*;

use super::*;

/// One step of some program.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The guest opens a connection, or the host does.
    Open { by_host: bool },
    /// The guest sends, as far as its credit goes.
    GuestSends(usize),
    /// The guest's program reads, and its kernel says so.
    GuestReads(usize),
    /// The guest offers buffers to the device.
    GuestOffers(usize),
    /// The guest ends its half.
    GuestEnds,
    /// The host's program sends, as far as its socket goes.
    HostSends(usize),
    /// The host's program reads.
    HostReads(usize),
    /// The host's program ends its half.
    HostEnds,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => any::<bool>().prop_map(|by_host| Step::Open { by_host }),
        4 => (1..70_000_usize).prop_map(Step::GuestSends),
        4 => (1..70_000_usize).prop_map(Step::GuestReads),
        4 => (1..40_usize).prop_map(Step::GuestOffers),
        1 => Just(Step::GuestEnds),
        4 => (1..200_000_usize).prop_map(Step::HostSends),
        4 => (1..400_000_usize).prop_map(Step::HostReads),
        1 => Just(Step::HostEnds),
    ]
}

/// A connection as both programs see it.
struct Both {
    ports: Ports,
    stream: UnixStream,
    /// Bytes that the guest has sent, and that the host has read.
    sent: usize,
    read: usize,
    /// Bytes that the host has sent, and that the guest has got.
    host_sent: usize,
    got: usize,
    /// `buf_alloc + fwd_cnt` as the guest knows it.
    room: usize,
    guest_ended: bool,
    host_ended: bool,
    /// Whether each program has seen the other's end.
    guest_saw_end: bool,
    host_saw_end: bool,
}

/// Room that the guest has for each connection.
const ROOM: usize = 50_000;

struct Model {
    bench: Bench,
    all: Vec<Both>,
}

impl Model {
    fn open(&mut self, by_host: bool) {
        let number = u32::try_from(self.all.len()).unwrap();
        // Whatever waits is taken first, so that the answer is what comes.
        self.take(64);
        self.settle();
        let (mut ports, stream) = if by_host {
            self.bench.opened_by_host(1000 + number)
        } else {
            self.bench.open(1000 + number, number % SERVED)
        };
        ports.credit = (u32::try_from(ROOM).unwrap(), 0);
        self.bench.send(ports, OP_CREDIT_UPDATE, &[]);
        self.all.push(Both {
            ports,
            stream,
            sent: 0,
            read: 0,
            host_sent: 0,
            got: 0,
            room: AHEAD,
            guest_ended: false,
            host_ended: false,
            guest_saw_end: false,
            host_saw_end: false,
        });
    }

    /// Lets the guest take all that the device has.
    fn settle(&mut self) {
        while self.take(64) > 0 {}
    }

    /// Gives the device `count` buffers more, and takes what is in those that
    /// come back; returns how many did.
    fn take(&mut self, count: usize) -> usize {
        let count = count.min(64 - self.bench.places.len());
        self.bench.offer(count);
        let packets = self.bench.received();
        let taken = packets.len();
        let by_port: HashMap<_, _> =
            self.all.iter().enumerate().map(|(i, both)| (both.ports.guest, i)).collect();
        for packet in packets {
            let both = &mut self.all[by_port[&packet.header.dst_port.get()]];
            both.ports.check(&packet);
            both.get(&packet);
        }
        taken
    }

    fn act(&mut self, which: usize, step: Step) {
        match step {
            Step::Open { by_host } if self.all.len() < 8 => return self.open(by_host),
            Step::GuestOffers(count) => {
                self.take(count);
                return;
            }
            _ => {}
        }
        let count = self.all.len();
        let Some(which) = which.checked_rem(count) else { return };
        let both = &mut self.all[which];
        let bench = &mut self.bench;
        match step {
            Step::GuestSends(len) if !both.guest_ended => {
                let len = len.min(60_000).min(both.room - both.sent);
                bench.send(both.ports, OP_RW, &stretch(which, both.sent, len));
                both.sent += len;
            }
            Step::GuestReads(len) => {
                let unread = both.got - usize::try_from(both.ports.credit.1).unwrap();
                both.ports.credit.1 += u32::try_from(len.min(unread)).unwrap();
                bench.send(both.ports, OP_CREDIT_UPDATE, &[]);
            }
            Step::GuestEnds if !both.guest_ended => {
                bench.shut_down(both.ports, SHUTDOWN_SEND);
                both.guest_ended = true;
            }
            Step::HostSends(len) if !both.host_ended => {
                let data = stretch(which + 100, both.host_sent, len);
                both.host_sent += both.stream.write(&data).unwrap_or(0);
                bench.guest.pump();
            }
            Step::HostReads(len) => {
                both.host_reads(which, len);
                bench.guest.pump();
            }
            Step::HostEnds if !both.host_ended => {
                both.stream.shutdown(Shutdown::Write).unwrap();
                both.host_ended = true;
                bench.guest.pump();
            }
            _ => {}
        }
    }

    /// Both programs read until nothing more comes.
    fn finish(&mut self) {
        let progress = |model: &Self| -> Vec<_> {
            let ends = |both: &Both| (both.read, both.got, both.host_saw_end, both.guest_saw_end);
            model.all.iter().map(ends).collect()
        };
        let mut before = Vec::new();
        // Ends come a round after the data before them.
        let mut rounds_without = 0;
        while rounds_without < 3 {
            let now = progress(self);
            rounds_without = if now == before { rounds_without + 1 } else { 0 };
            before = now;
            for which in 0..self.all.len() {
                self.act(which, Step::HostReads(1 << 20));
                self.settle();
                self.act(which, Step::GuestReads(1 << 20));
                self.settle();
            }
        }
    }
}

impl Both {
    /// The guest gets a packet.
    fn get(&mut self, packet: &Packet) {
        if packet.op() == OP_RST {
            // The device forgets a connection of which both halves are over.
            assert!(self.guest_ended && self.guest_saw_end, "a reset of a connection that is open");
            return;
        }
        self.room = usize::try_from(packet.header.fwd_cnt.get()).unwrap() + AHEAD;
        assert_eq!(packet.header.buf_alloc.get(), u32::try_from(AHEAD).unwrap());
        match packet.op() {
            OP_RW => {
                assert!(!self.guest_saw_end, "data after the end");
                let which = usize::try_from(self.ports.guest - 1000).unwrap();
                assert!(packet.data == stretch(which + 100, self.got, packet.data.len()));
                self.got += packet.data.len();
                let read = usize::try_from(self.ports.credit.1).unwrap();
                assert!(self.got - read <= ROOM, "more than the credit");
            }
            OP_SHUTDOWN => {
                assert!(self.host_ended && self.got == self.host_sent, "an end too early");
                self.guest_saw_end = true;
            }
            OP_CREDIT_UPDATE | OP_CREDIT_REQUEST => {}
            op => panic!("a packet {op} that nobody expects"),
        }
    }

    fn host_reads(&mut self, which: usize, len: usize) {
        let mut bytes = vec![0; len];
        match self.stream.read(&mut bytes) {
            Ok(0) => {
                assert!(self.guest_ended && self.read == self.sent, "an end too early");
                self.host_saw_end = true;
            }
            Ok(len) => {
                assert!(bytes[..len] == stretch(which, self.read, len));
                self.read += len;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
}

/// `len` bytes of stream `which`, from byte `at`.
fn stretch(which: usize, at: usize, len: usize) -> Vec<u8> {
    (at..at + len).map(|i| u8::try_from((i * 7 + (i >> 8) + which * 31) & 0xff).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Each end sees what the other sent, in order, whole, and nothing else;
    /// no credit is exceeded; nothing gets stuck.
    #[test]
    fn streams_are_exact_whatever_both_ends_do(
        steps in prop::collection::vec((0..8_usize, step()), 0..120),
    ) {
        let mut model = Model { bench: Bench::new(), all: Vec::new() };
        model.open(false);
        for (which, step) in steps {
            model.act(which, step);
        }
        model.finish();
        for both in &model.all {
            prop_assert_eq!((both.read, both.got), (both.sent, both.host_sent));
            prop_assert_eq!(both.host_saw_end, both.guest_ended);
            prop_assert_eq!(both.guest_saw_end, both.host_ended);
        }
    }
}
