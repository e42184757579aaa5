use serde::Serialize;

/// What a row of measurements comes to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    /// How many there are.
    pub(crate) count: usize,
    /// The least.
    pub(crate) least: f64,
    /// A tenth of them are below this.
    pub p10: f64,
    /// Half of them are below this.
    pub(crate) median: f64,
    /// A tenth of them are above this.
    pub p90: f64,
}

impl Summary {
    /// Sums up `values`; `None` if there are none.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            count: sorted.len(),
            least: *sorted.first()?,
            p10: quantile(&sorted, 10),
            median: quantile(&sorted, 50),
            p90: quantile(&sorted, 90),
        })
    }
}

/// The value that `percent` of the sorted values are below, between two of
/// them in proportion.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let last = sorted.len() - 1;
    let (index, rest) = (last * percent / 100, last * percent % 100);
    let weight = f64::from(u8::try_from(rest).expect("below 100")) / 100.0;
    let next = sorted[(index + 1).min(last)];
    sorted[index] + (next - sorted[index]) * weight
}
