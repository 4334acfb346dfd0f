//! Writes records in any format: one face for all writers.

use std::fmt;

use super::read::record_of;
use super::{csv, excel, fixed, json, xml};
use crate::model::entity::{Entity, FieldKind};
use crate::model::format::{ExcelFormat, Format, JsonFormat};
use crate::model::path::{Name, Step, To};

/// A value that the format cannot hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// A character that the encoding lacks.
    Character {
        /// The character.
        character: char,
        /// The encoding's name.
        encoding: &'static str,
    },
    /// A value wider than its column.
    Width {
        /// The column.
        column: String,
        /// The value.
        value: String,
        /// How long the column is.
        length: usize,
        /// In what.
        unit: &'static str,
    },
    /// A value with a line end, which nothing can hold in a record of fixed width.
    Line {
        /// The column.
        column: String,
        /// The value.
        value: String,
    },
    /// A value that is none of its field's type: the table is not ours.
    Value {
        /// The field.
        field: String,
        /// What was found, and what is wrong with it.
        message: String,
    },
    /// A value that only a qualifier could hold: it has a delimiter, a record end or a spelling of "no value" in it, or nothing at all.
    Unqualified {
        /// The value.
        value: String,
    },
    /// A record that holds what ends records, alone or together with what follows it.
    RecordEnd {
        /// The value that does, or the record.
        value: String,
        /// The record end.
        end: String,
    },
    /// A value that begins with a byte order mark where records begin: there it is no data.
    Mark {
        /// The value.
        value: String,
    },
    /// A record whose type the format does not read.
    Type {
        /// What stands where the type is.
        found: String,
        /// What should.
        equals: String,
    },
    /// A value that means "no value" in this format.
    Null {
        /// The value.
        value: String,
    },
    /// The workbook cannot be written.
    Workbook(String),
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwritable::Character { character, encoding } => {
                // Of XML no encoding has it.
                let hint = if *encoding == "XML" { "take it out of the value" } else { "choose another encoding in the format" };
                write!(f, "{encoding} has no \"{}\"; {hint}", character.escape_debug())
            }
            Unwritable::Width { column, value, length, unit } => {
                write!(f, "\"{}\" does not fit into the {length} {unit} of column {column}", value.escape_debug())
            }
            Unwritable::Line { column, value } => {
                write!(f, "\"{}\" of column {column} has a line end in it, where a record would end", value.escape_debug())
            }
            Unwritable::Value { field, message } => write!(f, "{field}: {message}"),
            Unwritable::Unqualified { value } => {
                let value = value.escape_debug();
                write!(f, "\"{value}\" would be read as something else without a qualifier; set qualifier in the format")
            }
            Unwritable::RecordEnd { value, end } => {
                let (value, end) = (value.escape_debug(), end.escape_debug());
                write!(f, "\"{value}\" would end the record before its end; choose another record_end in the format than \"{end}\"")
            }
            Unwritable::Mark { value } => {
                write!(
                    f,
                    "\"{}\" begins with a byte order mark, which would be read as none of it; set qualifier in the format",
                    value.escape_debug()
                )
            }
            Unwritable::Type { found, equals } => {
                write!(f, "the record would be of type \"{}\", and record_type in the format reads {equals}", found.escape_debug())
            }
            Unwritable::Null { value } => {
                write!(f, "\"{}\" would be read as no value; take it out of nulls in the format", value.escape_debug())
            }
            Unwritable::Workbook(reason) => write!(f, "the workbook cannot be written: {reason}"),
        }
    }
}

/// What a format says that only reading can follow, and what to do about it: an export of it would not read back.
pub fn only_for_reading(format: &Format) -> Option<(String, &'static str)> {
    let (first, last) = match format {
        Format::Csv(csv) => (csv.skip_first, csv.skip_last),
        Format::Fixed(fixed) => (fixed.skip_first, fixed.skip_last),
        Format::Excel(excel) => (0, excel.skip_last),
        Format::Xml(_) | Format::Json(_) => (0, 0),
    };
    for (key, count) in [("skip_first", first), ("skip_last", last)] {
        if count > 0 {
            return Some((format!("{key}: an export writes nothing that is passed over"), "take it out"));
        }
    }
    if let Format::Excel(ExcelFormat { sheet: Some(name), .. }) = format
        && let Some(why) = excel::write::wrong_sheet_name(name)
    {
        return Some((format!("sheet: no sheet can be called \"{name}\": {why}"), "write a shorter or plainer name"));
    }
    let alone = |step: &Step| !step.deep && step.predicates.is_empty();
    let writable = match format {
        Format::Xml(xml) if xml.record.is_some() => {
            let path = record_of(xml);
            let known = |name: &Name| name.prefix.as_ref().is_none_or(|prefix| xml.namespaces.iter().any(|(known, _)| known == prefix));
            // The root and the record have names of their own where the path has none.
            let any = |at: usize| at == 0 || at + 1 == path.steps.len();
            let step = |(at, step): (usize, &Step)| {
                alone(step) && matches!(&step.to, To::Element(name) if known(name) && (name.local != "*" || any(at)))
            };
            path.steps.len() > 1 && path.steps.iter().enumerate().all(step)
        }
        Format::Json(JsonFormat { record: Some(path), lines, .. }) => {
            !lines && path.steps.iter().all(|step| alone(step) && matches!(&step.to, To::Element(name) if name.local != "*"))
        }
        _ => true,
    };
    (!writable)
        .then(|| ("record: this can be looked for, and not be written".into(), "names alone, as in \"/Orders/Order\", or leave it out"))
}

/// Appends a document to a buffer: first [`Writer::begin`], then records, then [`Writer::end`].
pub struct Writer {
    names: Vec<String>,
    inner: Inner,
}

enum Inner {
    Csv(Box<csv::write::Writer>, bool),
    Fixed(fixed::write::Writer),
    Xml(xml::write::Writer),
    Json(json::write::Writer),
    Excel(Box<excel::write::Writer>, bool),
}

impl Writer {
    /// A writer of these fields of an entity.
    pub fn new(format: &Format, entity: &Entity, fields: &[usize]) -> Result<Writer, Unwritable> {
        let names: Vec<String> = fields.iter().map(|index| entity.fields[*index].name.clone()).collect();
        let kinds: Vec<&FieldKind> = fields.iter().map(|index| &entity.fields[*index].kind).collect();
        let columns: Vec<&str> = names.iter().map(String::as_str).collect();
        let inner = match format {
            Format::Csv(format) => Inner::Csv(Box::new(csv::write::Writer::new(format)), format.header),
            Format::Fixed(format) => Inner::Fixed(fixed::write::Writer::new(format, &columns, &kinds)),
            Format::Xml(format) => Inner::Xml(xml::write::Writer::new(format, &entity.name, &columns)),
            Format::Json(format) => Inner::Json(json::write::Writer::new(format, &columns, &kinds)),
            Format::Excel(format) => {
                let kinds = kinds.into_iter().cloned().collect();
                Inner::Excel(Box::new(excel::write::Writer::new(format, kinds)?), format.header_row > 0)
            }
        };
        Ok(Writer { names, inner })
    }

    /// What comes before the first record.
    pub fn begin(&mut self, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        match &mut self.inner {
            Inner::Csv(writer, header) => {
                writer.begin(into);
                if *header {
                    writer.record(self.names.iter().map(|name| Some(name.as_str())), into)?;
                }
            }
            Inner::Fixed(writer) => writer.begin(into),
            Inner::Xml(writer) => writer.begin(into),
            Inner::Json(writer) => writer.begin(into),
            Inner::Excel(writer, header) => {
                if *header {
                    writer.header(&self.names.iter().map(String::as_str).collect::<Vec<_>>())?;
                }
            }
        }
        Ok(())
    }

    /// Appends a record; `None` is no value.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        match &mut self.inner {
            Inner::Csv(writer, _) => writer.record(values, into),
            Inner::Fixed(writer) => writer.record(values, into),
            Inner::Xml(writer) => writer.record(values, into),
            Inner::Json(writer) => writer.record(values, into),
            Inner::Excel(writer, _) => writer.record(values),
        }
    }

    /// What comes after the last record.
    pub fn end(&mut self, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        match &mut self.inner {
            Inner::Csv(..) | Inner::Fixed(_) => {}
            Inner::Xml(writer) => writer.end(into),
            Inner::Json(writer) => writer.end(into),
            Inner::Excel(writer, _) => writer.end(into)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::*;
    use crate::document::read::{self, Layout, Take, Wanted, path_of, path_of_name};
    use crate::document::record::Record;
    use crate::document::value::{self, Reading};
    use crate::model::entity::Field;
    use crate::model::format::{CsvFormat, FixedColumn, FixedFormat, Numbers, XmlFormat, XmlStyle};
    use crate::model::path::Path;

    struct Rows(Vec<Vec<String>>);

    impl Take for Rows {
        fn layout(&mut self, _: &Layout) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }

        fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
            assert_eq!(record.fault, None);
            self.0.push(record.texts().map(str::to_owned).collect());
            ControlFlow::Continue(())
        }
    }

    fn entity() -> Entity {
        let field = |name: &str, kind| Field { name: name.into(), kind, ..Field::default() };
        let fields = vec![
            field("ID", FieldKind::String { length: None }),
            field("Long name", FieldKind::String { length: None }),
            field("AMOUNT", FieldKind::Decimal { precision: 20, scale: 2 }),
            field("DAY", FieldKind::Date),
            field("AT", FieldKind::DateTime),
            field("N", FieldKind::Integer),
            field("OPEN", FieldKind::Boolean),
        ];
        Entity { name: "Some rows".into(), fields, ..Entity::default() }
    }

    fn formats() -> Vec<Format> {
        let entity = entity();
        let fixed = entity.fields.iter().enumerate().map(|(at, field)| FixedColumn {
            name: field.name.clone(),
            start: 1 + at * 40,
            length: 40,
            pad: ' ',
            right: field.name == "AMOUNT",
        });
        vec![
            Format::Csv(CsvFormat { delimiter: "|".into(), encoding: encoding_rs::UTF_16BE, ..CsvFormat::default() }),
            Format::Fixed(FixedFormat { columns: fixed.collect(), record_length: Some(280), ..FixedFormat::default() }),
            Format::Xml(XmlFormat::default()),
            Format::Xml(XmlFormat { style: XmlStyle::Attribute, encoding: encoding_rs::WINDOWS_1252, ..XmlFormat::default() }),
            Format::Xml(XmlFormat { record: Path::parse("/Orders/List/Order").ok(), ..XmlFormat::default() }),
            Format::Xml(XmlFormat {
                record: Path::parse("/o:Orders/o:Order").ok(),
                namespaces: vec![("o".into(), "urn:a&b".into())],
                ..XmlFormat::default()
            }),
            Format::Xml(XmlFormat { root: Some("Rows".into()), record: Path::parse("Row").ok(), ..XmlFormat::default() }),
            Format::Json(JsonFormat { record: Path::parse("data/rows").ok(), ..JsonFormat::default() }),
            Format::Json(JsonFormat { record: Path::parse("/'x y'/'a/b: \"c\"'").ok(), ..JsonFormat::default() }),
            Format::Json(JsonFormat { lines: true, encoding: encoding_rs::UTF_16LE, ..JsonFormat::default() }),
            Format::Excel(ExcelFormat { header_row: 3, sheet: Some("Rows".into()), ..ExcelFormat::default() }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_written_in_any_format_reads_back(
            rows in proptest::collection::vec((
                "[a-z0-9]{1,8}", proptest::option::of("[a-z<&>\"'é€日\\\\|,;/-]{1,12}"), proptest::option::of(-99_999_999_999i64..99_999_999_999), 1i64..40_000,
                proptest::option::of(0i64..2_000_000_000), proptest::option::of(any::<i32>()), proptest::option::of(any::<bool>()),
            ), 0..5)
        ) {
            let entity = entity();
            let text = |row: &(String, Option<String>, Option<i64>, i64, Option<i64>, Option<i32>, Option<bool>)| {
                let (id, name, amount, day, at, number, open) = row.clone();
                let instant = |seconds: i64| chrono::DateTime::from_timestamp(seconds, 0).unwrap();
                vec![
                    Some(id),
                    name,
                    amount.map(|cents| value::decimal_text(crate::model::entity::Decimal { units: cents.into(), scale: 2 })),
                    Some(instant(day * 86_400).format("%Y-%m-%d").to_string()),
                    // As exports spell them.
                    at.map(|at| instant(at).format("%Y-%m-%d %H:%M:%S").to_string()),
                    number.map(|number| number.to_string()),
                    open.map(|open| if open { "Yes" } else { "No" }.to_owned()),
                ]
            };
            let rows: Vec<Vec<Option<String>>> = rows.iter().map(text).collect();
            let kept = |row: &Vec<Option<String>>| -> Vec<Option<String>> {
                let one = |(field, text): (&Field, &Option<String>)| {
                    let text = text.as_ref().filter(|text| !text.is_empty())?;
                    Some(value::parse(field, text, &Reading::default()).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}")).text())
                };
                entity.fields.iter().zip(row).map(one).collect()
            };
            let expected: Vec<_> = rows.iter().map(kept).collect();
            for format in formats() {
                let all: Vec<usize> = (0..entity.fields.len()).collect();
                let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &entity, &all).unwrap());
                writer.begin(&mut bytes).unwrap();
                for row in &rows {
                    writer.record(row.iter().map(Option::as_deref), &mut bytes).unwrap();
                }
                writer.end(&mut bytes).unwrap();
                let values = entity.fields.iter().map(|field| path_of(&format, &field.name).unwrap()).collect();
                let wanted = if format.nests() { Wanted { values, ..Wanted::default() } } else { Wanted::default() };
                let mut found = Rows(Vec::new());
                read::read(bytes.as_slice(), &format, wanted, &mut found).unwrap_or_else(|error| panic!("{}: {error:?}", format.name()));
                let found: Vec<_> = found.0.into_iter().map(|row| kept(&row.into_iter().map(Some).collect())).collect();
                prop_assert_eq!(&found, &expected, "{}", format.name());
            }
        }
    }

    #[test]
    fn whatever_fields_are_called_their_values_read_back() {
        let names = ["ID", "a&b", "2nd %", "First Name", "x/y", "@z", "c:d", "e[1]", "\u{b2}", "a_b*"];
        let fields = names.map(|name| Field { name: name.into(), kind: FieldKind::String { length: None }, ..Field::default() });
        let entity = Entity { name: "R & D".into(), fields: fields.to_vec(), ..Entity::default() };
        let attribute = XmlFormat { style: XmlStyle::Attribute, ..XmlFormat::default() };
        for format in [Format::Xml(XmlFormat::default()), Format::Xml(attribute), Format::Json(JsonFormat::default())] {
            let all: Vec<usize> = (0..names.len()).collect();
            let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &entity, &all).unwrap());
            writer.begin(&mut bytes).unwrap();
            writer.record(names.map(Some), &mut bytes).unwrap();
            writer.end(&mut bytes).unwrap();
            let values = names.iter().map(|name| path_of_name(&format, name)).collect();
            let mut found = Rows(Vec::new());
            read::read(bytes.as_slice(), &format, Wanted { values, ..Wanted::default() }, &mut found).unwrap();
            assert_eq!(found.0, [names], "{}", String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn what_an_encoding_lacks_or_would_write_as_another_character_is_spelled_or_ends_the_export() {
        let names = ["ID", "Gr\u{f6}\u{df}e \u{a5}"];
        let fields = names.map(|name| Field { name: name.into(), kind: FieldKind::String { length: None }, ..Field::default() });
        let entity = Entity { name: "\u{c4}rzte".into(), fields: fields.to_vec(), ..Entity::default() };
        let rows = [["\u{a5} 500", "100\u{a5}"], ["x\u{203e}y", "\u{2212}5"], ["\u{ff71}\u{e9}\u{65e5}", "\u{5497}\u{1f600}"]];
        for encoding in
            [encoding_rs::SHIFT_JIS, encoding_rs::EUC_JP, encoding_rs::ISO_2022_JP, encoding_rs::BIG5, encoding_rs::WINDOWS_1251]
        {
            for format in [
                Format::Xml(XmlFormat { encoding, ..XmlFormat::default() }),
                Format::Xml(XmlFormat { encoding, style: XmlStyle::Attribute, ..XmlFormat::default() }),
                Format::Json(JsonFormat { encoding, ..JsonFormat::default() }),
                Format::Json(JsonFormat { encoding, lines: true, ..JsonFormat::default() }),
            ] {
                let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &entity, &[0, 1]).unwrap());
                writer.begin(&mut bytes).unwrap();
                for row in rows {
                    writer.record(row.map(Some), &mut bytes).unwrap();
                }
                writer.end(&mut bytes).unwrap();
                let values = names.iter().map(|name| path_of_name(&format, name)).collect();
                let mut found = Rows(Vec::new());
                read::read(bytes.as_slice(), &format, Wanted { values, ..Wanted::default() }, &mut found).unwrap();
                assert_eq!(found.0, rows, "{}: {}", encoding.name(), encoding.decode(&bytes).0);
            }
        }
        let csv = Format::Csv(CsvFormat { encoding: encoding_rs::SHIFT_JIS, escape: Some('\\'), ..CsvFormat::default() });
        let error = Writer::new(&csv, &entity, &[0]).unwrap().record([Some("a, 100\u{a5}")], &mut Vec::new()).unwrap_err();
        assert_eq!(error, Unwritable::Character { character: '\u{a5}', encoding: "Shift_JIS" });
    }

    #[test]
    fn a_number_that_a_workbook_keeps_as_text_has_the_separator_of_the_format() {
        let numbers = Numbers { decimal_separator: ',', thousands_separator: Some('.') };
        let format = Format::Excel(ExcelFormat { numbers, ..ExcelFormat::default() });
        let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &entity(), &[2]).unwrap());
        writer.begin(&mut bytes).unwrap();
        for value in ["123456789012345678.90", "12.34"] {
            writer.record([Some(value)], &mut bytes).unwrap();
        }
        writer.end(&mut bytes).unwrap();
        let mut found = Rows(Vec::new());
        read::read(bytes.as_slice(), &format, Wanted::default(), &mut found).unwrap();
        assert_eq!(found.0, [["123456789012345678,90"], ["12.34"]]);
    }

    #[test]
    fn days_before_those_of_a_workbook_finer_moments_and_times_of_no_day_read_back() {
        let format = Format::Excel(ExcelFormat::default());
        let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &entity(), &[3, 4]).unwrap());
        writer.begin(&mut bytes).unwrap();
        let rows =
            [["1899-12-31", "1899-12-31 06:00:00"], ["1900-01-01", "1900-03-01 06:00:00"], ["2026-11-26", "2026-11-26 10:00:00.1234"]];
        for row in rows {
            writer.record(row.map(Some), &mut bytes).unwrap();
        }
        writer.end(&mut bytes).unwrap();
        let mut found = Rows(Vec::new());
        read::read(bytes.as_slice(), &format, Wanted::default(), &mut found).unwrap();
        assert_eq!(found.0, [rows[0], ["1900-01-01", "1900-03-01T06:00:00"], rows[2]]);
        // As a row that is refused comes back.
        let mut writer = excel::write::Writer::new(&ExcelFormat::default(), Vec::new()).unwrap();
        let (mut bytes, mut found) = (Vec::new(), Rows(Vec::new()));
        writer.header(&["A"]).unwrap();
        writer.raw(b"d06:00:00", 1, ["2", "why"]).unwrap();
        writer.end(&mut bytes).unwrap();
        read::read(bytes.as_slice(), &format, Wanted::default(), &mut found).unwrap();
        assert_eq!(found.0[0][0], "06:00:00");
    }

    #[test]
    fn what_only_reading_can_follow_is_told() {
        let xml = |record: &str| Format::Xml(XmlFormat { record: Path::parse(record).ok(), ..XmlFormat::default() });
        let json = |record: &str, lines| Format::Json(JsonFormat { record: Path::parse(record).ok(), lines, ..JsonFormat::default() });
        let sheet = |name: &str| Format::Excel(ExcelFormat { sheet: Some(name.into()), ..ExcelFormat::default() });
        for format in formats().into_iter().chain([
            sheet("Gr\u{f6}\u{df}e & 'co', (31 characters)"),
            xml("/Orders/Order"),
            xml("Order"),
            xml("/*/Order"),
            json("a/b", false),
        ]) {
            assert_eq!(only_for_reading(&format), None, "{format:?}");
        }
        for (format, part) in [
            (Format::Csv(CsvFormat { skip_first: 1, ..CsvFormat::default() }), "skip_first"),
            (Format::Excel(ExcelFormat { skip_last: 1, ..ExcelFormat::default() }), "skip_last"),
            (sheet("Customer groups: all [2026]"), "none of [ ] : * ? / \\ can stand in it"),
            (sheet("a name that is longer than 31 ch."), "more than 31 characters"),
            (sheet("'a"), "no apostrophe"),
            (sheet(" "), "it is blank"),
            (xml("//Order"), "record"),
            (xml("/Order"), "record"),
            (xml("/o:Orders/Order"), "record"),
            (xml("/Orders/*/Order"), "record"),
            (xml("/Orders/Order[@open]"), "record"),
            (json("//rows", false), "record"),
            (json("rows", true), "record"),
        ] {
            assert!(only_for_reading(&format).unwrap().0.contains(part), "{format:?}");
        }
    }

    #[test]
    fn what_a_format_cannot_hold_is_told() {
        let entity = entity();
        let table = [
            (
                Format::Fixed(FixedFormat {
                    columns: vec![FixedColumn { name: "ID".into(), start: 1, length: 3, pad: ' ', right: false }],
                    ..FixedFormat::default()
                }),
                "long",
                "does not fit into the 3 characters of column ID",
            ),
            (
                Format::Fixed(FixedFormat {
                    columns: vec![FixedColumn { name: "ID".into(), start: 1, length: 9, pad: ' ', right: false }],
                    nulls: vec!["NULL".into()],
                    ..FixedFormat::default()
                }),
                "NULL",
                "would be read as no value",
            ),
            (Format::Xml(XmlFormat { nulls: vec!["NULL".into()], ..XmlFormat::default() }), "NULL", "would be read as no value"),
            (Format::Excel(ExcelFormat { nulls: vec!["NULL".into()], ..ExcelFormat::default() }), "NULL", "would be read as no value"),
            (Format::Json(JsonFormat { nulls: vec!["NULL".into()], ..JsonFormat::default() }), "NULL", "would be read as no value"),
            (Format::Csv(CsvFormat { qualifier: None, ..CsvFormat::default() }), "a,b", "set qualifier in the format"),
            (Format::Xml(XmlFormat::default()), "a\u{1}", "XML has no"),
            (Format::Csv(CsvFormat { encoding: encoding_rs::WINDOWS_1252, ..CsvFormat::default() }), "日", "windows-1252 has no \"日\""),
        ];
        for (format, value, expected) in table {
            let mut writer = Writer::new(&format, &entity, &[0]).unwrap();
            let error = writer.record([Some(value)], &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
