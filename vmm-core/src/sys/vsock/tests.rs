use std::os::fd::{FromRawFd, OwnedFd};

use super::*;

fn size(socket: &impl AsFd) -> u64 {
    let mut value = 0_u64;
    let mut len = libc::socklen_t::try_from(size_of::<u64>()).unwrap();
    // SAFETY: the option is a number of 8 bytes, for which there is room.
    Errno::result(unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::AF_VSOCK,
            BUFFER_SIZE,
            (&raw mut value).cast(),
            &raw mut len,
        )
    })
    .unwrap();
    value
}

#[test]
fn a_stream_gets_more_room_than_the_kernel_gives_by_itself() {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes numbers only.
    let fd = match Errno::result(unsafe { libc::socket(libc::AF_VSOCK, kind, 0) }) {
        // A kernel that has none.
        Err(Errno::EAFNOSUPPORT) => return,
        fd => fd.unwrap(),
    };
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let before = size(&socket);
    set_vsock_buffer(&socket, 4 * before).unwrap();
    assert_eq!(size(&socket), 4 * before);
}

#[test]
fn what_is_no_vsock_stream_is_refused() {
    let file = tempfile::tempfile().unwrap();
    let error = set_vsock_buffer(&file, 1 << 20).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTSOCK));
}
