//! A file of refused records that comes back: what we added to it is told from data, and left out before anything maps it.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use encoding_rs::Encoding;
use memchr::memmem;

use super::{BEFORE, BELOW, LINE, MARK_MAX, REASON, TRANSFORMED, WHOLE};
use crate::document::broken::Broken;
use crate::document::csv::read::{Reader, dialect};
use crate::document::read::{self, Layout, Take, Wanted};
use crate::document::record::{Fault, Record, Repeats};
use crate::model::format::{CsvFormat, Format};

/// Whether a document that begins so is such a file: refused rows as stylesheets gave them in this format, mended and sent again.
pub fn is_of_transformed(format: &Format, begin: &[u8]) -> bool {
    let (encoding, skip) = Encoding::for_bom(begin).unwrap_or((format.encoding(), 0));
    let text = encoding.decode_without_bom_handling(&begin[skip..begin.len().min(MARK_MAX)]).0;
    let text = text.trim_start();
    match format {
        Format::Xml(_) => {
            // Before the root there may be nothing else but the declaration.
            let prolog = text.strip_prefix("<?xml").map_or(text, |rest| rest.split_once("?>").map_or("", |(_, rest)| rest));
            prolog.trim_start().starts_with(TRANSFORMED)
        }
        _ if text.starts_with('<') => false,
        Format::Csv(_) => words_in(text.as_bytes()).is_some(),
        Format::Json(_) => text.contains(&format!("\"{LINE}\":")),
        Format::Fixed(_) => text.contains(BEFORE),
        Format::Excel(_) => false,
    }
}

/// Whether such a file in this format can be told from other documents.
pub fn can_be_told(format: &Format) -> bool {
    !matches!(format, Format::Excel(_))
}

/// Where our words begin in a text, the first time.
pub fn words_in(text: &[u8]) -> Option<usize> {
    all_words_in(text).next()
}

/// Each place where they begin.
pub(in crate::document) fn all_words_in(text: &[u8]) -> impl DoubleEndedIterator<Item = usize> {
    static WORD: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new(&LINE[..WORD_LENGTH]));
    const WORD_LENGTH: usize = "Entrepot".len();
    // Almost no text has any.
    let places: Vec<usize> = WORD.find_iter(text).filter(|at| after_words(&text[*at..], LINE).is_some()).collect();
    places.into_iter()
}

/// What follows our words, where a text begins with them. Where a blank delimits, there is a stroke in its place.
fn after_words<'t>(text: &'t [u8], words: &str) -> Option<&'t [u8]> {
    let same = |(one, other): (&u8, &u8)| one == other || *other == b' ' && matches!(one, b'_' | b'-');
    let (begin, rest) = text.split_at_checked(words.len())?;
    begin.iter().zip(words.as_bytes()).all(same).then_some(rest)
}

/// What a cell of ours tells: `Entrepot line 5`, `Entrepot line 5 (4 fields)`, `Entrepot line 5 (below) (4 fields)`.
#[derive(Clone, Copy, Debug)]
struct Told {
    line: u64,
    /// How many fields a record should have.
    fields: Option<usize>,
    /// It is told of the record behind this one.
    below: bool,
    /// What stands before it is all the record's own.
    whole: bool,
}

fn told_by(cell: &str) -> Option<Told> {
    let told = std::str::from_utf8(after_words(cell.trim().as_bytes(), LINE)?).ok()?;
    let between = |c: char| matches!(c, ' ' | '_' | '-' | '(' | ')');
    let mut parts = told.strip_prefix(between)?.split(between).filter(|part| !part.is_empty());
    let line = parts.next()?.parse().ok()?;
    let mut parts = parts.peekable();
    let below = parts.next_if_eq(&BELOW).is_some();
    let whole = parts.next_if_eq(&WHOLE).is_some();
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => Some(Told { line, fields: None, below, whole }),
        (Some(fields), Some("fields"), None) => Some(Told { line, fields: Some(fields.parse().ok()?), below, whole }),
        _ => None,
    }
}

/// The line that a cell of ours tells.
pub fn line_of(cell: &str) -> Option<u64> {
    told_by(cell).map(|told| told.line)
}

/// Whether a reason tells of another row that has the same: findings say it in these words.
pub fn repeats(reason: &[u8]) -> Repeats {
    let says = |words: &str| memchr::memchr_iter(b'h', reason).any(|at| after_words(&reason[at..], words).is_some());
    Repeats { value: says("has it too"), key: says("has this key too") }
}

/// Whether one of our columns is among those with these names, or their cells in a record or in what follows it: somebody has taken the rest out.
pub fn is_of_refused(names: &[String], record: &[u8], ahead: &[u8], delimiter: &str, qualifier: Option<char>) -> bool {
    names.iter().any(|name| is_name(name, LINE) || is_name(name, REASON))
        || [record, ahead].into_iter().any(|text| has_cell(text, delimiter, qualifier))
}

fn is_name(name: &str, ours: &str) -> bool {
    name.trim().replace(['_', '-'], " ").eq_ignore_ascii_case(ours)
}

/// Whether a cell of ours stands in a text, behind a delimiter or a line end.
fn has_cell(text: &[u8], delimiter: &str, qualifier: Option<char>) -> bool {
    all_words_in(text).any(|place| {
        let before = unqualified(&text[..place], qualifier);
        let begins = before.is_empty() || before.ends_with(delimiter.as_bytes()) || before.ends_with(b"\n");
        begins && after_words(&text[place..], LINE).is_some_and(|rest| rest.get(1).is_some_and(u8::is_ascii_digit))
    })
}

/// Without the qualifier at its end.
fn unqualified(text: &[u8], qualifier: Option<char>) -> &[u8] {
    let qualifier = qualifier.and_then(|qualifier| u8::try_from(qualifier).ok());
    qualifier.and_then(|qualifier| text.strip_suffix(&[qualifier])).unwrap_or(text)
}

/// How many columns are the document's own, when ours are among those with these names.
pub fn own_columns(names: &[String]) -> Option<usize> {
    if !names.iter().any(|name| is_name(name, REASON)) {
        return None;
    }
    // The document may have a column of that name itself: ours are the last two.
    let first = names.iter().rposition(|name| is_name(name, LINE))?;
    let mut behind = names[first + 1..].iter();
    let last = behind.next().is_some_and(|name| is_name(name, REASON)) && behind.all(|name| name.trim().is_empty());
    // Somebody has put them elsewhere: nothing maps them there. A document has a column of its own.
    Some(if last { first } else { names.len() }).filter(|own| *own > 0)
}

/// What we added to delimited text. It stands in the last two cells of a record: in the columns of their names, or in cells that say what they are.
pub struct Ours {
    dialect: Reader<std::io::Empty>,
    delimiter: String,
    qualifier: Option<char>,
    /// Records that lack fields have them added.
    ragged: bool,
    /// The document's own columns, and all that its header names.
    columns: Option<(usize, usize)>,
    /// How many fields the record behind a reason that stands alone should have.
    below: Option<usize>,
    found: bool,
}

impl Ours {
    /// Takes our columns off a header; `None` when it has none of them. Without a header only the records can tell.
    pub fn of(format: &CsvFormat, layout: &mut Layout) -> Option<Ours> {
        let dialect = dialect(&CsvFormat { encoding: encoding_rs::UTF_8, ..format.clone() });
        let columns = match layout {
            Layout::Named { names, raw, .. } => {
                let (own, all) = (own_columns(names)?, names.len());
                let end = dialect.fields(raw, own).and_then(|(_, end)| end);
                raw.truncate(end.unwrap_or(raw.len()));
                names.truncate(own);
                Some((own, all))
            }
            Layout::Numbered | Layout::Asked => None,
        };
        let (delimiter, qualifier) = (format.delimiter.clone(), format.qualifier);
        Some(Ours { dialect, delimiter, qualifier, ragged: format.ragged, columns, below: None, found: columns.is_some() })
    }

    /// Whether any were found by now.
    pub fn were_there(&self) -> bool {
        self.found
    }

    /// Takes ours off a record; `false` when it is nothing but the reason of the record behind it, whose qualifier is never closed: no cell can follow that.
    pub fn leave_out(&mut self, record: &mut Record) -> bool {
        record.told_fields = self.below.take();
        let text = |at: usize| record.field(at).map_or("", |(text, _)| text.trim());
        let fits = |(own, all): &(usize, usize)| own < all && record.len() == *all && record.fault != Some(Fault::Fields);
        if let Some((own, all)) = self.columns.filter(fits) {
            // Before the cells said what they are, they held a number.
            let line = told_by(text(own)).map(|told| told.line).or_else(|| text(own).parse().ok());
            // Anything else there may be data that has slipped: such a record has too many fields.
            if line.is_some() || (own..all).all(|at| text(at).is_empty()) {
                (record.repeats, record.told) = (repeats(text(own + 1).as_bytes()), line);
                self.keep(record, own);
                return true;
            }
        }
        let place = all_words_in(&record.raw).next_back();
        if let Some(place) = place {
            // Ours are the last two cells, but for blank ones of a spreadsheet.
            let last = (0..record.len()).rev().find(|at| record.field(*at).is_some_and(|(text, _)| !text.trim().is_empty()));
            // Before that ours stand in a record that was cut short.
            let least = self.columns.filter(|_| self.ragged).map_or(0, |(own, _)| own);
            let is_ours = |at: &usize| *at == 0 || *at >= least || at + 2 == record.len();
            let marked = last.and_then(|last| last.checked_sub(1)).filter(is_ours).filter(|_| record.fault != Some(Fault::Fields));
            let told = |at: usize| Some((at, told_by(record.field(at)?.0)?));
            let told = marked.and_then(told).or_else(|| {
                // Somebody has taken the reason out; or put a word behind it, where no header says what stands where: there our cell says how many there are.
                let last = last.filter(|at| *at > 0 && *at >= least && record.fault != Some(Fault::Fields))?;
                let first = if self.columns.is_some() { last } else { 1 };
                let is_ours = |told: &Told| !told.below && (self.columns.is_some() || told.fields.is_some());
                (first..=last).rev().filter_map(told).find(|(_, told)| is_ours(told))
            });
            match told {
                Some((0, Told { below: true, fields, .. })) => {
                    (self.found, self.below) = (true, fields);
                    return false;
                }
                Some((at, Told { line, fields, below: false, whole })) if at > 0 => {
                    (record.told, record.told_fields) = (Some(line), fields.or(record.told_fields));
                    record.repeats = record.field(at + 1).map_or_else(Repeats::default, |(reason, _)| repeats(reason.as_bytes()));
                    // While a qualifier stood open, the cells of an earlier time were a part of its value.
                    let own = self.columns.map(|(own, _)| own).or(record.told_fields);
                    let is_ours = |at: usize| record.field(at).and_then(|(text, _)| told_by(text)).is_some_and(|told| !told.below);
                    let mut at = at;
                    while !whole && own.is_some_and(|own| at >= own + 2) && is_ours(at - 2) {
                        at -= 2;
                    }
                    self.keep(record, at);
                    return true;
                }
                _ => {}
            }
            // Of bytes that are no text, and of too many fields, none can be asked.
            if (record.is_empty() || record.fault == Some(Fault::Fields)) && self.cut(record, place) {
                return true;
            }
        }
        true
    }

    /// Cuts what we added off the exact text.
    fn cut(&mut self, record: &mut Record, place: usize) -> bool {
        let before = unqualified(&record.raw[..place], self.qualifier);
        let cell = self.dialect.fields(&record.raw[before.len()..], 1).and_then(|(_, end)| record.raw.get(place..before.len() + end?));
        let told = cell.and_then(|cell| told_by(std::str::from_utf8(unqualified(cell, self.qualifier)).ok()?));
        let (Some(told), Some(end)) = (told, before.strip_suffix(self.delimiter.as_bytes()).map(<[u8]>::len)) else { return false };
        (record.told, record.told_fields) = (Some(told.line), told.fields);
        record.raw.truncate(end);
        self.found = true;
        true
    }

    fn keep(&mut self, record: &mut Record, fields: usize) {
        self.found = true;
        let end = self.dialect.fields(&record.raw, fields).and_then(|(_, end)| end);
        record.raw.truncate(end.unwrap_or(record.raw.len()));
        record.truncate(fields);
        // What is wrong with our cells is nothing of the record's.
        record.fault.take_if(|fault| matches!(fault, Fault::Qualifier(at) | Fault::Blanks(at) if *at > fields));
    }
}

/// A record of such a file, read again.
pub struct Again<'a> {
    /// Its number in the file, from 0.
    pub number: u64,
    /// The line that it stood on, where the format says it with each record.
    pub line: Option<u64>,
    /// The names of its fields; none when they go by number, or by what was asked for.
    pub names: &'a Arc<Vec<String>>,
    /// Its values, as they are written.
    pub values: Vec<String>,
}

/// Reads such a file again, until `take` has enough.
pub fn read_again(
    file: impl Read,
    format: &Format,
    wanted: Wanted,
    take: &mut dyn FnMut(Again<'_>) -> ControlFlow<()>,
) -> Result<(), Broken> {
    // What nests may tell a line of its own for each inner record: there, counting decides.
    read::read(file, format, wanted, &mut Reread { lines: !format.nests(), names: Arc::default(), number: 0, take })
}

struct Reread<'a> {
    lines: bool,
    names: Arc<Vec<String>>,
    number: u64,
    take: &'a mut dyn FnMut(Again<'_>) -> ControlFlow<()>,
}

impl Take for Reread<'_> {
    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        if let Layout::Named { names, .. } = layout {
            self.names = Arc::new(names.clone());
        }
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        let values: Vec<String> = record.texts().map(str::to_owned).collect();
        let number = self.number;
        self.number += 1;
        (self.take)(Again { number, line: record.told.filter(|_| self.lines), names: &self.names, values })
    }
}
