//! What was measured, and the table of ratios.

use std::fmt::Write;

use serde_json::{Value, json};

/// One line of the table.
#[derive(Debug, PartialEq)]
pub struct Row {
    pub scenario: &'static str,
    pub figure: &'static str,
    pub unit: &'static str,
    /// The column that the others are divided by, within a round.
    pub base: Option<&'static str>,
}

/// All values of a run.
#[derive(Default)]
pub struct Table {
    /// In the order in which they first came.
    rows: Vec<(&'static Row, Vec<Cell>)>,
}

struct Cell {
    column: &'static str,
    /// One for each round; none if the server failed in it.
    values: Vec<(usize, f64)>,
}

impl Table {
    pub fn record(&mut self, round: usize, row: &'static Row, column: &'static str, value: f64) {
        let index = self.rows.iter().position(|(known, _)| *known == row).unwrap_or_else(|| {
            self.rows.push((row, Vec::new()));
            self.rows.len() - 1
        });
        let cells = &mut self.rows[index].1;
        let index = cells.iter().position(|cell| cell.column == column).unwrap_or_else(|| {
            cells.push(Cell { column, values: Vec::new() });
            cells.len() - 1
        });
        cells[index].values.push((round, value));
    }

    /// The sum of a column's values of one figure, over all scenarios.
    pub fn sum(&self, figure: &str, column: &str) -> f64 {
        let rows = self.rows.iter().filter(|(row, _)| row.figure == figure);
        let cells = rows.flat_map(|(_, cells)| cells).filter(|cell| cell.column == column);
        cells.flat_map(|cell| &cell.values).map(|(_, value)| value).sum()
    }

    pub fn markdown(&self) -> String {
        let mut columns: Vec<&str> = SERVERS.to_vec();
        columns.retain(|column| self.rows.iter().flat_map(|(_, cells)| cells).any(|cell| cell.column == *column));
        let mut text = format!("| scenario | figure | {} | beside |\n|---|---|", columns.join(" | "));
        text.push_str(&"---|".repeat(columns.len() + 1));
        text.push('\n');
        for (row, cells) in &self.rows {
            let of = row.base.map(|base| format!(", × {base}")).unwrap_or_default();
            write!(text, "| {} | {}{of} |", row.scenario, row.figure).ok(); // a string takes all
            for column in &columns {
                let cell = cells.iter().find(|cell| cell.column == *column);
                write!(text, " {} |", cell.map_or("–".into(), |cell| shown(row, cell, cells))).ok();
            }
            let beside = cells.iter().filter(|cell| !SERVERS.contains(&cell.column));
            let beside: Vec<_> = beside.map(|cell| format!("{}: {}", cell.column, absolute(row, cell))).collect();
            writeln!(text, " {} |", if beside.is_empty() { "–".into() } else { beside.join(", ") }).ok();
        }
        text
    }

    pub fn json(&self) -> Value {
        let cells = |cells: &[Cell]| -> Value {
            cells
                .iter()
                .map(|cell| (cell.column.to_owned(), json!(cell.values)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let row = |(row, values): &(&Row, Vec<Cell>)| {
            json!({
                "scenario": row.scenario, "figure": row.figure, "unit": row.unit, "base": row.base,
                "rounds": cells(values),
            })
        };
        self.rows.iter().map(row).collect()
    }
}

/// The columns of the table; what else a scenario compares with is named in its last one.
const SERVERS: [&str; 4] = ["sse-node", "raw", "naive", "Nchan"];

fn absolute(row: &Row, cell: &Cell) -> String {
    let median = median(cell.values.iter().map(|(_, value)| *value));
    format!("{} {}", number(median), row.unit).trim_end().to_owned()
}

/// The median, as a ratio to the base if there is one.
fn shown(row: &Row, cell: &Cell, cells: &[Cell]) -> String {
    let absolute = absolute(row, cell);
    let Some(base) = row.base.and_then(|base| cells.iter().find(|cell| cell.column == base)) else {
        return absolute;
    };
    let divided = |(round, value): &(usize, f64)| {
        let (_, base) = base.values.iter().find(|(other, _)| other == round)?;
        Some(value / base)
    };
    format!("{} ({absolute})", number(median(cell.values.iter().filter_map(divided))))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// Three figures are as much as a noisy machine tells.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Row = Row { scenario: "delivery", figure: "CPU", unit: "µs", base: Some("raw") };

    #[test]
    fn ratios_are_of_the_same_round_and_medians_of_all() {
        static ROW: Row = CPU;
        let mut table = Table::default();
        for (round, raw, node) in [(0, 2.0, 3.0), (1, 20.0, 20.0), (2, 4.0, 8.0)] {
            table.record(round, &ROW, "raw", raw);
            table.record(round, &ROW, "sse-node", node);
        }
        table.record(0, &ROW, "among 10", 1.0);
        let text = table.markdown();
        assert!(
            text.ends_with("| delivery | CPU, × raw | 1.50 (8.00 µs) | 1.00 (4.00 µs) | among 10: 1.00 µs |\n"),
            "{text}"
        );
        assert!((table.sum("CPU", "raw") - 26.0).abs() < f64::EPSILON);
    }
}
