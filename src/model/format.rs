//! How a document is written: the `format` of a project's entity.

/// A document format.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any delimited text.
    Csv(CsvFormat),
}

/// Delimited text. The defaults are those of RFC 4180 with a header.
#[derive(Clone, Debug, PartialEq)]
pub struct CsvFormat {
    /// Between fields; one or more characters.
    pub delimiter: String,
    /// After each record; `None` accepts CRLF, LF and CR alike when reading, and writes CRLF.
    pub record_end: Option<String>,
    /// Around values that hold delimiters; `None` when quotes are data.
    pub qualifier: Option<char>,
    /// Before a qualifier inside a qualified value, besides doubling it.
    pub escape: Option<char>,
    /// The first record names the columns.
    pub header: bool,
    /// The encoding, by its label in the WHATWG Encoding Standard; a byte order mark in the document wins.
    pub encoding: &'static encoding_rs::Encoding,
    /// Records to pass over at the start, before the header.
    pub skip_first: u32,
    /// Records to pass over at the end.
    pub skip_last: u32,
    /// Unqualified texts that mean "no value".
    pub nulls: Vec<String>,
    /// The decimal separator of numbers in this document: `.` or `,`.
    pub decimal_separator: char,
}

impl Default for CsvFormat {
    fn default() -> Self {
        CsvFormat {
            delimiter: ",".into(),
            record_end: None,
            qualifier: Some('"'),
            escape: None,
            header: true,
            encoding: encoding_rs::UTF_8,
            skip_first: 0,
            skip_last: 0,
            nulls: Vec::new(),
            decimal_separator: '.',
        }
    }
}

impl Format {
    /// The word used for it in the configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Format::Csv(_) => "csv",
        }
    }

    /// The ending of file names, without the dot.
    pub fn file_extension(&self) -> &'static str {
        match self {
            Format::Csv(_) => "csv",
        }
    }

    /// What a data package's manifest calls it (`SourceFormat`, MANIFEST.md).
    pub fn source_format(&self) -> &'static str {
        match self {
            Format::Csv(csv) if csv.encoding == encoding_rs::UTF_16LE => "CSV-Unicode",
            Format::Csv(_) => "CSV",
        }
    }
}
