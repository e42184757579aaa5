//! Numbers of VIRTIO 1.2: device ids, feature bits, status bits.

/// Network device id (§5.1).
pub const ID_NET: u32 = 1;
/// Block device id (§5.2).
pub const ID_BLOCK: u32 = 2;
/// Entropy device id (§5.4).
pub const ID_ENTROPY: u32 = 4;
/// Traditional memory balloon device id (§5.5).
pub const ID_BALLOON: u32 = 5;
/// Socket device id (§5.10).
pub const ID_VSOCK: u32 = 19;

/// File system device id (§5.11).
pub const ID_FS: u32 = 26;

/// Console device id (§5.3).
pub const ID_CONSOLE: u32 = 3;

/// Feature masks that any device may offer (§6).
pub mod feature {
    /// The driver may point to tables of descriptors (§2.7.5.3).
    pub const INDIRECT_DESC: u64 = 1 << 28;
    /// Both sides say at which index they want to be told (§2.7.10).
    pub const EVENT_IDX: u64 = 1 << 29;
    /// Not a legacy device; every driver here must accept it.
    pub const VERSION_1: u64 = 1 << 32;
    /// The driver may reset one queue alone (§2.6.1).
    pub const RING_RESET: u64 = 1 << 40;
    /// What the transport core adds to every device's own features.
    pub const COMMON: u64 = INDIRECT_DESC | EVENT_IDX | VERSION_1 | RING_RESET;
}

/// Device status bits (§2.1).
pub mod status {
    /// The guest has seen the device.
    pub const ACKNOWLEDGE: u8 = 1;
    /// The guest has a driver for it.
    pub const DRIVER: u8 = 2;
    /// The driver is ready; the device serves its queues.
    pub const DRIVER_OK: u8 = 4;
    /// Both agree on the features.
    pub const FEATURES_OK: u8 = 8;
    /// The device cannot go on until it is reset.
    pub const NEEDS_RESET: u8 = 0x40;
    /// The driver gave up.
    pub const FAILED: u8 = 0x80;
}

/// Interrupt status bits (§4.2.2, §4.1.4.5).
pub mod isr {
    /// The device used a buffer of some queue.
    pub const QUEUE: u8 = 1;
    /// The configuration changed, or the device needs a reset.
    pub const CONFIG: u8 = 2;
}

/// Descriptor flags (§2.7.5).
pub mod desc {
    /// The chain goes on at `next`.
    pub const NEXT: u16 = 1;
    /// The device writes this buffer; without it, the device reads it.
    pub const WRITE: u16 = 2;
    /// The buffer is a table of descriptors.
    pub const INDIRECT: u16 = 4;
}

/// `flags` of the available ring: the driver wants no interrupts (§2.7.6).
pub const AVAIL_F_NO_INTERRUPT: u16 = 1;

/// `flags` of the used ring: the device wants no notifications (§2.7.10).
pub const USED_F_NO_NOTIFY: u16 = 1;

/// Block device features, requests and answers (§5.2).
pub mod blk {
    /// `seg_max` is valid.
    pub const F_SEG_MAX: u64 = 1 << 2;
    /// The disk is read-only.
    pub const F_RO: u64 = 1 << 5;
    /// `blk_size` is valid.
    pub const F_BLK_SIZE: u64 = 1 << 6;
    /// The driver may ask for a flush; writes may stay in a cache until then.
    pub const F_FLUSH: u64 = 1 << 9;
    /// The fields of `topology` are valid.
    pub const F_TOPOLOGY: u64 = 1 << 10;
    /// The driver may switch the cache off and on in `writeback`.
    pub const F_CONFIG_WCE: u64 = 1 << 11;
    /// `num_queues` is valid.
    pub const F_MQ: u64 = 1 << 12;
    /// The driver may give space back.
    pub const F_DISCARD: u64 = 1 << 13;
    /// The driver may have zeros written.
    pub const F_WRITE_ZEROES: u64 = 1 << 14;

    /// Read request.
    pub const T_IN: u32 = 0;
    /// Write request.
    pub const T_OUT: u32 = 1;
    /// Flush request.
    pub const T_FLUSH: u32 = 4;
    /// Request for the disk's name.
    pub const T_GET_ID: u32 = 8;
    /// Request to give space back.
    pub const T_DISCARD: u32 = 11;
    /// Request to make sectors read as zeros.
    pub const T_WRITE_ZEROES: u32 = 13;

    /// Flag of a segment of [`T_WRITE_ZEROES`]: the space may be given back.
    pub const FLAG_UNMAP: u32 = 1;

    /// Done.
    pub const S_OK: u8 = 0;
    /// The device or the driver made an error.
    pub const S_IOERR: u8 = 1;
    /// The device does not know such a request.
    pub const S_UNSUPP: u8 = 2;

    /// The unit of `capacity` and `sector`, in bytes.
    pub const SECTOR_SIZE: u64 = 512;
    /// Length of the answer to [`T_GET_ID`], in bytes.
    pub const ID_BYTES: usize = 20;
}

/// Network device features and the packet header (§5.1).
pub mod net {
    /// The device takes packets without checksum.
    pub const F_CSUM: u64 = 1 << 0;
    /// The driver takes packets without checksum.
    pub const F_GUEST_CSUM: u64 = 1 << 1;
    /// `mtu` is valid.
    pub const F_MTU: u64 = 1 << 3;
    /// `mac` is valid.
    pub const F_MAC: u64 = 1 << 5;
    /// The driver takes large TCP segments over IPv4.
    pub const F_GUEST_TSO4: u64 = 1 << 7;
    /// The driver takes large TCP segments over IPv6.
    pub const F_GUEST_TSO6: u64 = 1 << 8;
    /// The device takes large TCP segments over IPv4.
    pub const F_HOST_TSO4: u64 = 1 << 11;
    /// The device takes large TCP segments over IPv6.
    pub const F_HOST_TSO6: u64 = 1 << 12;
    /// A received packet may lie in several buffers.
    pub const F_MRG_RXBUF: u64 = 1 << 15;
    /// `status` is valid.
    pub const F_STATUS: u64 = 1 << 16;
    /// There is a control queue.
    pub const F_CTRL_VQ: u64 = 1 << 17;
    /// `max_virtqueue_pairs` is valid, and the control queue sets how many.
    pub const F_MQ: u64 = 1 << 22;
    /// The control queue sets the address.
    pub const F_CTRL_MAC_ADDR: u64 = 1 << 23;
    /// The driver takes large UDP segments over IPv4 (VIRTIO 1.3).
    pub const F_GUEST_USO4: u64 = 1 << 54;
    /// The driver takes large UDP segments over IPv6 (VIRTIO 1.3).
    pub const F_GUEST_USO6: u64 = 1 << 55;
    /// The device takes large UDP segments (VIRTIO 1.3).
    pub const F_HOST_USO: u64 = 1 << 56;

    /// `status`: the link is up.
    pub const S_LINK_UP: u16 = 1;

    /// Length of the packet header, in bytes (§5.1.6).
    pub const HEADER_LEN: usize = 12;
    /// Header flag: the checksum from `csum_start` on is to be made.
    pub const HDR_F_NEEDS_CSUM: u8 = 1;
    /// `gso_type`: an ordinary packet.
    pub const GSO_NONE: u8 = 0;
    /// `gso_type`: TCP over IPv4, to be cut to segments.
    pub const GSO_TCPV4: u8 = 1;
    /// `gso_type`: TCP over IPv6, to be cut to segments.
    pub const GSO_TCPV6: u8 = 4;
    /// `gso_type`: UDP, to be cut to datagrams (VIRTIO 1.3).
    pub const GSO_UDP_L4: u8 = 5;

    /// Classes, commands and answers of the control queue (§5.1.6.5).
    pub mod ctrl {
        /// Class of addresses.
        pub const MAC: u8 = 1;
        /// Sets the address.
        pub const MAC_ADDR_SET: u8 = 1;
        /// Class of several pairs of queues.
        pub const MQ: u8 = 4;
        /// Sets how many are used.
        pub const MQ_VQ_PAIRS_SET: u8 = 0;
        /// Done.
        pub const OK: u8 = 0;
        /// Not done.
        pub const ERR: u8 = 1;
    }
}

/// Console device features (§5.3).
pub mod console {
    /// `cols` and `rows` are valid.
    pub const F_SIZE: u64 = 1 << 0;
}

/// Socket device features and packets (§5.10).
pub mod vsock {
    /// Stream sockets.
    pub const F_STREAM: u64 = 1 << 0;

    /// The host's address (§5.10.4).
    pub const CID_HOST: u64 = 2;

    /// Length of the header of each packet, in bytes (§5.10.6).
    pub const HEADER_LEN: usize = 44;
    /// `type`: of a stream.
    pub const TYPE_STREAM: u16 = 1;

    /// `op`: asks for a connection.
    pub const OP_REQUEST: u16 = 1;
    /// `op`: accepts one.
    pub const OP_RESPONSE: u16 = 2;
    /// `op`: there is no connection, or none any more.
    pub const OP_RST: u16 = 3;
    /// `op`: one side will not send or receive any more.
    pub const OP_SHUTDOWN: u16 = 4;
    /// `op`: data.
    pub const OP_RW: u16 = 5;
    /// `op`: only tells `buf_alloc` and `fwd_cnt`.
    pub const OP_CREDIT_UPDATE: u16 = 6;
    /// `op`: asks for [`OP_CREDIT_UPDATE`].
    pub const OP_CREDIT_REQUEST: u16 = 7;

    /// Flag of [`OP_SHUTDOWN`]: the sender will not receive any more.
    pub const SHUTDOWN_RECEIVE: u32 = 1;
    /// Flag of [`OP_SHUTDOWN`]: the sender will not send any more.
    pub const SHUTDOWN_SEND: u32 = 2;
    /// Both flags of [`OP_SHUTDOWN`].
    pub const SHUTDOWN_BOTH: u32 = SHUTDOWN_RECEIVE | SHUTDOWN_SEND;
}

/// Memory balloon features and statistics (§5.5).
pub mod balloon {
    /// The driver tells how the guest uses its memory.
    pub const F_STATS_VQ: u64 = 1 << 1;
    /// The driver takes pages back rather than run out of memory.
    pub const F_DEFLATE_ON_OOM: u64 = 1 << 2;
    /// `poison_val` is valid: the guest relies on what free pages hold.
    pub const F_PAGE_POISON: u64 = 1 << 4;
    /// The driver tells which pages are free.
    pub const F_PAGE_REPORTING: u64 = 1 << 5;

    /// A page number is an address divided by 2 to this power, whatever the
    /// guest's pages are.
    pub const PAGE_SHIFT: u32 = 12;
    /// Length of a page number, in bytes.
    pub const PFN_BYTES: usize = 4;

    /// Length of a statistic: a tag of 2 bytes and a value of 8 (§5.5.6.3).
    pub const STAT_BYTES: usize = 10;
    /// Bytes swapped in.
    pub const S_SWAP_IN: u16 = 0;
    /// Bytes swapped out.
    pub const S_SWAP_OUT: u16 = 1;
    /// Page faults that needed the disk.
    pub const S_MAJFLT: u16 = 2;
    /// Page faults that did not.
    pub const S_MINFLT: u16 = 3;
    /// Bytes that nothing uses.
    pub const S_MEMFREE: u16 = 4;
    /// Bytes that there are.
    pub const S_MEMTOT: u16 = 5;
    /// Bytes that could be had without swapping.
    pub const S_AVAIL: u16 = 6;
    /// Bytes of files that could be had by forgetting them.
    pub const S_CACHES: u16 = 7;
}
