//! Guesses in which row of a workbook its columns are named.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::Shape;
use super::csv::{is_name, year};
use crate::document::read::{self, Layout, Take, Wanted};
use crate::document::record::Record;
use crate::model::format::{ExcelFormat, Format};

/// Rows that are looked at.
const ROWS_MAX: usize = 50;

/// The first row that has as many cells as most have: its header when its cells are names, else a row without one.
pub(super) fn excel(sample: &[u8]) -> Shape {
    let mut rows = Rows(Vec::new());
    // What is wrong with it is told when it is read as what it is guessed to be.
    let _ = read::read(sample, &Format::Excel(ExcelFormat { header_row: 0, ..ExcelFormat::default() }), Wanted::default(), &mut rows);
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    rows.0.iter().map(|(_, cells)| cells.len()).filter(|count| *count > 1).for_each(|count| *counts.entry(count).or_default() += 1);
    let most = counts.into_iter().max_by_key(|(count, rows)| (*rows, *count)).map_or(1, |(count, _)| count);
    let first = rows.0.iter().find(|(_, cells)| cells.len() >= most);
    let named = |cells: &[String]| {
        let names = cells.iter().filter(|cell| is_name(cell)).count();
        names > cells.iter().filter(|cell| year(cell).is_none()).count() - names
    };
    let (header_row, note) = match (first, rows.0.first()) {
        (Some((line, cells)), _) if *line > 1 && named(cells) => {
            (*line, Some(format!("the header seems to stand in row {line}: what is above it is passed over")))
        }
        (_, Some((_, cells))) if cells.len() > 1 && !named(cells) => (0, None),
        _ => (1, None),
    };
    let key = if header_row == 1 { String::new() } else { format!(", header_row = {header_row}") };
    let format = Format::Excel(ExcelFormat { header_row: u32::try_from(header_row).unwrap_or(1), ..ExcelFormat::default() });
    Shape { notes: note.into_iter().collect(), ..Shape::of(format, format!("{{ type = \"excel\"{key} }}")) }
}

/// The first rows: their numbers, and their cells that are not blank.
struct Rows(Vec<(u64, Vec<String>)>);

impl Take for Rows {
    fn layout(&mut self, _: &Layout) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        let cells = record.texts().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        self.0.push((record.line, cells.collect()));
        if self.0.len() == ROWS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
