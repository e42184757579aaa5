use crate::running::Outcome;

/// Runs with one limit after the other, until one was long enough for the guest
/// to get where `is_there` says: how long it takes is the machine's affair.
/// Returns that limit, or the last, and the outcome with it.
///
/// # Panics
/// If there is no limit.
pub fn run_with<L: Copy>(
    limits: &[L],
    run: impl Fn(L) -> Outcome,
    is_there: impl Fn(&Outcome) -> bool,
) -> (L, Outcome) {
    let mut last = None;
    for limit in limits {
        let outcome = run(*limit);
        if is_there(&outcome) {
            return (*limit, outcome);
        }
        last = Some((*limit, outcome));
    }
    last.expect("there is a limit")
}
