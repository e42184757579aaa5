use std::fs::File;
use std::io::Write;

use super::*;

#[test]
fn a_pipe_is_one_however_often_it_is_held() {
    let (reader, writer) = std::io::pipe().unwrap();
    assert!(same_file(&writer, writer.try_clone().unwrap()));
    assert!(same_file(&writer, &reader), "its ends are of one");
    assert!(!same_file(&writer, std::io::pipe().unwrap().1));
}

#[test]
fn a_file_is_one_while_its_next_bytes_have_one_place() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut opened = file.reopen().unwrap();
    opened.write_all(b"words").unwrap();
    assert!(same_file(&opened, opened.try_clone().unwrap()));
    assert!(!same_file(&opened, file.reopen().unwrap()), "at its start");
    let append = || File::options().append(true).open(file.path()).unwrap();
    let mut first = append();
    first.write_all(b"more").unwrap();
    assert!(same_file(&first, append()), "both add to its end");
    assert!(!same_file(&opened, append()));
    assert!(!same_file(&first, tempfile::tempfile().unwrap()));
}
