//! Writes delimited text so that [`super::read`] reads back what was written.

use std::io;

use super::is_error;
use super::read::{END_MARK, Reader, dialect};
use crate::document::encoding::{encode, mark};
use crate::document::write::Unwritable;
use crate::model::format::CsvFormat;

/// Appends records of one dialect to a buffer, in the dialect's encoding.
pub struct Writer {
    format: CsvFormat,
    dialect: Reader<io::Empty>,
    line: String,
    scratch: Vec<u8>,
    /// A value may need the qualifier for what stands beside it.
    joins: bool,
    /// An empty value needs none.
    blank: bool,
    /// What stands for no value, if anything can.
    null: Option<String>,
    /// Bytes for which a value is looked at closely; one without any is written as it is.
    notable: [bool; 256],
}

impl Writer {
    /// A writer of this dialect.
    pub fn new(format: &CsvFormat) -> Writer {
        let mut notable = [false; 256];
        let texts = [format.delimiter.as_str(), format.record_end.as_deref().unwrap_or_default(), "\r\n"];
        let characters = format.qualifier.into_iter().chain(format.escape);
        let mut buffer = [0; 4];
        for byte in texts.into_iter().flat_map(str::bytes).chain([END_MARK]) {
            notable[usize::from(byte)] = true;
        }
        for character in characters {
            // Its first byte stands nowhere else but where it begins.
            notable[usize::from(character.encode_utf8(&mut buffer).as_bytes()[0])] = true;
        }
        let (dialect, mut scratch) = (dialect(&CsvFormat { encoding: encoding_rs::UTF_8, ..format.clone() }), Vec::new());
        let null = format.nulls.first().cloned().unwrap_or_default();
        let mut alone = |text: &str| dialect.stands_alone(text, record_end(format), &mut scratch);
        let (blank, null) = (
            alone(""),
            match format.qualifier {
                _ if alone(&null) => Some(null),
                Some(qualifier) if null.is_empty() => Some(qualifier.to_string().repeat(2)),
                _ => None,
            },
        );
        let joins = format.delimiter.len() > 1 || format.record_end.is_some();
        Writer { format: format.clone(), dialect, line: String::new(), scratch, joins, blank, null, notable }
    }

    /// What a document begins with: a byte order mark for UTF-16, nothing for others.
    pub fn begin(&self, into: &mut Vec<u8>) {
        mark(self.format.encoding, into);
    }

    /// Appends a record; `None` is no value.
    pub fn record<'a>(&mut self, values: impl IntoIterator<Item = Option<&'a str>>, into: &mut Vec<u8>) -> Result<(), Unwritable> {
        self.line.clear();
        let mut delimiters = 0;
        for (index, value) in values.into_iter().enumerate() {
            let begins = index == 0;
            if !begins {
                self.line.push_str(&self.format.delimiter);
                delimiters += self.format.delimiter.len();
            }
            match value {
                // Before a record it is no data.
                Some(value) if begins && value.starts_with('\u{feff}') => {
                    let qualifier = self.format.qualifier.ok_or_else(|| Unwritable::Mark { value: value.to_owned() })?;
                    push_qualified(&self.format, qualifier, &mut self.line, value);
                }
                None => match &self.null {
                    Some(null) => self.line.push_str(null),
                    None => {
                        let value = self.format.nulls.first().cloned().unwrap_or_default();
                        return Err(Unwritable::Unqualified { value });
                    }
                },
                Some(value) if self.is_plain(value) => self.line.push_str(value),
                Some(value) => self.push_value(value)?,
            }
        }
        // An empty line, or one of delimiters alone, is no record. Where nothing qualifies, the latter has to do.
        if self.line.len() == delimiters {
            match self.format.qualifier {
                Some(qualifier) => self.line.insert_str(0, qualifier.to_string().repeat(2).as_str()),
                None if delimiters > 0 => {}
                None => return Err(Unwritable::Unqualified { value: String::new() }),
            }
        }
        self.line.push_str(record_end(&self.format));
        encode(&self.line, self.format.encoding, into)
            .map_err(|character| Unwritable::Character { character, encoding: self.format.encoding.name() })
    }
}

impl Writer {
    /// Whether nothing in a value could need the qualifier.
    fn is_plain(&self, value: &str) -> bool {
        !value.bytes().any(|byte| self.notable[usize::from(byte)])
            && !value.starts_with(' ')
            && !value.ends_with(' ')
            && !value.starts_with('#')
            && (self.blank || !value.is_empty())
            && !self.format.nulls.iter().any(|null| null == value)
    }

    fn push_value(&mut self, value: &str) -> Result<(), Unwritable> {
        let Writer { format, dialect, line, scratch, joins, .. } = self;
        let mut joined = || !dialect.stands_alone(value, record_end(format), scratch);
        // The mark with which DOS ends a file is none of the last value.
        let is_null = || format.nulls.iter().any(|null| null == value) || is_error(value) || value.ends_with(char::from(END_MARK));
        let Some(qualifier) = format.qualifier else {
            if is_null() || joined() {
                return Err(Unwritable::Unqualified { value: value.to_owned() });
            }
            line.push_str(value);
            return Ok(());
        };
        let needed = value.contains(&format.delimiter)
            || value.contains([qualifier, '\r', '\n'])
            || format.escape.is_some_and(|escape| value.contains(escape))
            || value.starts_with(' ')
            || value.ends_with(' ')
            || is_null()
            || (*joins && joined());
        match needed {
            true => push_qualified(format, qualifier, line, value),
            false => line.push_str(value),
        }
        Ok(())
    }
}

/// What ends records that are written.
fn record_end(format: &CsvFormat) -> &str {
    format.record_end.as_deref().unwrap_or("\r\n")
}

fn push_qualified(format: &CsvFormat, qualifier: char, line: &mut String, value: &str) {
    line.push(qualifier);
    for character in value.chars() {
        if character == qualifier || Some(character) == format.escape {
            line.push(if character == qualifier { qualifier } else { character });
        }
        line.push(character);
    }
    line.push(qualifier);
}

#[cfg(test)]
mod tests {
    use super::super::read::Reader;
    use super::*;
    use crate::document::record::Record;
    use proptest::prelude::*;

    const DIALECTS: usize = 15;

    fn dialects() -> [CsvFormat; DIALECTS] {
        let with = |delimiter: &str, end: Option<&str>| CsvFormat {
            delimiter: delimiter.into(),
            record_end: end.map(str::to_owned),
            nulls: vec!["NULL".into()],
            ..Default::default()
        };
        [
            with(",", None),
            with("+|", None),
            CsvFormat { encoding: encoding_rs::UTF_16LE, ..with(",", None) },
            CsvFormat { escape: Some('\\'), ..with(",", None) },
            with("|", Some("&|")),
            with("|", Some("|\n")),
            with("|", Some("||")),
            with("||", Some("||\n")),
            with("+|", Some("|+")),
            with("+|", Some("&|\n")),
            CsvFormat { qualifier: None, ..with("+|", Some("&|\n")) },
            CsvFormat { qualifier: None, ..with("|", Some("|\n")) },
            CsvFormat { qualifier: None, ..with("|", Some("&|")) },
            CsvFormat { qualifier: None, ..with("|", Some("&|+\n")) },
            CsvFormat { qualifier: None, ..with(",", Some("\n")) },
        ]
    }

    fn read(bytes: &[u8], format: &CsvFormat) -> Vec<Vec<Option<String>>> {
        let mut reader = Reader::new(bytes, format);
        let (mut record, mut read) = (Record::default(), Vec::new());
        let is_null = |text: &str| format.nulls.iter().any(|null| null == text);
        while reader.next_into(&mut record).unwrap() {
            let fields = (0..record.len()).map(|index| record.field(index).unwrap());
            read.push(fields.map(|(text, qualified)| (qualified || !is_null(text)).then(|| text.to_owned())).collect());
        }
        read
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            records in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[a-z\",|\r\nNUL+&|+&\\\\é \u{1a}]{0,6}"), 1..4), 1..6), dialect in 0..DIALECTS
        ) {
            let format = &dialects()[dialect];
            let (mut bytes, mut written) = (Vec::new(), Vec::new());
            let mut writer = Writer::new(format);
            writer.begin(&mut bytes);
            for record in &records {
                match writer.record(record.iter().map(Option::as_deref), &mut bytes) {
                    // Where nothing qualifies, a record of blanks has to do without.
                    Ok(()) if format.qualifier.is_none() && record.iter().all(|value| value.as_deref() == Some("")) => {}
                    Ok(()) => written.push(record.clone()),
                    Err(error) => prop_assert!(format.qualifier.is_none(), "{}", error),
                }
            }
            prop_assert_eq!(read(&bytes, format), written);
        }
    }

    #[test]
    fn a_value_is_qualified_for_what_it_would_make_with_what_stands_beside_it() {
        let line = |delimiter: &str, end: &str, values: &[Option<&str>]| {
            let format = CsvFormat { delimiter: delimiter.into(), record_end: Some(end.into()), ..CsvFormat::default() };
            let mut bytes = Vec::new();
            Writer::new(&format).record(values.iter().copied(), &mut bytes).unwrap();
            let found: Vec<Option<String>> = values.iter().map(|value| Some(value.unwrap_or_default().to_owned())).collect();
            assert_eq!(read(&bytes, &format), [found]);
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(line("|", "&|", &[Some("<&"), Some("x"), Some("y&")]), "\"<&\"|x|\"y&\"&|");
        assert_eq!(line("|", "|\n", &[Some("a"), Some(""), None]), "a|||\n");
        assert_eq!(line("|", "||", &[Some("a"), Some(""), None]), "a|\"\"|\"\"||");
        assert_eq!(line(",", "&|", &[Some("<&"), Some("x|")]), "<&,x|&|");
    }

    #[test]
    fn without_a_qualifier_a_value_reads_back_or_ends_the_export() {
        let bare = CsvFormat { qualifier: None, nulls: vec!["NULL".into()], ..CsvFormat::default() };
        let long = CsvFormat { delimiter: "||".into(), record_end: Some("&|\n".into()), ..bare.clone() };
        let feed = CsvFormat { record_end: Some("\n".into()), ..bare.clone() };
        let bars = CsvFormat { delimiter: "|".into(), record_end: Some("&|".into()), ..bare.clone() };
        for (format, value, fits) in [
            (&bare, "x \"y\"", true),
            (&bare, "x,1", false),
            (&bare, "x\ny", false),
            (&bare, "NULL", false),
            (&bare, "#N/A", false),
            (&bare, "#1", true),
            (&long, "x,1\ny|z", true),
            (&long, "x||y", false),
            (&long, "x|", false),
            (&long, "x&|\ny", false),
            (&long, "x&|\r\ny", false),
            (&feed, "x\r", false),
            (&feed, "x\ry", true),
            (&bars, "x&", false),
            (&bars, "\nx", false),
            (&bars, "x\n", true),
        ] {
            let (mut bytes, mut writer) = (Vec::new(), Writer::new(format));
            let written = writer.record([Some("a"), Some(value), None, Some("b")], &mut bytes);
            assert_eq!(written.is_ok(), fits, "{value:?}");
            if fits {
                let (mut reader, mut record) = (Reader::new(bytes.as_slice(), format), Record::default());
                assert!(reader.next_into(&mut record).unwrap());
                assert_eq!(record.texts().collect::<Vec<_>>(), ["a", value, "NULL", "b"]);
                assert!(!reader.next_into(&mut record).unwrap());
            }
        }
        assert!(Writer::new(&bare).record([Some(""), Some("")], &mut Vec::new()).is_ok());
        assert!(Writer::new(&CsvFormat { nulls: vec![], ..bare }).record([None], &mut Vec::new()).is_err(), "an empty line is no record");
    }

    #[test]
    fn a_byte_order_mark_at_the_beginning_of_a_record_is_qualified() {
        let (mut bytes, format) = (Vec::new(), CsvFormat::default());
        let row = [Some("\u{feff}9"), Some("\u{feff}k")];
        Writer::new(&format).record(row, &mut bytes).unwrap();
        let (mut reader, mut record) = (Reader::new(bytes.as_slice(), &format), Record::default());
        assert!(reader.next_into(&mut record).unwrap());
        assert_eq!(record.texts().map(Some).collect::<Vec<_>>(), row);
        let error = Writer::new(&CsvFormat { qualifier: None, ..format }).record(row, &mut bytes).unwrap_err();
        assert!(matches!(error, Unwritable::Mark { .. }), "{error}");
    }

    #[test]
    fn what_a_spreadsheet_writes_for_an_error_is_qualified() {
        let mut bytes = Vec::new();
        Writer::new(&CsvFormat::default()).record([Some("#N/A"), Some("#1")], &mut bytes).unwrap();
        assert_eq!(bytes, b"\"#N/A\",#1\r\n");
    }

    #[test]
    fn a_character_that_the_encoding_lacks_is_told() {
        let format = CsvFormat { encoding: encoding_rs::WINDOWS_1252, ..Default::default() };
        let mut bytes = Vec::new();
        assert!(Writer::new(&format).record([Some("é€")], &mut bytes).is_ok());
        let error = Writer::new(&format).record([Some("日")], &mut bytes).unwrap_err();
        assert!(matches!(error, Unwritable::Character { character: '日', .. }));
    }
}
