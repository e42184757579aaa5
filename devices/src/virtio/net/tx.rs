use vm_memory::VolatileSlice;

use super::Header;
use crate::backend::net::NetBackend;
use crate::virtio::queue::{Buffer, Chain, Ring};
use crate::virtio::spec::net::HEADER_LEN;

/// Sends what the driver made available; returns true if more waits. A packet
/// that is malformed, or that the host does not take, is dropped, as on any
/// Ethernet.
pub(super) fn send(ring: &mut Ring, backend: &mut dyn NetBackend, features: u64) -> bool {
    ring.serve(|chain| {
        if let Some((header, frame)) = packet(chain, features) {
            let mut header = header.to_bytes();
            let mut pieces = vec![VolatileSlice::from(&mut header[..])];
            pieces.extend(frame.pieces());
            if let Err(error) = backend.send(&pieces) {
                log::debug!("virtio-net: a packet is lost: {error}");
            }
        }
        // The device writes nothing into packets to send.
        Ok(0)
    })
}

/// Cuts a chain into header and frame, wherever its buffers end.
fn packet(chain: Chain<'_>, features: u64) -> Option<(Header, Buffer<'_>)> {
    let mut frame = chain.readable;
    let mut header = [0; HEADER_LEN];
    if frame.split_front(HEADER_LEN).copy_to(&mut header) < HEADER_LEN {
        return None;
    }
    let header = Header::from_bytes(&header).checked(frame.len(), features)?;
    Some((header, frame))
}
