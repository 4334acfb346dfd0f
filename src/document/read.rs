//! Reads records of any format: one face for all readers. What takes them is told the layout first, then each record.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::ControlFlow;

use encoding_rs::Encoding;

use super::broken::Broken;
use super::collect::{Asked, Instead, Nested};
use super::csv::read::FIELDS_MAX;
use super::record::{Fault, Record, Repeats};
use super::refused::mended::repeats;
use super::refused::{Ours, is_of_refused};
use super::sniff;
use super::{csv, excel, fixed, json, xml};
use crate::model::format::{CsvFormat, Format, XmlFormat, XmlStyle};
use crate::model::nearest::misspelled;
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

/// How a document is written, as far as its file of refused rows is written the same way.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Its encoding.
    pub encoding: &'static Encoding,
    /// It begins with a byte order mark.
    pub marked: bool,
    /// What its XML declaration calls the encoding.
    pub label: Option<String>,
    /// What ends its records, where the format does not say it; nothing, when the stated end stands nowhere. In XML and JSON: what ends its lines.
    pub record_end: Option<&'static str>,
    /// In JSON: it is an array.
    pub array: bool,
    /// What was passed over at its beginning, each record as its exact text.
    pub preamble: Vec<Vec<u8>>,
    /// It is a file of refused rows that comes back.
    pub mended: bool,
}

impl Origin {
    /// Of a document in this encoding, of which nothing else is known.
    pub fn new(encoding: &'static Encoding) -> Origin {
        Origin { encoding, marked: false, label: None, record_end: None, array: false, preamble: Vec::new(), mended: false }
    }

    /// What ends lines in a document that nests.
    pub fn line_end(&self) -> &'static str {
        self.record_end.unwrap_or("\n")
    }
}

/// What ends the first line of a text, if any does.
pub fn first_line_end(text: &[u8]) -> Option<&'static str> {
    memchr::memchr(b'\n', text).map(|at| if text[..at].ends_with(b"\r") { "\r\n" } else { "\n" })
}

/// A longer record that is passed over does not come back with the refused rows: another stands for it.
pub const PASSED_OVER_MAX: usize = 64 * 1024;

/// A record that is passed over, for the file of refused rows.
pub fn passed_over(record: &Record) -> Vec<u8> {
    if record.raw.is_empty() || record.raw.len() > PASSED_OVER_MAX { b"-".to_vec() } else { record.raw.clone() }
}

/// Takes what is read.
pub trait Take {
    /// How fields are called. Comes first, and once.
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()>;
    /// A record. What the taker leaves in it is emptied and used again.
    fn record(&mut self, record: &mut Record) -> ControlFlow<()>;
    /// How the document is written: before the layout.
    fn origin(&mut self, _: Origin) {}
    /// Something that a person should know, and no fault: what, and what to do.
    fn note(&mut self, _message: String, _hint: String) {}
    /// What was passed over at the end, each record as its exact text: after the last record.
    fn trailer(&mut self, _: Vec<Vec<u8>>) {}
    /// There was no record at all, but this.
    fn nothing_found(&mut self, _: Instead<'_>) {}
}

/// What is asked of a document that nests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The values of a record.
    pub values: Vec<Path>,
    /// Records nested in it.
    pub nested: Vec<Nested>,
    /// Somebody has written these paths: that no record has one is worth a note.
    pub stated: bool,
}

/// Reads a document to its end, or until `take` has enough.
pub fn read(source: impl Read, format: &Format, wanted: Wanted, take: &mut dyn Take) -> Result<(), Broken> {
    let mut source = sniff::check(source, format)?;
    if source.empty {
        take.note("the document is empty".into(), "where rows were to be expected, ask the sender for it again".into());
    }
    let mut held = Held { skip: format.skip_last(), held: VecDeque::new(), enough: false, take: &mut *take };
    if held.skip == 0 {
        all(&mut source, format, wanted, held.take)?;
    } else {
        all(&mut source, format, wanted, &mut held)?;
        held.end(source.empty);
    }
    if let Some((message, hint)) = source.doubt() {
        take.note(message, hint);
    }
    Ok(())
}

fn all(source: impl Read, format: &Format, wanted: Wanted, take: &mut dyn Take) -> Result<(), Broken> {
    let Wanted { values, nested, stated } = wanted;
    match format {
        Format::Csv(csv) => {
            let mut reader = csv::read::Reader::new(source, csv);
            let (mut record, mut preamble) = (Record::default(), Vec::new());
            for passed in 0..csv.skip_first {
                if passed > 0 && reader.is_ended()? {
                    note_too_few(take, "lines", u64::from(passed), "skip_first", u64::from(csv.skip_first));
                    break;
                }
                preamble.push(reader.skip_line()?);
            }
            if let Some(stated) = reader.stated_delimiter()? {
                if !csv.delimiter.chars().eq([stated]) {
                    let message = format!("the document says that {stated:?} delimits it, and the format says {:?}", csv.delimiter);
                    return Err(Broken::at(
                        u64::from(csv.skip_first) + 1,
                        message,
                        format!("set delimiter = {:?} in the format", stated.to_string()),
                    ));
                }
                preamble.push(format!("sep={stated}").into());
            }
            let mut layout = match csv.header {
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
            if csv.skip_last > 0 {
                reader.count_all();
            }
            let mut ours = Ours::of(csv, &mut layout);
            if let Layout::Named { line, names, .. } = &layout
                && names.len() > FIELDS_MAX
            {
                let (_, message, hint) = Fault::Fields.told(&Format::Csv(csv.clone()));
                return Err(Broken::at(*line, format!("the header cannot be read: {message}"), hint));
            }
            // The first record says how records end, and, without a header, whether the document is a file of refused rows.
            let first = next_of_csv(&mut reader, &mut ours, &mut record)?.then_some(record);
            let names = if let Layout::Named { names, .. } = &layout { &names[..] } else { &[] };
            let raw = first.as_ref().map_or(&[][..], |first| &first.raw);
            let mended =
                ours.as_ref().is_some_and(Ours::were_there) || is_of_refused(names, raw, reader.ahead(), &csv.delimiter, csv.qualifier);
            let origin = Origin { preamble, mended, ..reader.origin() };
            begin(take, origin, &layout, first, |record| Ok(next_of_csv(&mut reader, &mut ours, record)?))
        }
        Format::Fixed(fixed) => {
            let mut reader = fixed::read::Reader::new(source, fixed);
            let mut preamble = Vec::new();
            for passed in 0..fixed.skip_first {
                if passed > 0 && reader.is_ended()? {
                    note_too_few(take, "lines", u64::from(passed), "skip_first", u64::from(fixed.skip_first));
                    break;
                }
                preamble.extend(reader.skip()?);
            }
            let names = fixed.columns.iter().map(|column| column.name.clone()).collect();
            let layout = Layout::Named { line: 0, names, raw: Vec::new() };
            let mut record = Record::default();
            let first = reader.next_into(&mut record)?.then_some(record);
            let mut origin = Origin { preamble, ..reader.origin() };
            origin.mended |= fixed::read::is_told_in(reader.ahead());
            begin(take, origin, &layout, first, |record| reader.next_into(record))?;
            if let (Some(kind), [_, ..]) = (&fixed.record_type, reader.other_types()) {
                let others: Vec<String> = reader.other_types().iter().map(|other| format!("{other:?}")).collect();
                let message =
                    format!("no record of the document has the type {}: theirs are {}", kind.equals.join(" or "), others.join(", "));
                take.note(message, "where there should be some, correct record_type in the format, or have the document sent again".into());
            }
            Ok(())
        }
        Format::Xml(format) => {
            let asked = Asked { record: record_of(format), values, nested, namespaces: format.namespaces.clone() };
            let mut reader = xml::read::Reader::new(source, format.encoding, asked);
            let mut record = Record::default();
            // The declaration is read with the first record.
            let first = reader.next_into(&mut record)?.then_some(record);
            if first.is_none()
                && let Some(instead) = reader.seen_instead()
            {
                take.nothing_found(instead);
            }
            begin(take, reader.origin(), &Layout::Asked, first, |record| reader.next_into(record))?;
            let elsewhere = reader.found_elsewhere();
            if !elsewhere.is_empty() {
                let names: Vec<String> = elsewhere.iter().map(|(name, count, _)| format!("{name} (in {count} of them)")).collect();
                let some = elsewhere.iter().any(|(.., once)| *once);
                let (stand, hint) = match format.style {
                    XmlStyle::Element if some => ("an attribute", "map it in a line more: source = \"@NAME\", when = \"blank\""),
                    XmlStyle::Element => ("an attribute", "map it as a path, source = \"@NAME\""),
                    XmlStyle::Attribute if some => ("an element", "map it in a line more: source = \"./NAME\", when = \"blank\""),
                    XmlStyle::Attribute => {
                        ("an element", "write type = \"xml-element\" in the format, and map attributes as paths, source = \"@NAME\"")
                    }
                };
                let says = Format::Xml(format.clone()).name();
                let message = format!("of records {} is {stand}, and the format says {says}", names.join(", "));
                take.note(message, format!("where it is to be loaded, {hint}"));
            }
            note_never_found(take, stated, &reader.never_found(), &reader.strangers(), &reader.nested_never_found());
            Ok(())
        }
        Format::Json(format) => {
            let asked = Asked { record: format.record.clone().unwrap_or_else(Path::whole), values, nested, namespaces: Vec::new() };
            let mut reader = json::read::Reader::new(source, format.encoding, format.lines, asked);
            let (mut record, mut mended) = (Record::default(), false);
            let first = next_of_json(&mut reader, &mut record, &mut mended)?.then_some(record);
            if first.is_none()
                && let Some(instead) = reader.seen_instead()
            {
                take.nothing_found(instead);
            }
            let reasoned = first.as_ref().is_some_and(|first| json::write::reason_told(&first.raw).is_some());
            let origin = Origin { mended: mended || reasoned || json::write::is_told_in(reader.ahead()), ..reader.origin() };
            begin(take, origin, &Layout::Asked, first, |record| next_of_json(&mut reader, record, &mut mended))?;
            note_never_found(take, stated, &reader.never_found(), &reader.strangers(), &reader.nested_never_found());
            Ok(())
        }
        Format::Excel(excel) => excel::read::read(source, excel, take),
    }
}

/// Tells how the document is written and laid out, which its first record may have shown; then gives all records.
fn begin(
    take: &mut dyn Take,
    origin: Origin,
    layout: &Layout,
    first: Option<Record>,
    mut next: impl FnMut(&mut Record) -> Result<bool, Broken>,
) -> Result<(), Broken> {
    take.origin(origin);
    if take.layout(layout).is_break() {
        return Ok(());
    }
    let Some(mut record) = first else { return Ok(()) };
    if take.record(&mut record).is_break() {
        return Ok(());
    }
    while next(&mut record)? {
        if take.record(&mut record).is_break() {
            break;
        }
    }
    Ok(())
}

/// The next record of delimited text, without what we added to it.
fn next_of_csv(reader: &mut csv::read::Reader<impl Read>, ours: &mut Option<Ours>, record: &mut Record) -> io::Result<bool> {
    while reader.next_into(record)? {
        if ours.as_mut().is_none_or(|ours| ours.leave_out(record)) {
            if record.len() > FIELDS_MAX {
                record.fault.get_or_insert(Fault::Fields);
            }
            return Ok(true);
        }
    }
    Ok(false)
}

/// The next record of JSON that is more than a reason of ours.
fn next_of_json(reader: &mut json::read::Reader<impl Read>, record: &mut Record, mended: &mut bool) -> Result<bool, Broken> {
    while reader.next_into(record)? {
        record.told = json::write::line_told(&record.raw);
        *mended |= record.told.is_some();
        let reason = record.told.and_then(|_| json::write::reason_told(&record.raw));
        record.repeats = reason.map_or_else(Repeats::default, |reason| repeats(reason.as_bytes()));
        if record.told.is_none() || !json::write::is_reason_alone(&record.raw) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn note_too_few(take: &mut dyn Take, what: &str, count: u64, key: &str, passed_over: u64) {
    let message = format!("the document has {count} {what}, and {key} passes over {passed_over}");
    take.note(message, format!("where rows should be there, have the document sent again, or correct {key} in the format"));
}

/// Without a mapping what lacks may well do so, unless something is called much like it.
fn note_never_found(take: &mut dyn Take, stated: bool, paths: &[&str], strangers: &[&str], nested: &[&str]) {
    let instead = |path: &&str| Some(format!("{path} (there is {})", misspelled(path, strangers.iter().copied())?));
    let told: Vec<String> = paths.iter().filter_map(instead).collect();
    if !stated && !told.is_empty() {
        let message = format!("no record of the document has {}", told.join(", "));
        take.note(message, "where that is meant, have the name corrected, or write a mapping".into());
    }
    if stated && !paths.is_empty() {
        let message = format!("no record of the document has {}", paths.join(", "));
        take.note(message, "where it should be there, correct the path in the mapping, or ask the sender".into());
    }
    if !nested.is_empty() {
        let message = format!("no record of the document has nested records at {}", nested.join(", "));
        take.note(message, "where they should be there, correct their record in the configuration, or ask the sender".into());
    }
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
    // In quotes a name means itself alone; some begin with an apostrophe (`'t veld`).
    Ok(Path::parse(source).ok().filter(|_| source.starts_with('\'')).unwrap_or_else(|| path_of_name(format, source)))
}

/// The path of a value that is called so.
pub fn path_of_name(format: &Format, name: &str) -> Path {
    match format {
        Format::Xml(XmlFormat { style: XmlStyle::Attribute, .. }) => Path::attribute(name),
        _ => Path::element(name),
    }
}

/// Holds the last records back, of any type, which are to be passed over.
struct Held<'a> {
    skip: usize,
    held: VecDeque<Record>,
    /// The taker has enough.
    enough: bool,
    take: &'a mut dyn Take,
}

impl Held<'_> {
    /// The document is at its end: what is held is passed over, unless the last has taken lines in, and these among them, because a qualifier is never
    /// closed, or the stated record end is nowhere.
    fn end(mut self, empty: bool) {
        let swallowed = |last: &Record| match last.fault {
            Some(Fault::Unterminated) => memchr::memchr2(b'\r', b'\n', &last.raw).is_some(),
            Some(Fault::RecordEnd) => true,
            _ => false,
        };
        if !self.held.back().is_some_and(swallowed) {
            if !self.held.is_empty() && self.held.len() < self.skip && !self.enough && !empty {
                note_too_few(self.take, "records", self.held.len() as u64, "skip_last", self.skip as u64);
            }
            let trailer = self.held.iter().map(passed_over).collect();
            return self.take.trailer(trailer);
        }
        while let Some(record) = self.held.pop_front().filter(|_| !self.enough) {
            self.enough = self.give(record).is_break();
        }
    }

    /// Hands a record on, if it is this entity's.
    fn give(&mut self, mut record: Record) -> ControlFlow<()> {
        if record.is_other { ControlFlow::Continue(()) } else { self.take.record(&mut record) }
    }
}

impl Take for Held<'_> {
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        let flow = self.take.layout(layout);
        self.enough = flow.is_break();
        flow
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        self.held.push_back(std::mem::take(record));
        if self.held.len() <= self.skip {
            return ControlFlow::Continue(());
        }
        let first = self.held.pop_front().expect("more records are held than are skipped");
        let flow = self.give(first);
        self.enough = flow.is_break();
        flow
    }

    fn origin(&mut self, origin: Origin) {
        self.take.origin(origin);
    }

    fn note(&mut self, message: String, hint: String) {
        self.take.note(message, hint);
    }

    fn nothing_found(&mut self, instead: Instead<'_>) {
        self.take.nothing_found(instead);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::format::JsonFormat;

    #[test]
    fn a_name_may_begin_with_an_apostrophe() {
        let format = Format::Json(JsonFormat::default());
        for name in ["'t veld", "'s-Gravenhage", "'"] {
            assert_eq!(path_of(&format, name), Ok(Path::element(name)), "{name}");
        }
        for quoted in ["'a b'", "'''t veld'"] {
            assert_eq!(path_of(&format, quoted), Path::parse(quoted), "{quoted}");
        }
        assert!(path_of(&format, "'a/b").is_err());
    }
}
