use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The header of every packet, as it is on the wire (VIRTIO 1.2 §5.10.6).
///
/// The crate `virtio-vsock` has the same as a view into guest memory, tied to
/// another walk over descriptors; here it is copied out once, whole.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// Where it comes from: the guest's address, or 2 for the host.
    pub src_cid: U64,
    /// Where it goes.
    pub dst_cid: U64,
    /// The sender's port.
    pub src_port: U32,
    /// The receiver's port.
    pub dst_port: U32,
    /// Bytes of data behind the header.
    pub len: U32,
    /// The kind of socket: a stream.
    pub kind: U16,
    /// What the packet is for.
    pub op: U16,
    /// Of a shutdown: what is over.
    pub flags: U32,
    /// How many bytes the sender has room for in all.
    pub buf_alloc: U32,
    /// How many bytes the sender's program has taken, modulo 2³².
    pub fwd_cnt: U32,
}

const _: () = assert!(size_of::<Header>() == crate::virtio::spec::vsock::HEADER_LEN);
