use std::collections::VecDeque;

use proptest::prelude::*;
use vm_memory::VolatileSlice;

use crate::virtio::queue::Buffer;
use crate::virtio::vsock::backlog::Backlog;

proptest! {
    /// Bytes come out as they went in, wherever the pieces and the ring end.
    #[test]
    fn a_backlog_is_a_queue(
        steps in prop::collection::vec((prop::collection::vec(0..40_usize, 0..4), 0..100_usize), 0..60),
    ) {
        const CAPACITY: usize = 150;
        let (mut backlog, mut model) = (Backlog::default(), VecDeque::new());
        let mut next = 0_u8;
        for (pieces, taken) in steps {
            let mut pieces: Vec<Vec<u8>> = pieces
                .into_iter()
                .map(|len| (0..len).map(|_| { next = next.wrapping_add(1); next }).collect())
                .collect();
            let mut data = Buffer::default();
            for piece in &mut pieces {
                data.push(VolatileSlice::from(&mut piece[..]));
            }
            data = data.split_front(CAPACITY - model.len());
            let mut copy = vec![0; data.len()];
            data.copy_to(&mut copy);
            if !data.is_empty() {
                backlog.push(&data, CAPACITY);
            }
            model.extend(copy);
            prop_assert_eq!(backlog.len(), model.len());
            prop_assert_eq!(backlog.is_empty(), model.is_empty());
            if !model.is_empty() {
                let both: Vec<u8> = backlog.slices().iter().flat_map(|s| s.to_vec()).collect();
                prop_assert_eq!(&both, &Vec::from(model.clone()));
                let taken = taken.min(model.len());
                backlog.consume(taken);
                model.drain(..taken);
            }
        }
    }
}
