use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::Result;
use crate::figure::{FLOOR, Figure};
use crate::statistics::Summary;
use crate::vmm::Vmm;

/// From this many measurements on, the least says what a shared machine can do
/// when nobody disturbs, and gets rows of its own.
const MANY: usize = 20;
const ABSENT: &str = "–";

/// For a terminal: columns padded with blanks.
pub(crate) fn text(figures: &[Figure], notes: &[String]) -> String {
    let rows = rows(figures);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// For `docs/performance.md`.
pub(crate) fn markdown(figures: &[Figure], notes: &[String]) -> String {
    let rows = rows(figures);
    let mut text = format!("| {} |\n|{}\n", rows[0].join(" | "), "---|".repeat(rows[0].len()));
    for row in &rows[1..] {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    if !notes.is_empty() {
        let _ = writeln!(text, "\n{}.", notes.join("; "));
    }
    text
}

/// Everything, measurement by measurement.
pub(crate) fn json(figures: &[Figure], notes: &[String]) -> Result<String> {
    let figures: Vec<Value> = figures.iter().map(figure_json).collect();
    Ok(serde_json::to_string_pretty(&json!({ "figures": figures, "notes": notes }))?)
}

fn figure_json(figure: &Figure) -> Value {
    let base = figure.summary(figure.base());
    let columns = figure.series.iter().map(|series| {
        let summary = Summary::of(&series.values);
        let ratios = summary.zip(base).map(|(own, base)| {
            // Not a number, where the base is zero, is null.
            json!({ "of_medians": own.median / base.median, "of_least": own.least / base.least })
        });
        let value = json!({ "summary": summary, "ratios": ratios, "values": series.values });
        (series.column.clone(), value)
    });
    json!({
        "name": figure.name,
        "unit": figure.unit,
        "goal": figure.goal,
        "ratios_to": figure.base(),
        "columns": columns.collect::<Map<_, _>>(),
    })
}

/// The table: a heading, then for each figure a row of medians, one of least
/// values where there are many, and the ratios of both.
fn rows(figures: &[Figure]) -> Vec<Vec<String>> {
    let columns = columns(figures);
    let mut heading = vec!["figure".to_owned(), "to reach".to_owned()];
    heading.extend(columns.iter().map(ToString::to_string));
    let mut rows = vec![heading];
    for figure in figures {
        rows.extend(figure_rows(figure, &columns));
    }
    rows
}

/// All that occur: VMMs in a fixed order, then others as they come.
fn columns(figures: &[Figure]) -> Vec<&str> {
    let known = ["Kiln", FLOOR].into_iter().chain(Vmm::PEERS.map(Vmm::title));
    let mut columns: Vec<&str> = known
        .filter(|column| figures.iter().any(|figure| figure.summary(column).is_some()))
        .collect();
    for series in figures.iter().flat_map(|figure| &figure.series) {
        if !columns.contains(&series.column.as_str()) {
            columns.push(&series.column);
        }
    }
    columns
}

fn figure_rows(figure: &Figure, columns: &[&str]) -> Vec<Vec<String>> {
    let goal = figure.goal.clone().unwrap_or_default();
    let row = |name: String, goal: String, cell: &dyn Fn(Summary) -> String| {
        let mut row = vec![name, goal];
        row.extend(columns.iter().map(|c| figure.summary(c).map_or(ABSENT.into(), cell)));
        row
    };
    let name = match figure.unit.as_str() {
        "" => figure.name.clone(),
        unit => format!("{}, {unit}", figure.name),
    };
    let whole = figure.unit.is_empty();
    let mut rows = vec![row(name, goal, &|s| spread(s, whole))];
    // The least of differences is the largest disturbance.
    let many = figure.series.iter().any(|series| series.values.len() >= MANY)
        && figure.series.iter().flat_map(|series| &series.values).all(|value| *value > 0.0);
    if many {
        rows.push(row("… least".into(), String::new(), &|s| number(s.least, whole)));
    }
    let base = figure.summary(figure.base());
    let Some(base) = base.filter(|base| figure.series.len() > 1 && base.least > 0.0) else {
        return rows;
    };
    let to = figure.base();
    rows.push(row(format!("… × {to}"), String::new(), &|s| ratio(s.median, base.median)));
    if many {
        rows.push(row(format!("… least × {to}"), String::new(), &|s| {
            ratio(s.least, base.least)
        }));
    }
    rows
}

/// The median, and where half of the rest lies if it is not all the same.
fn spread(summary: Summary, whole: bool) -> String {
    let [median, p10, p90] = [summary.median, summary.p10, summary.p90].map(|v| number(v, whole));
    if p10 == p90 { median } else { format!("{median} ({p10}–{p90})") }
}

/// Three digits, or all of a whole number.
fn number(value: f64, whole: bool) -> String {
    if whole || value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else if value >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

fn ratio(value: f64, base: f64) -> String {
    format!("{:.2}", value / base)
}
