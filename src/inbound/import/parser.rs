//! The parsing thread: reads, maps and validates a document, and sends what comes of it in blocks.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

use super::Piece;
use crate::document::broken::Broken;
use crate::document::collect::Instead;
use crate::document::read::{self, Layout, Origin, Take};
use crate::document::record::Record;
use crate::inbound::block::Block;
use crate::inbound::plan::{self, Plan};
use crate::model::entity::Entity;
use crate::model::finding::{Finding, Rule};
use crate::model::format::Format;
use crate::model::project::ProjectEntity;

/// The parsing thread. Ends early when nobody listens any more.
pub(super) fn parse(
    project_entity: &ProjectEntity,
    entities: &[Arc<Entity>],
    company: Option<&str>,
    document: impl Read,
    sender: &SyncSender<Piece>,
    empties: &Receiver<Block>,
) {
    let mut parsing = Parsing {
        project_entity,
        entities,
        company,
        sender,
        empties,
        origin: Origin::new(project_entity.format.encoding()),
        trailer: Vec::new(),
        plan: None,
        block: Block::default(),
        number: 0,
        one_line: false,
        first_fields: 0,
        refused: Vec::new(),
    };
    let ended = read::read(document, &project_entity.format, plan::wanted(project_entity), &mut parsing);
    let _ = parsing.send();
    parsing.note_one_line();
    let _ = sender.send(Piece::Trailer(std::mem::take(&mut parsing.trailer)));
    let last = match ended {
        Err(Broken::Source(error)) => Piece::Failed(error),
        Err(Broken::Document { line, message, hint }) => Piece::DocumentRefused(vec![parsing.about_the_document(line, message, hint)]),
        Ok(()) if !parsing.refused.is_empty() => Piece::DocumentRefused(parsing.refused),
        Ok(()) if parsing.one_line && parsing.number == 0 => {
            let message = "the document is one line, which is taken for its header, and values stand in it".to_owned();
            let hint = "where its line ends were lost on the way, send it as it is: curl takes them out with -d, and leaves them with --data-binary".to_owned();
            Piece::DocumentRefused(vec![parsing.about_the_document(1, message, hint)])
        }
        Ok(()) => return,
    };
    let _ = sender.send(last);
}

struct Parsing<'a> {
    project_entity: &'a ProjectEntity,
    entities: &'a [Arc<Entity>],
    company: Option<&'a str>,
    sender: &'a SyncSender<Piece>,
    empties: &'a Receiver<Block>,
    origin: Origin,
    trailer: Vec<Vec<u8>>,
    plan: Option<Plan<'a>>,
    block: Block,
    number: u64,
    /// Nothing ends the header, and values seem to stand in it.
    one_line: bool,
    /// How many fields its first record has, where it is delimited and nothing ends that.
    first_fields: usize,
    refused: Vec<Finding>,
}

impl Parsing<'_> {
    fn send(&mut self) -> ControlFlow<()> {
        if self.block.is_empty() {
            return ControlFlow::Continue(());
        }
        let next = self.empties.try_recv().unwrap_or_default();
        match self.sender.send(Piece::Rows(std::mem::replace(&mut self.block, next))) {
            Ok(()) => {
                crate::fault::point("block_sent");
                ControlFlow::Continue(())
            }
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Tells of a document without a header that is one record of as many fields as several rows have that stand behind each other on one line.
    fn note_one_line(&mut self) {
        let Some(plan) = self.plan.as_ref().filter(|_| self.number == 1) else { return };
        let (fields, needed) = (self.first_fields, plan.fields_needed());
        // The last field of each is one with the first of the next.
        if needed > 1 && fields > needed && (fields - 1).is_multiple_of(needed - 1) {
            let message = format!("the document is one record of {fields} fields, which no line end ends, and the mapping uses {needed}");
            let hint = "where its line ends were lost on the way, send it as it is: curl takes them out with -d, and leaves them with --data-binary";
            self.note(message, hint.into());
        }
    }

    fn about_the_document(&self, line: u64, message: String, hint: String) -> Finding {
        Finding { line, ..Finding::of_document(Rule::Format, &self.project_entity.entity.name, message, hint) }
    }
}

impl Take for Parsing<'_> {
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
        if self.sender.send(Piece::Begun(self.origin.clone(), raw, columns)).is_err() {
            return ControlFlow::Break(());
        }
        match Plan::new(self.project_entity, self.entities, self.company, layout) {
            Ok(plan) => {
                if !plan.absent().is_empty() && self.sender.send(Piece::Absent(plan.absent().to_vec())).is_err() {
                    return ControlFlow::Break(());
                }
                let unended =
                    matches!(&self.project_entity.format, Format::Csv(csv) if csv.record_end.is_none()) && self.origin.record_end.is_none();
                self.one_line = unended && plan.holds_values();
                if let Some((message, hint)) = plan.left_over(self.project_entity.truncate && !self.origin.mended) {
                    self.note(message, hint);
                }
                self.plan = Some(plan);
                ControlFlow::Continue(())
            }
            Err(findings) => {
                self.refused = findings;
                ControlFlow::Break(())
            }
        }
    }

    fn record(&mut self, record: &mut Record) -> ControlFlow<()> {
        self.number += 1;
        if let Some(plan) = &mut self.plan {
            let known = plan.width;
            if self.number == 1
                && let Format::Csv(csv) = &self.project_entity.format
                && self.origin.record_end == csv.record_end.as_ref().map(|_| "")
            {
                self.first_fields = record.len();
            }
            plan.apply(record, self.number, &mut self.block);
            if let Some(fields) = plan.width.filter(|_| plan.width != known) {
                // Before the block, so that it is told with all that are refused.
                let _ = self.sender.send(Piece::Fields(fields));
            }
        }
        if self.block.is_full() { self.send() } else { ControlFlow::Continue(()) }
    }

    fn note(&mut self, message: String, hint: String) {
        // Behind the rows before it. That nobody listens is told by the next row.
        let note = Finding::of_document(Rule::Message, &self.project_entity.entity.name, message, hint);
        let _ = self.send();
        let _ = self.sender.send(Piece::Note(note));
    }

    fn nothing_found(&mut self, instead: Instead<'_>) {
        let (place, key) = match &self.project_entity.format {
            Format::Xml(xml) => match (&xml.record, &xml.root) {
                (Some(record), _) => (record.to_string(), "record"),
                (None, root) => (format!("/{}/*", root.as_deref().unwrap_or("*")), "root"),
            },
            Format::Json(json) => (json.record.as_ref().map_or_else(String::new, ToString::to_string), "record"),
            _ => (String::new(), "type"),
        };
        // A list without an item.
        if self.project_entity.format.may_be_empty() && instead.seen.is_empty() {
            return;
        }
        let message = format!("the document has no record at {place}");
        let seen = instead.seen.join(", ");
        match instead.others {
            true => self.note(message, format!("it has {seen}; where those should be records, correct record in the format")),
            false => self.refused.push(self.about_the_document(0, message, format!("it has {seen}; correct {key} in the format"))),
        }
    }
}
