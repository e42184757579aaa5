use testing::Outcome;

/// Lines `name=value` that a guest's script printed.
pub(crate) struct Report(String);

impl Report {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        Self(outcome.text().replace('\r', ""))
    }

    /// All values of that name, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let start = format!("{name}=");
        self.0.lines().filter_map(|line| line.strip_prefix(&start)).collect()
    }

    /// The only value of that name.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> &str {
        match self.all(name)[..] {
            [value] => value,
            _ => panic!("the guest has not printed one line {name}=\n{}", self.0),
        }
    }

    #[track_caller]
    pub(crate) fn number(&self, name: &str) -> u64 {
        let value = self.one(name);
        value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number"))
    }
}
