use std::sync::mpsc;

use super::*;

#[test]
fn a_change_waits_for_those_inside_and_newcomers_for_the_change() {
    let gate = Arc::new(Gate::default());
    let (tell, told) = mpsc::channel();
    let inside = gate.enter();
    let other = gate.enter();
    std::thread::scope(|scope| {
        scope.spawn(|| gate.alone(|| tell.send("change").unwrap()));
        while !gate.is_wanted() {
            std::thread::yield_now();
        }
        scope.spawn(|| {
            let _inside = gate.enter();
            tell.send("newcomer").unwrap();
        });
        drop(other);
        assert!(told.try_recv().is_err());
        drop(inside);
    });
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["change", "newcomer"]);
    assert!(!gate.is_wanted());
}

#[test]
fn changes_are_made_one_by_one() {
    let gate = Gate::default();
    let running = AtomicBool::new(false);
    let change = || {
        assert!(!running.swap(true, Ordering::SeqCst));
        std::thread::yield_now();
        assert!(running.swap(false, Ordering::SeqCst));
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| gate.alone(change)));
        }
    });
}

#[test]
fn a_change_that_panics_leaves_the_gate_open() {
    let gate = Arc::new(Gate::default());
    let panicked = std::thread::scope(|scope| scope.spawn(|| gate.alone(|| panic!())).join());
    assert!(panicked.is_err() && !gate.is_wanted());
    drop(gate.enter());
}
