//! The public face: compile a stylesheet, set up a transformation, run it.

use std::io::{Read, Write};
use std::sync::Arc;

use crate::error::{CompileError, Error, ErrorKind, Result, Warning};
use crate::name::{NameId, Names};
use crate::parse::{DoctypePolicy, ParseLimits, Parser};
use crate::record::{Records, Source, Way};
use crate::run::emitter::{Emitter, Receiver};
use crate::run::profile::{Profile, TemplateProfile};
use crate::run::{Context, Hooks, Limits, Message, Run};
use crate::serialise::sink::Sink;
use crate::serialise::{OutputMethod, Serialiser};
use crate::sheet::Sheet;
use crate::xpath::value::Value;

/// What a resolver is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceKind {
    /// A stylesheet named by `xsl:import` or `xsl:include` (XSLT 1.0, section 2.6).
    Stylesheet,
    /// A document named by `document()` (XSLT 1.0, section 12.1).
    Document,
    /// An external entity or the external part of a document type declaration (XML 1.0, section 4.2.2). To refuse it is safe: documents
    /// from others can name any file here.
    Entity,
}

/// What a resolver gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The address it really has; references inside it are relative to this.
    pub uri: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// Supplies what stylesheets refer to. This crate itself reads nothing.
pub trait Resolver: Sync {
    /// Gives the resource at an address, which is already joined with the address of what refers to it (RFC 3986). The error says why
    /// there is none.
    fn resolve(&self, uri: &str, kind: ResourceKind) -> Result<Resource, String>;
}

/// A resolver that has nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoResolver;

impl Resolver for NoResolver {
    fn resolve(&self, _: &str, kind: ResourceKind) -> Result<Resource, String> {
        Err(match kind {
            ResourceKind::Stylesheet => "no other stylesheets can be loaded here".to_owned(),
            ResourceKind::Document => "no other documents can be loaded here".to_owned(),
            ResourceKind::Entity => "external entities are not read".to_owned(),
        })
    }
}

/// How a stylesheet is compiled.
#[derive(Clone, Copy, Debug)]
pub struct CompileOptions {
    /// What a document type declaration in a stylesheet may do.
    pub doctype: DoctypePolicy,
}

impl Default for CompileOptions {
    fn default() -> CompileOptions {
        CompileOptions { doctype: DoctypePolicy::Expand { bytes_max: 1 << 20 } }
    }
}

/// A compiled stylesheet: immutable, `Send` and `Sync`, cheap to clone.
#[derive(Clone, Debug)]
pub struct Stylesheet {
    sheet: Arc<Sheet>,
    warnings: Arc<Vec<Warning>>,
}

/// The stack of the thread that compiles: nested elements and expressions are bounded, so it is known to suffice.
const COMPILE_STACK_BYTES: usize = 64 << 20;

impl Stylesheet {
    /// Compiles a stylesheet. `uri` is its address: references in it are relative to that, and errors name it.
    ///
    /// # Errors
    ///
    /// All errors that were found, each with its place.
    pub fn compile(text: &[u8], uri: &str, resolver: &dyn Resolver) -> Result<Stylesheet, CompileError> {
        Stylesheet::compile_with(text, uri, resolver, CompileOptions::default())
    }

    /// Compiles a stylesheet with options.
    ///
    /// # Errors
    ///
    /// All errors that were found, each with its place.
    pub fn compile_with(text: &[u8], uri: &str, resolver: &dyn Resolver, options: CompileOptions) -> Result<Stylesheet, CompileError> {
        let limits = ParseLimits { doctype: options.doctype, ..ParseLimits::default() };
        let (sheet, warnings) = on_stack(COMPILE_STACK_BYTES, || crate::compile::compile(text, uri, resolver, limits))
            .unwrap_or_else(|error| Err(CompileError { errors: vec![error], warnings: Vec::new() }))?;
        Ok(Stylesheet { sheet: Arc::new(sheet), warnings: Arc::new(warnings) })
    }

    /// What is legal but looks wrong.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// The names of the top-level parameters, as `{uri}local` or `local` (XSLT 1.0, section 11.4).
    pub fn parameters(&self) -> Vec<String> {
        self.sheet.globals.iter().filter(|global| global.is_parameter).map(|global| self.sheet.names.readable(global.name)).collect()
    }

    /// What the stylesheet says it writes (`method` of `xsl:output`); none when that is decided by the result (XSLT 1.0, section 16).
    pub fn output_method(&self) -> Option<OutputMethod> {
        self.sheet.output.method
    }

    /// A transformation to be set up.
    pub fn transform(&self) -> Transformation<'_> {
        Transformation {
            stylesheet: self,
            parameters: Vec::new(),
            limits: Limits::default(),
            doctype: ParseLimits::default().doctype,
            resolver: &NoResolver,
            message: None,
            cancelled: None,
            now: None,
            clock: None,
            byte_order_mark: true,
            source_uri: String::new(),
            records: Records::Never,
        }
    }
}

/// A value for a stylesheet's parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Parameter {
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// A boolean.
    Boolean(bool),
}

impl From<&str> for Parameter {
    fn from(text: &str) -> Parameter {
        Parameter::Text(text.to_owned())
    }
}

impl From<String> for Parameter {
    fn from(text: String) -> Parameter {
        Parameter::Text(text)
    }
}

impl From<f64> for Parameter {
    fn from(value: f64) -> Parameter {
        Parameter::Number(value)
    }
}

impl From<bool> for Parameter {
    fn from(value: bool) -> Parameter {
        Parameter::Boolean(value)
    }
}

/// What a transformation did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Bytes written.
    pub bytes: u64,
    /// Steps taken, as [`Limits::steps_max`] counts them.
    pub steps: u64,
    /// The depth that was reached, as [`Limits::depth_max`] counts it.
    pub depth: u32,
    /// Whether the document was read whole, and why.
    pub way: Way,
    /// Hits and times per template, if a clock was given: the most expensive first.
    pub profile: Vec<TemplateProfile>,
}

/// A transformation being set up. Each method gives it back.
pub struct Transformation<'a> {
    stylesheet: &'a Stylesheet,
    parameters: Vec<(String, Parameter)>,
    limits: Limits,
    doctype: DoctypePolicy,
    resolver: &'a dyn Resolver,
    message: Option<&'a mut (dyn FnMut(Message) + Send)>,
    cancelled: Option<&'a (dyn Fn() -> bool + Sync)>,
    now: Option<(i64, i32)>,
    clock: Option<&'a (dyn Fn() -> u64 + Sync)>,
    byte_order_mark: bool,
    source_uri: String,
    records: Records,
}

impl<'a> Transformation<'a> {
    /// Gives a top-level parameter a value (XSLT 1.0, section 11.4). The name is `local` or `{uri}local`; one that the stylesheet does not
    /// declare is ignored.
    pub fn parameter(mut self, name: &str, value: impl Into<Parameter>) -> Transformation<'a> {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the budgets.
    pub fn limits(mut self, limits: Limits) -> Transformation<'a> {
        self.limits = limits;
        self
    }

    /// What document type declarations of source documents may do.
    pub fn doctype(mut self, doctype: DoctypePolicy) -> Transformation<'a> {
        self.doctype = doctype;
        self
    }

    /// Where `document()` gets documents from.
    pub fn resolver(mut self, resolver: &'a dyn Resolver) -> Transformation<'a> {
        self.resolver = resolver;
        self
    }

    /// Receives what `xsl:message` says (XSLT 1.0, section 13).
    pub fn on_message(mut self, message: &'a mut (dyn FnMut(Message) + Send)) -> Transformation<'a> {
        self.message = Some(message);
        self
    }

    /// A check that is made every 65,536 steps; when it says true the transformation ends with [`ErrorKind::Cancelled`]. For cancel flags
    /// and time limits.
    pub fn cancel_when(mut self, cancelled: &'a (dyn Fn() -> bool + Sync)) -> Transformation<'a> {
        self.cancelled = Some(cancelled);
        self
    }

    /// The present moment for `date:date-time()` and its kind: seconds since 1970 in UTC, and the zone's offset in minutes.
    pub fn now(mut self, seconds: i64, zone_minutes: i32) -> Transformation<'a> {
        self.now = Some((seconds, zone_minutes));
        self
    }

    /// Measures each template by a clock that gives nanoseconds from any fixed point.
    pub fn profile(mut self, clock: &'a (dyn Fn() -> u64 + Sync)) -> Transformation<'a> {
        self.clock = Some(clock);
        self
    }

    /// Whether a result in UTF-8 begins with a byte order mark. It does unless told otherwise, as with Microsoft's engine.
    pub fn byte_order_mark(mut self, mark: bool) -> Transformation<'a> {
        self.byte_order_mark = mark;
        self
    }

    /// The address of the source document: what `document()` resolves references in it against.
    pub fn source_uri(mut self, uri: &str) -> Transformation<'a> {
        self.source_uri = uri.to_owned();
        self
    }

    /// Whether the document may be transformed record by record. [`Report::way`] says what came of it.
    pub fn records(mut self, records: Records) -> Transformation<'a> {
        self.records = records;
        self
    }

    /// Transforms a document and writes the result.
    ///
    /// The work is done on a thread of its own with a stack of [`Limits::stack_bytes`], so that deep recursion has room; this call returns
    /// when it is done.
    ///
    /// # Errors
    ///
    /// The first fault. What was written before it stays written.
    pub fn run(self, input: impl Read + Send, output: &mut (dyn Write + Send)) -> Result<Report> {
        let stack = self.limits.stack_bytes;
        on_stack(stack, move || self.run_here(Box::new(input), output)).unwrap_or_else(Err)
    }

    fn run_here(self, input: Box<dyn Read + '_>, output: &mut (dyn Write + Send)) -> Result<Report> {
        let sheet: &Sheet = &self.stylesheet.sheet;
        let strip = |names: &Names, name: NameId| sheet.strips(names, name);
        let strip: crate::parse::Strip = if sheet.strips_any { Some(&strip) } else { None };
        let bytes_max = usize::try_from(self.limits.text_bytes_max).unwrap_or(usize::MAX).min(ParseLimits::default().bytes_max);
        let parse_limits = ParseLimits { doctype: self.doctype, nodes_max: self.limits.nodes_max, bytes_max };
        let sink = Sink::new(output, sheet.output.encoding.as_deref(), self.byte_order_mark, self.limits.output_bytes_max)?;
        let serialiser = Serialiser::new(sheet.output.clone(), sink);
        let emitter = Emitter::new(Receiver::Document(Box::new(serialiser)), sheet.uri.clone());
        // The sink outlives this call; inside, it is lent for the call only.
        let message = self.message.map(|sink| sink as &mut (dyn FnMut(Message) + Send));
        let hooks = Hooks { message, cancelled: self.cancelled, resolver: self.resolver, now: self.now };
        let profile = self.clock.map(|clock| Profile::new(sheet, clock));
        let mut run = Run::new(sheet, emitter, hooks, self.limits, parse_limits, profile);
        for (name, value) in self.parameters {
            let (uri, local) = match name.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                Some((uri, local)) => (uri, local),
                None => ("", name.as_str()),
            };
            let name = run.names.expanded_text(uri, local);
            let value = match value {
                Parameter::Text(text) => Value::from(text),
                Parameter::Number(value) => Value::Number(value),
                Parameter::Boolean(value) => Value::Boolean(value),
            };
            run.give(name, value);
        }
        let uri: Arc<str> = self.source_uri.as_str().into();
        let mut way = Way::Whole;
        let source = if self.records == Records::WhenAllowed {
            let parser = Parser::new(input, uri.clone(), parse_limits, self.resolver, strip, false);
            let source = Source::open(parser, &mut run.names, uri)?;
            let head = run.add_tree(source.head())?;
            run.source = head;
            match crate::record::analysis::reason(&mut run, source.root) {
                Some(reason) => {
                    way = Way::WholeBecause(reason);
                    let tree = source.whole(&mut run.names)?;
                    run.set_source(tree);
                }
                None => run.records = Some(Box::new(source)),
            }
            head
        } else {
            let tree = crate::parse::parse(input, uri, &mut run.names, parse_limits, self.resolver, strip, false)?;
            run.add_tree(tree)?
        };
        run.source = source;
        if !self.source_uri.is_empty() {
            run.documents.insert(self.source_uri.clone(), source);
        }
        let by_record = run.records.is_some();
        run.apply_one(&Context::of(source), 0, &Vec::new(), None)?;
        let records = run.finish_records()?;
        if by_record {
            way = Way::RecordByRecord { records };
        }
        let (steps, depth) = run.effort();
        let Run { output, mut names, profile, .. } = run;
        let bytes = output.finish_document(&mut names)?;
        Ok(Report { bytes, steps, depth, way, profile: profile.map(Profile::finish).unwrap_or_default() })
    }
}

/// Does something on a thread with a stack of a known size.
fn on_stack<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("xslt".to_owned()).stack_size(bytes).spawn_scoped(scope, work);
        match thread {
            Ok(thread) => match thread.join() {
                Ok(result) => Ok(result),
                Err(panic) => std::panic::resume_unwind(panic),
            },
            Err(error) => Err(Error::new(ErrorKind::System, "no thread can be started for the transformation").found(error.to_string())),
        }
    })
}
