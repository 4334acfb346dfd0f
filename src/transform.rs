//! Takes a document through the stylesheets of its entity: a step that both journeys share. The work is done by `crates/xslt`; here are its files,
//! its clock and its words.
//!
//! Each result goes into a file of its own, never into memory, and the next stylesheet reads it from there. A fault of document or stylesheet is a
//! finding; a disk that fails, or a stop, is an error and may pass.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use entrepot_xslt::{Error, ErrorKind, Message, Records, Way};

use crate::clock::Stopwatch;
use crate::document::broken::Broken;
use crate::document::{refused, sniff};
use crate::files::Scratch;
use crate::model::finding::{Finding, Rule};
use crate::model::project::ProjectEntity;
use crate::model::time::Timestamp;
use crate::model::transform::{Budget, Step, told};

/// Characters of what a stylesheet says, and of a value in a finding.
const MESSAGE_MAX: usize = 1000;
const VALUE_MAX: usize = 200;

/// What a transformation is about and what it may cost.
pub struct Call<'a> {
    /// The entity.
    pub entity: &'a str,
    /// The legal entity, if the message has one.
    pub company: Option<&'a str>,
    /// The message, if there is one.
    pub message_id: Option<String>,
    /// The job, if there is one.
    pub activity_id: Option<String>,
    /// Now.
    pub now: Timestamp,
    /// What it may cost.
    pub budget: &'a Budget,
    /// Set when the appliance stops.
    pub stop: &'a AtomicBool,
    /// Makes a file for a result.
    pub scratch: &'a dyn Fn() -> io::Result<Scratch>,
    /// Findings kept of what stylesheets say; all are counted.
    pub messages_max: u64,
    /// Bytes of each result that are shown.
    pub preview_max: usize,
}

/// What there is to tell of a transformation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Transcript {
    /// The stylesheets that the document passed.
    pub passages: Vec<Passage>,
    /// What the stylesheets said (`xsl:message`): notes, no faults.
    pub messages: Vec<Finding>,
    /// How often they said something.
    pub messages_total: u64,
}

impl Transcript {
    /// What a journey's line in the log says of it: nothing when there was none.
    pub fn line(&self) -> String {
        if self.passages.is_empty() {
            return String::new();
        }
        let passages: Vec<String> = self.passages.iter().map(|passage| format!("{}: {}", passage.stylesheet, passage.way)).collect();
        let elapsed: u64 = self.passages.iter().map(|passage| passage.elapsed_ms).sum();
        format!(" transform={:?} transform_ms={elapsed}", passages.join("; "))
    }
}

/// One stylesheet that a document passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The stylesheet.
    pub stylesheet: String,
    /// Whether the document was transformed record by record, or read whole and why.
    pub way: String,
    /// Bytes of the result.
    pub bytes: u64,
    /// Time, in ms.
    pub elapsed_ms: u64,
    /// The beginning of the result, as far as it was asked for.
    pub preview: String,
}

/// Why a transformation did not work, other than because of document or stylesheet.
#[derive(Debug)]
pub enum Failure {
    /// The document cannot be read.
    Read(io::Error),
    /// A result cannot be written or read again, or the system gives no thread.
    System(io::Error),
    /// The appliance stops.
    Stopped,
}

/// Takes a document through stylesheets, of which there is at least one. The result is to be read from its beginning; without one there is the fault.
pub fn run(
    steps: &[Step],
    document: impl Read + Send,
    call: &Call<'_>,
    transcript: &mut Transcript,
) -> Result<Result<Scratch, Finding>, Failure> {
    let watch = Stopwatch::start();
    let (first, others) = steps.split_first().expect("without stylesheets nothing is transformed");
    let mut passed = match sniff::for_stylesheets(document) {
        Ok(document) => pass(first, document, call, &watch, transcript)?,
        Err(broken) => Err(unread(call.entity, broken)?),
    };
    for step in others {
        let Ok(result) = passed else { break };
        let before = transcript.passages.last().map_or_else(String::new, |last| last.stylesheet.clone());
        passed = pass(step, result, call, &watch, transcript).map_err(|failure| match failure {
            Failure::Read(error) => Failure::System(error),
            other => other,
        })?;
        if let Err(fault) = &mut passed
            && fault.line > 0
        {
            fault.message = format!("in what {before} gave, {}", fault.message);
        }
    }
    Ok(passed)
}

/// A document for stylesheets, or refused rows of an earlier one that were mended: those are as the stylesheets gave them, and go on without.
pub fn mended<R: Read>(project_entity: &ProjectEntity, mut document: R) -> io::Result<(bool, impl Read + use<R>)> {
    let mut begin = Vec::new();
    if project_entity.accepts_mended {
        (&mut document).take(refused::MARK_MAX as u64).read_to_end(&mut begin)?;
    }
    let mended = refused::is_of_transformed(&project_entity.format, &begin);
    Ok((mended, io::Cursor::new(begin).chain(document)))
}

/// What there is to tell of a document that needs no stylesheets.
pub fn passed_by() -> Passage {
    let way = "refused rows that come back mended are taken as stylesheets gave them".to_owned();
    Passage { stylesheet: "none".into(), way, bytes: 0, elapsed_ms: 0, preview: String::new() }
}

/// One stylesheet.
fn pass(
    step: &Step,
    document: impl Read + Send,
    call: &Call<'_>,
    watch: &Stopwatch,
    transcript: &mut Transcript,
) -> Result<Result<Scratch, Finding>, Failure> {
    let begun = watch.elapsed_ms();
    let late = || watch.elapsed() > call.budget.time_max;
    let halted = || call.stop.load(Ordering::Relaxed) || late();
    let (unread, unwritten) = (Mutex::new(None), Mutex::new(None));
    let input = Noting { inner: document, failure: &unread, halted: &halted };
    let mut result = (call.scratch)().map_err(Failure::System)?;
    let (messages, total, most) = (&mut transcript.messages, &mut transcript.messages_total, call.messages_max);
    let mut say = |message: Message| {
        // The last word of one that gives up is its fault.
        if !message.terminate {
            *total += 1;
            if (messages.len() as u64) < most {
                messages.push(said(call.entity, &message));
            }
        }
    };
    let mut transformation =
        step.stylesheet.transform().limits(call.budget.limits).resolver(&*step.documents).records(Records::WhenAllowed);
    transformation = transformation.now(call.now.seconds(), 0).cancel_when(&halted).on_message(&mut say);
    for (name, value) in &step.parameters {
        transformation = transformation.parameter(name, value.clone());
    }
    let date = call.now.to_utc().format("%Y-%m-%d").to_string();
    let given = [
        ("company", call.company),
        ("entity", Some(call.entity)),
        ("message_id", call.message_id.as_deref()),
        ("activity_id", call.activity_id.as_deref()),
        ("date", Some(date.as_str())),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            transformation = transformation.parameter(name, value);
        }
    }
    let mut output = Noting { inner: &mut result, failure: &unwritten, halted: &halted };
    let ended = transformation.run(input, &mut output);
    let taken = |slot: Mutex<Option<io::Error>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    if call.stop.load(Ordering::Relaxed) {
        return Err(Failure::Stopped);
    }
    if let Some(error) = taken(unread) {
        return Ok(Err(self::unread(call.entity, Broken::from(error))?));
    }
    if let Some(error) = taken(unwritten) {
        return Err(Failure::System(error));
    }
    let report = match ended {
        Ok(report) => report,
        Err(error) if error.kind == ErrorKind::System => return Err(Failure::System(io::Error::other(told(&error)))),
        Err(_) if late() => return Ok(Err(too_late(call, &step.name))),
        Err(error) => return Ok(Err(fault(call.entity, &step.name, &error))),
    };
    result.rewind().map_err(Failure::System)?;
    let mut preview = Vec::new();
    if call.preview_max > 0 {
        (&mut result).take(call.preview_max as u64).read_to_end(&mut preview).map_err(Failure::System)?;
        result.rewind().map_err(Failure::System)?;
    }
    transcript.passages.push(Passage {
        stylesheet: step.name.clone(),
        way: match report.way {
            Way::RecordByRecord { records } => format!("record by record, {records} records"),
            Way::WholeBecause(reason) => format!("whole, {reason}"),
            _ => "whole".to_owned(),
        },
        bytes: report.bytes,
        elapsed_ms: watch.elapsed_ms() - begun,
        preview: String::from_utf8_lossy(&preview).trim_start_matches('\u{feff}').to_owned(),
    });
    Ok(Ok(result))
}

/// Notes the failure of a reader or writer, which the engine only tells in words; and lets go of long work that never looks up.
struct Noting<'a, T> {
    inner: T,
    failure: &'a Mutex<Option<io::Error>>,
    halted: &'a (dyn Fn() -> bool + Sync),
}

impl<T> Noting<'_, T> {
    fn note<R>(&mut self, attempt: impl FnOnce(&mut T) -> io::Result<R>) -> io::Result<R> {
        if (self.halted)() {
            return Err(io::Error::other("the transformation was stopped"));
        }
        attempt(&mut self.inner).map_err(|error| {
            let told = io::Error::new(error.kind(), error.to_string());
            if error.kind() != io::ErrorKind::Interrupted {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            told
        })
    }
}

impl<R: Read> Read for Noting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.note(|inner| inner.read(buffer))
    }
}

impl<W: Write> Write for Noting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.note(|inner| inner.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.note(Write::flush)
    }
}

/// What is found against a document that is in another encoding than it says; a source that gives no bytes is no finding.
fn unread(entity: &str, broken: Broken) -> Result<Finding, Failure> {
    match broken {
        Broken::Source(error) => Err(Failure::Read(error)),
        Broken::Document { line, message, hint } => Ok(Finding { line, ..finding(Rule::Format, entity, message, hint) }),
    }
}

fn finding(rule: Rule, entity: &str, message: String, hint: String) -> Finding {
    Finding::of_document(rule, entity, cut(&message, 2 * MESSAGE_MAX), hint)
}

/// The beginning of a text, on one line: part of it may be a sender's.
fn cut(text: &str, most: usize) -> String {
    text.trim().chars().take(most).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// What a stylesheet said.
fn said(entity: &str, message: &Message) -> Finding {
    let text = cut(&message.text, MESSAGE_MAX);
    let text = if text.is_empty() { "a message without text".to_owned() } else { text };
    finding(Rule::Message, entity, text, format!("said by {} (xsl:message)", message.place))
}

fn too_late(call: &Call<'_>, stylesheet: &str) -> Finding {
    let message = format!("{stylesheet}: the transformation takes longer than {} s", call.budget.time_max.as_secs_f64());
    finding(Rule::Transform, call.entity, message, "look for a loop without end, or raise time_max in [xslt]".to_owned())
}

/// A fault while transforming. The document's own faults have its line.
fn fault(entity: &str, stylesheet: &str, error: &Error) -> Finding {
    let document = error.place.as_ref().filter(|place| place.uri.is_empty());
    let mut message = match (error.kind, document) {
        (ErrorKind::Terminated, _) => {
            let text = cut(&error.message, MESSAGE_MAX);
            let place = error.place.as_ref().map_or_else(|| stylesheet.to_owned(), ToString::to_string);
            let node = error.node.as_ref().map_or_else(String::new, |node| format!(", at {node}"));
            format!("{place}: the stylesheet refuses the document: {}{node}", if text.is_empty() { "it does not say why" } else { &text })
        }
        (_, Some(place)) => {
            let bare = Error { place: None, found: None, ..error.clone() };
            format!("line {}, column {}: {}", place.line, place.column, told(&bare))
        }
        _ => told(&Error { found: None, ..error.clone() }),
    };
    if error.place.is_none() {
        message = format!("{stylesheet}: {message}");
    }
    let hint = match (&error.hint, error.kind) {
        (_, ErrorKind::Terminated) => "mend what it says in the document (xsl:message terminate=\"yes\")".to_owned(),
        (Some(hint), _) => hint.clone(),
        (None, ErrorKind::Document) => "stylesheets transform XML: send the document again, well-formed".to_owned(),
        (None, ErrorKind::Budget) => "raise the budget in [xslt], if the document is as it should be".to_owned(),
        (None, _) => "correct the stylesheet, or the document".to_owned(),
    };
    Finding {
        line: document.map_or(0, |place| u64::from(place.line)),
        value: cut(error.found.as_deref().unwrap_or_default(), VALUE_MAX),
        ..finding(Rule::Transform, entity, message, hint)
    }
}
