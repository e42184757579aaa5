use crate::virtio::queue::{Buffer, Chain, Ring};
use crate::virtio::spec::net::{self, ctrl};

/// The longest command: class, command and an Ethernet address, in bytes.
const LONGEST: usize = 8;

/// What the driver asks for on the control queue (VIRTIO 1.2 §5.1.6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Another address of its own: not a group's, and not zero.
    SetMac([u8; 6]),
    /// So many pairs of queues are to be used. Any number.
    SetPairs(u16),
}

impl Command {
    /// Reads a command of a driver that accepted `features`. None if it is
    /// malformed, or of a class that was not agreed on.
    pub fn parse(request: &Buffer<'_>, features: u64) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        let len = request.copy_to(&mut bytes);
        if len != request.len() {
            return None;
        }
        let has = |bit| features & bit != 0;
        match bytes[..len] {
            [ctrl::MAC, ctrl::MAC_ADDR_SET, a, b, c, d, e, f] if has(net::F_CTRL_MAC_ADDR) => {
                let mac = [a, b, c, d, e, f];
                (a & 1 == 0 && mac != [0; 6]).then_some(Self::SetMac(mac))
            }
            [ctrl::MQ, ctrl::MQ_VQ_PAIRS_SET, low, high] if has(net::F_MQ) => {
                Some(Self::SetPairs(u16::from_le_bytes([low, high])))
            }
            _ => None,
        }
    }
}

/// Answers what waits on the control queue: `execute` does a command and says
/// whether it could. Returns true if more waits.
pub(in crate::virtio::net) fn serve(
    ring: &mut Ring,
    features: u64,
    mut execute: impl FnMut(Command) -> bool,
) -> bool {
    ring.serve(|chain| Ok(answer(&chain, features, &mut execute)))
}

/// Does one command and writes its answer, if there is room for one: a driver
/// that cannot be told gets nothing done. Returns the bytes written.
fn answer(chain: &Chain<'_>, features: u64, execute: impl FnOnce(Command) -> bool) -> usize {
    if chain.writable.is_empty() {
        return 0;
    }
    let command = Command::parse(&chain.readable, features);
    let answer = if command.is_some_and(execute) { ctrl::OK } else { ctrl::ERR };
    chain.writable.copy_from(&[answer])
}
