//! The loading thread: takes what the parsing thread sends, and loads it in one transaction.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};

use super::stager::Done;
use super::{Import, ImportError, Piece, Report, Sink};
use crate::document::read::Origin;
use crate::document::refused::{self, Refused};
use crate::document::value::Stored;
use crate::document::write::Unwritable;
use crate::inbound::block::{Block, Entry};
use crate::inbound::load::{Loading, Outcome, Outer};
use crate::model::execution::RowCounts;
use crate::model::finding::{Finding, Rule};
use crate::model::project::Duplicates;
use crate::store::StoreError;
use crate::store::entities::{Loaded, Refusals};

/// Bytes of refused rows that are written at a time.
const REFUSED_BLOCK: usize = 64 * 1024;

/// The loading thread. `stages` takes what is done, when rows are staged.
pub(super) fn load(
    import: &Import<'_>,
    pieces: Receiver<Piece>,
    emptied: &SyncSender<Block>,
    stages: Option<SyncSender<Done>>,
    sink: &mut dyn Sink,
) -> Result<Report, ImportError> {
    // It is gone only when the staging thread is, whose error is the one that is told.
    let gone = |_| ImportError::Stopped;
    let mut loader = Loader::new(import)?;
    loader.reasons = stages.as_ref().map(|_| Vec::new());
    for piece in pieces {
        if import.stop.load(Ordering::Relaxed) {
            return Err(ImportError::Stopped);
        }
        match piece {
            Piece::Begun(origin, header, columns) => {
                let own = import.project_entity;
                // What comes back completes an earlier load: what that one has loaded stays.
                loader.report.completes = origin.mended;
                if !origin.mended {
                    for part in &loader.parts {
                        loader.report.removed += part.begin()?;
                    }
                }
                loader.was_empty = own.duplicates == Duplicates::Last && import.database.is_empty(&own.entity)?;
                loader.refused = Refused::new(&own.format, origin, header, columns).of_transformed(!own.transform.is_empty());
            }
            Piece::Fields(fields) => loader.refused.fields = Some(fields),
            Piece::Trailer(passed_over) => loader.trailer = passed_over,
            Piece::Failed(error) => return Err(ImportError::ReadPayload(error)),
            Piece::DocumentRefused(findings) => {
                stages.as_ref().map_or(Ok(()), |stages| stages.send(Done::TakenBack)).map_err(gone)?;
                loader.refuse_document(findings, sink)?;
            }
            Piece::Absent(fields) => loader.parts[0].keep(&fields)?,
            Piece::Note(finding) => {
                loader.report.notes += 1;
                sink.finding(finding)?;
            }
            Piece::Rows(mut block) => {
                loader.block(&block, sink)?;
                match &stages {
                    Some(stages) => {
                        let reasons = loader.reasons.replace(Vec::new()).unwrap_or_default();
                        stages.send(Done::Rows(block, reasons)).map_err(|_| ImportError::Stopped)?;
                    }
                    None => {
                        block.clear();
                        let _ = emptied.try_send(block);
                    }
                }
            }
        }
    }
    loader.end(sink)?;
    if let Some(finding) = loader.would_empty() {
        stages.as_ref().map_or(Ok(()), |stages| stages.send(Done::TakenBack)).map_err(gone)?;
        loader.refuse_document(vec![finding], sink)?;
    }
    let (mut dangling, counts) = (Vec::new(), loader.report.counts);
    for part in loader.parts.iter().filter(|_| counts.inserted + counts.updated > 0) {
        dangling.extend(part.dangling()?);
    }
    if !dangling.is_empty() {
        stages.as_ref().map_or(Ok(()), |stages| stages.send(Done::TakenBack)).map_err(gone)?;
        loader.refuse_document(dangling, sink)?;
    }
    Ok(loader.report)
}

/// Loads blocks, and reports what becomes of their records.
struct Loader<'a> {
    import: &'a Import<'a>,
    /// The entity's own rows, then those of nested records.
    parts: Vec<Loading<'a>>,
    refused: Refused,
    /// Refused records, until it is known which of them a later row was loaded over.
    refusals: Option<Refusals<'a>>,
    /// What was passed over at the end of the document.
    trailer: Vec<Vec<u8>>,
    /// Bytes for the file of refused rows.
    refused_bytes: Vec<u8>,
    /// For each record of the block why it was refused, when that is asked for.
    reasons: Option<Vec<Option<String>>>,
    /// The table had no row when the load began, and nobody has said that the last row of a key is meant.
    was_empty: bool,
    report: Report,
}

impl<'a> Loader<'a> {
    fn new(import: &'a Import<'a>) -> Result<Loader<'a>, ImportError> {
        let own = import.project_entity;
        let mut parts = Vec::new();
        for part in 0..=own.nested.len() {
            parts.push(Loading::new(own, part, import.entities, import.database)?);
        }
        let refused = Refused::new(&own.format, Origin::new(own.format.encoding()), Vec::new(), 0);
        let report = Report::default();
        Ok(Loader {
            import,
            parts,
            refused,
            refusals: None,
            trailer: Vec::new(),
            refused_bytes: Vec::new(),
            reasons: None,
            was_empty: false,
            report,
        })
    }

    /// Whether rows were removed for a document that has none, and something else in their place: perhaps it is not the one that was meant.
    fn would_empty(&self) -> Option<Finding> {
        let report = &self.report;
        let message = format!("the document has no row, and the {} rows that are there would be removed for it (truncate)", report.removed);
        let hint = "they stay: send the document that was meant; that there is no row is said by a header or a list without any, where the format has one";
        (report.removed > 0 && report.counts.read == 0 && report.notes > 0)
            .then(|| Finding::of_document(Rule::Format, &self.import.project_entity.entity.name, message, hint))
    }

    /// Takes back what came before: half a document is no document.
    fn refuse_document(&mut self, findings: Vec<Finding>, sink: &mut dyn Sink) -> Result<(), ImportError> {
        self.import.database.begin_again()?;
        self.report.removed = 0;
        self.report.counts = RowCounts::default();
        self.report.document_refused = true;
        sink.forget_refused_rows();
        for finding in findings {
            self.report.findings += 1;
            sink.finding(finding)?;
        }
        Ok(())
    }

    fn block(&mut self, block: &Block, sink: &mut dyn Sink) -> Result<(), ImportError> {
        for entry in block.records() {
            self.report.counts.read += entry.len();
            if !entry.findings.is_empty() {
                let (mut findings, mut outer) = (entry.findings.to_vec(), Outer::default());
                for row in entry.rows() {
                    let (more, known) = self.parts[row.part].judge(block, entry.number, &row, &outer)?;
                    findings.extend(more);
                    if row.part == 0 {
                        outer = known;
                    }
                }
                self.refuse(&entry, &findings, sink)?;
                self.note_refused(block, &entry, &[])?;
                self.judged(&findings);
                continue;
            }
            let findings = if self.parts.len() == 1 { self.single(block, &entry, sink)? } else { self.composite(block, &entry, sink)? };
            if !findings.is_empty() {
                self.refuse(&entry, &findings, sink)?;
            }
            self.judged(&findings);
        }
        Ok(())
    }

    /// A refused row counts among those of the document all the same: mended it would overwrite a second one that was loaded. `outer` are the values of
    /// the row that others of its record belong to, as far as they are known.
    fn note_refused(&mut self, block: &Block, entry: &Entry<'_>, outer: &[Option<Stored>]) -> Result<(), ImportError> {
        self.expect_refused()?;
        for row in entry.rows() {
            self.parts[row.part].note_refused(block, entry.number, &row, outer)?;
        }
        Ok(())
    }

    /// What takes refused records, prepared with the first.
    fn expect_refused(&mut self) -> Result<&mut Refusals<'a>, StoreError> {
        if self.refusals.is_none() {
            self.refusals = Some(self.import.database.refusals()?);
            self.parts.iter_mut().try_for_each(Loading::expect_refused)?;
        }
        Ok(self.refusals.as_mut().expect("it was just made"))
    }

    /// What became of a record, for the staging.
    fn judged(&mut self, findings: &[Finding]) {
        if let Some(reasons) = &mut self.reasons {
            let entity = self.parts[0].entity();
            reasons.push((!findings.is_empty()).then(|| refused::reasons(findings, entity)));
        }
    }

    /// Loads a record that is one row.
    fn single(&mut self, block: &Block, entry: &Entry<'_>, sink: &mut dyn Sink) -> Result<Vec<Finding>, ImportError> {
        let mut findings = Vec::new();
        let (shows, mut kept) = (sink.wants_rows(), Vec::new());
        for row in entry.rows() {
            let outcome = self.parts[0].row(block, entry.number, &row, &[], shows.then_some(&mut kept))?;
            if let Some(loaded) = outcome.loaded.as_ref().filter(|_| shows) {
                sink.row(self.parts[0].definition(), self.parts[0].columns(), &kept, loaded);
            }
            if is_change(&outcome) {
                let row = self.parts[0].change();
                self.parts[0].changed(row);
            }
            count(&mut self.report.counts, outcome.loaded.as_ref());
            findings.extend(outcome.findings);
        }
        if !findings.is_empty() {
            self.note_refused(block, entry, &[])?;
        }
        Ok(findings)
    }

    /// Loads a record with the records nested in it: all or none.
    fn composite(&mut self, block: &Block, entry: &Entry<'_>, sink: &mut dyn Sink) -> Result<Vec<Finding>, ImportError> {
        let (shows, mut shown) = (sink.wants_rows(), Vec::new());
        let (mut findings, mut counts, mut parent) = (Vec::new(), RowCounts::default(), Vec::new());
        self.import.database.begin_together()?;
        for row in entry.rows() {
            let part = &mut self.parts[row.part];
            let mut own = Vec::new();
            let keep = (row.part == 0 || shows).then_some(&mut own);
            let outcome = part.row(block, entry.number, &row, &parent, keep)?;
            if let Some(loaded) = outcome.loaded.clone().filter(|_| shows) {
                shown.push((row.part, own.clone(), loaded));
            }
            if row.part == 0 {
                parent = own;
            }
            if is_change(&outcome) {
                let row = part.change();
                self.parts.iter_mut().for_each(|part| part.changed(row));
            }
            count(&mut counts, outcome.loaded.as_ref());
            findings.extend(outcome.findings);
            // What belongs to a row that is refused cannot be judged.
            if row.part == 0 && !findings.is_empty() {
                break;
            }
        }
        self.import.database.end_together(findings.is_empty())?;
        if findings.is_empty() {
            let all = &mut self.report.counts;
            all.inserted += counts.inserted;
            all.updated += counts.updated;
            all.unchanged += counts.unchanged;
            for (part, values, loaded) in &shown {
                sink.row(self.parts[*part].definition(), self.parts[*part].columns(), values, loaded);
            }
        } else {
            self.parts.iter_mut().for_each(Loading::taken_back);
            self.note_refused(block, entry, &parent)?;
        }
        Ok(findings)
    }

    fn end(&mut self, sink: &mut dyn Sink) -> Result<(), ImportError> {
        if self.report.counts.refused > 0 {
            self.write_refused(sink)?;
            // Rows that nothing comes in the place of stay. Mended, it is to come in their place after all: that is no completion of this load.
            if self.report.removed > 0 && self.report.counts.refused == self.report.counts.read {
                self.import.database.begin_again()?;
                self.report.removed = 0;
                self.report.document_refused = true;
                sink.forget_refused_rows();
            }
        }
        let updated = self.report.counts.updated;
        if self.was_empty && updated > 0 && !self.report.document_refused {
            // Nothing was there to update but rows of the document itself.
            let message = match updated {
                1 => "a row of the document has the key of a row before it, and took its place".to_owned(),
                _ => format!("{updated} rows of the document have the key of a row before them, and took its place"),
            };
            let hint = "where they are rows of their own, take more into the entity's key, and give it another table, as one that is there keeps its key; or have them as findings: duplicates = \"refuse\"; where the last is meant, duplicates = \"last\" says so";
            self.report.notes += 1;
            sink.finding(Finding::of_document(Rule::Message, &self.import.project_entity.entity.name, message, hint))?;
        }
        Ok(())
    }

    /// Writes the file of refused rows, and says which of them later rows were loaded over: mended, they would take the place of what is newer.
    fn write_refused(&mut self, sink: &mut dyn Sink) -> Result<(), ImportError> {
        let (refused, bytes, mut older) = (&mut self.refused, &mut self.refused_bytes, 0);
        let Some(refusals) = &self.refusals else { return Ok(()) };
        refusals.each(|held| {
            let newer = held.newer.map(|row| format!("; row {row} of the document has this key too, and is newer")).unwrap_or_default();
            older += u64::from(held.newer.is_some());
            let entry = refused::Entry { line: held.line, raw: &held.raw, frames: held.frames.as_ref() };
            refused.append(entry, &(held.reason + &newer), held.misfit, bytes).map_err(unwritable)?;
            match bytes.len() >= REFUSED_BLOCK {
                true => flush(bytes, sink),
                false => Ok(()),
            }
        })?;
        self.refused.end(&self.trailer, &mut self.refused_bytes).map_err(unwritable)?;
        flush(&mut self.refused_bytes, sink)?;
        if older > 0 {
            let message = format!("{older} of the refused records have keys of rows that stand behind them and are loaded");
            let hint = "sent again they are held back, as their reasons say; without its reason a record takes the place of the newer row";
            self.report.notes += 1;
            sink.finding(Finding::of_document(Rule::Message, &self.import.project_entity.entity.name, message, hint))?;
        }
        Ok(())
    }

    fn refuse(&mut self, entry: &Entry<'_>, findings: &[Finding], sink: &mut dyn Sink) -> Result<(), ImportError> {
        self.report.counts.refused += entry.len();
        let comes_back = self.refused.holds(entry.raw, findings);
        if comes_back {
            let (reason, misfit) = (refused::reasons(findings, self.parts[0].entity()), refused::is_misfit(findings));
            self.expect_refused()?.add(entry.number, entry.line, entry.raw, entry.frames, &reason, misfit)?;
        }
        let together = (entry.len() > 1).then(|| together(self.parts[0].entity(), entry, &findings[0]));
        for finding in findings.iter().chain(&together) {
            self.report.findings += 1;
            let mut finding = finding.clone();
            if !comes_back {
                finding.hint.push_str("; it is too large for the file of refused rows, and mended in the document that was sent");
            }
            sink.finding(finding)?;
        }
        Ok(())
    }
}

/// What is said of the rows of a record that are refused because of another: once, however many they are.
fn together(entity: &str, entry: &Entry<'_>, culprit: &Finding) -> Finding {
    let message = format!(
        "{} rows are refused together, because of {} in line {}: a record and what is nested in it are loaded together or not at all",
        entry.len(),
        culprit.entity,
        culprit.line
    );
    let hint = "mend what is wrong there; the others need no mending, and come back with it";
    Finding { line: entry.line, row: entry.number, ..Finding::of_document(Rule::Together, entity, message, hint) }
}

fn flush(bytes: &mut Vec<u8>, sink: &mut dyn Sink) -> Result<(), ImportError> {
    if !bytes.is_empty() {
        sink.refused_rows()?.write_all(bytes).map_err(ImportError::WriteRefused)?;
        bytes.clear();
    }
    Ok(())
}

fn unwritable(reason: Unwritable) -> ImportError {
    ImportError::WriteRefused(io::Error::other(reason.to_string()))
}

fn is_change(outcome: &Outcome) -> bool {
    matches!(outcome.loaded, Some(Loaded::Inserted | Loaded::Updated))
}

fn count(counts: &mut RowCounts, loaded: Option<&Loaded>) {
    match loaded {
        Some(Loaded::Inserted) => counts.inserted += 1,
        Some(Loaded::Updated) => counts.updated += 1,
        Some(Loaded::Unchanged) => counts.unchanged += 1,
        _ => {}
    }
}
