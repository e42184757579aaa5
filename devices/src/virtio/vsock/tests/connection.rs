use proptest::prelude::*;

use super::*;
use crate::virtio::vsock::connection::{Connection, Due, Key, Outcome};

const KEY: Key = Key { guest_port: 7, host_port: 8 };
const ROOM: u32 = 1000;

fn packet(op: u16, len: u32, flags: u32) -> Header {
    let ports = Ports { guest: 7, host: 8, credit: (100, 0) };
    Header { len: len.into(), flags: flags.into(), ..ports.header(op, 0) }
}

/// Lets the guest have everything that it is owed; what that was.
fn drain(connection: &mut Connection, has_data: bool) -> Vec<Due> {
    let mut all = Vec::new();
    while let Some(due) = connection.due(has_data) {
        all.push(due);
        match due {
            Due::Control { op, flags } => {
                if connection.sent(op, flags) {
                    break;
                }
            }
            Due::Data(_) => break,
        }
    }
    all
}

fn control(op: u16) -> Due {
    Due::Control { op, flags: 0 }
}

fn accepted() -> Connection {
    let mut connection = Connection::accepted(KEY, &packet(OP_REQUEST, 0, 0), ROOM);
    assert_eq!(drain(&mut connection, false), [control(OP_RESPONSE)]);
    connection
}

fn asking() -> Connection {
    let mut connection = Connection::asking(KEY, ROOM);
    assert_eq!(drain(&mut connection, true), [control(OP_REQUEST)]);
    connection
}

fn failed() -> Connection {
    let mut connection = accepted();
    connection.fail();
    connection
}

fn done_with(flags: u32) -> Connection {
    let mut connection = accepted();
    connection.take(&packet(OP_SHUTDOWN, 0, flags));
    connection
}

/// A packet and what comes of it.
type Case = ((u16, u32, u32), Outcome);

/// Checks each packet on a fresh connection.
#[track_caller]
fn check(name: &str, make: impl Fn() -> Connection, cases: &[Case]) {
    for ((op, len, flags), outcome) in cases {
        let mut connection = make();
        assert_eq!(connection.take(&packet(*op, *len, *flags)), *outcome, "{name}: op {op}");
    }
}

/// Operations that nobody knows break every connection.
fn with_unknown(cases: &[Case]) -> Vec<Case> {
    let unknown: Vec<Case> = [0, 8, 99, u16::MAX].map(|op| ((op, 0, 0), Outcome::Broken)).into();
    [cases, &unknown].concat()
}

#[test]
fn every_packet_has_its_outcome_while_data_flow() {
    use Outcome::{Broken, Data, Finished, Nothing, Over, Reset};
    check(
        "open",
        accepted,
        &with_unknown(&[
            ((OP_REQUEST, 0, 0), Broken),
            ((OP_RESPONSE, 0, 0), Broken),
            ((OP_RST, 0, 0), Reset),
            ((OP_SHUTDOWN, 0, 0), Over(0)),
            ((OP_SHUTDOWN, 0, SHUTDOWN_SEND), Over(SHUTDOWN_SEND)),
            ((OP_SHUTDOWN, 0, SHUTDOWN_RECEIVE | 4), Over(SHUTDOWN_RECEIVE)),
            ((OP_SHUTDOWN, 0, u32::MAX), Finished),
            ((OP_RW, 0, 0), Data(0)),
            ((OP_RW, ROOM, 0), Data(ROOM)),
            ((OP_RW, ROOM + 1, 0), Broken),
            ((OP_RW, u32::MAX, 0), Broken),
            ((OP_CREDIT_UPDATE, 0, 0), Nothing),
            ((OP_CREDIT_REQUEST, 0, 0), Nothing),
        ]),
    );
}

#[test]
fn every_packet_has_its_outcome_before_and_after() {
    use Outcome::{Broken, Data, Finished, Nothing, Opened, Over, Reset};
    check(
        "asking",
        asking,
        &with_unknown(&[
            ((OP_REQUEST, 0, 0), Broken),
            ((OP_RESPONSE, 0, 0), Opened),
            ((OP_RST, 0, 0), Reset),
            ((OP_SHUTDOWN, 0, SHUTDOWN_BOTH), Broken),
            ((OP_RW, 1, 0), Broken),
            ((OP_CREDIT_UPDATE, 0, 0), Broken),
            ((OP_CREDIT_REQUEST, 0, 0), Broken),
        ]),
    );
    // An answer to what was not asked.
    check("not asked", || Connection::asking(KEY, ROOM), &[((OP_RESPONSE, 0, 0), Broken)]);
    check(
        "failed",
        failed,
        &with_unknown(&[
            ((OP_REQUEST, 0, 0), Broken),
            ((OP_RST, 0, 0), Reset),
            ((OP_RW, 1, 0), Nothing),
            ((OP_CREDIT_REQUEST, 0, 0), Nothing),
            ((OP_SHUTDOWN, 0, SHUTDOWN_BOTH), Broken),
        ]),
    );
    check(
        "no more sent",
        || done_with(SHUTDOWN_SEND),
        &[
            ((OP_RW, 1, 0), Broken),
            ((OP_CREDIT_UPDATE, 0, 0), Nothing),
            // Flags that are not repeated stay.
            ((OP_SHUTDOWN, 0, SHUTDOWN_RECEIVE), Finished),
            ((OP_SHUTDOWN, 0, 0), Over(SHUTDOWN_SEND)),
        ],
    );
    check(
        "no more received",
        || done_with(SHUTDOWN_RECEIVE),
        &[((OP_RW, 1, 0), Data(1)), ((OP_SHUTDOWN, 0, SHUTDOWN_SEND), Finished)],
    );
}

#[test]
fn data_flow_only_while_both_ends_want_them() {
    assert_eq!(drain(&mut accepted(), true), [Due::Data(100)]);
    assert_eq!(drain(&mut accepted(), false), []);
    assert_eq!(drain(&mut asking(), true), []);
    assert_eq!(drain(&mut failed(), true), [control(OP_RST)]);
    assert_eq!(drain(&mut done_with(SHUTDOWN_RECEIVE), true), []);
    assert_eq!(drain(&mut done_with(SHUTDOWN_SEND), true), [Due::Data(100)]);
}

#[test]
fn a_guest_without_room_is_asked_once_each_time() {
    let mut connection = accepted();
    for round in 1..=3 {
        connection.sent_data(100);
        assert_eq!(drain(&mut connection, true), [control(OP_CREDIT_REQUEST)]);
        assert_eq!(connection.due(true), None);
        // No news is no reason to ask again.
        let stale =
            Header { fwd_cnt: (100 * (round - 1)).into(), ..packet(OP_CREDIT_UPDATE, 0, 0) };
        connection.take(&stale);
        assert_eq!(connection.due(true), None);
        let news = Header { fwd_cnt: (100 * round).into(), ..stale };
        connection.take(&news);
        assert_eq!(connection.due(true), Some(Due::Data(100)));
    }
}

#[test]
fn the_guest_hears_of_the_end_once_and_of_the_whole_end_last() {
    let mut connection = accepted();
    connection.host_is_done(SHUTDOWN_SEND);
    let over = |flags| Due::Control { op: OP_SHUTDOWN, flags };
    assert_eq!(drain(&mut connection, true), [over(SHUTDOWN_SEND)]);
    assert_eq!(connection.due(true), None);
    connection.host_is_done(SHUTDOWN_RECEIVE);
    assert_eq!(connection.due(true), Some(over(SHUTDOWN_BOTH)));
    assert!(connection.sent(OP_SHUTDOWN, SHUTDOWN_BOTH), "nothing follows");
    assert!(failed().sent(OP_RST, 0), "nothing follows");
}

#[test]
fn a_question_for_credit_is_answered() {
    let mut connection = accepted();
    connection.take(&packet(OP_RW, 10, 0));
    connection.forward(7);
    assert_eq!(connection.due(false), None);
    connection.take(&packet(OP_CREDIT_REQUEST, 0, 0));
    assert_eq!(connection.due(false), Some(control(OP_CREDIT_UPDATE)));
    assert_eq!(connection.tell_credit(), (ROOM, 7));
}

proptest! {
    /// Whatever packets come, data stay within the credit, and what the guest
    /// is owed comes to an end.
    #[test]
    fn no_packets_break_the_bounds(
        is_asking in any::<bool>(),
        packets in prop::collection::vec((0..10_u16, 0..600_u32, 0..4_u32, any::<bool>()), 0..100),
    ) {
        let mut connection = if is_asking { asking() } else { accepted() };
        let mut kept = 0;
        for (op, len, flags, is_taken) in packets {
            match connection.take(&packet(op, len, flags)) {
                Outcome::Data(len) => kept += len,
                Outcome::Finished | Outcome::Reset | Outcome::Broken => return Ok(()),
                Outcome::Nothing | Outcome::Opened | Outcome::Over(_) => {}
            }
            prop_assert!(kept <= ROOM);
            if is_taken {
                connection.forward(kept);
                kept = 0;
            }
            prop_assert!(drain(&mut connection, true).len() <= 3);
        }
    }
}
