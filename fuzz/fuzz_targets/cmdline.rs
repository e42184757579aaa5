//! A command line and words to append, split at the first line's end.
#![no_main]

use boot::Cmdline;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &str| {
    let (line, words) = data.split_once('\n').unwrap_or((data, ""));
    if let Ok(mut cmdline) = Cmdline::new(line) {
        let before = cmdline.clone();
        match cmdline.append(words) {
            Ok(()) => assert!(cmdline.len() >= before.len() + words.len()),
            Err(_) => assert_eq!(cmdline, before),
        }
    }
});
