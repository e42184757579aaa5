use super::NetOptions;
use crate::backend::net::Offloads;
use crate::virtio::DeviceInfo;
use crate::virtio::spec::{self, net};

/// Entries of each queue of packets.
const QUEUE_SIZE: u16 = 256;
/// Entries of the control queue: a driver waits for each answer.
const CONTROL_SIZE: u16 = 16;
/// Below this a device should not tell its MTU (VIRTIO 1.2 §5.1.4.1).
const MTU_MIN: u16 = 1280;

/// What every network device offers. Receive filters (`CTRL_RX`, `CTRL_VLAN`;
/// VIRTIO 1.2 §5.1.6.5) are not among it: where the host's kernel moves the
/// packets nobody would apply them, and a bridge gives a tap little but what is
/// for its guest. Linux receives all and drops what is for others.
const FEATURES: u64 =
    net::F_MRG_RXBUF | net::F_MAC | net::F_STATUS | net::F_CTRL_VQ | net::F_CTRL_MAC_ADDR;

/// What a driver sees of a network device apart from the packets: the same
/// whoever moves those.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    own_mac: [u8; 6],
    mac: [u8; 6],
    mtu: Option<u16>,
    pairs: u16,
    /// Whether the host's end is still there.
    pub(super) link_up: bool,
}

impl Identity {
    /// A device with `pairs` pairs of queues and as `options` say; `host_mtu`
    /// is what the host's end has.
    pub(super) fn new(options: &NetOptions, pairs: u16, host_mtu: Option<u16>) -> Self {
        let mtu = options.mtu.or(host_mtu).filter(|mtu| *mtu >= MTU_MIN);
        Self { own_mac: options.mac, mac: options.mac, mtu, pairs, link_up: true }
    }

    /// What the transport is told; the host's end has `offloads`.
    pub(super) fn info(&self, offloads: Offloads) -> DeviceInfo {
        let bits = |has, bits| if has { bits } else { 0 };
        let features = FEATURES
            | bits(self.mtu.is_some(), net::F_MTU)
            | bits(self.pairs > 1, net::F_MQ)
            | bits(offloads.csum, net::F_CSUM | net::F_GUEST_CSUM)
            | bits(offloads.csum && offloads.tso4, net::F_GUEST_TSO4 | net::F_HOST_TSO4)
            | bits(offloads.csum && offloads.tso6, net::F_GUEST_TSO6 | net::F_HOST_TSO6)
            | bits(
                offloads.csum && offloads.uso,
                net::F_GUEST_USO4 | net::F_GUEST_USO6 | net::F_HOST_USO,
            );
        let mut queue_sizes = vec![QUEUE_SIZE; 2 * usize::from(self.pairs)];
        queue_sizes.push(CONTROL_SIZE);
        DeviceInfo { id: spec::ID_NET, features, queue_sizes }
    }

    /// How many pairs of queues there are.
    pub(super) fn pairs(&self) -> u16 {
        self.pairs
    }

    /// The configuration space: `mac`, `status`, `max_virtqueue_pairs`, `mtu`
    /// (VIRTIO 1.2 §5.1.4).
    pub(super) fn config(&self) -> [u8; 12] {
        let status = if self.link_up { net::S_LINK_UP } else { 0 };
        let mut bytes = [0; 12];
        bytes[..6].copy_from_slice(&self.mac);
        bytes[6..8].copy_from_slice(&status.to_le_bytes());
        if self.pairs > 1 {
            bytes[8..10].copy_from_slice(&self.pairs.to_le_bytes());
        }
        bytes[10..].copy_from_slice(&self.mtu.unwrap_or(0).to_le_bytes());
        bytes
    }

    /// The driver wants another address, until it resets the device.
    pub(super) fn set_mac(&mut self, mac: [u8; 6]) {
        self.mac = mac;
    }

    /// As before the driver came.
    pub(super) fn reset(&mut self) {
        self.mac = self.own_mac;
    }
}

/// The index of the control queue for a driver that accepted `features` of a
/// device with `pairs` pairs of queues (VIRTIO 1.2 §5.1.2); none without one.
/// Without several pairs it follows the first, wherever it would be with them.
pub(super) fn control_queue(features: u64, pairs: u16) -> Option<usize> {
    let has = |bit| features & bit != 0;
    let used = if has(net::F_MQ) { pairs } else { 1 };
    has(net::F_CTRL_VQ).then_some(2 * usize::from(used))
}

/// What packets to the guest may be like for a driver that accepted
/// `features`, as the host is to know it.
pub(super) fn offloads(features: u64) -> Offloads {
    let has = |bit| features & bit != 0;
    let csum = has(net::F_GUEST_CSUM);
    Offloads {
        csum,
        tso4: csum && has(net::F_GUEST_TSO4),
        tso6: csum && has(net::F_GUEST_TSO6),
        // The host knows no difference between the two.
        uso: csum && has(net::F_GUEST_USO4) && has(net::F_GUEST_USO6),
    }
}
