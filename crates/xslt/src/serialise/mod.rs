//! Writes the result tree as XML, HTML or text while it is made (XSLT 1.0, section 16).

pub(crate) mod html;
pub(crate) mod sink;
pub(crate) mod xml;

use std::collections::HashSet;

use self::html::HtmlWriter;
use self::sink::Sink;
use self::xml::XmlWriter;
use crate::error::Result;
use crate::name::{NameId, Names, QNameId, StringId, is_blank};

/// `method` of xsl:output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutputMethod {
    /// XML.
    Xml,
    /// HTML.
    Html,
    /// Text.
    Text,
}

/// The attributes of all xsl:output elements, merged.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutputOptions {
    pub(crate) method: Option<OutputMethod>,
    pub(crate) version: Option<String>,
    pub(crate) encoding: Option<String>,
    pub(crate) omit_declaration: Option<bool>,
    pub(crate) standalone: Option<bool>,
    pub(crate) doctype_public: Option<String>,
    pub(crate) doctype_system: Option<String>,
    pub(crate) cdata: HashSet<NameId>,
    pub(crate) indent: Option<bool>,
    pub(crate) media_type: Option<String>,
}

/// A start tag with everything decided: prefixes, declarations, values.
pub(crate) struct StartTag<'t> {
    pub(crate) name: QNameId,
    pub(crate) declarations: &'t [(StringId, StringId)],
    /// Name and where its value stands in `values`.
    pub(crate) attributes: &'t [(QNameId, usize, usize)],
    pub(crate) values: &'t str,
}

/// Something that came before it was known whether the document is HTML.
enum Early {
    Text(String, bool),
    Comment(String),
    Instruction(String, String),
}

enum Writer {
    /// No element yet, and no method asked for.
    Undecided(Vec<Early>),
    Xml(XmlWriter),
    Html(HtmlWriter),
    Text,
}

/// The receiver of the principal result.
pub(crate) struct Serialiser<'w> {
    writer: Writer,
    sink: Sink<'w>,
    options: OutputOptions,
    depth: usize,
}

impl<'w> Serialiser<'w> {
    pub(crate) fn new(options: OutputOptions, sink: Sink<'w>) -> Serialiser<'w> {
        let writer = match options.method {
            None => Writer::Undecided(Vec::new()),
            Some(OutputMethod::Xml) => Writer::Xml(XmlWriter::new(&options)),
            Some(OutputMethod::Html) => Writer::Html(HtmlWriter::new(&options)),
            Some(OutputMethod::Text) => Writer::Text,
        };
        Serialiser { writer, sink, options, depth: 0 }
    }

    pub(crate) fn written(&self) -> u64 {
        self.sink.written()
    }

    /// HTML when the first element is `html` without a namespace and nothing but white space came before (section 16).
    fn decide(&mut self, html: bool) -> Result<()> {
        let Writer::Undecided(early) = &mut self.writer else { return Ok(()) };
        let early = std::mem::take(early);
        let html = html && early.iter().all(|item| !matches!(item, Early::Text(text, _) if !is_blank(text)));
        self.writer = if html { Writer::Html(HtmlWriter::new(&self.options)) } else { Writer::Xml(XmlWriter::new(&self.options)) };
        for item in early {
            match item {
                Early::Text(text, raw) => self.text(&text, raw)?,
                Early::Comment(text) => self.comment(&text)?,
                Early::Instruction(target, data) => self.instruction(&target, &data)?,
            }
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, names: &Names, tag: &StartTag) -> Result<()> {
        if let Writer::Undecided(_) = self.writer {
            let name = names.local_text(tag.name);
            self.decide(name.eq_ignore_ascii_case("html") && names.uri_text(tag.name).is_empty())?;
        }
        self.depth += 1;
        match &mut self.writer {
            Writer::Xml(writer) => writer.start(names, tag, &mut self.sink),
            Writer::Html(writer) => writer.start(names, tag, &mut self.sink),
            Writer::Text | Writer::Undecided(_) => Ok(()),
        }
    }

    pub(crate) fn end(&mut self, names: &Names) -> Result<()> {
        self.depth -= 1;
        match &mut self.writer {
            Writer::Xml(writer) => writer.end(&mut self.sink),
            Writer::Html(writer) => writer.end(names, &mut self.sink),
            Writer::Text | Writer::Undecided(_) => Ok(()),
        }
    }

    pub(crate) fn text(&mut self, text: &str, raw: bool) -> Result<()> {
        match &mut self.writer {
            Writer::Undecided(early) => {
                let blank = is_blank(text);
                early.push(Early::Text(text.to_owned(), raw));
                // Text that is no white space decides: the document is XML.
                if blank { Ok(()) } else { self.decide(false) }
            }
            Writer::Xml(writer) => writer.text(text, raw, &mut self.sink),
            Writer::Html(writer) => writer.text(text, raw, &mut self.sink),
            Writer::Text => self.sink.plain(text),
        }
    }

    pub(crate) fn comment(&mut self, text: &str) -> Result<()> {
        match &mut self.writer {
            Writer::Undecided(early) => early.push(Early::Comment(text.to_owned())),
            Writer::Xml(writer) => return writer.comment(text, &mut self.sink),
            Writer::Html(writer) => return writer.comment(text, &mut self.sink),
            Writer::Text => {}
        }
        Ok(())
    }

    pub(crate) fn instruction(&mut self, target: &str, data: &str) -> Result<()> {
        match &mut self.writer {
            Writer::Undecided(early) => early.push(Early::Instruction(target.to_owned(), data.to_owned())),
            Writer::Xml(writer) => return writer.instruction(target, data, &mut self.sink),
            Writer::Html(writer) => return writer.instruction(target, data, &mut self.sink),
            Writer::Text => {}
        }
        Ok(())
    }

    /// Writes what is left; gives the number of bytes.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.decide(false)?;
        if let Writer::Xml(writer) = &mut self.writer {
            writer.finish(&mut self.sink)?;
        }
        self.sink.finish()
    }
}
