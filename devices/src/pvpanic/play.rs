use vmm_core::bus::BusDevice;

use super::{PanicFunction, PanicNote, PanicPort};
use crate::pci::Function;

/// Plays `script` on the register, as a port and as a function's: four bytes an
/// access. Checks that the note says what was written, and reads give no more
/// than the events.
///
/// # Panics
/// Where that is not so.
pub fn play_panics(script: &[u8]) {
    let note = PanicNote::new().expect("a descriptor");
    let mut port = PanicPort::new(note.clone());
    let mut function = PanicFunction::new(note.clone());
    let mut written = 0;
    for access in script.chunks_exact(4) {
        let [what, place, low, high] = [access[0], access[1], access[2], access[3]];
        let mut data = vec![low; 1 + usize::from(what >> 4) % 8];
        let offset = u64::from(place) % 16;
        let config = u16::from(place) & !3;
        match what & 7 {
            0 => port.write(0, &data),
            1 => function.write_bar(0, offset, &data),
            2 => port.read(0, &mut data),
            3 => function.read_bar(0, offset, &mut data),
            4 => function.write_config(config, &[low, high, 0, 0xe8]),
            _ => function.read_config(config, &mut data[..1]),
        }
        let is_register = matches!(what & 7, 0) || (what & 7 == 1 && offset == 0);
        written |= if is_register { low } else { 0 };
        if matches!(what & 7, 2 | 3) {
            let shown = if what & 7 == 2 || offset == 0 { PanicNote::offered() } else { 0 };
            assert!(data[0] == shown && data[1..].iter().all(|byte| *byte == 0), "{data:?}");
        }
        assert_eq!((note.panicked(), note.crash_loaded()), (written & 1 != 0, written & 2 != 0));
        let windows = function.windows();
        assert!(windows[1..].iter().all(Option::is_none), "there is one window");
    }
    assert_eq!(note.event().read().is_ok(), written & 1 != 0, "it tells of it, once");
}
