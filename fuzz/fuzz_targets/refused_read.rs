//! Any bytes as a document, all of whose records are refused: the file that comes back has as many records, with the same values.
#![no_main]

use std::ops::ControlFlow;

use entrepot::document::read::{self, Layout, Origin, Take};
use entrepot::document::record::{Fault, Record};
use entrepot::document::refused::{Entry, Refused, is_misfit, read_again, reasons};
use entrepot::model::finding::{Finding, Rule};
use entrepot::model::format::Format;

struct Refusing<'a> {
    format: &'a Format,
    origin: Origin,
    trailer: Vec<Vec<u8>>,
    refused: Option<Refused>,
    bytes: Vec<u8>,
    /// With their values, unless they are no text.
    records: Vec<(u64, Option<Vec<String>>)>,
    /// A record that damages others, or that is shown in other words.
    damaged: bool,
}

impl Take for Refusing<'_> {
    fn origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    fn trailer(&mut self, passed_over: Vec<Vec<u8>>) {
        self.trailer = passed_over;
    }

    fn layout(&mut self, layout: &Layout) -> ControlFlow<()> {
        let (raw, columns) = match layout {
            Layout::Named { raw, names, .. } => (raw.clone(), names.len()),
            Layout::Numbered | Layout::Asked => (Vec::new(), 0),
        };
        self.refused = Some(Refused::new(self.format, self.origin.clone(), raw, columns));
        ControlFlow::Continue(())
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        let finding = Finding::of_document(Rule::Type, "E", "\u{e9}-- wrong\r\n", "mend it");
        let refused = self.refused.as_mut().expect("the layout comes first");
        let entry = Entry { line: record.line, raw: &record.raw, frames: record.frames.as_ref() };
        let findings = [finding];
        if !refused.holds(entry.raw, &findings) {
            // It is too large for the file.
            return ControlFlow::Continue(());
        }
        refused.append(entry, &reasons(&findings, "E"), is_misfit(&findings), &mut self.bytes).unwrap();
        // Before a line feed a carriage return is that of CRLF: such a record of a stated length comes back as a shorter one.
        self.damaged |= matches!(self.format, Format::Fixed(fixed) if fixed.record_length.is_some()) && record.raw.ends_with(b"\r");
        self.damaged |= match (&record.fault, self.format) {
            (None, _) => false,
            // Of a last record that is cut short, a line end in it may be its end.
            (Some(Fault::Encoding), Format::Fixed(fixed)) => {
                let characters = record.raw.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
                fixed.record_length.is_none_or(|length| characters < length && record.raw.iter().any(|byte| matches!(byte, b'\n' | b'\r')))
            }
            _ => true,
        };
        let values = record.fault.is_none().then(|| record.texts().map(str::to_owned).collect());
        self.records.push((record.line, values));
        ControlFlow::Continue(())
    }
}

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    let format = shared::format(kind);
    let wanted = shared::wanted(&format, ["a", "@b", "c/d", "."]);
    let origin = Origin::new(format.encoding());
    let (trailer, bytes_back, records) = (Vec::new(), Vec::new(), Vec::new());
    let mut taken = Refusing { format: &format, origin, trailer, refused: None, bytes: bytes_back, records, damaged: false };
    if read::read(bytes, &format, wanted.clone(), &mut taken).is_err() || taken.records.is_empty() || taken.damaged {
        return;
    }
    let trailer = std::mem::take(&mut taken.trailer);
    taken.refused.as_mut().expect("there are records").end(&trailer, &mut taken.bytes).unwrap();
    let mut found = Vec::new();
    let mut take = |again: entrepot::document::refused::Again<'_>| {
        found.push((again.line, again.values));
        ControlFlow::Continue(())
    };
    let again = read_again(taken.bytes.as_slice(), &format, wanted, &mut take);
    let said = format!("{again:?}");
    let other_kind = said.contains("and the format says") || said.contains("and its declaration says");
    if again.is_err() && (bytes.contains(&0) || other_kind) {
        // Zeros that are few in a document may be many among its refused rows; and one of these that stands first may begin as a program does.
        return;
    }
    let shown = || String::from_utf8_lossy(&taken.bytes).into_owned();
    assert!(again.is_ok(), "{again:?}: {}", shown());
    assert_eq!(found.len(), taken.records.len(), "{}", shown());
    for ((line, values), (own_line, own)) in found.iter().zip(&taken.records) {
        assert!(line.is_none_or(|line| line == *own_line), "{line:?} for {own_line}: {}", shown());
        let Some(own) = own else { continue };
        // The whole of a JSON record has two members more.
        let same = if matches!(format, Format::Json(_)) { &own[..3] } else { &own[..] };
        assert_eq!(&values[..same.len().min(values.len())], same, "{}", shown());
    }
});
