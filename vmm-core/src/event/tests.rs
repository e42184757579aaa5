use std::io::Read;
use std::sync::mpsc;
use std::time::Duration;

use super::*;

fn spec(
    name: &str,
    requests: &RequestSender,
    wake: impl Fn() + Send + Sync + 'static,
) -> WorkerSpec {
    WorkerSpec {
        name: name.into(),
        stack: 128 << 10,
        wake: Box::new(wake),
        requests: requests.clone(),
    }
}

#[test]
fn a_worker_waits_for_its_start_and_returns_its_value() {
    let requests = RequestSender::new().unwrap();
    let (ran, seen) = mpsc::channel();
    let worker = Worker::spawn(spec("t", &requests, || {}), move |_| {
        ran.send(std::thread::current().name().map(str::to_owned)).unwrap();
        7
    })
    .unwrap();
    assert!(seen.try_recv().is_err());
    worker.start();
    assert_eq!(seen.recv().unwrap().as_deref(), Some("t"));
    assert_eq!(worker.stop().unwrap(), Some(7));
    assert!(!requests.is_pending());
}

#[test]
fn a_worker_shows_as_much_of_the_machines_name_as_fits() {
    let requests = RequestSender::of_machine(Some("database-7")).unwrap();
    let name = |_: &StopFlag| std::thread::current().name().map(str::to_owned);
    let worker = Worker::spawn(spec("console", &requests, || {}), name).unwrap();
    worker.start();
    assert!(worker.wait(Duration::from_secs(600)));
    assert_eq!(worker.stop().unwrap().flatten().as_deref(), Some("console:databas"));
}

#[test]
fn a_worker_that_never_started_stops_without_running() {
    let requests = RequestSender::new().unwrap();
    let worker = Worker::spawn(spec("t", &requests, || {}), |_| panic!("ran")).unwrap();
    assert!(worker.stop().unwrap().is_none());
}

#[test]
fn a_worker_is_told_to_stop_through_its_wake() {
    let requests = RequestSender::new().unwrap();
    let (wake, woken) = mpsc::channel();
    let worker = Worker::spawn(
        spec("t", &requests, move || wake.send(()).unwrap()),
        move |stop: &StopFlag| {
            woken.recv().unwrap();
            stop.is_set()
        },
    )
    .unwrap();
    worker.start();
    assert_eq!(worker.stop().unwrap(), Some(true));
}

#[test]
fn a_worker_in_a_blocking_read_is_kicked_out_of_it() {
    let requests = RequestSender::new().unwrap();
    let (mut reader, _writer) = std::io::pipe().unwrap();
    let (ready, started) = mpsc::channel();
    let worker = Worker::spawn(spec("t", &requests, || {}), move |stop: &StopFlag| {
        ready.send(()).unwrap();
        loop {
            match reader.read(&mut [0]) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted && stop.is_set() => break,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                other => panic!("read gave {other:?}"),
            }
        }
    })
    .unwrap();
    worker.start();
    started.recv().unwrap();
    assert!(!worker.wait(Duration::ZERO));
    assert_eq!(worker.stop().unwrap(), Some(()));
}

#[test]
fn dropping_a_worker_stops_it() {
    let requests = RequestSender::new().unwrap();
    let (wake, woken) = mpsc::channel::<()>();
    let (end, ended) = mpsc::channel();
    let worker = Worker::spawn(
        spec("t", &requests, move || {
            let _ = wake.send(());
        }),
        move |_| {
            woken.recv().unwrap();
            end.send(()).unwrap();
        },
    )
    .unwrap();
    worker.start();
    drop(worker);
    ended.try_recv().unwrap();
}

#[test]
fn a_panic_names_its_thread_and_ends_the_machine() {
    let requests = RequestSender::new().unwrap();
    let worker =
        Worker::spawn(spec("t7", &requests, || {}), |_| -> () { panic!("as planned") }).unwrap();
    worker.start();
    assert!(worker.wait(Duration::from_secs(600)));
    assert_eq!(requests.first(), Some(MachineRequest::ThreadFailed { name: "t7".into() }));
    let said = worker.stop().unwrap_err().to_string();
    assert_eq!(said, "the thread t7 failed: as planned");
}

#[test]
fn a_thread_name_that_the_kernel_would_cut_is_refused() {
    let requests = RequestSender::new().unwrap();
    for name in ["", "sixteen-bytes-ab", "a\0b"] {
        assert!(Worker::spawn(spec(name, &requests, || {}), |_| ()).is_err(), "{name:?}");
    }
    assert!(Worker::spawn(spec("fifteen-bytes-a", &requests, || {}), |_| ()).is_ok());
}
