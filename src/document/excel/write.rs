//! Writes rows into a workbook. Rows go to a temporary file as they come; the workbook itself is packed at the end.

use std::borrow::Cow;

use rust_xlsxwriter::{ExcelDateTime, Format as Look, Formula, Workbook, Worksheet, XlsxError};

use crate::document::value::{compare, parse_decimal};
use crate::document::write::Unwritable;
use crate::model::entity::FieldKind;
use crate::model::format::ExcelFormat;

/// Parts the cells of a row that is kept as text.
pub const BETWEEN: u8 = 0x1F;

/// Characters that a cell holds.
const CELL_MAX: usize = 32_767;
/// Characters of a sheet's name.
const SHEET_NAME_MAX: usize = 31;
/// Excel's own limit of columns.
pub const COLUMNS_MAX: usize = 16_384;

/// The errors that cells hold.
const ERRORS: [&str; 7] = ["#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!"];

/// Appends rows.
pub struct Writer {
    workbook: Workbook,
    row: u32,
    kinds: Vec<FieldKind>,
    /// Of numbers that stand as text.
    decimal_separator: &'static str,
    looks: Looks,
    nulls: Vec<String>,
}

/// How dates look, and times of no day.
struct Looks {
    day: Look,
    both: Look,
    time: Look,
}

impl Writer {
    /// A writer of rows of these kinds of values.
    pub fn new(format: &ExcelFormat, kinds: Vec<FieldKind>) -> Result<Writer, Unwritable> {
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet_with_constant_memory()?;
        if let Some(name) = &format.sheet {
            sheet.set_name(name)?;
        }
        let row = format.header_row.saturating_sub(1);
        let look = |format: &str| Look::new().set_num_format(format);
        let looks = Looks { day: look("yyyy-mm-dd"), both: look("yyyy-mm-dd hh:mm:ss"), time: look("hh:mm:ss") };
        let decimal_separator = if format.numbers.decimal_separator == ',' { "," } else { "." };
        Ok(Writer { workbook, row, kinds, decimal_separator, looks, nulls: format.nulls.clone() })
    }

    fn sheet(&mut self) -> Result<&mut Worksheet, Unwritable> {
        Ok(self.workbook.worksheet_from_index(0)?)
    }

    /// The row that names the columns.
    pub fn header(&mut self, names: &[&str]) -> Result<(), Unwritable> {
        let row = self.row;
        for (column, name) in names.iter().enumerate() {
            self.sheet()?.write_string(row, narrow(column), *name)?;
        }
        self.row += 1;
        Ok(())
    }

    /// Appends a row; `None` is an empty cell.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>) -> Result<(), Unwritable> {
        let row = self.row;
        let sheet = self.workbook.worksheet_from_index(0)?;
        for (column, value) in values.into_iter().enumerate() {
            let Some(value) = value else { continue };
            let mut value = Cow::Borrowed(value);
            let letter = match self.kinds.get(column) {
                Some(FieldKind::Integer | FieldKind::Decimal { .. }) if value.bytes().filter(u8::is_ascii_digit).count() <= 15 => b'n',
                // A number of more digits than Excel keeps stands as text, and loses none.
                Some(FieldKind::Decimal { .. }) => {
                    value = Cow::Owned(value.replace('.', self.decimal_separator));
                    b't'
                }
                Some(FieldKind::Date | FieldKind::DateTime) => b'd',
                _ => b't',
            };
            // A number is read without zeros at its end.
            let both = |null: &str| parse_decimal(null).zip(parse_decimal(&value));
            let alike = |null: &str| letter == b'n' && both(null).is_some_and(|(one, other)| compare(one, other).is_eq());
            // A moment at midnight is read as a day.
            let day = (letter == b'd').then(|| value.strip_suffix("T00:00:00")).flatten();
            if self.nulls.iter().any(|null| *null == value || day == Some(null) || alike(null)) {
                return Err(Unwritable::Null { value: value.into_owned() });
            }
            cell(sheet, row, narrow(column), letter, &value, &self.looks)?;
        }
        self.row += 1;
        Ok(())
    }

    /// Appends a row that was read, with two cells behind it.
    pub fn raw(&mut self, raw: &[u8], width: usize, more: [&str; 2]) -> Result<(), Unwritable> {
        let row = self.row;
        self.cells(raw)?;
        for (at, value) in more.into_iter().enumerate() {
            self.sheet()?.write_string(row, narrow(cells(raw).max(width) + at), cut(value))?;
        }
        self.row += 1;
        Ok(())
    }

    /// Writes the rows above the header.
    pub fn preamble(&mut self, rows: &[Vec<u8>]) -> Result<(), Unwritable> {
        let header = std::mem::take(&mut self.row);
        self.passed_over(rows)?;
        self.row = header;
        Ok(())
    }

    /// Appends rows that are passed over.
    pub fn passed_over(&mut self, rows: &[Vec<u8>]) -> Result<(), Unwritable> {
        for raw in rows {
            match holds(raw, 0) && raw != b"-" {
                true => self.cells(raw)?,
                false => {
                    let row = self.row;
                    self.sheet()?.write_string(row, 0, "-")?;
                }
            }
            self.row += 1;
        }
        Ok(())
    }

    fn cells(&mut self, raw: &[u8]) -> Result<(), Unwritable> {
        let row = self.row;
        let sheet = self.workbook.worksheet_from_index(0)?;
        let text = String::from_utf8_lossy(raw);
        for (column, part) in text.split(char::from(BETWEEN)).enumerate() {
            if let Some((letter, value)) = part.split_at_checked(1) {
                cell(sheet, row, narrow(column), letter.as_bytes()[0], value, &self.looks)?;
            }
        }
        Ok(())
    }

    /// The whole workbook.
    pub fn end(&mut self, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        into.extend(self.workbook.save_to_buffer()?);
        Ok(())
    }
}

/// Why no sheet can be called so.
pub fn wrong_sheet_name(name: &str) -> Option<&'static str> {
    match name {
        _ if name.trim().is_empty() => Some("it is blank"),
        _ if name.encode_utf16().count() > SHEET_NAME_MAX => Some("it has more than 31 characters"),
        _ if name.contains(['[', ']', ':', '*', '?', '/', '\\']) => Some("none of [ ] : * ? / \\ can stand in it"),
        _ if name.starts_with('\'') || name.ends_with('\'') => Some("no apostrophe can stand at its ends"),
        _ => None,
    }
}

/// How many cells a row has that was read.
pub fn cells(raw: &[u8]) -> usize {
    memchr::memchr_iter(BETWEEN, raw).count() + 1
}

/// Whether a row that was read can stand in a workbook, with two cells more.
pub fn holds(raw: &[u8], width: usize) -> bool {
    // The first byte says what the cell is.
    let short = |cell: &[u8]| cell.len() <= CELL_MAX || String::from_utf8_lossy(cell).chars().count() <= CELL_MAX + 1;
    cells(raw).max(width) + 2 <= COLUMNS_MAX && raw.split(|byte| *byte == BETWEEN).all(short)
}

fn narrow(column: usize) -> u16 {
    u16::try_from(column).unwrap_or(u16::MAX)
}

fn cut(text: &str) -> String {
    text.chars().take(CELL_MAX).collect()
}

fn cell(sheet: &mut Worksheet, row: u32, column: u16, letter: u8, value: &str, looks: &Looks) -> Result<(), Unwritable> {
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    match (letter, number) {
        (b'e', _) => return Ok(()),
        (b'n', Some(number)) => sheet.write_number(row, column, number)?,
        // It stays an error, which no resending takes for text.
        (b'x', _) => {
            // One that no .xlsx has would come back as text.
            let error = ERRORS.into_iter().find(|error| *error == value).unwrap_or("#N/A");
            sheet.write_formula(row, column, Formula::new(format!("={error}")).set_result(error))?
        }
        (b'b', _) => sheet.write_boolean(row, column, value == "Yes")?,
        (b'd', _) => match ExcelDateTime::parse_from_str(value.trim_end_matches('Z')) {
            // Excel's day 0 is a time of no day, and it counts milliseconds.
            Ok(at) if !value.starts_with("1899") && value.trim_end_matches('Z').len() <= "2026-11-26 10:00:00.123".len() => {
                let look = if value.len() == 10 { &looks.day } else { &looks.both };
                sheet.write_datetime_with_format(row, column, &at, if value.contains('-') { look } else { &looks.time })?
            }
            // Before 1900, after 9999, or finer than that.
            _ => sheet.write_string(row, column, value)?,
        },
        _ => sheet.write_string(row, column, value)?,
    };
    Ok(())
}

impl From<XlsxError> for Unwritable {
    fn from(error: XlsxError) -> Self {
        Unwritable::Workbook(error.to_string())
    }
}
