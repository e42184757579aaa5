use crate::agent::COMPLAINT;

/// The most that is repeated of what the guest says, in characters.
const LONGEST: usize = 300;

/// What the agent has said in the kernel's log, last, as `console` shows it.
pub fn complaint(console: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(console);
    let said = text.lines().filter_map(|line| line.split_once(COMPLAINT)).next_back()?.1;
    Some(said.trim_end().chars().take(LONGEST).collect())
}

#[cfg(test)]
mod tests;
