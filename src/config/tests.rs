use super::*;

#[test]
fn sizes_read_as_written() {
    assert_eq!("512M".parse(), Ok(ByteSize::new(512 << 20)));
    assert_eq!("3g".parse(), Ok(ByteSize::new(3 << 30)));
    assert_eq!("4096".parse(), Ok(ByteSize::new(4096)));
}
