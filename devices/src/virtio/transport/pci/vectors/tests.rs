use vmm_sys_util::eventfd::EFD_NONBLOCK;

use super::*;
use crate::pci::testing::Messages as Host;

/// Three vectors, enabled and unmasked, for two queues.
fn vectors() -> (Host, Vectors) {
    let host = Host::default();
    let table = MsixTable::new(3, &host).unwrap();
    for at in [0, 16, 32] {
        table.write_table(at + 12, &[0; 4]);
    }
    table.set_control(0x8000);
    (host, Vectors::new(table, 2))
}

fn attached(host: &Host) -> [usize; 3] {
    [0, 1, 2].map(|index| host.attached(index))
}

#[test]
fn a_queues_event_follows_its_vector() {
    let (host, vectors) = vectors();
    let event = Arc::new(EventFd::new(EFD_NONBLOCK).unwrap());
    vectors.follow(0, Some(Arc::clone(&event)));
    assert_eq!(attached(&host), [0, 0, 0], "it has no vector");
    vectors.set_vector(Event::Used(0), 1);
    assert_eq!(attached(&host), [0, 1, 0]);
    vectors.set_vector(Event::Used(0), 2);
    vectors.set_vector(Event::Used(0), 2);
    vectors.set_vector(Event::Used(1), 1);
    assert_eq!(attached(&host), [0, 0, 1]);
    vectors.follow(0, None);
    assert_eq!(attached(&host), [0, 0, 0]);
    vectors.follow(2, Some(event));
    assert_eq!(attached(&host), [0, 0, 0], "there is no such queue");
}

#[test]
fn queues_may_share_a_vector_until_the_reset() {
    let (host, vectors) = vectors();
    for queue in [0, 1] {
        vectors.set_vector(Event::Used(queue), 2);
        vectors.follow(queue, Some(Arc::new(EventFd::new(EFD_NONBLOCK).unwrap())));
    }
    assert_eq!(attached(&host), [0, 0, 2]);
    // Another event takes the place of the one before.
    vectors.follow(1, Some(Arc::new(EventFd::new(EFD_NONBLOCK).unwrap())));
    assert_eq!(attached(&host), [0, 0, 2]);
    vectors.reset();
    assert_eq!(attached(&host), [0, 0, 0]);
}
