use serde::{Deserialize, Serialize};

use crate::Result;
use crate::statistics::Summary;
use crate::vmm::Vmm;

/// The floor program's column.
pub(crate) const FLOOR: &str = "floor";

/// One measured quantity, of everything that has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// What it is.
    pub(crate) name: String,
    /// Its unit; empty for numbers of things.
    pub(crate) unit: String,
    /// What Kiln is to reach, in words.
    pub(crate) goal: Option<String>,
    /// What was measured, by column.
    pub(crate) series: Vec<Series>,
    /// Why it is missing in a column.
    pub(crate) notes: Vec<String>,
    /// The column that ratios are to, if not the usual one.
    base: Option<String>,
}

/// One column's measurements.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Series {
    /// The column's title: a VMM's, or [`FLOOR`].
    pub(crate) column: String,
    /// At least one, in the order measured.
    pub(crate) values: Vec<f64>,
}

impl Figure {
    /// A figure with nothing measured yet.
    pub(crate) fn new(name: &str, unit: &str) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            goal: None,
            series: Vec::new(),
            notes: Vec::new(),
            base: None,
        }
    }

    /// Says what is to be reached.
    #[must_use]
    pub(crate) fn goal(mut self, goal: &str) -> Self {
        self.goal = Some(goal.into());
        self
    }

    /// Says whose ratios are of interest.
    #[must_use]
    pub(crate) fn ratios_to(mut self, column: &str) -> Self {
        self.base = Some(column.into());
        self
    }

    /// Adds one measurement to a column.
    pub(crate) fn add(&mut self, column: &str, value: f64) {
        match self.series.iter_mut().find(|series| series.column == column) {
            Some(series) => series.values.push(value),
            None => self.series.push(Series { column: column.into(), values: vec![value] }),
        }
    }

    /// Adds a measurement of `column`, or a note, once, of why there is none.
    pub(crate) fn add_or_note(&mut self, column: &str, result: Result<f64>) {
        match result {
            Ok(value) => self.add(column, value),
            Err(error) => {
                self.notes.push(format!("{column} has no {}: {error}", self.name));
                self.notes.dedup();
            }
        }
    }

    /// Passes on what a measurement of `vmm` gave. A peer that cannot run here
    /// is noted and left out; Kiln's failure is the end.
    ///
    /// # Errors
    /// What was wrong with Kiln.
    pub(crate) fn tolerate<T>(&mut self, vmm: Vmm, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if vmm == Vmm::Kiln => Err(error),
            Err(error) => {
                self.notes.push(format!("{} has no {}: {error}", vmm.title(), self.name));
                Ok(None)
            }
        }
    }

    /// The summary of a column, if it has this figure.
    pub(crate) fn summary(&self, column: &str) -> Option<Summary> {
        let series = self.series.iter().find(|series| series.column == column)?;
        Summary::of(&series.values)
    }

    /// The column that ratios are to: as said, or else the floor, or Kiln where there is none.
    pub(crate) fn base(&self) -> &str {
        let there = |column: &str| self.series.iter().any(|series| series.column == column);
        match &self.base {
            Some(base) if there(base) => base,
            _ if there(FLOOR) => FLOOR,
            _ => "Kiln",
        }
    }
}
