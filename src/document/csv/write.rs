//! Writes delimited text so that [`super::read`] reads back what was written.

use super::is_error;
use crate::document::encoding::{encode, mark};
use crate::document::write::Unwritable;
use crate::model::format::CsvFormat;

/// Appends records of one dialect to a buffer, in the dialect's encoding.
pub struct Writer {
    format: CsvFormat,
    line: String,
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
        for byte in texts.into_iter().flat_map(str::bytes) {
            notable[usize::from(byte)] = true;
        }
        for character in characters {
            // Its first byte stands nowhere else but where it begins.
            notable[usize::from(character.encode_utf8(&mut buffer).as_bytes()[0])] = true;
        }
        Writer { format: format.clone(), line: String::new(), notable }
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
                None => self.line.push_str(self.format.nulls.first().map_or("", String::as_str)),
                Some(value) if self.is_plain(value) => self.line.push_str(value),
                Some(value) => push_value(&self.format, &mut self.line, value)?,
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
        self.line.push_str(self.format.record_end.as_deref().unwrap_or("\r\n"));
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
            && !self.format.nulls.iter().any(|null| null == value)
    }
}

/// Whether a value without a qualifier reads back: it ends where it should, and is a value.
fn stands_alone(format: &CsvFormat, value: &str) -> bool {
    // A stated end with a line feed takes CRLF, too.
    let crlf = format
        .record_end
        .as_ref()
        .and_then(|end| Some(format!("{}\r\n", end.strip_suffix('\n').filter(|before| !before.ends_with('\r'))?)));
    let mut ends: Vec<&str> = match &format.record_end {
        Some(end) => vec![&format.delimiter, end],
        None => vec![&format.delimiter, "\r", "\n"],
    };
    ends.extend(crlf.as_deref());
    let whole = |end: &&str| {
        let text = format!("{value}{end}");
        // A record end that begins with the delimiter must not begin before the value.
        let joined = format!("{}{text}", format.delimiter);
        ends.iter().all(|other| text.find(*other).is_none_or(|at| at >= value.len()))
            && !ends.iter().any(|other| *other != format.delimiter && joined.starts_with(*other))
    };
    ends.iter().all(whole) && !format.nulls.iter().any(|null| null == value) && !is_error(value)
}

fn push_value(format: &CsvFormat, line: &mut String, value: &str) -> Result<(), Unwritable> {
    let Some(qualifier) = format.qualifier else {
        if !stands_alone(format, value) {
            return Err(Unwritable::Unqualified { value: value.to_owned() });
        }
        line.push_str(value);
        return Ok(());
    };
    let needed = value.contains([qualifier, '\r', '\n'])
        || format.escape.is_some_and(|escape| value.contains(escape))
        || value.starts_with(' ')
        || value.ends_with(' ')
        || !stands_alone(format, value);
    match needed {
        true => push_qualified(format, qualifier, line, value),
        false => line.push_str(value),
    }
    Ok(())
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

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            records in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[a-z\",||\r\nNUL++\\\\é ]{0,6}"), 1..4), 1..6), dialect in 0usize..8
        ) {
            let format = [
                CsvFormat { nulls: vec!["NULL".into()], ..Default::default() },
                CsvFormat { delimiter: "+|".into(), nulls: vec!["NULL".into()], ..Default::default() },
                CsvFormat { encoding: encoding_rs::UTF_16LE, nulls: vec!["NULL".into()], ..Default::default() },
                CsvFormat { escape: Some('\\'), nulls: vec!["NULL".into()], ..Default::default() },
                CsvFormat { delimiter: "|".into(), record_end: Some("|\n".into()), nulls: vec!["NULL".into()], ..Default::default() },
                CsvFormat { delimiter: "|".into(), record_end: Some("+|".into()), nulls: vec!["NULL".into()], ..Default::default() },
                CsvFormat { delimiter: "||".into(), record_end: Some("||\n".into()), nulls: vec!["NULL".into()], ..Default::default() },
                CsvFormat { delimiter: "+|".into(), record_end: Some("|+".into()), nulls: vec!["NULL".into()], ..Default::default() },
            ][dialect].clone();
            let mut bytes = Vec::new();
            let mut writer = Writer::new(&format);
            writer.begin(&mut bytes);
            for record in &records {
                writer.record(record.iter().map(Option::as_deref), &mut bytes).unwrap();
            }
            let mut reader = Reader::new(bytes.as_slice(), &format);
            let (mut record, mut read) = (Record::default(), Vec::new());
            while reader.next_into(&mut record).unwrap() {
                let fields = (0..record.len()).map(|index| record.field(index).unwrap());
                read.push(fields.map(|(text, qualified)| (qualified || text != "NULL").then(|| text.to_owned())).collect::<Vec<_>>());
            }
            prop_assert_eq!(read, records);
        }
    }

    #[test]
    fn without_a_qualifier_a_value_reads_back_or_ends_the_export() {
        let bare = CsvFormat { qualifier: None, nulls: vec!["NULL".into()], ..CsvFormat::default() };
        let long = CsvFormat { delimiter: "||".into(), record_end: Some("&|\n".into()), ..bare.clone() };
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
