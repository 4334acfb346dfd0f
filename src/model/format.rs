//! How a document is written: the `format` of a project's entity.

use encoding_rs::Encoding;

use super::path::Path;

/// A document format.
#[derive(Clone, Debug, PartialEq)]
pub enum Format {
    /// Any delimited text.
    Csv(CsvFormat),
    /// Text in columns of fixed width.
    Fixed(FixedFormat),
    /// XML.
    Xml(XmlFormat),
    /// A workbook: .xlsx; .xls and .ods are read too.
    Excel(ExcelFormat),
    /// JSON and JSON Lines.
    Json(JsonFormat),
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
    pub encoding: &'static Encoding,
    /// Lines to pass over at the start, before the header, as they stand.
    pub skip_first: u32,
    /// Records to pass over at the end.
    pub skip_last: u32,
    /// Records may have fewer fields than the header, or more empty ones: what lacks is blank.
    pub ragged: bool,
    /// Unqualified texts that mean "no value".
    pub nulls: Vec<String>,
    /// How numbers are written in this document.
    pub numbers: Numbers,
}

/// How numbers are written in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// `.` or `,`.
    pub decimal_separator: char,
    /// Between groups of three digits of the whole part; `None` when there is none.
    pub thousands_separator: Option<char>,
}

impl Default for Numbers {
    fn default() -> Self {
        Numbers { decimal_separator: '.', thousands_separator: None }
    }
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
            ragged: false,
            nulls: Vec::new(),
            numbers: Numbers::default(),
        }
    }
}

/// What positions of fixed width count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Characters.
    #[default]
    Characters,
    /// Bytes of the document's encoding.
    Bytes,
}

/// Text in columns of fixed width. Positions count from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedFormat {
    /// What they count.
    pub unit: Unit,
    /// The columns.
    pub columns: Vec<FixedColumn>,
    /// Records of so many units follow each other without a line end; line ends between them are passed over.
    pub record_length: Option<usize>,
    /// After each record; `None` accepts CRLF, LF and CR alike when reading, and writes CRLF.
    pub record_end: Option<String>,
    /// Only records of this type are read; others are not this entity's.
    pub record_type: Option<RecordType>,
    /// As in [`CsvFormat`].
    pub encoding: &'static Encoding,
    /// Lines to pass over at the start, as they stand; records where `record_length` says how long they are.
    pub skip_first: u32,
    /// Records to pass over at the end, of any type.
    pub skip_last: u32,
    /// Texts, without padding, that mean "no value".
    pub nulls: Vec<String>,
    /// How numbers are written in this document.
    pub numbers: Numbers,
}

impl Default for FixedFormat {
    fn default() -> Self {
        FixedFormat {
            unit: Unit::Characters,
            columns: Vec::new(),
            record_length: None,
            record_end: None,
            record_type: None,
            encoding: encoding_rs::UTF_8,
            skip_first: 0,
            skip_last: 0,
            nulls: Vec::new(),
            numbers: Numbers::default(),
        }
    }
}

/// A column of fixed width.
#[derive(Clone, Debug, PartialEq)]
pub struct FixedColumn {
    /// Its name, as mappings call it.
    pub name: String,
    /// Its first unit, from 1.
    pub start: usize,
    /// How many units.
    pub length: usize,
    /// What fills it up.
    pub pad: char,
    /// It is filled up on the left, as numbers are.
    pub right: bool,
}

/// Which records of a document in several shapes are this entity's.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordType {
    /// First unit of the type, from 1.
    pub start: usize,
    /// How many units.
    pub length: usize,
    /// It is one of these.
    pub equals: Vec<String>,
}

/// How an XML record holds its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlStyle {
    /// As elements; a plain name in a mapping is an element's.
    Element,
    /// As attributes; a plain name in a mapping is an attribute's.
    Attribute,
}

/// XML.
#[derive(Clone, Debug, PartialEq)]
pub struct XmlFormat {
    /// What a plain name means.
    pub style: XmlStyle,
    /// The root element: asked for when reading, written when writing (`Document` when `None`).
    pub root: Option<String>,
    /// Where records stand, absolute; `None`: the elements of the root.
    pub record: Option<Path>,
    /// Prefixes of paths and the namespaces they stand for.
    pub namespaces: Vec<(String, String)>,
    /// When the document itself does not say.
    pub encoding: &'static Encoding,
    /// Texts that mean "no value".
    pub nulls: Vec<String>,
    /// How numbers are written in this document.
    pub numbers: Numbers,
}

impl Default for XmlFormat {
    fn default() -> Self {
        XmlFormat {
            style: XmlStyle::Element,
            root: None,
            record: None,
            namespaces: Vec::new(),
            encoding: encoding_rs::UTF_8,
            nulls: Vec::new(),
            numbers: Numbers::default(),
        }
    }
}

/// A workbook.
#[derive(Clone, Debug, PartialEq)]
pub struct ExcelFormat {
    /// The sheet's name; `None` is the first sheet.
    pub sheet: Option<String>,
    /// Without `sheet`: read the sheet of this name instead of the first; a workbook of one sheet has that one, whatever its name.
    pub sheet_preferred: Option<String>,
    /// The row that names the columns, from 1; 0 when none does and columns go by number.
    pub header_row: u32,
    /// Rows to pass over at the end.
    pub skip_last: u32,
    /// Workbooks of Excel 97 are read too: only of senders that are trusted, because they can ask for more memory than there is.
    pub old: bool,
    /// Texts that mean "no value".
    pub nulls: Vec<String>,
    /// How numbers are written that the workbook keeps as text.
    pub numbers: Numbers,
}

impl Default for ExcelFormat {
    fn default() -> Self {
        ExcelFormat {
            sheet: None,
            sheet_preferred: None,
            header_row: 1,
            skip_last: 0,
            old: false,
            nulls: Vec::new(),
            numbers: Numbers::default(),
        }
    }
}

/// JSON and JSON Lines.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonFormat {
    /// Each line is a value.
    pub lines: bool,
    /// Where records stand; `None`: the items of the array that the document is, or the document itself.
    pub record: Option<Path>,
    /// As in [`CsvFormat`].
    pub encoding: &'static Encoding,
    /// Values, not in quotes, that mean "no value" besides null.
    pub nulls: Vec<String>,
    /// How numbers are written that stand in quotes.
    pub numbers: Numbers,
}

impl Default for JsonFormat {
    fn default() -> Self {
        JsonFormat { lines: false, record: None, encoding: encoding_rs::UTF_8, nulls: Vec::new(), numbers: Numbers::default() }
    }
}

/// The words for formats in the configuration file.
pub const FORMATS: [&str; 7] = ["csv", "fixed", "xml-element", "xml-attribute", "excel", "json", "jsonl"];

impl Format {
    /// The word used for it in the configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Format::Csv(_) => "csv",
            Format::Fixed(_) => "fixed",
            Format::Xml(XmlFormat { style: XmlStyle::Element, .. }) => "xml-element",
            Format::Xml(XmlFormat { style: XmlStyle::Attribute, .. }) => "xml-attribute",
            Format::Excel(_) => "excel",
            Format::Json(JsonFormat { lines: false, .. }) => "json",
            Format::Json(JsonFormat { lines: true, .. }) => "jsonl",
        }
    }

    /// The ending of file names, without the dot.
    pub fn file_extension(&self) -> &'static str {
        match self {
            Format::Csv(_) => "csv",
            Format::Fixed(_) => "txt",
            Format::Xml(_) => "xml",
            Format::Excel(_) => "xlsx",
            Format::Json(JsonFormat { lines: false, .. }) => "json",
            Format::Json(JsonFormat { lines: true, .. }) => "jsonl",
        }
    }

    /// What a data package's manifest calls it (`SourceFormat`, MANIFEST.md).
    pub fn source_format(&self) -> &'static str {
        match self {
            Format::Csv(csv) => {
                let (plain, unicode) = match csv.delimiter.as_str() {
                    "," => ("CSV", "CSV-Unicode"),
                    ";" => ("Semicolon", "Semicolon-Unicode"),
                    "\t" => ("Tab", "Tab-Unicode"),
                    ":" => ("Colon", "Colon-Unicode"),
                    "|" => ("Pipe", "Pipe-Unicode"),
                    // No reader takes these for what they are not.
                    _ => ("Delimited", "Delimited-Unicode"),
                };
                if csv.encoding == encoding_rs::UTF_16LE { unicode } else { plain }
            }
            Format::Fixed(_) => "Fixed width",
            Format::Xml(XmlFormat { style: XmlStyle::Element, .. }) => "XML-Element",
            Format::Xml(XmlFormat { style: XmlStyle::Attribute, .. }) => "XML-Attribute",
            Format::Excel(_) => "EXCEL",
            Format::Json(JsonFormat { lines: false, .. }) => "JSON",
            Format::Json(JsonFormat { lines: true, .. }) => "JSONL",
        }
    }

    /// Whether a document without rows has no byte at all.
    pub fn may_be_empty(&self) -> bool {
        match self {
            Format::Csv(csv) => !csv.header,
            Format::Fixed(_) => true,
            Format::Json(json) => json.lines,
            Format::Xml(_) | Format::Excel(_) => false,
        }
    }

    /// The encoding of the configuration.
    pub fn encoding(&self) -> &'static Encoding {
        match self {
            Format::Csv(csv) => csv.encoding,
            Format::Fixed(fixed) => fixed.encoding,
            Format::Xml(xml) => xml.encoding,
            Format::Excel(_) => encoding_rs::UTF_8,
            Format::Json(json) => json.encoding,
        }
    }

    /// Texts that mean "no value".
    pub fn nulls(&self) -> &[String] {
        match self {
            Format::Csv(csv) => &csv.nulls,
            Format::Fixed(fixed) => &fixed.nulls,
            Format::Xml(xml) => &xml.nulls,
            Format::Excel(excel) => &excel.nulls,
            Format::Json(json) => &json.nulls,
        }
    }

    /// How numbers are written.
    pub fn numbers(&self) -> Numbers {
        match self {
            Format::Csv(csv) => csv.numbers,
            Format::Fixed(fixed) => fixed.numbers,
            Format::Xml(xml) => xml.numbers,
            Format::Excel(excel) => excel.numbers,
            Format::Json(json) => json.numbers,
        }
    }

    /// What stands before the decimals of a number that is written: workbooks and JSON have numbers of their own.
    pub fn decimal_separator_written(&self) -> char {
        match self {
            Format::Csv(_) | Format::Fixed(_) | Format::Xml(_) => self.numbers().decimal_separator,
            Format::Excel(_) | Format::Json(_) => '.',
        }
    }

    /// Records to pass over at the end.
    pub fn skip_last(&self) -> usize {
        match self {
            Format::Csv(csv) => csv.skip_last as usize,
            Format::Fixed(fixed) => fixed.skip_last as usize,
            Format::Excel(excel) => excel.skip_last as usize,
            Format::Xml(_) | Format::Json(_) => 0,
        }
    }

    /// Whether values are found by paths, not by columns.
    pub fn nests(&self) -> bool {
        matches!(self, Format::Xml(_) | Format::Json(_))
    }

    /// Whether columns have no names, only numbers.
    pub fn is_numbered(&self) -> bool {
        match self {
            Format::Csv(csv) => !csv.header,
            Format::Excel(excel) => excel.header_row == 0,
            _ => false,
        }
    }
}
