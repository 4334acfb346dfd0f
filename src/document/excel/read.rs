//! Reads the rows of one sheet.
//!
//! calamine gives the cells of an .xlsx one by one. A workbook is a zip, whose directory stands at its end: its bytes are in memory, packed, up to
//! [`WORKBOOK_SIZE_MAX`]; what they unpack to is measured before calamine sees it, because a few bytes can unpack to terabytes.
//!
//! Numbers are shown with 15 significant digits, as Excel shows them: what it keeps is binary, and 19.99 would be 19.989999999999998. Whole numbers
//! are exact below 2^53; of a longer one digits are lost, and it is shown as what it has become, `1.01E+17`. One that is shown with leading zeros, by a
//! format as `00000`, is the text that is shown. Dates become ISO text. A cell that holds
//! an error, or a formula without its result, is a fault where it is asked for. A row without any value is no record.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};
use std::ops::{ControlFlow, Range};

use calamine::{Data, DataRef, ExcelDateTime, ExcelDateTimeType, Reader as _, SheetType, SheetVisible};

use super::write::COLUMNS_MAX;
use crate::document::broken::Broken;
use crate::document::csv::is_error;
use crate::document::read::{Layout, Origin, Take};
use crate::document::record::{Record, Repeats};
use crate::document::refused::mended::{own_columns, repeats};
use crate::document::refused::{is_of_refused, line_of};
use crate::document::value::Wrong;
use crate::model::finding::Rule;
use crate::model::format::ExcelFormat;

/// A larger workbook is refused.
pub const WORKBOOK_SIZE_MAX: u64 = 256 * 1024 * 1024;
/// What all parts of a workbook unpack to.
pub const UNPACKED_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// What the parts that are kept in memory (texts, styles, names) unpack to, each.
pub const PART_MAX: u64 = 64 * 1024 * 1024;
/// Parts of a workbook.
const PARTS_MAX: usize = 10_000;
/// Deflate packs no better than this.
const RATIO_MAX: u64 = 1040;

/// Reads a workbook to its end, or until `take` has enough.
pub fn read(source: impl Read, format: &ExcelFormat, take: &mut dyn Take) -> Result<(), Broken> {
    let mut bytes = Vec::new();
    source.take(WORKBOOK_SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > WORKBOOK_SIZE_MAX {
        return Err(Broken::at(
            0,
            format!("the workbook is larger than {} MiB", WORKBOOK_SIZE_MAX >> 20),
            "send it in parts, or as delimited text",
        ));
    }
    // calamine is careful, but it has not been proven that no workbook makes it panic; one that does is damaged.
    let run = std::panic::AssertUnwindSafe(|| match bytes.get(..4) {
        Some(b"PK\x03\x04") => zipped(&bytes, format, take),
        Some([0xD0, 0xCF, 0x11, 0xE0]) if format.old => {
            let workbook = calamine::Xls::new(Cursor::new(bytes.as_slice())).map_err(damaged)?;
            range(workbook, format, take, false)
        }
        Some([0xD0, 0xCF, 0x11, 0xE0]) => Err(Broken::at(
            0,
            "this is a workbook of Excel 97, .xls, or one with a password",
            "save it as .xlsx without a password; old = true in the format reads .xls of senders that you trust",
        )),
        Some(_) => Err(Broken::at(0, "this is no workbook", "send an .xlsx, or correct the type of the format")),
        None => Err(Broken::at(0, "the document is empty", "send an .xlsx")),
    });
    std::panic::catch_unwind(run).unwrap_or_else(|_| Err(Broken::at(0, "the workbook is damaged", "open it, and save it again as .xlsx")))
}

fn damaged(error: impl std::fmt::Display) -> Broken {
    Broken::at(0, format!("the workbook is damaged: {error}"), "open it, and save it again as .xlsx")
}

fn zipped(bytes: &[u8], format: &ExcelFormat, take: &mut dyn Take) -> Result<(), Broken> {
    let ods = measure(bytes)?;
    if ods {
        let workbook = calamine::Ods::new(Cursor::new(bytes)).map_err(damaged)?;
        return range(workbook, format, take, true);
    }
    let mut workbook = calamine::Xlsx::new(Cursor::new(bytes)).map_err(damaged)?;
    let sheet = sheet(&workbook, format)?;
    let mut cells = workbook.worksheet_cells_reader(&sheet).map_err(damaged)?;
    let widths: Vec<usize> = cells.styles().iter().map(digits_shown).collect();
    // calamine tells either formulas or styles: where a style matters, the sheet is read twice, side by side.
    let mut again = match widths.iter().any(|width| *width > 0) {
        true => Some(calamine::Xlsx::new(Cursor::new(bytes)).map_err(damaged)?),
        false => None,
    };
    let mut styled = again.as_mut().map(|again| again.worksheet_cells_reader(&sheet)).transpose().map_err(damaged)?;
    let mut ahead = (0, 0, 0);
    let mut rows = Rows::new(format, take);
    while let Some(cell) = cells.next_cell_with_formula_metadata().map_err(|error| rows.damaged(&sheet, error))? {
        let (row, column) = cell.pos;
        while let Some(styled) = styled.as_mut().filter(|_| (ahead.0, ahead.1) < cell.pos || ahead.2 == 0) {
            ahead = styled.next_style_id().map_err(damaged)?.unwrap_or((u32::MAX, u32::MAX, usize::MAX));
        }
        let width = if (ahead.0, ahead.1) == cell.pos { widths.get(ahead.2).copied().unwrap_or(0) } else { 0 };
        if rows.cell(row, column, &cell.value, cell.formula.is_some(), width)?.is_break() {
            return Ok(());
        }
    }
    rows.end()
}

/// With how many digits a style shows whole numbers at least, by a format as `00000`; else 0.
fn digits_shown(style: &calamine::Style) -> usize {
    let code = style.number_format.as_ref().and_then(|format| format.format_code.split(';').next()).unwrap_or_default();
    if code.len() > 1 && code.len() <= 30 && code.bytes().all(|byte| byte == b'0') { code.len() } else { 0 }
}

/// Checks what the parts of a zip unpack to; whether it is an OpenDocument.
fn measure(bytes: &[u8]) -> Result<bool, Broken> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
    if zip.len() > PARTS_MAX {
        return Err(Broken::at(0, format!("the workbook has {} parts, at most {PARTS_MAX} are read", zip.len()), "save it again in Excel"));
    }
    let ods = zip.index_for_name("content.xml").is_some();
    // A small workbook cannot be a bomb.
    let small = bytes.len() as u64 * RATIO_MAX <= PART_MAX;
    let mut total = 0;
    for index in 0..zip.len() {
        let mut part = zip.by_index(index).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(_) => Broken::at(0, "the workbook has a password", "save it without one"),
            error => damaged(error),
        })?;
        let name = part.name().map_err(damaged)?.into_owned();
        let texts = name.ends_with("sharedStrings.xml");
        // calamine reads on for ever behind the end of a table that is none.
        let tables = ods && name == "content.xml";
        if small && !texts && !tables {
            continue;
        }
        let sheet = name.contains("worksheets/sheet") || tables;
        let most = if sheet { UNPACKED_MAX } else { PART_MAX };
        let mut first = Vec::new();
        Read::by_ref(&mut part).take(64 * 1024).read_to_end(&mut first).map_err(damaged)?;
        let size =
            first.len() as u64 + std::io::copy(&mut Read::by_ref(&mut part).take(most + 1), &mut std::io::sink()).map_err(damaged)?;
        total += size;
        if size > most || total > UNPACKED_MAX {
            return Err(Broken::at(0, format!("{name} unpacks to more than {} MiB", most >> 20), "send it in parts, or as delimited text"));
        }
        if tables {
            drop(part);
            is_whole(BufReader::new(zip.by_index(index).map_err(damaged)?))?;
        }
        // calamine makes room for as many texts as the document says it has.
        if texts && stated_count(&first).is_some_and(|count| count > size) {
            return Err(damaged("it says that it has more texts than it has bytes"));
        }
    }
    Ok(ods)
}

/// Whether XML goes on to the end of its outermost element.
fn is_whole(xml: impl BufRead) -> Result<(), Broken> {
    let (mut reader, mut buffer, mut depth) = (quick_xml::Reader::from_reader(xml), Vec::new(), 0u64);
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer).map_err(damaged)? {
            quick_xml::events::Event::Start(_) => depth += 1,
            quick_xml::events::Event::End(_) => depth = depth.saturating_sub(1),
            quick_xml::events::Event::Eof if depth > 0 => return Err(damaged("it ends inside of its tables")),
            quick_xml::events::Event::Eof => return Ok(()),
            _ => {}
        }
    }
}

/// `uniqueCount` of the table of texts.
fn stated_count(first: &[u8]) -> Option<u64> {
    let mut reader = quick_xml::Reader::from_reader(first);
    let mut buffer = Vec::new();
    loop {
        match reader.read_event_into(&mut buffer) {
            Ok(quick_xml::events::Event::Start(start) | quick_xml::events::Event::Empty(start)) => {
                let count = start.attributes().flatten().find(|attribute| attribute.key.0 == "uniqueCount");
                return count.map(|count| count.value.trim().parse().unwrap_or(u64::MAX));
            }
            Ok(quick_xml::events::Event::Eof) => return None,
            // What cannot be read in the first 64 KiB is not given to calamine either.
            Err(_) => return Some(u64::MAX),
            Ok(_) => buffer.clear(),
        }
    }
}

fn sheet<RS: Read + Seek, R: calamine::Reader<RS>>(workbook: &R, format: &ExcelFormat) -> Result<String, Broken> {
    let sheets = workbook.sheets_metadata();
    let names: Vec<&str> = sheets.iter().map(|sheet| sheet.name.as_str()).collect();
    let called = |name: &String| names.iter().find(|known| known.trim().eq_ignore_ascii_case(name.trim())).copied();
    let found = match &format.sheet {
        Some(name) => called(name),
        None => {
            let visible = |sheet: &&calamine::Sheet| sheet.visible == SheetVisible::Visible && sheet.typ == SheetType::WorkSheet;
            let first = || sheets.iter().find(visible).or(sheets.first()).map(|sheet| sheet.name.as_str());
            match &format.sheet_preferred {
                // Exports write the name of a sheet as databases call it, with $ at its end.
                Some(name) => called(name)
                    .or_else(|| called(&name.trim_end_matches('$').to_owned()))
                    .or_else(|| first().filter(|_| sheets.len() == 1)),
                None => first(),
            }
        }
    };
    found.map(str::to_owned).ok_or_else(|| {
        let wanted = format.sheet.as_ref().or(format.sheet_preferred.as_ref()).map_or("", String::as_str);
        let names = names.iter().take(20).copied().collect::<Vec<_>>().join(", ");
        Broken::at(
            0,
            format!("the workbook has no sheet \"{wanted}\""),
            format!("it has {names}; correct sheet in the format, or ExcelSheetName in the manifest of a package"),
        )
    })
}

/// A whole sheet in memory: other kinds of workbook cannot be read otherwise. `open`: of an OpenDocument.
fn range<RS: Read + Seek, R: calamine::Reader<RS>>(
    mut workbook: R,
    format: &ExcelFormat,
    take: &mut dyn Take,
    open: bool,
) -> Result<(), Broken>
where
    R::Error: std::fmt::Display,
{
    let sheet = sheet(&workbook, format)?;
    let cells = workbook.worksheet_range(&sheet).map_err(damaged)?;
    let (first_row, first_column) = cells.start().unwrap_or_default();
    let mut rows = Rows { open, ..Rows::new(format, take) };
    for (row, column, value) in cells.used_cells() {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        if rows.cell(first_row + narrow(row), first_column + narrow(column), &borrowed(value), false, 0)?.is_break() {
            return Ok(());
        }
    }
    rows.end()
}

/// What kind of value a cell has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Date,
    Boolean,
    Error,
    /// A formula, and not what it comes to.
    Formula,
    Empty,
}

impl Kind {
    /// Whether there is something, but no value.
    fn is_wrong(self) -> bool {
        matches!(self, Kind::Error | Kind::Formula)
    }
}

/// The cells of a row: their texts behind each other in one piece of memory, which every row uses again.
#[derive(Default)]
struct Cells {
    text: String,
    places: Vec<(Kind, Range<usize>)>,
}

impl Cells {
    fn clear(&mut self) {
        self.text.clear();
        self.places.clear();
    }

    fn len(&self) -> usize {
        self.places.len()
    }

    fn set(&mut self, column: usize, value: &DataRef<'_>, formula: bool, width: usize, open: bool) {
        if column >= self.places.len() {
            self.places.resize(column + 1, (Kind::Empty, 0..0));
        }
        let start = self.text.len();
        let kind = match write(value, &mut self.text) {
            Kind::Empty if formula => Kind::Formula,
            // An error is a text there.
            Kind::Text if open && is_error_text(&self.text[start..]) => Kind::Error,
            // With the zeros that it is shown with it is a code.
            Kind::Number if self.text.len() - start < width && self.text[start..].bytes().all(|byte| byte.is_ascii_digit()) => {
                let lacks = width - (self.text.len() - start);
                self.text.insert_str(start, &"0".repeat(lacks));
                Kind::Text
            }
            kind => kind,
        };
        self.places[column] = (kind, start..self.text.len());
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = (Kind, &str)> + ExactSizeIterator {
        self.places.iter().map(|(kind, place)| (*kind, &self.text[place.clone()]))
    }

    /// Leaves cells at the end out.
    fn trim(&mut self, unneeded: impl Fn(Kind, &str) -> bool) {
        let kept = self.iter().rev().skip_while(|(kind, text)| unneeded(*kind, text)).count();
        self.places.truncate(kept);
    }
}

/// Writes a value as text.
fn write(value: &DataRef<'_>, out: &mut String) -> Kind {
    let mut print = |arguments: std::fmt::Arguments<'_>| out.write_fmt(arguments).expect("text grows");
    match value {
        DataRef::Int(value) => {
            print(format_args!("{value}"));
            Kind::Number
        }
        DataRef::Float(value) => number(*value, out),
        DataRef::String(text) => {
            out.push_str(text);
            Kind::Text
        }
        DataRef::SharedString(text) => {
            out.push_str(text);
            Kind::Text
        }
        DataRef::Bool(value) => {
            out.push_str(if *value { "Yes" } else { "No" });
            Kind::Boolean
        }
        DataRef::DateTime(value) if value.is_datetime() && (0.0..2_958_466.0).contains(&value.as_f64()) => {
            let (year, month, day, hour, minute, second, milli) = value.to_ymd_hms_milli();
            // Day 0 is a time of no day, whatever day the workbook counts from.
            let dated = value.as_f64() >= 1.0;
            let timeless = dated && (hour, minute, second, milli) == (0, 0, 0, 0);
            if dated {
                print(format_args!("{year:04}-{month:02}-{day:02}{}", if timeless { "" } else { "T" }));
            }
            if !timeless {
                print(format_args!("{hour:02}:{minute:02}:{second:02}"));
            }
            if milli > 0 {
                print(format_args!(".{milli:03}"));
            }
            Kind::Date
        }
        DataRef::DateTime(value) => number(value.as_f64(), out),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            out.push_str(text);
            Kind::Text
        }
        DataRef::Error(error) => {
            print(format_args!("{error}"));
            Kind::Error
        }
        DataRef::Empty => Kind::Empty,
    }
}

/// A value of the older kinds of workbook, as those of .xlsx are.
fn borrowed(value: &Data) -> DataRef<'_> {
    match value {
        Data::Int(value) => DataRef::Int(*value),
        Data::Float(value) => DataRef::Float(*value),
        Data::String(text) => DataRef::SharedString(text),
        Data::Bool(value) => DataRef::Bool(*value),
        Data::DateTime(value) => DataRef::DateTime(*value),
        Data::DateTimeIso(text) => DataRef::DateTimeIso(text.clone()),
        Data::DurationIso(text) => match days(text) {
            Some(days) if days < 1.0 => DataRef::DateTime(ExcelDateTime::new(days, ExcelDateTimeType::DateTime, false)),
            // As in .xlsx, where it is a number of days.
            Some(days) => DataRef::Float(days),
            None => DataRef::DurationIso(text.clone()),
        },
        Data::Error(error) => DataRef::Error(error.clone()),
        Data::Empty => DataRef::Empty,
    }
}

/// How LibreOffice shows an error: `#DIV/0!`, or `Err:502` where it has no name.
fn is_error_text(text: &str) -> bool {
    let numbered = |number: &str| number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_error(text) || text.strip_prefix("Err:").is_some_and(numbered)
}

/// The days of `PT09H30M00S`.
fn days(duration: &str) -> Option<f64> {
    let (hours, rest) = duration.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
    Some((number(hours)? * 3600.0 + number(minutes)? * 60.0 + number(rest.strip_suffix('S')?)?) / 86_400.0)
}

/// Below it every whole number is exact in binary; it may itself be the next one. Excel itself keeps 15 digits of a longer one, and zeros behind them.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes a binary number: exactly when it is whole, else with the 15 significant digits that Excel shows, without an exponent. A whole one of which
/// digits are lost gets the exponent by which a spreadsheet's other losses are told, and is a text.
fn number(value: f64, out: &mut String) -> Kind {
    let start = out.len();
    if value.fract() == 0.0 && value.abs() < EXACT_MAX {
        // As most numbers are.
        write!(out, "{}", value as i64).expect("text grows");
        return Kind::Number;
    }
    if value.fract() == 0.0 {
        write!(out, "{}", format!("{value:.14E}").replace('E', "E+")).expect("text grows");
        return Kind::Text;
    }
    write!(out, "{value}").expect("text grows");
    // The shortest text that means this number: when it has no more digits than Excel shows, it is what Excel shows.
    let digits = out[start..].trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    if value.is_finite() && digits > 15 {
        out.truncate(start);
        let rounded: f64 = format!("{value:.14e}").parse().unwrap_or(value);
        write!(out, "{rounded}").expect("text grows");
    }
    Kind::Number
}

/// Cells in, records out.
struct Rows<'a> {
    format: &'a ExcelFormat,
    take: &'a mut dyn Take,
    /// The row at hand, from 0; `None` before the first.
    row: Option<u32>,
    cells: Cells,
    header: Option<usize>,
    /// Rows above the header.
    preamble: Vec<Vec<u8>>,
    /// In a file of refused rows: how many columns are the document's own.
    own: Option<usize>,
    /// The row at hand was refused because another has the same.
    repeats: Repeats,
    /// It is an OpenDocument.
    open: bool,
    record: Record,
}

impl<'a> Rows<'a> {
    fn new(format: &'a ExcelFormat, take: &'a mut dyn Take) -> Rows<'a> {
        Rows {
            format,
            take,
            row: None,
            cells: Cells::default(),
            header: None,
            preamble: Vec::new(),
            own: None,
            repeats: Repeats::default(),
            open: false,
            record: Record::default(),
        }
    }

    /// `width`: a whole number is shown with so many digits at least.
    fn cell(&mut self, row: u32, column: u32, value: &DataRef<'_>, formula: bool, width: usize) -> Result<ControlFlow<()>, Broken> {
        if self.row != Some(row) {
            if self.row.is_some_and(|at| at > row) {
                return Err(damaged("its rows do not follow each other"));
            }
            if self.finish()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.row = Some(row);
        }
        let column = column as usize;
        if column >= COLUMNS_MAX {
            return Err(damaged(format!("a row has more than {COLUMNS_MAX} columns")));
        }
        self.cells.set(column, value, formula, width, self.open);
        Ok(ControlFlow::Continue(()))
    }

    /// What cannot be read behind the row at hand, or in it.
    fn damaged(&self, sheet: &str, error: impl std::fmt::Display) -> Broken {
        let row = self.row.map_or(1, |row| u64::from(row) + 1);
        let message = format!("the workbook is damaged in row {row} of sheet \"{sheet}\", or behind it: {error}");
        Broken::at(row, message, "look at the cells there, or open it in a spreadsheet, and save it again as .xlsx")
    }

    fn end(mut self) -> Result<(), Broken> {
        if self.finish()?.is_break() {
            return Ok(());
        }
        if self.header.is_none() {
            // No row at all where the header should be.
            let _ = self.layout(u64::from(self.format.header_row).max(1));
        }
        Ok(())
    }

    fn layout(&mut self, line: u64) -> ControlFlow<()> {
        self.header = Some(0);
        let mut origin = Origin { preamble: std::mem::take(&mut self.preamble), ..Origin::new(encoding_rs::UTF_8) };
        if self.format.header_row == 0 {
            origin.mended = self.told().is_some();
            self.take.origin(origin);
            return self.take.layout(&Layout::Numbered);
        }
        self.cells.trim(|kind, _| kind == Kind::Empty);
        let mut names: Vec<String> = self.cells.iter().map(|(_, text)| text.to_owned()).collect();
        self.own = own_columns(&names);
        origin.mended = self.own.is_some() || is_of_refused(&names, b"", b"", ",", None);
        names.truncate(self.own.unwrap_or(names.len()));
        self.cells.places.truncate(names.len());
        self.take.origin(origin);
        self.header = Some(names.len());
        let mut raw = Vec::new();
        write_raw(&self.cells, &mut raw);
        self.cells.clear();
        self.take.layout(&Layout::Named { line, names, raw })
    }

    /// Where the row at hand has a cell of ours that says on which line it stood, and that line: before the last one, or the last where the reason was
    /// taken out, and never the first. Where no header says what stands where, somebody may have put a word behind both.
    fn told(&self) -> Option<(usize, u64)> {
        let last = self.cells.iter().rposition(|(_, text)| !text.trim().is_empty())?;
        let first = if self.format.header_row > 0 { self.own.unwrap_or_default().max(last.saturating_sub(1)) } else { 1 };
        (first.max(1)..=last).rev().find_map(|at| Some((at, line_of(self.cells.iter().nth(at)?.1)?)))
    }

    /// Takes what we added off the row at hand, when it comes back refused; the line it stood on.
    fn leave_out(&mut self) -> Option<u64> {
        self.repeats = Repeats::default();
        if self.own.is_none() && self.format.header_row > 0 {
            return None;
        }
        let reason = |at: usize| self.cells.iter().nth(at + 1).map_or_else(Repeats::default, |(_, text)| repeats(text.as_bytes()));
        if let Some((at, line)) = self.told() {
            self.repeats = reason(at);
            self.cells.places.truncate(at);
            return Some(line);
        }
        let own = self.own.filter(|own| *own < self.cells.len())?;
        let line: Option<u64> = self.cells.iter().nth(own).and_then(|(_, text)| text.parse().ok());
        // Anything else there may be data that has slipped: such a row has too many cells.
        self.repeats = line.map_or_else(Repeats::default, |_| reason(own));
        if line.is_some() || self.cells.iter().skip(own).all(|(_, text)| text.trim().is_empty()) {
            self.cells.places.truncate(own);
        }
        line
    }

    /// The row at hand is whole.
    fn finish(&mut self) -> Result<ControlFlow<()>, Broken> {
        let Some(row) = self.row else { return Ok(ControlFlow::Continue(())) };
        let number = u64::from(row) + 1;
        let header_row = u64::from(self.format.header_row);
        if number < header_row {
            self.preamble.resize_with(usize::try_from(row).unwrap_or_default() + 1, Vec::new);
            if let Some(last) = self.preamble.last_mut() {
                write_raw(&self.cells, last);
            }
            self.cells.clear();
            return Ok(ControlFlow::Continue(()));
        }
        if self.header.is_none() {
            if header_row > 0 && number > header_row {
                // The row of the header has no cell.
                let cells = std::mem::take(&mut self.cells);
                if self.layout(header_row).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                self.cells = cells;
            } else if self.layout(number).is_break() {
                return Ok(ControlFlow::Break(()));
            } else if header_row > 0 {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let told = self.leave_out();
        self.cells.trim(|kind, text| text.trim().is_empty() && !kind.is_wrong());
        if self.cells.len() == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        self.record.clear(number);
        (self.record.told, self.record.repeats) = (told, self.repeats);
        write_raw(&self.cells, &mut self.record.raw);
        for (column, (kind, text)) in self.cells.iter().enumerate() {
            if kind.is_wrong() {
                let cell = format!("cell {}{number}", letters(column));
                let (message, hint) = match kind {
                    Kind::Error => (format!("{cell} holds the error {text}"), "correct its formula, or what it refers to"),
                    _ => (
                        format!("{cell} holds a formula without its result"),
                        "open the workbook in a program that calculates, and save it",
                    ),
                };
                self.record.wrong.push((column, Wrong { rule: Rule::Type, message, hint: hint.into() }));
            }
            self.record.push(text, kind == Kind::Text);
        }
        for _ in self.cells.len()..self.header.unwrap_or_default() {
            self.record.push("", false);
        }
        self.cells.clear();
        Ok(self.take.record(&mut self.record))
    }
}

/// The letters of a column, from 0: A, B, …, Z, AA.
fn letters(mut column: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'A' + u8::try_from(column % 26).unwrap_or_default());
        match column / 26 {
            0 => break,
            more => column = more - 1,
        }
    }
    letters.iter().rev().map(|letter| char::from(*letter)).collect()
}

/// The cells of a row as text, so that they can be written again as what they were: a letter and the value each, parted by U+001F. Nothing when one
/// holds that character.
fn write_raw(cells: &Cells, out: &mut Vec<u8>) {
    for (at, (kind, text)) in cells.iter().enumerate() {
        if at > 0 {
            out.push(super::write::BETWEEN);
        }
        out.push(match kind {
            Kind::Text => b't',
            // What a formula gives that nobody has calculated is no blank: it comes back as an error, and is refused again.
            Kind::Error | Kind::Formula => b'x',
            Kind::Number => b'n',
            Kind::Date => b'd',
            Kind::Boolean => b'b',
            Kind::Empty => b'e',
        });
        let start = out.len();
        out.extend_from_slice(if kind == Kind::Formula { b"#N/A" } else { text.as_bytes() });
        if out[start..].contains(&super::write::BETWEEN) {
            // It could not be told from what parts cells, and is not to come back as something else.
            return out.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_excel_shows() {
        for (value, expected) in [
            (31001.0, "31001"),
            (19.99_f64.next_down(), "19.99"),
            (0.1 + 0.2, "0.3"),
            (-0.5, "-0.5"),
            (1.01e12, "1010000000000"),
            (0.000123456789012345, "0.000123456789012345"),
            (1234567.8901234567, "1234567.89012346"),
            (-0.0, "0"),
            (f64::NAN, "NaN"),
            (4_111_111_111_111_111.0, "4111111111111111"),
            (-9_007_199_254_740_991.0, "-9007199254740991"),
        ] {
            let mut text = String::new();
            assert_eq!((number(value, &mut text), text.as_str()), (Kind::Number, expected));
        }
    }

    #[test]
    fn a_whole_number_that_is_no_longer_exact_is_shown_as_what_it_has_become() {
        for (value, expected) in [
            (9_007_199_254_740_992.0, "9.00719925474099E+15"),
            (411_111_111_111_111_000_000.0, "4.11111111111111E+20"),
            (1e21, "1.00000000000000E+21"),
            (-12_345_678_901_234_567_890.0, "-1.23456789012346E+19"),
        ] {
            let mut text = String::new();
            assert_eq!((number(value, &mut text), text.as_str()), (Kind::Text, expected));
        }
    }

    #[test]
    fn columns_have_letters() {
        assert_eq!([0, 25, 26, 701, 702].map(letters), ["A", "Z", "AA", "ZZ", "AAA"]);
    }
}
