//! Writes records in columns of fixed width, so that [`super::read`] reads back what was written.

use super::measure::Measure;
use crate::document::csv::read::End;
use crate::document::encoding::{encode, mark};
use crate::document::write::Unwritable;
use crate::model::entity::FieldKind;
use crate::model::format::FixedFormat;

/// Appends records.
pub struct Writer {
    format: FixedFormat,
    /// For each column of the format, which of the values it takes.
    places: Vec<Option<usize>>,
    /// For each column of the format whether a sign of its values stands before the zeros that pad them.
    signed: Vec<bool>,
    /// For each character of the record type whether it is a value's.
    taken: Vec<bool>,
    width: usize,
    /// The stated record end, as it is read.
    end: Option<End>,
}

impl Writer {
    /// A writer of values of these columns, of these types.
    pub fn new(format: &FixedFormat, columns: &[&str], kinds: &[&FieldKind]) -> Writer {
        let place = |name: &str| columns.iter().position(|column| crate::model::path::alike(column, name));
        let places: Vec<Option<usize>> = format.columns.iter().map(|column| place(&column.name)).collect();
        let is_number = |place: &Option<usize>| {
            let kind = place.and_then(|place| kinds.get(place));
            kind.is_some_and(|kind| matches!(kind, FieldKind::Integer | FieldKind::Decimal { .. }))
        };
        let signed =
            format.columns.iter().zip(&places).map(|(column, place)| column.right && column.pad == '0' && is_number(place)).collect();
        let is_of = |at: usize| {
            let mut columns = format.columns.iter().zip(&places).filter(|(_, place)| place.is_some());
            columns.any(|(column, _)| (column.start..column.start + column.length).contains(&at))
        };
        let taken = format.record_type.iter().flat_map(|kind| (kind.start..kind.start + kind.length).map(is_of)).collect();
        let kind = format.record_type.iter().map(|kind| kind.start - 1 + kind.length);
        let ends = format.columns.iter().map(|column| column.start - 1 + column.length).chain(kind).max();
        let end = format.record_end.as_deref().map(End::new);
        Writer { width: format.record_length.or(ends).unwrap_or(0), places, signed, taken, end, format: format.clone() }
    }

    /// What a document begins with.
    pub fn begin(&self, into: &mut Vec<u8>) {
        mark(self.format.encoding, into);
    }

    /// Appends a record; `None` is no value.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        let values: Vec<Option<&str>> = values.into_iter().collect();
        let measure = Measure::new(&self.format, self.format.encoding);
        // A place without a character is one that the character before it takes.
        let mut line = vec![Some(' '); self.width];
        for ((column, place), signed) in self.format.columns.iter().zip(&self.places).zip(&self.signed) {
            let value = place.and_then(|place| values.get(place).copied().flatten());
            if let Some(value) = value.filter(|value| self.format.nulls.iter().any(|null| null == value)) {
                return Err(Unwritable::Null { value: value.to_owned() });
            }
            let value = value.or(self.format.nulls.first().map(String::as_str)).unwrap_or_default();
            let written = cells(value.chars(), measure);
            let length = written.len();
            if value.contains(['\r', '\n']) {
                return Err(Unwritable::Line { column: column.name.clone(), value: value.to_owned() });
            }
            if length > column.length {
                let (name, unit) = (column.name.clone(), measure.unit());
                return Err(Unwritable::Width { column: name, value: value.to_owned(), length: column.length, unit });
            }
            let target = &mut line[column.start - 1..column.start - 1 + column.length];
            let lacks = column.length - length;
            let (before, behind) = if column.right { (lacks, 0) } else { (0, lacks) };
            // No value is blank, whatever pads: zeros would be a value.
            let pad = |count: usize| {
                let width = if value.is_empty() { 0 } else { measure.width(column.pad) };
                let pads = count.checked_div(width).unwrap_or(0);
                std::iter::repeat_n(column.pad, pads).chain(std::iter::repeat_n(' ', count - pads * width))
            };
            // `-0001.50`, never `000-1.50`.
            let sign = if *signed && value.starts_with(['-', '+']) { measure.width('-') } else { 0 };
            let (sign, written) = written.split_at(sign);
            let (before, behind) = (cells(pad(before), measure), cells(pad(behind), measure));
            let written = sign.iter().chain(&before).chain(written).chain(&behind).copied();
            target.iter_mut().zip(written).for_each(|(place, c)| *place = c);
        }
        if let Some(kind) = &self.format.record_type {
            let from = (kind.start - 1).min(line.len());
            let target = &mut line[from..self.width.min(from + kind.length)];
            // A value is never written over: it has to be a type itself.
            let agrees = |equal: &&Vec<Option<char>>| {
                let mut places = equal.iter().zip(&*target).zip(&self.taken);
                places.all(|((c, found), taken)| !taken || c == found)
            };
            let equals: Vec<Vec<Option<char>>> = kind.equals.iter().map(|equal| cells(equal.chars(), measure)).collect();
            let Some(equal) = equals.iter().find(agrees) else {
                return Err(Unwritable::Type { found: target.iter().flatten().collect(), equals: kind.equals.join(", ") });
            };
            target.iter_mut().zip(equal).for_each(|(place, c)| *place = *c);
        }
        let mut text: String = line.into_iter().flatten().collect();
        if text.starts_with('\u{feff}') {
            return Err(Unwritable::Mark { value: text });
        }
        let length = text.len();
        match (&self.format.record_end, self.format.record_length) {
            (Some(end), _) => text.push_str(end),
            (None, Some(_)) => {}
            (None, None) => text.push_str("\r\n"),
        }
        if let (Some(found), Some(end)) = (&self.end, &self.format.record_end)
            && found.find(text.as_bytes()).is_some_and(|(at, _)| at != length)
        {
            let held = values.iter().flatten().find(|value| value.contains(end.as_str()));
            let value = held.map_or_else(|| text[..length].trim().to_owned(), |value| (*value).to_owned());
            return Err(Unwritable::RecordEnd { value, end: end.clone() });
        }
        encode(&text, self.format.encoding, into)
            .map_err(|character| Unwritable::Character { character, encoding: self.format.encoding.name() })
    }
}

/// The places that characters take.
fn cells(text: impl Iterator<Item = char>, measure: Measure) -> Vec<Option<char>> {
    let taken = |c| (1..measure.width(c)).map(|_| None);
    text.flat_map(|c| std::iter::once(Some(c)).chain(taken(c))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::value::{Reading, parse};
    use crate::model::entity::Field;
    use crate::model::format::{FixedColumn, RecordType, Unit};

    #[test]
    fn a_value_is_never_written_over_by_the_type_of_the_record() {
        let column = |name: &str, start, length| FixedColumn { name: name.into(), start, length, pad: ' ', right: false };
        let kind = RecordType { start: 1, length: 2, equals: vec!["A1".into(), "B2".into()] };
        let format =
            FixedFormat { columns: vec![column("KIND", 1, 1), column("ID", 3, 3)], record_type: Some(kind), ..FixedFormat::default() };
        let line = |columns: &[&str], values: &[Option<&str>]| {
            let mut bytes = Vec::new();
            let written = Writer::new(&format, columns, &[]).record(values.iter().copied(), &mut bytes);
            written.map(|()| String::from_utf8(bytes).unwrap()).map_err(|error| error.to_string())
        };
        assert_eq!(line(&["ID"], &[Some("x")]).unwrap(), "A1x  \r\n");
        assert_eq!(line(&["KIND", "ID"], &[Some("B"), Some("x")]).unwrap(), "B2x  \r\n");
        for kind in [Some("C"), None] {
            let error = line(&["KIND", "ID"], &[kind, Some("x")]).unwrap_err();
            assert!(error.contains("record_type in the format reads A1, B2"), "{error}");
        }
        assert!(line(&["KIND"], &[Some("\u{feff}")]).is_err());
    }

    #[test]
    fn a_sign_stands_before_the_zeros_that_pad_a_number() {
        let decimal = FieldKind::Decimal { precision: 10, scale: 2 };
        let string = FieldKind::String { length: None };
        for (kind, pad, right, value, line) in [
            (&decimal, '0', true, "-1.50", "-0001.50"),
            (&decimal, '0', true, "+1.50", "+0001.50"),
            (&decimal, '0', true, "1.50", "00001.50"),
            (&decimal, '0', true, "-1234.50", "-1234.50"),
            (&FieldKind::Integer, '0', true, "-7", "-0000007"),
            (&decimal, ' ', true, "-1.50", "   -1.50"),
            (&decimal, '0', false, "-1.50", "-1.50000"),
            (&string, '0', true, "-7", "000000-7"),
        ] {
            let column = FixedColumn { name: "N".into(), start: 1, length: 8, pad, right };
            for (unit, encoding) in [(Unit::Characters, encoding_rs::UTF_8), (Unit::Bytes, encoding_rs::SHIFT_JIS)] {
                let format = FixedFormat { columns: vec![column.clone()], unit, encoding, ..FixedFormat::default() };
                let mut bytes = Vec::new();
                Writer::new(&format, &["N"], &[kind]).record([Some(value)], &mut bytes).unwrap();
                assert_eq!(String::from_utf8(bytes).unwrap(), format!("{line}\r\n"), "{value}");
                if right && *kind == decimal {
                    let field = Field { kind: kind.clone(), ..Field::default() };
                    let read = |text| parse(&field, text, &Reading::default()).unwrap();
                    assert_eq!(read(line), read(value));
                }
            }
        }
    }

    #[test]
    fn what_would_end_a_record_before_its_end_is_not_written() {
        let column = |name: &str, start| FixedColumn { name: name.into(), start, length: 3, pad: ' ', right: false };
        for (end, length, values, fits) in [
            ("~", None, ["1", "a~b"], false),
            ("~", Some(8), ["1", "a~b"], false),
            ("~", None, ["1", "a-b"], true),
            ("&|\n", None, ["1", "a&|"], true),
            ("&|", None, ["1&|", "x"], false),
            ("||", None, ["1", "ab|"], false),
            ("||", Some(8), ["1", "ab|"], true),
            ("||", None, ["ab|", "|"], false),
            ("\n", None, ["1", "abc"], true),
        ] {
            let columns = vec![column("ID", 1), column("N", 4)];
            let format = FixedFormat { columns, record_end: Some(end.into()), record_length: length, ..FixedFormat::default() };
            let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &["ID", "N"], &[]));
            let written = writer.record(values.map(Some), &mut bytes).and_then(|()| writer.record([Some("2"), Some("y")], &mut bytes));
            assert_eq!(written.is_ok(), fits, "{end:?} {values:?}: {written:?}");
            if fits {
                let mut reader = crate::document::fixed::read::Reader::new(bytes.as_slice(), &format);
                let (mut record, mut rows) = (crate::document::record::Record::default(), Vec::new());
                while reader.next_into(&mut record).unwrap() {
                    rows.push(record.texts().map(str::to_owned).collect::<Vec<_>>());
                }
                assert_eq!(rows, [values, ["2", "y"]], "{end:?}");
            } else {
                assert!(matches!(written, Err(Unwritable::RecordEnd { .. })), "{written:?}");
            }
        }
    }

    #[test]
    fn a_byte_order_mark_before_a_record_is_no_value() {
        let column = FixedColumn { name: "ID".into(), start: 1, length: 3, pad: ' ', right: false };
        let format = FixedFormat { columns: vec![column], ..FixedFormat::default() };
        let error = Writer::new(&format, &["ID"], &[]).record([Some("\u{feff}x")], &mut Vec::new()).unwrap_err();
        assert_eq!(error, Unwritable::Mark { value: "\u{feff}x ".into() });
    }
}
