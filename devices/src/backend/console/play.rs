use std::sync::{Arc, Mutex, PoisonError};

use super::strip::Strip;
use super::watch::{LineTest, Watch};

/// The longest line that a test sees, and the tail that is kept, in bytes.
const LINE: usize = 4096;
const TAIL: usize = 4096;

/// Has a console's reader of lines take `output`, whose first byte says after
/// how many bytes the open line is looked at. Checks that a test sees each
/// line once as it ends, and that what is kept is bounded.
///
/// # Panics
/// Where that is not so.
pub fn play_lines(output: &[u8]) {
    let Some((step, output)) = output.split_first() else { return };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let lines = || seen.lock().unwrap_or_else(PoisonError::into_inner);
    let keeper = Arc::clone(&seen);
    let test: LineTest = Box::new(move |line| {
        keeper.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        false
    });
    let mut watch = Watch::default();
    watch.test_lines(test);
    let mut expected = Vec::new();
    let (mut line, mut returned) = (Vec::new(), false);
    for (at, byte) in output.iter().copied().enumerate() {
        let ended = lines().len();
        watch.push(byte);
        let is_end = matches!(byte, b'\n' | b'\r') && !(byte == b'\n' && returned);
        assert_eq!(lines().len() - ended, usize::from(is_end), "at byte {at}");
        match byte {
            b'\n' | b'\r' if is_end => expected.push(text(&std::mem::take(&mut line))),
            b'\n' | b'\r' => {}
            byte => line.push(byte),
        }
        returned = byte == b'\r';
        if *step > 0 && at % usize::from(*step) == 0 {
            watch.test_line();
            let open = lines().pop();
            assert_eq!(open.as_deref(), Some(&*text(&line)), "at byte {at}");
        }
    }
    assert_eq!(*lines(), expected);
    assert_eq!(watch.total(), u64::try_from(output.len()).expect("a length"));
    assert_eq!(watch.tail(), output[output.len().saturating_sub(TAIL)..]);
    let facts = watch.facts();
    for kept in [facts.panic, facts.complaint].into_iter().flatten() {
        assert!(kept.chars().count() <= 256 && !kept.contains(['\n', '\r']), "{kept:?}");
    }
}

/// A line as a test sees it.
fn text(line: &[u8]) -> String {
    let mut strip = Strip::default();
    let kept: Vec<_> = line.iter().copied().filter(|byte| strip.keeps(*byte)).take(LINE).collect();
    String::from_utf8_lossy(&kept).into_owned()
}
