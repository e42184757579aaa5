/// Panics if a test asks for it, so that it sees how an internal error ends:
/// `KILN_TEST_PANIC` names the thread. Does nothing without debug assertions.
///
/// # Panics
/// That is all it does.
pub fn panic_if_asked(thread: &str) {
    if cfg!(debug_assertions) {
        let asked = std::env::var_os("KILN_TEST_PANIC").is_some_and(|name| name == thread);
        assert!(!asked, "a test asks for a panic");
    }
}
