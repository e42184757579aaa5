use std::io::{Seek, SeekFrom, Write};

use vm_memory::{Bytes, VolatileSlice};

use super::*;

fn slices<'a>(buffers: &'a mut [Vec<u8>]) -> Vec<VolatileSlice<'a>> {
    buffers.iter_mut().map(|b| VolatileSlice::from(b.as_mut_slice())).collect()
}

#[test]
fn a_file_is_read_and_written_in_pieces_at_an_offset() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();
    let mut buffers = [vec![0; 3], vec![0; 4]];
    assert_eq!(read_at(&file, &slices(&mut buffers), 2).unwrap(), 7);
    assert_eq!(buffers, [b"234".to_vec(), b"5678".to_vec()]);
    assert_eq!(read_at(&file, &slices(&mut buffers), 8).unwrap(), 2);
    assert_eq!(write_at(&file, &slices(&mut buffers), 1).unwrap(), 7);
    assert_eq!(read_at(&file, &slices(&mut buffers), 0).unwrap(), 7);
    assert_eq!(buffers[0], b"089");
}

#[test]
fn a_pipe_moves_one_message_between_slices() {
    let (reader, writer) = std::io::pipe().unwrap();
    let mut out = [b"ab".to_vec(), b"c".to_vec()];
    assert_eq!(write_once(&writer, &slices(&mut out)).unwrap(), 3);
    let mut buffer = vec![0; 8];
    let slice = VolatileSlice::from(buffer.as_mut_slice());
    assert_eq!(read_once(&reader, &[slice]).unwrap(), 3);
    let mut start = [0; 3];
    slice.read_slice(&mut start, 0).unwrap();
    assert_eq!(&start, b"abc");
}

#[test]
fn an_offset_past_the_largest_file_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let err = read_at(&file, &[], u64::MAX).unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn random_bytes_fill_all_of_a_slice_and_nothing_else() {
    let mut bytes = vec![0; 3 << 20];
    let slice = VolatileSlice::from(bytes.as_mut_slice());
    let len = slice.len();
    fill_random(&slice.subslice(16, len - 32).unwrap()).unwrap();
    fill_random(&slice.subslice(16, 0).unwrap()).unwrap();
    assert_eq!((&bytes[..16], &bytes[len - 16..]), (&[0; 16][..], &[0; 16][..]));
    // Of random bytes, 32 in a row are zeros once in 10^77 times.
    let inside = bytes[16..len - 16].chunks_exact(32);
    assert!(inside.clone().all(|chunk| chunk != [0; 32]));
    assert!(inside.clone().skip(1).all(|chunk| chunk != &bytes[16..48]));
}

#[test]
fn a_directory_is_read_on_from_any_of_its_names() {
    let place = tempfile::tempdir().unwrap();
    for number in 0..50 {
        std::fs::write(place.path().join(format!("file-{number}")), b"").unwrap();
    }
    let mut directory = std::fs::File::open(place.path()).unwrap();
    let mut read = |offset, room| -> Vec<(String, u64, u8)> {
        directory.seek(SeekFrom::Start(offset)).unwrap();
        let mut buffer = vec![0; room];
        let names = read_names(&directory, &mut buffer).unwrap();
        names.map(|name| (name.name.to_str().unwrap().into(), name.next, name.kind)).collect()
    };
    let all = read(0, 1 << 16);
    assert_eq!(all.len(), 52);
    assert_eq!(all.iter().filter(|(.., kind)| *kind == libc::DT_REG).count(), 50);
    for (index, (_, next, _)) in all.iter().enumerate() {
        let rest = read(*next, 300);
        assert_eq!(rest.is_empty(), index == all.len() - 1);
        assert_eq!(rest, all[index + 1..][..rest.len()]);
    }
}

#[test]
fn a_directory_without_room_for_a_name_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let directory = std::fs::File::open(place.path()).unwrap();
    let read = read_names(&directory, &mut [0; 8]).map(Iterator::count);
    assert_eq!(read.unwrap_err().raw_os_error(), Some(libc::EINVAL));
}
