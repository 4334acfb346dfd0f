//! A file of refused records that comes back: what we added to it is told from data, and left out before anything maps it.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use encoding_rs::Encoding;
use memchr::memmem;

use super::{BEFORE, LINE, MARK_MAX, REASON, TRANSFORMED};
use crate::document::broken::Broken;
use crate::document::csv::read::{Reader, dialect};
use crate::document::read::{self, Layout, Take, Wanted};
use crate::document::record::Record;
use crate::model::format::{CsvFormat, Format};

/// Whether a document that begins so is such a file: refused rows as stylesheets gave them in this format, mended and sent again.
pub fn is_of_transformed(format: &Format, begin: &[u8]) -> bool {
    let (encoding, skip) = Encoding::for_bom(begin).unwrap_or((format.encoding(), 0));
    let text = encoding.decode_without_bom_handling(&begin[skip..begin.len().min(MARK_MAX)]).0;
    let text = text.trim_start();
    match format {
        Format::Xml(_) => {
            // Before the root there may be nothing else but the declaration.
            let prolog = text.strip_prefix("<?xml").map_or(text, |rest| rest.split_once("?>").map_or("", |(_, rest)| rest));
            prolog.trim_start().starts_with(TRANSFORMED)
        }
        _ if text.starts_with('<') => false,
        Format::Csv(csv) if csv.header => text.contains(LINE) && text.contains(REASON),
        Format::Csv(_) => text.contains(&format!("{LINE} ")),
        Format::Json(_) => text.contains(&format!("\"{LINE}\":")),
        Format::Fixed(_) => text.contains(BEFORE),
        Format::Excel(_) => false,
    }
}

/// Whether such a file in this format can be told from other documents.
pub fn can_be_told(format: &Format) -> bool {
    !matches!(format, Format::Excel(_))
}

/// Where our words begin in a text.
pub fn words_in(text: &[u8]) -> Option<usize> {
    static WORDS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(LINE));
    WORDS.find(text)
}

/// The line that a cell of ours tells, and how many fields a record should have: `Entrepot line 5`, `Entrepot line 5 (4 fields)`.
fn told_by(cell: &str) -> Option<(u64, Option<usize>)> {
    let told = cell.trim().strip_prefix(LINE)?.strip_prefix(' ')?;
    match told.split_once(" (") {
        None => Some((told.parse().ok()?, None)),
        Some((line, fields)) => Some((line.parse().ok()?, Some(fields.strip_suffix(" fields)")?.parse().ok()?))),
    }
}

/// The line that a cell of ours tells.
pub fn line_of(cell: &str) -> Option<u64> {
    told_by(cell).map(|(line, _)| line)
}

/// How many columns are the document's own, when ours are among those with these names.
pub fn own_columns(names: &[String]) -> Option<usize> {
    let is = |name: &String, ours: &str| name.trim().eq_ignore_ascii_case(ours);
    if !names.iter().any(|name| is(name, REASON)) {
        return None;
    }
    // The sender may have a column of its own that is called so.
    let first = names.iter().rposition(|name| is(name, LINE))?;
    let last = names[first + 1..].iter().all(|name| is(name, REASON) || name.trim().is_empty());
    // Somebody has put them elsewhere: nothing maps them there.
    Some(if last { first } else { names.len() })
}

/// What we added to delimited text.
pub struct Ours {
    dialect: Reader<std::io::Empty>,
    delimiter: String,
    /// The document's own columns, and all that its header names.
    columns: Option<(usize, usize)>,
    found: bool,
    /// The line of the first record that there was nothing else in, and how many there were.
    alone: Option<(u64, u64)>,
}

impl Ours {
    /// Takes our columns off a header; `None` when it has none of them. Without a header only the records can tell.
    pub fn of(format: &CsvFormat, layout: &mut Layout) -> Option<Ours> {
        let dialect = dialect(&CsvFormat { encoding: encoding_rs::UTF_8, ..format.clone() });
        let columns = match layout {
            Layout::Named { names, raw, .. } => {
                let (own, all) = (own_columns(names)?, names.len());
                let end = dialect.fields(raw, own).and_then(|(_, end)| end);
                raw.truncate(end.unwrap_or(raw.len()));
                names.truncate(own);
                Some((own, all))
            }
            Layout::Numbered | Layout::Asked => None,
        };
        Some(Ours { dialect, delimiter: format.delimiter.clone(), columns, found: columns.is_some(), alone: None })
    }

    /// Whether any were found by now.
    pub fn were_there(&self) -> bool {
        self.found
    }

    /// Records with nothing else in them, which were left out whole: the line of the first, and how many.
    pub fn alone(&self) -> Option<(u64, u64)> {
        self.alone
    }

    /// Without a header: whether any stand in what comes next.
    pub fn are_ahead(&self, next: &[u8]) -> bool {
        self.columns.is_none() && words_in(next).is_some()
    }

    /// Takes ours off a record; `false` when there is nothing else in it.
    pub fn leave_out(&mut self, record: &mut Record) -> bool {
        if let Some(place) = words_in(&record.raw) {
            let told = |at: usize| record.field(at).and_then(|(text, _)| Some((at, told_by(text)?)));
            // Behind ours nothing stands but the reason.
            let last =
                |(at, _): &(usize, _)| (at + 2..record.len()).all(|at| record.field(at).is_none_or(|(text, _)| text.trim().is_empty()));
            if let Some((at, (line, fields))) = (0..record.len()).find_map(told).filter(last) {
                (record.told, record.told_fields) = (Some(line), fields);
                return self.keep(record, at);
            }
            // Bytes that are no text have no fields.
            let digits = &record.raw[(place + LINE.len() + 1).min(record.raw.len())..];
            let digits = &digits[..digits.iter().take_while(|byte| byte.is_ascii_digit()).count()];
            let line = std::str::from_utf8(digits).ok().and_then(|line| line.parse().ok());
            if record.is_empty() && line.is_some() && record.raw[..place].ends_with(self.delimiter.as_bytes()) {
                record.told = line;
                record.raw.truncate(place - self.delimiter.len());
                self.found = true;
            }
            return true;
        }
        let Some((own, all)) = self.columns.filter(|(own, all)| own < all && record.len() == *all) else { return true };
        let text = |at: usize| record.field(at).map_or("", |(text, _)| text.trim());
        let line = text(own).parse().ok();
        // Anything else there may be data that has slipped: such a record has too many fields.
        if line.is_none() && !(own..all).all(|at| text(at).is_empty()) {
            return true;
        }
        record.told = line;
        self.keep(record, own)
    }

    fn keep(&mut self, record: &mut Record, fields: usize) -> bool {
        self.found = true;
        let end = self.dialect.fields(&record.raw, fields).and_then(|(_, end)| end);
        record.raw.truncate(end.unwrap_or(record.raw.len()));
        record.truncate(fields);
        if fields == 0 {
            self.alone = Some(self.alone.map_or((record.line, 1), |(line, count)| (line, count + 1)));
        }
        fields > 0
    }
}

/// A record of such a file, read again.
pub struct Again<'a> {
    /// Its number in the file, from 0.
    pub number: u64,
    /// The line that it stood on, where the format says it with each record.
    pub line: Option<u64>,
    /// The names of its fields; none when they go by number, or by what was asked for.
    pub names: &'a Arc<Vec<String>>,
    /// Its values, as they are written.
    pub values: Vec<String>,
}

/// Reads such a file again, until `take` has enough.
pub fn read_again(
    file: impl Read,
    format: &Format,
    wanted: Wanted,
    take: &mut dyn FnMut(Again<'_>) -> ControlFlow<()>,
) -> Result<(), Broken> {
    // What nests may tell a line of its own for each inner record: there, counting decides.
    read::read(file, format, wanted, &mut Reread { lines: !format.nests(), names: Arc::default(), number: 0, take })
}

struct Reread<'a> {
    lines: bool,
    names: Arc<Vec<String>>,
    number: u64,
    take: &'a mut dyn FnMut(Again<'_>) -> ControlFlow<()>,
}

impl Take for Reread<'_> {
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        if let Layout::Named { names, .. } = layout {
            self.names = Arc::new(names.clone());
        }
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        let values: Vec<String> = record.texts().map(str::to_owned).collect();
        let number = self.number;
        self.number += 1;
        (self.take)(Again { number, line: record.told.filter(|_| self.lines), names: &self.names, values })
    }
}
