//! Reads records of any format: one face for all readers. What takes them is told the layout first, then each record.

use std::collections::VecDeque;
use std::io::Read;
use std::ops::ControlFlow;

use encoding_rs::Encoding;

use super::broken::Broken;
use super::collect::{Asked, Nested};
use super::record::Record;
use super::sniff;
use super::{csv, excel, fixed, json, xml};
use crate::model::format::{CsvFormat, Format, XmlFormat, XmlStyle};
use crate::model::path::{Name, Path, Step, To};

/// How records say which of their fields is which.
#[derive(Clone, Debug, PartialEq)]
pub enum Layout {
    /// By name: the names of the columns, in order.
    Named {
        /// The line they stand on, from 1.
        line: u64,
        /// The names.
        names: Vec<String>,
        /// Their exact text, for the file of refused rows; empty when the document has none.
        raw: Vec<u8>,
    },
    /// By number, from 1.
    Numbered,
    /// The values that were asked for, in that order.
    Asked,
}

/// Takes what is read.
pub trait Take {
    /// How fields are called. Comes first, and once.
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()>;
    /// A record. What the taker leaves in it is emptied and used again.
    fn record(&mut self, record: &mut Record) -> ControlFlow<()>;
    /// The encoding that the document has, as soon as it is known: before the first record.
    fn encoding(&mut self, _: &'static Encoding) {}
    /// Something that a person should know, and no fault: what, and what to do.
    fn note(&mut self, _message: String, _hint: String) {}
    /// There was no record at all; these are places where elements stood.
    fn nothing_found(&mut self, _: &[String]) {}
}

/// What is asked of a document that nests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The values of a record.
    pub values: Vec<Path>,
    /// Records nested in it.
    pub nested: Vec<Nested>,
}

/// Reads a document to its end, or until `take` has enough.
pub fn read(source: impl Read, format: &Format, wanted: Wanted, take: &mut dyn Take) -> Result<(), Broken> {
    let Wanted { values, nested } = wanted;
    let (source, empty) = sniff::check(source, format)?;
    if empty {
        take.note("the document is empty".into(), "where rows were to be expected, ask the sender for it again".into());
    }
    let mut held = Held { skip: format.skip_last(), held: VecDeque::new(), take };
    let take: &mut dyn Take = if held.skip > 0 { &mut held } else { held.take };
    match format {
        Format::Csv(csv) => {
            let mut reader = csv::read::Reader::new(source, csv);
            let mut record = Record::default();
            for _ in 0..csv.skip_first {
                reader.skip_line()?;
            }
            if let Some(stated) = reader.stated_delimiter()?
                && !csv.delimiter.chars().eq([stated])
            {
                let message = format!("the document says that {stated:?} delimits it, and the format says {:?}", csv.delimiter);
                return Err(Broken::at(
                    u64::from(csv.skip_first) + 1,
                    message,
                    format!("set delimiter = {:?} in the format", stated.to_string()),
                ));
            }
            let layout = match csv.header {
                false => Layout::Numbered,
                true if reader.next_into(&mut record)? => {
                    let names = record.texts().map(str::to_owned).collect();
                    Layout::Named { line: record.line, names, raw: record.raw.clone() }
                }
                true => Layout::Named { line: 1, names: Vec::new(), raw: Vec::new() },
            };
            if let Some(fault) = &record.fault {
                let (_, message, hint) = fault.told(&Format::Csv(CsvFormat { encoding: reader.encoding(), ..csv.clone() }));
                return Err(Broken::at(record.line, format!("the header cannot be read: {message}"), hint));
            }
            begin(take, reader.encoding(), &layout, record, |record| Ok(reader.next_into(record)?))
        }
        Format::Fixed(fixed) => {
            let mut reader = fixed::read::Reader::new(source, fixed);
            for _ in 0..fixed.skip_first {
                reader.skip()?;
            }
            let names = fixed.columns.iter().map(|column| column.name.clone()).collect();
            let layout = Layout::Named { line: 0, names, raw: Vec::new() };
            begin(take, reader.encoding(), &layout, Record::default(), |record| Ok(reader.next_into(record)?))
        }
        Format::Xml(format) => {
            let asked = Asked { record: record_of(format), values, nested, namespaces: format.namespaces.clone() };
            let mut reader = xml::read::Reader::new(source, format.encoding, asked);
            let mut record = Record::default();
            // The declaration is read with the first record.
            let first = reader.next_into(&mut record)?;
            if !first && let Some(seen) = reader.seen_instead() {
                take.nothing_found(seen);
            }
            let mut first = Some((first, record));
            begin(take, reader.encoding(), &Layout::Asked, Record::default(), |record| match first.take() {
                Some((more, first)) => {
                    *record = first;
                    Ok(more)
                }
                None => reader.next_into(record),
            })
        }
        Format::Json(format) => {
            let asked = Asked { record: format.record.clone().unwrap_or_else(Path::whole), values, nested, namespaces: Vec::new() };
            let mut reader = json::read::Reader::new(source, format.encoding, format.lines, asked);
            let mut record = Record::default();
            let first = reader.next_into(&mut record)?;
            if !first && let Some(seen) = reader.seen_instead() {
                take.nothing_found(seen);
            }
            let mut first = Some((first, record));
            begin(take, reader.encoding(), &Layout::Asked, Record::default(), |record| match first.take() {
                Some((more, first)) => {
                    *record = first;
                    Ok(more)
                }
                None => reader.next_into(record),
            })
        }
        Format::Excel(excel) => {
            take.encoding(encoding_rs::UTF_8);
            excel::read::read(source, excel, take)
        }
    }
}

fn begin(
    take: &mut dyn Take,
    encoding: &'static Encoding,
    layout: &Layout,
    mut record: Record,
    mut next: impl FnMut(&mut Record) -> Result<bool, Broken>,
) -> Result<(), Broken> {
    take.encoding(encoding);
    if take.layout(layout).is_break() {
        return Ok(());
    }
    while next(&mut record)? {
        if take.record(&mut record).is_break() {
            break;
        }
    }
    Ok(())
}

/// Where the records of an XML document stand.
pub fn record_of(format: &XmlFormat) -> Path {
    let any = |name: Option<&str>| Step {
        deep: false,
        to: To::Element(Name { prefix: None, local: name.unwrap_or("*").to_owned(), loose: false }),
        predicates: Vec::new(),
    };
    match &format.record {
        // A bare name is that of elements of the root.
        Some(path) if !path.absolute => {
            let mut path = path.clone();
            if path.steps.len() == 1 || format.root.is_some() {
                path.steps.insert(0, any(format.root.as_deref()));
            }
            path.absolute = true;
            path
        }
        Some(path) => path.clone(),
        None => Path::absolute(vec![any(format.root.as_deref()), any(None)]),
    }
}

/// The path of a value that a mapping calls by a plain name, or by a path.
pub fn path_of(format: &Format, source: &str) -> Result<Path, String> {
    if source.contains(['/', '@', '[', '*', ':']) || matches!(source, "." | "..") {
        return Path::parse(source);
    }
    Ok(match format {
        Format::Xml(XmlFormat { style: XmlStyle::Attribute, .. }) => Path::attribute(source),
        _ => Path::element(source),
    })
}

/// Holds the last records back, which are to be passed over.
struct Held<'a> {
    skip: usize,
    held: VecDeque<Record>,
    take: &'a mut dyn Take,
}

impl Take for Held<'_> {
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        self.take.layout(layout)
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        self.held.push_back(std::mem::take(record));
        if self.held.len() <= self.skip {
            return ControlFlow::Continue(());
        }
        let mut first = self.held.pop_front().expect("more records are held than are skipped");
        self.take.record(&mut first)
    }

    fn encoding(&mut self, encoding: &'static Encoding) {
        self.take.encoding(encoding);
    }

    fn note(&mut self, message: String, hint: String) {
        self.take.note(message, hint);
    }

    fn nothing_found(&mut self, seen: &[String]) {
        self.take.nothing_found(seen);
    }
}
