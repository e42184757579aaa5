use super::*;

#[test]
fn the_last_complaint_is_found_behind_a_time_stamp() {
    let console = b"[    0.1] kiln-agent: first\r\n[    0.2] kiln-agent: no sockets\r\nmore\r\n";
    assert_eq!(complaint(console).as_deref(), Some("no sockets"));
    assert_eq!(complaint(b"[    0.1] all is well\n"), None);
    let long = [COMPLAINT.as_bytes(), &[b'x'; 1000]].concat();
    assert_eq!(complaint(&long).unwrap().len(), LONGEST);
}
