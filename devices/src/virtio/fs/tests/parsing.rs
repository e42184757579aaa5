use proptest::prelude::*;

use super::*;
use crate::virtio::fs::request::{Head, Request};

fn head(opcode: u32) -> Head {
    let header = InHeader { opcode, ..InHeader::default() };
    Head::parse(header.as_slice().try_into().unwrap())
}

proptest! {
    /// Whatever the bytes, a request is parsed or refused; what is cut off its
    /// end is missed, unless it was not needed.
    #[test]
    fn any_bytes_are_a_request_or_an_error(
        opcode in 0_u32..64,
        body in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..200,
    ) {
        let whole = Request::parse(&head(opcode), &body).map(|request| format!("{request:?}"));
        let cut = &body[..cut.min(body.len())];
        if let Ok(part) = Request::parse(&head(opcode), cut) {
            prop_assert!(whole.is_ok(), "{opcode}");
            // Batches have as many as there are.
            if opcode != 42 {
                prop_assert_eq!(whole.unwrap(), format!("{part:?}"));
            }
        }
    }

    /// Whatever a driver asks for, it is answered, and nothing beside the
    /// directory changes.
    #[test]
    fn any_messages_are_answered_and_confined(
        how in 0_u8..4,
        messages in prop::collection::vec(
            (any::<u8>(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..60), any::<u8>()),
            0..30,
        ),
    ) {
        let mut data = vec![how];
        for (opcode, node, body, name) in messages {
            data.extend([opcode, node, u8::try_from(body.len()).unwrap()]);
            data.extend(body);
            data.extend([1, name]);
        }
        play_files(&data);
    }

    /// Names come back as they were.
    #[test]
    fn two_names_are_told_apart(from in "[^\0]{0,30}", to in "[^\0]{0,30}", directory: u64) {
        let body = [directory.as_slice(), &text(&from), &text(&to)].concat();
        match Request::parse(&head(12), &body) {
            Ok(Request::Rename { directory: at, flags: 0, from: a, to: b }) => {
                prop_assert_eq!((at, a.to_str(), b.to_str()), (directory, Ok(&*from), Ok(&*to)));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
