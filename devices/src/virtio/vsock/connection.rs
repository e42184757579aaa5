use super::Header;
use super::credit::{FromGuest, ToGuest};
use crate::virtio::spec::vsock::{
    OP_CREDIT_REQUEST, OP_CREDIT_UPDATE, OP_REQUEST, OP_RESPONSE, OP_RST, OP_RW, OP_SHUTDOWN,
    SHUTDOWN_BOTH, SHUTDOWN_RECEIVE, SHUTDOWN_SEND,
};

/// Which connection: both ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) guest_port: u32,
    pub(super) host_port: u32,
}

/// The protocol of one connection (VIRTIO 1.2 §5.10.6.5), without any I/O:
/// what a packet from the guest means, and which packets the guest is owed.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    key: Key,
    phase: Phase,
    to_guest: ToGuest,
    from_guest: FromGuest,
    owed: Owed,
    /// Whether the guest was asked for credit since it ran out.
    has_begged: bool,
    /// What the host's end is done with, as flags of a shutdown.
    host_over: u32,
    /// `host_over` as the guest knows it.
    told_over: u32,
    /// What the guest is done with.
    guest_over: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The host wants it; the guest has not answered.
    Asking,
    /// Data may flow.
    Open,
    /// It failed: the guest is owed a reset and nothing else.
    Failed,
}

/// Packets that wait for a buffer of the guest, but for shutdowns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Owed {
    request: bool,
    response: bool,
    credit: bool,
}

/// What a packet from the guest leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing that the host's end would see.
    Nothing,
    /// The guest accepts the connection.
    Opened,
    /// So many bytes of data go to the host's end.
    Data(u32),
    /// The guest is done with one direction: these are all of its flags.
    Over(u32),
    /// The guest is done with both; it waits for a reset.
    Finished,
    /// The guest gave it up.
    Reset,
    /// The guest broke a rule, or knows no such connection: it gets a reset.
    Broken,
}

/// What the guest is to get next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A packet without data.
    Control {
        /// What it is for.
        op: u16,
        /// Of a shutdown: what is over.
        flags: u32,
    },
    /// Data, at most so many bytes.
    Data(u32),
}

impl Connection {
    /// One that the guest asked for by `request`, accepted; `buf_alloc` bytes
    /// are kept for it.
    pub(super) fn accepted(key: Key, request: &Header, buf_alloc: u32) -> Self {
        let mut connection = Self::new(key, Phase::Open, buf_alloc);
        connection.to_guest.update(request.buf_alloc.get(), request.fwd_cnt.get());
        connection.owed.response = true;
        connection
    }

    /// One that the host asks for.
    pub(super) fn asking(key: Key, buf_alloc: u32) -> Self {
        let mut connection = Self::new(key, Phase::Asking, buf_alloc);
        connection.owed.request = true;
        connection
    }

    fn new(key: Key, phase: Phase, buf_alloc: u32) -> Self {
        Self {
            key,
            phase,
            to_guest: ToGuest::default(),
            from_guest: FromGuest::new(buf_alloc),
            owed: Owed::default(),
            has_begged: false,
            host_over: 0,
            told_over: 0,
            guest_over: 0,
        }
    }

    /// Both ports.
    pub(super) fn key(&self) -> Key {
        self.key
    }

    /// Takes a packet from the guest, which has `header.len` bytes of data.
    pub(super) fn take(&mut self, header: &Header) -> Outcome {
        let op = header.op.get();
        if op == OP_RST {
            return Outcome::Reset;
        }
        match (self.phase, op) {
            (Phase::Asking, OP_RESPONSE) if !self.owed.request => {
                self.phase = Phase::Open;
                self.update_credit(header);
                Outcome::Opened
            }
            (Phase::Open, OP_RW) => {
                self.update_credit(header);
                self.take_data(header.len.get())
            }
            (Phase::Open, OP_CREDIT_UPDATE) => {
                self.update_credit(header);
                Outcome::Nothing
            }
            (Phase::Open, OP_CREDIT_REQUEST) => {
                self.update_credit(header);
                self.owed.credit = true;
                Outcome::Nothing
            }
            (Phase::Open, OP_SHUTDOWN) => {
                self.update_credit(header);
                self.guest_over |= header.flags.get() & SHUTDOWN_BOTH;
                match self.guest_over {
                    SHUTDOWN_BOTH => Outcome::Finished,
                    over => Outcome::Over(over),
                }
            }
            // What was on its way when the host's end failed; a reset follows.
            (Phase::Failed, OP_RW | OP_CREDIT_UPDATE | OP_CREDIT_REQUEST | OP_RESPONSE) => {
                Outcome::Nothing
            }
            _ => Outcome::Broken,
        }
    }

    fn update_credit(&mut self, header: &Header) {
        self.to_guest.update(header.buf_alloc.get(), header.fwd_cnt.get());
        self.has_begged &= self.to_guest.free() == 0;
    }

    fn take_data(&mut self, len: u32) -> Outcome {
        let is_allowed = self.guest_over & SHUTDOWN_SEND == 0;
        if !is_allowed || !self.from_guest.receive(len) {
            return Outcome::Broken;
        }
        Outcome::Data(len)
    }

    /// `len` bytes of the guest's data have gone to the host's end, or are
    /// lost because it takes no more.
    pub(super) fn forward(&mut self, len: u32) {
        self.from_guest.forward(len);
        self.owed.credit |= self.from_guest.is_news(self.to_guest.buf_alloc());
    }

    /// How many bytes the guest may have on their way, as far as it uses what
    /// it may.
    pub(super) fn window(&self) -> u32 {
        self.from_guest.window(self.to_guest.buf_alloc())
    }

    /// The host's end is done with what `flags` say.
    pub(super) fn host_is_done(&mut self, flags: u32) {
        self.host_over |= flags;
    }

    /// The host's end failed.
    pub(super) fn fail(&mut self) {
        self.phase = Phase::Failed;
    }

    /// Whether the host waits for the guest to accept.
    pub(super) fn is_asking(&self) -> bool {
        self.phase == Phase::Asking
    }

    /// Whether data from the host may follow, now or later.
    pub(super) fn wants_data(&self) -> bool {
        let is_over = self.host_over & SHUTDOWN_SEND != 0;
        self.phase == Phase::Open && !is_over && self.guest_over & SHUTDOWN_RECEIVE == 0
    }

    /// What the guest is to get next, if anything; `has_data` says whether
    /// the host's end has data, or may have.
    pub(super) fn due(&self, has_data: bool) -> Option<Due> {
        let control = |op| Some(Due::Control { op, flags: 0 });
        match self.phase {
            Phase::Failed => return control(OP_RST),
            Phase::Asking if self.owed.request => return control(OP_REQUEST),
            Phase::Asking => return None,
            Phase::Open => {}
        }
        if self.owed.response {
            return control(OP_RESPONSE);
        }
        if self.owed.credit {
            return control(OP_CREDIT_UPDATE);
        }
        // Before data: when the host's end has no more, it has none.
        if self.host_over != self.told_over {
            return Some(Due::Control { op: OP_SHUTDOWN, flags: self.host_over });
        }
        match self.to_guest.free() {
            _ if !has_data || !self.wants_data() => None,
            0 if self.has_begged => None,
            0 => control(OP_CREDIT_REQUEST),
            free => Some(Due::Data(free)),
        }
    }

    /// Notes that what was [`Connection::due`] is with the guest: a packet
    /// without data. Returns whether it was the last: a reset, or the news
    /// that the host's end is done with everything.
    #[must_use]
    pub(super) fn sent(&mut self, op: u16, flags: u32) -> bool {
        match op {
            OP_REQUEST => self.owed.request = false,
            OP_RESPONSE => self.owed.response = false,
            OP_CREDIT_REQUEST => self.has_begged = true,
            OP_SHUTDOWN => self.told_over = flags,
            _ => {}
        }
        // Every packet tells the credit.
        self.owed.credit = false;
        op == OP_RST || self.told_over == SHUTDOWN_BOTH
    }

    /// Notes that `len` bytes of data are with the guest, at most what was
    /// due.
    pub(super) fn sent_data(&mut self, len: u32) {
        self.to_guest.send(len);
        self.owed.credit = false;
    }

    /// `buf_alloc` and `fwd_cnt` for a packet that is about to be sent.
    pub(super) fn tell_credit(&mut self) -> (u32, u32) {
        self.from_guest.tell()
    }
}
