//! Credit (VIRTIO 1.2 §5.10.6.3): how many bytes of a stream may be on their
//! way. Counters run from the connection's start, modulo 2³².

/// What the guest takes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ToGuest {
    buf_alloc: u32,
    fwd_cnt: u32,
    sent: u32,
}

impl ToGuest {
    /// The guest tells of its buffer, as every packet of it does.
    pub(super) fn update(&mut self, buf_alloc: u32, fwd_cnt: u32) {
        (self.buf_alloc, self.fwd_cnt) = (buf_alloc, fwd_cnt);
    }

    /// How many bytes may be sent now; none to a guest that counts wrongly.
    pub(super) fn free(&self) -> u32 {
        self.buf_alloc.saturating_sub(self.sent.wrapping_sub(self.fwd_cnt))
    }

    /// What the guest says its own buffer holds.
    pub(super) fn buf_alloc(&self) -> u32 {
        self.buf_alloc
    }

    /// `len` bytes are sent, at most [`ToGuest::free`].
    pub(super) fn send(&mut self, len: u32) {
        debug_assert!(len <= self.free());
        self.sent = self.sent.wrapping_add(len);
    }
}

/// What is kept of what the guest sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct FromGuest {
    buf_alloc: u32,
    received: u32,
    forwarded: u32,
    /// `forwarded` as the guest knows it.
    told: u32,
}

impl FromGuest {
    /// Room for `buf_alloc` bytes.
    pub(super) fn new(buf_alloc: u32) -> Self {
        Self { buf_alloc, received: 0, forwarded: 0, told: 0 }
    }

    /// Takes `len` bytes; false if there is no room for them, which the guest
    /// should have known.
    pub(super) fn receive(&mut self, len: u32) -> bool {
        let room = self.buf_alloc - self.kept();
        if len <= room {
            self.received = self.received.wrapping_add(len);
        }
        len <= room
    }

    /// `len` of the bytes taken have gone on.
    pub(super) fn forward(&mut self, len: u32) {
        debug_assert!(len <= self.kept());
        self.forwarded = self.forwarded.wrapping_add(len);
    }

    /// How many bytes may be on their way. Linux (6.12.117) sends no more
    /// ahead than its `own` buffer holds, either.
    pub(super) fn window(&self, own: u32) -> u32 {
        self.buf_alloc.min(own)
    }

    /// Whether the guest should be told, or it may run out of credit: it
    /// thinks that half of the room is taken.
    pub(super) fn is_news(&self, own: u32) -> bool {
        let half = self.window(own) / 2;
        self.forwarded.wrapping_sub(self.told) >= half.max(1)
    }

    /// `buf_alloc` and `fwd_cnt` for a packet that is about to be sent.
    pub(super) fn tell(&mut self) -> (u32, u32) {
        self.told = self.forwarded;
        (self.buf_alloc, self.forwarded)
    }

    /// Bytes taken that have not gone on; at most `buf_alloc`.
    fn kept(&self) -> u32 {
        self.received.wrapping_sub(self.forwarded)
    }
}
