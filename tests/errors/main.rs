//! What Kiln says about bad input, word for word.
//!
//! Each file in `tests/golden` is a transcript: commands, what they print on
//! stderr, their status. `KILN_BLESS=1 cargo test --test errors` rewrites the
//! files from what the binary does now; read the difference before keeping it.

#![expect(clippy::unwrap_used, reason = "this is a test, its functions too")]

mod clash;
mod fixtures;
mod net;
mod passt;
mod transcript;
mod vsock;

use transcript::Transcript;

/// Declares a test for each transcript, and the list of them.
macro_rules! golden {
    ($($name:ident: $file:literal;)*) => {
        const FILES: &[&str] = &[$($file),*];
        $(
            #[test]
            fn $name() {
                Transcript::read($file).replay();
            }
        )*
    };
}

golden! {
    usage_errors_say_what_is_wrong: "usage.txt";
    bad_values_name_option_value_and_reason: "values.txt";
    a_kernel_that_is_none_is_told_for_what_it_is: "kernel.txt";
    initrds_that_cannot_be_used_are_named: "initrd.txt";
    disks_that_cannot_be_used_are_named: "disk.txt";
    files_for_output_that_cannot_be_made_are_named: "output.txt";
    a_command_line_that_is_too_long_is_refused_with_both_lengths: "cmdline.txt";
}

#[test]
fn every_transcript_is_replayed() {
    let found = std::fs::read_dir(transcript::folder()).unwrap();
    let mut found: Vec<_> = found.map(|entry| entry.unwrap().file_name()).collect();
    let mut listed = FILES.to_vec();
    found.sort();
    listed.sort_unstable();
    assert_eq!(found, listed);
}
