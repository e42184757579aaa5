//! The commands that docs/networking.md gives.

const PAGE: &str = include_str!("../../../docs/networking.md");

/// The blocks of the page whose first line is "```sh NAME", joined.
///
/// # Panics
/// If there is none.
pub(super) fn commands(name: &str) -> String {
    let start = format!("```sh {name}");
    let mut found = String::new();
    let mut lines = PAGE.lines();
    while lines.by_ref().any(|line| line == start) {
        lines.by_ref().take_while(|line| *line != "```").for_each(|line| {
            found.push_str(line);
            found.push('\n');
        });
    }
    assert!(!found.is_empty(), "docs/networking.md has no block {start:?}");
    found
}

/// What stands behind `--net` in the block of that name, one for each guest.
///
/// # Panics
/// If there is no such block.
pub(super) fn interfaces(name: &str) -> Vec<String> {
    let commands = commands(name);
    let mut words = commands.split_whitespace();
    let mut found = Vec::new();
    while words.by_ref().any(|word| word == "--net") {
        found.extend(words.next().map(str::to_owned));
    }
    found
}
