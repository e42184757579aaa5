//! A kernel's modules, as `depmod` describes them in a folder.

mod error;
#[cfg(test)]
mod tests;
mod tree;
mod unpack;

pub use error::ModulesError;
pub use tree::{Driver, ModuleTree};

/// Has the three lists of a folder be what `bytes` say, with a NUL between
/// them, and asks for two modules; for the fuzzer and its corpus.
///
/// # Panics
/// If a module is in the order twice.
pub fn play_lists(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lists = text.split('\0');
    let mut next = || lists.next().unwrap_or_default();
    let tree = ModuleTree::parse("lists".into(), next(), next(), next());
    let drivers = ["a", "b"].map(|module| Driver { module, option: "X" });
    if let Ok(order) = tree.order(&drivers) {
        let mut seen = std::collections::HashSet::new();
        assert!(order.iter().all(|name| seen.insert(name)), "{order:?}");
    }
}
