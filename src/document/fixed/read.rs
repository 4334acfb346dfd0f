//! Reads records whose fields stand at fixed places, counted in characters or bytes.
//!
//! Records are lines, or follow each other without an end when the format says how long they are; they are exactly so long. With a stated end, or where
//! the first is a line, such records end where that end stands. Where nothing ends them, line ends are data, and one where a record begins leaves
//! open what all that follow are: it refuses the document. A line may lack blanks at its end, because editors cut them, but nothing else: one that ends
//! inside of a number, or where a column is filled up with zeros, was cut off. Text behind the last column is a fault where the first record has none:
//! the line is shifted. A line of nothing but blanks is no record.

use std::io::{self, Read};

use super::counted::Counted;
use super::measure::Measure;
use crate::document::broken::Broken;
use crate::document::csv::read::Reader as Lines;
use crate::document::read::{Origin, passed_over};
use crate::document::record::{Fault, Record};
use crate::document::refused::mended::{all_words_in, repeats};
use crate::document::refused::{BEHIND, LINE, MORE};
use crate::document::value::Wrong;
use crate::model::finding::Rule;
use crate::model::format::{CsvFormat, FixedColumn, FixedFormat, Unit};

/// What no document has between fields: then a line is one field.
const NEVER: &str = "\u{1}\u{ffff}\u{1}";

enum Source<R> {
    Lines(Box<Lines<R>>),
    Counted(Box<Counted<R>>),
}

/// Reads records.
pub struct Reader<R> {
    source: Source<R>,
    format: FixedFormat,
    whole: Record,
    /// Refused rows that come back were among the records.
    mended: bool,
    /// Where the last column ends.
    width: usize,
    /// Whether text stands behind the columns of the first record.
    beyond: Option<bool>,
    /// Types of records that are not this entity's, some of them.
    others: Vec<String>,
    /// A record of this entity was there.
    found: bool,
    begun: bool,
    ended: bool,
}

/// So many types of records that are passed over are named.
const OTHERS_MAX: usize = 10;

impl<R: Read> Reader<R> {
    /// A reader of this format.
    pub fn new(source: R, format: &FixedFormat) -> Reader<R> {
        let source = match format.record_length {
            Some(length) => Source::Counted(Box::new(Counted::new(source, format, length))),
            None => {
                let lines = CsvFormat {
                    delimiter: NEVER.into(),
                    qualifier: None,
                    record_end: format.record_end.clone(),
                    encoding: format.encoding,
                    ..CsvFormat::default()
                };
                Source::Lines(Box::new(Lines::new(source, &lines).of_each_byte(format.unit == Unit::Bytes)))
            }
        };
        let width = format.columns.iter().map(|column| column.start - 1 + column.length).max().unwrap_or(0);
        Reader {
            source,
            format: format.clone(),
            whole: Record::default(),
            mended: false,
            width,
            beyond: None,
            others: Vec::new(),
            found: false,
            begun: false,
            ended: false,
        }
    }

    /// What is read and stands behind the record at hand.
    pub fn ahead(&self) -> &[u8] {
        match &self.source {
            Source::Lines(lines) => lines.ahead(),
            Source::Counted(counted) => counted.ahead(),
        }
    }

    /// What positions count.
    fn measure(&self) -> Measure {
        Measure::new(
            &self.format,
            match &self.source {
                Source::Lines(lines) => lines.encoding(),
                Source::Counted(counted) => counted.encoding(),
            },
        )
    }

    /// How the document is written, as far as it is read.
    pub fn origin(&self) -> Origin {
        let origin = match &self.source {
            Source::Lines(lines) => lines.origin(),
            Source::Counted(counted) => counted.origin(),
        };
        Origin { mended: self.mended, ..origin }
    }

    /// Whether nothing follows.
    pub fn is_ended(&mut self) -> io::Result<bool> {
        match &mut self.source {
            Source::Lines(lines) => lines.is_ended(),
            Source::Counted(counted) => counted.is_ended(),
        }
    }

    /// Passes over a line as it stands, or a record where their length is stated; its exact text.
    pub fn skip(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        match &mut self.source {
            Source::Lines(lines) => Ok(Some(lines.skip_line()?)),
            Source::Counted(counted) => Ok(counted.next_into(&mut self.whole)?.then(|| passed_over(&self.whole))),
        }
    }

    /// Types of its records, up to ten, in order, where the document is read and none is this entity's.
    pub fn other_types(&self) -> &[String] {
        if self.ended && !self.found { &self.others } else { &[] }
    }

    /// Refuses a document that is nothing but one line of several records.
    fn is_lines(&self) -> Result<(), Broken> {
        let Source::Lines(lines) = &self.source else { return Ok(()) };
        let measure = self.measure();
        let length = measure.of_raw(&self.whole.raw);
        let alone =
            self.format.record_end.is_none() && (lines.origin().record_end.unwrap_or_default().is_empty() || lines.ahead().is_empty());
        if !alone || self.width == 0 || length < 2 * self.width {
            return Ok(());
        }
        // One that is filled up with blanks is one; the last of several may end with blanks of its own.
        let said = measure.of_raw(self.whole.raw.trim_ascii_end());
        if said <= self.width || (said < 2 * self.width && !length.is_multiple_of(self.width)) {
            return Ok(());
        }
        Err(Broken::at(
            self.whole.line,
            format!("the document is one line of {length} {}, and the columns of the format end at {}", measure.unit(), self.width),
            "where records have no line ends between them, say how long they are: record_length in the format",
        ))
    }

    /// The next record, of any type; `false` at the end.
    fn next_whole(&mut self) -> Result<bool, Broken> {
        match &mut self.source {
            Source::Lines(lines) => Ok(lines.next_into(&mut self.whole)?),
            Source::Counted(counted) => counted.next_into(&mut self.whole),
        }
    }

    /// The next record of this entity into `record`, or, where some are passed over at the end, of any type; `false` at the end.
    pub fn next_into(&mut self, record: &mut Record) -> Result<bool, Broken> {
        while self.next_whole()? {
            // What we added when the record was refused is none of it.
            let mut misfit = None;
            let measure = self.measure();
            let mut more = matches!(&self.source, Source::Counted(counted) if counted.more);
            if let Some(told) = told(&self.whole.raw, self.width, measure) {
                self.whole.repeats = repeats(&self.whole.raw[told.at..]);
                self.whole.raw.truncate(told.at);
                self.whole.told = Some(told.line);
                (misfit, more) = (told.length, told.more);
            }
            if !std::mem::replace(&mut self.begun, true) && self.whole.told.is_none() {
                self.is_lines()?;
            }
            let text = self.whole.field(0).map_or("", |(text, _)| text);
            let text = &text[..self.whole.raw.len().min(text.len())];
            self.mended |= self.whole.told.is_some();
            if self.whole.fault.is_none() && text.trim().is_empty() {
                continue;
            }
            let ours = |kind: &crate::model::format::RecordType| {
                let found = measure.part(text, kind.start, kind.length);
                kind.equals.iter().any(|equal| equal == found)
            };
            if let Some(kind) = self.format.record_type.as_ref().filter(|kind| self.whole.fault.is_none() && !ours(kind)) {
                let found = measure.part(text, kind.start, kind.length);
                if self.others.len() < OTHERS_MAX && !self.others.iter().any(|other| other == found) {
                    self.others.push(found.to_owned());
                }
                if self.format.skip_last == 0 {
                    continue;
                }
                record.clear(self.whole.line);
                record.raw.extend_from_slice(&self.whole.raw);
                record.is_other = true;
                return Ok(true);
            }
            self.found = true;
            record.clear(self.whole.line);
            record.raw.extend_from_slice(&self.whole.raw);
            record.fault.clone_from(&self.whole.fault);
            (record.told, record.repeats) = (self.whole.told, self.whole.repeats);
            if record.fault.is_none()
                && let Some(length) = misfit.filter(|length| *length == measure.of(text.trim_end()))
            {
                record.fault = Some(Fault::Length(format!("the line still has the {length} {} that it was refused for", measure.unit())));
            } else if record.fault.is_none() {
                let beyond = !measure.part(text, self.width + 1, usize::MAX / 2).trim().is_empty();
                let may_be = match record.told {
                    // What comes back is held to what its document had: mended, it may be too long.
                    Some(_) => more || self.format.record_type.as_ref().is_some_and(|kind| kind.start > self.width),
                    None => *self.beyond.get_or_insert(beyond),
                };
                record.fault = match may_be {
                    false if beyond => Some(Fault::Length(format!(
                        "the line has {} {}, and the columns of the format end at {}",
                        measure.of(text.trim_end()),
                        measure.unit(),
                        self.width
                    ))),
                    _ => cut_off(text, &self.format.columns, self.width, measure).map(Fault::Length),
                };
            }
            for column in &self.format.columns {
                let (place, whole) = measure.place(text, column.start, column.length);
                if !whole {
                    record.wrong.push((record.len(), across()));
                }
                record.push(unpadded(&text[place], column), false);
            }
            return Ok(true);
        }
        self.ended = true;
        Ok(false)
    }
}

/// What we have put behind a refused record.
struct Told {
    /// Where it begins.
    at: usize,
    /// The line that the record stood on.
    line: u64,
    /// How long it was if it was refused for that.
    length: Option<usize>,
    /// Text stands behind its columns.
    more: bool,
}

/// What tells of a refused record behind it. What stands in the columns is data.
fn told(raw: &[u8], width: usize, measure: Measure) -> Option<Told> {
    let before = BEHIND.find(LINE).unwrap_or_default();
    let at = all_words_in(raw).next_back()?.checked_sub(before)?;
    if measure.of_raw(&raw[..at]) < width {
        return None;
    }
    let words = raw[at..].strip_prefix(BEHIND.as_bytes())?;
    let digits = words.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let length = words[digits..].strip_prefix(b" (").filter(|rest| {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest[digits..]
            .strip_prefix(b" ")
            .and_then(|rest| rest.strip_prefix(measure.unit().as_bytes()))
            .is_some_and(|rest| rest.starts_with(b")"))
    });
    let (more, length) = (words[digits..].starts_with(MORE.as_bytes()), length.and_then(number));
    Some(Told { at, line: number(words)?, length: length.and_then(|length| usize::try_from(length).ok()), more })
}

/// Whether what is read ahead has rows that come back refused.
pub fn is_told_in(ahead: &[u8]) -> bool {
    all_words_in(ahead).any(|at| ahead[..at].ends_with(b"# ") && ahead.get(at + LINE.len() + 1..).and_then(number).is_some())
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

/// What a line lacks that cannot have been blanks.
fn cut_off(text: &str, columns: &[FixedColumn], width: usize, measure: Measure) -> Option<String> {
    let (count, unit) = (measure.of(text), measure.unit());
    if count >= width {
        return None;
    }
    columns.iter().find_map(|column| {
        let (name, present) = (&column.name, (count + 1).saturating_sub(column.start));
        let blank = measure.part(text, column.start, column.length).trim().is_empty();
        match () {
            () if present >= column.length || (column.pad == ' ' && (blank || !column.right)) => None,
            () if present == 0 => {
                Some(format!("the line has {count} {unit} and ends before column {name}, which is filled up with {:?}", column.pad))
            }
            () => Some(format!("the line has {count} {unit} and ends inside of column {name}")),
        }
    })
}

/// A column that begins or ends where no character does.
fn across() -> Wrong {
    let message = "a character stands across the beginning or the end of this column".to_owned();
    Wrong {
        rule: Rule::Type,
        message,
        hint: "correct start, length and encoding in the format, or have texts cut between characters".to_owned(),
    }
}

fn unpadded<'a>(text: &'a str, column: &FixedColumn) -> &'a str {
    // Where something else pads, a blank is part of the value; numbers have none, and a wide character leaves room that only blanks fill.
    if !column.pad.is_ascii_digit() && column.pad.is_ascii() && !column.pad.is_control() {
        return match () {
            () if column.pad == ' ' && column.right => text.trim_matches(' '),
            () if text.trim_matches(' ').is_empty() => "",
            // What is filled up with blanks, by us or by a sender, is not filled up with something else.
            () if column.right && text.starts_with(' ') => text.trim_start_matches(' '),
            () if column.right => text.trim_start_matches(column.pad),
            () if text.ends_with(' ') => text.trim_end_matches(' '),
            () => text.trim_end_matches(column.pad),
        };
    }
    if !column.right {
        return text.trim_end_matches([column.pad, ' ']);
    }
    let value = text.trim_end_matches(' ').trim_start_matches([column.pad, ' ']);
    // A number that is all padding is zero.
    if value.is_empty() && column.pad.is_ascii_digit() && text.contains(column.pad) { &text[text.len() - 1..] } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::csv::read::RECORD_SIZE_MAX;
    use crate::document::refused::BEFORE;
    use crate::model::format::RecordType;
    use proptest::prelude::*;

    fn column(name: &str, start: usize, length: usize) -> FixedColumn {
        FixedColumn { name: name.into(), start, length, pad: ' ', right: false }
    }

    fn format() -> FixedFormat {
        FixedFormat {
            columns: vec![column("kind", 1, 1), column("name", 2, 6), FixedColumn { pad: '0', right: true, ..column("amount", 8, 5) }],
            ..FixedFormat::default()
        }
    }

    type Found = (u64, Vec<String>, Option<Fault>);

    fn read(bytes: &[u8], format: &FixedFormat) -> Result<Vec<Found>, Broken> {
        let mut reader = Reader::new(bytes, format);
        let (mut record, mut found) = (Record::default(), Vec::new());
        while reader.next_into(&mut record)? {
            found.push((record.line, record.texts().map(str::to_owned).collect(), record.fault.clone()));
        }
        Ok(found)
    }

    fn all(bytes: &[u8], format: &FixedFormat) -> Vec<Found> {
        read(bytes, format).unwrap()
    }

    fn row(line: u64, values: [&str; 3]) -> (u64, Vec<String>, Option<Fault>) {
        (line, values.map(str::to_owned).to_vec(), None)
    }

    #[test]
    fn fields_stand_where_the_format_says_without_their_padding() {
        let document = "6Pencil00150\r\n6Föö   00000\n\n   \n6Ink        \n".as_bytes();
        assert_eq!(all(document, &format()), [row(1, ["6", "Pencil", "150"]), row(2, ["6", "Föö", "0"]), row(5, ["6", "Ink", ""])]);
    }

    fn faults(document: &[u8], format: &FixedFormat) -> Vec<Option<String>> {
        let told = |fault| match fault {
            Some(Fault::Length(message)) => Some(message),
            None => None,
            other => panic!("{other:?}"),
        };
        all(document, format).into_iter().map(|(.., fault)| told(fault)).collect()
    }

    #[test]
    fn a_line_may_lack_blanks_at_its_end_and_nothing_else() {
        let says = |message: &str| Some(message.to_owned());
        assert_eq!(
            faults("6Pen   00150\n6Pen   001\n6Föö\n6Pen   00150x\n".as_bytes(), &format()),
            [
                None,
                says("the line has 10 characters and ends inside of column amount"),
                says("the line has 4 characters and ends before column amount, which is filled up with '0'"),
                says("the line has 13 characters, and the columns of the format end at 12"),
            ]
        );
        let number = FixedColumn { right: true, ..column("number", 4, 3) };
        let plain = FixedFormat { columns: vec![column("name", 1, 3), number, column("more", 7, 2)], ..FixedFormat::default() };
        let cut = says("the line has 5 characters and ends inside of column number");
        assert_eq!(faults(b"ab\nabc   \nabc 12x\nabc 1\n", &plain), [None, None, None, cut]);
        assert_eq!(
            faults(b"ab  12   # more\nab  12   # other\n", &plain),
            [None, None],
            "the first record has text behind the columns too"
        );
    }

    #[test]
    fn lines_of_another_length_than_stated_are_told_each() {
        let format = FixedFormat { record_length: Some(12), ..format() };
        let short = Some("the record has 11 characters, records have 12".to_owned());
        let long = Some("the record has 13 characters, records have 12".to_owned());
        assert_eq!(faults(b"6Ink   0001\n6Pen   0002\n", &format), [short.clone(), short.clone()]);
        assert_eq!(faults(b"6Ink   00001x\r\n6Pen   00002y\r\n", &format), [long.clone(), long.clone()]);
        assert_eq!(faults(b"6Ink   00001\n6Pen   0002\n6Pen   00002y\n6Ink   00001", &format), [None, short, long, None]);
    }

    #[test]
    fn records_of_another_type_are_not_this_entitys() {
        let format = FixedFormat { record_type: Some(RecordType { start: 1, length: 1, equals: vec!["6".into()] }), ..format() };
        assert_eq!(all(b"1header\n6Ink   00001\n9999999999999\n", &format), [row(2, ["6", "Ink", "1"])]);
    }

    #[test]
    fn a_document_may_end_with_our_words() {
        for format in [format(), FixedFormat { record_length: Some(12), ..format() }] {
            for document in
                ["6Ink   00001\n# Entrepot line", "# Entrepot line", "6Ink   00001  # Entrepot line", "6Ink   00001  # Entrepot line "]
            {
                let _ = read(document.as_bytes(), &format);
            }
            assert!(!is_told_in(b"# Entrepot line") && !is_told_in(b"# Entrepot line ") && is_told_in(b"# Entrepot line 1"));
        }
    }

    #[test]
    fn a_line_of_our_words_without_a_number_is_a_record() {
        let format = FixedFormat { record_length: Some(12), ..format() };
        let found = all(b"6Ink   00001\n# Entrepot line and more\n6Pen   00002\n", &format);
        assert_eq!(found.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(matches!(found[1].2, Some(Fault::Length(_))), "{found:?}");
    }

    #[test]
    fn a_document_without_line_ends_is_looked_through_once() {
        // Each of some 200,000 records would look for a line end in all that follows, which takes minutes.
        let format = FixedFormat { record_length: Some(16), ..format() };
        let ours = format!("{BEFORE}1").repeat((4 << 20) / 17);
        assert!(all(ours.as_bytes(), &format).len() > (4 << 20) / 17);
        let lined = ["6Ink   00001....\n".to_owned(), "6Pen   00002....".repeat((RECORD_SIZE_MAX + (4 << 20)) / 16)].concat();
        assert_eq!(all(lined.as_bytes(), &format).len(), 3);
    }

    #[test]
    fn one_line_of_several_records_needs_their_length() {
        for (document, refused) in [
            (&b"6Ink   000016Pen   00002"[..], true),
            (b"6Ink   000016Pen   00002\r\n", true),
            (b"6Ink   00001 more behind\n6Pen   00002\n", false),
            (b"6Ink   000016Pen        ", true),
            (b"6Ink   00001            \n", false),
            (b"6Ink   00001 more behind  ", false),
        ] {
            let told = read(document, &format()).err().map(|error| format!("{error:?}")).unwrap_or_default();
            assert_eq!(told.contains("one line of 24 characters") && told.contains("record_length"), refused, "{told}");
        }
    }

    #[test]
    fn records_may_follow_each_other_without_an_end() {
        let format = FixedFormat { record_length: Some(12), ..format() };
        assert_eq!(all("6Ink   000016Föö   00002".as_bytes(), &format), [row(1, ["6", "Ink", "1"]), row(1, ["6", "Föö", "2"])]);
        assert_eq!(all(b"6Ink   00001\r\n6Pen   00002\r\n", &format), [row(1, ["6", "Ink", "1"]), row(2, ["6", "Pen", "2"])]);
        let short = all(b"6Ink   000016Pen", &format);
        assert!(matches!(&short[1].2, Some(Fault::Length(message)) if message.contains("4 characters")), "{short:?}");
    }

    #[test]
    fn a_line_end_where_nothing_ends_records_is_data_or_refuses_the_document() {
        let format = FixedFormat { record_length: Some(12), ..format() };
        let ink = "6Ink   00001";
        let inside = format!("{}6In\nk  00001{ink}\r\n", ink.repeat(3));
        assert_eq!(all(inside.as_bytes(), &format)[3].1, ["6", "In\nk", "1"]);
        assert_eq!(faults(inside.as_bytes(), &format), vec![None; 5]);
        assert_eq!(all(format!("{}\r\n\x1A", ink.repeat(4)).as_bytes(), &format).len(), 4);
        assert_eq!(all(format!("{ink}\n{ink}\n\x1A").as_bytes(), &format).len(), 2);
        let before = format!("{}\n6Ink  00001{ink}", ink.repeat(3));
        let Err(Broken::Document { line: 1, message, .. }) = read(before.as_bytes(), &format) else { panic!("it is read") };
        assert!(message.contains("a line end stands where a record begins"), "{message}");
        // Nor are two of them one line.
        for end in ["", "\n", "\r\n", "\r\n\x1A"] {
            assert_eq!(faults(format!("{ink}{ink}{end}").as_bytes(), &format), [None, None], "{end:?}");
        }
        let Err(Broken::Document { line: 1, .. }) = read(format!("{ink}{ink}\n{ink}").as_bytes(), &format) else { panic!("it is read") };
    }

    #[test]
    fn the_mark_with_which_dos_ends_a_file_is_no_part_of_a_record() {
        let counted = FixedFormat { record_length: Some(12), ..format() };
        for end in ["\x1A", "\x1A\r\n", "\r\n\x1A\x1A\r\n"] {
            for between in ["\n", ""] {
                let document = format!("6Ink   00001{between}6Pen   00002{end}");
                assert_eq!(faults(document.as_bytes(), &counted), [None, None], "{document:?}");
            }
            assert_eq!(faults(format!("6Ink   00001\n6Pen   00002{end}").as_bytes(), &format()), [None, None], "{end:?}");
        }
        assert_eq!(all(b"6Ink\x1A  00001\n6Pen   00002\n", &counted)[0].1[1], "Ink\x1A");
        assert!(faults(b"6Ink   00001\x1A\n6Pen   00002\n", &counted)[0].is_some());
    }

    #[test]
    fn a_stated_end_ends_a_record_whatever_its_length_should_be() {
        let format = FixedFormat { record_length: Some(12), record_end: Some("\n".into()), ..format() };
        let short = Some("the record has 10 characters, records have 12".to_owned());
        assert_eq!(faults(b"6Ink   00001\n6Ink   000\n6Ink   00001\r\n6Ink   00001", &format), [None, short, None, None]);
        let bars = FixedFormat { record_end: Some("||".into()), ..format };
        assert_eq!(all(b"6Ink   00001||6Pen   00002||", &bars), [row(1, ["6", "Ink", "1"]), row(1, ["6", "Pen", "2"])]);
        assert_eq!(faults(b"6Ink   000016Pen   00002||", &bars), [Some("the record has 24 characters, records have 12".to_owned())]);
    }

    #[test]
    fn bytes_that_are_no_text_are_a_fault_of_their_record_alone() {
        let faults: Vec<_> = all(b"6Ink   00001\n6\xE9\n6Pen   00002\n", &format()).into_iter().map(|(.., fault)| fault).collect();
        assert_eq!(faults, [None, Some(Fault::Encoding), None]);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'6'), Just(b'\n'), Just(b'\r')], 0..200), length in proptest::option::of(1usize..20)) {
            let _ = read(&bytes, &FixedFormat { record_length: length, ..format() });
        }
    }
}
