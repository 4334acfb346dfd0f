//! The output method xml (XSLT 1.0, section 16.1): as .NET's XmlWriter writes it.

use super::sink::Sink;
use super::{OutputOptions, StartTag};
use crate::error::{ErrorKind, Result};
use crate::name::{NameId, Names};

/// An element whose end tag is still to come.
struct Open {
    /// The name as written.
    name: String,
    /// Nothing inside yet: the start tag is not closed.
    empty: bool,
    /// Text stands inside, or around: no white space may be added.
    mixed: bool,
    /// Whether its text goes into CDATA sections.
    cdata: bool,
}

pub(crate) struct XmlWriter {
    options: OutputOptions,
    open: Vec<Open>,
    /// Names of closed elements, to be used again.
    spare: Vec<String>,
    declared: bool,
    doctype_done: bool,
    any: bool,
    /// A CDATA section is open: further text goes into it.
    in_cdata: bool,
}

impl XmlWriter {
    pub(crate) fn new(options: &OutputOptions) -> XmlWriter {
        XmlWriter {
            options: options.clone(),
            open: Vec::new(),
            spare: Vec::new(),
            declared: false,
            doctype_done: false,
            any: false,
            in_cdata: false,
        }
    }

    fn declaration(&mut self, sink: &mut Sink) -> Result<()> {
        if self.declared {
            return Ok(());
        }
        self.declared = true;
        if self.options.omit_declaration == Some(true) {
            return Ok(());
        }
        let version = self.options.version.as_deref().unwrap_or("1.0").to_owned();
        let encoding = sink.encoding().to_owned();
        sink.push(&format!("<?xml version=\"{version}\" encoding=\"{encoding}\""))?;
        if let Some(standalone) = self.options.standalone {
            sink.push(if standalone { " standalone=\"yes\"" } else { " standalone=\"no\"" })?;
        }
        sink.push("?>")?;
        self.any = true;
        Ok(())
    }

    /// Closes a start tag or CDATA section that waits for it.
    fn close(&mut self, sink: &mut Sink) -> Result<()> {
        if self.in_cdata {
            self.in_cdata = false;
            sink.push("]]>")?;
        }
        if let Some(open) = self.open.last_mut()
            && open.empty
        {
            open.empty = false;
            sink.push(">")?;
        }
        Ok(())
    }

    fn indent(&mut self, sink: &mut Sink) -> Result<()> {
        let mixed = self.open.last().is_some_and(|open| open.mixed);
        if self.options.indent != Some(true) || mixed || !self.any {
            return Ok(());
        }
        sink.push("\n")?;
        for _ in 0..self.open.len() {
            sink.push("  ")?;
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, names: &Names, tag: &StartTag, sink: &mut Sink) -> Result<()> {
        self.declaration(sink)?;
        self.close(sink)?;
        let mut name = self.spare.pop().unwrap_or_default();
        name.clear();
        let prefix = names.text(names.prefix(tag.name));
        if !prefix.is_empty() {
            name.push_str(prefix);
            name.push(':');
        }
        name.push_str(names.local_text(tag.name));
        if self.open.is_empty() && !self.doctype_done {
            self.doctype_done = true;
            self.doctype(&name, sink)?;
        }
        self.indent(sink)?;
        self.any = true;
        sink.push("<")?;
        plain_name(&name, sink)?;
        for &(prefix, uri) in tag.declarations {
            let prefix = names.text(prefix);
            if prefix.is_empty() {
                sink.push(" xmlns=\"")?;
            } else {
                sink.push(" xmlns:")?;
                sink.plain(prefix)?;
                sink.push("=\"")?;
            }
            attribute_value(names.text(uri), sink)?;
            sink.push("\"")?;
        }
        for &(attribute, start, end) in tag.attributes {
            sink.push(" ")?;
            let prefix = names.text(names.prefix(attribute));
            if !prefix.is_empty() {
                sink.plain(prefix)?;
                sink.push(":")?;
            }
            plain_name(names.local_text(attribute), sink)?;
            sink.push("=\"")?;
            attribute_value(&tag.values[start..end], sink)?;
            sink.push("\"")?;
        }
        let mixed = self.open.last().is_some_and(|open| open.mixed);
        let expanded: NameId = names.name(tag.name);
        let cdata = !self.options.cdata.is_empty() && self.options.cdata.contains(&expanded);
        self.open.push(Open { name, empty: true, mixed, cdata });
        Ok(())
    }

    fn doctype(&mut self, name: &str, sink: &mut Sink) -> Result<()> {
        let Some(system) = self.options.doctype_system.clone() else { return Ok(()) };
        if self.any {
            sink.push("\n")?;
        }
        let quote = |text: &str| if text.contains('"') { format!("'{text}'") } else { format!("\"{text}\"") };
        sink.push("<!DOCTYPE ")?;
        plain_name(name, sink)?;
        match &self.options.doctype_public {
            Some(public) => sink.plain(&format!(" PUBLIC {} {}>", quote(public), quote(&system)))?,
            None => sink.plain(&format!(" SYSTEM {}>", quote(&system)))?,
        }
        if self.options.indent != Some(true) {
            sink.push("\n")?;
        }
        self.any = true;
        Ok(())
    }

    pub(crate) fn end(&mut self, sink: &mut Sink) -> Result<()> {
        if self.in_cdata {
            self.in_cdata = false;
            sink.push("]]>")?;
        }
        let Some(open) = self.open.pop() else { return Ok(()) };
        if open.empty {
            sink.push(" />")?;
        } else {
            if !open.mixed {
                self.indent(sink)?;
            }
            sink.push("</")?;
            sink.push(&open.name)?;
            sink.push(">")?;
        }
        self.spare.push(open.name);
        Ok(())
    }

    pub(crate) fn text(&mut self, text: &str, raw: bool, sink: &mut Sink) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.declaration(sink)?;
        self.any = true;
        let cdata = self.open.last().is_some_and(|open| open.cdata) && !raw;
        if cdata {
            if !self.in_cdata {
                self.close(sink)?;
            }
            self.mark_mixed();
            return self.cdata(text, sink);
        }
        self.close(sink)?;
        self.mark_mixed();
        if raw { sink.plain(text) } else { escape(text, sink) }
    }

    fn mark_mixed(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.mixed = true;
        }
    }

    /// A section cannot contain its own end, nor a character which the encoding lacks.
    fn cdata(&mut self, text: &str, sink: &mut Sink) -> Result<()> {
        if !self.in_cdata {
            self.in_cdata = true;
            sink.push("<![CDATA[")?;
        }
        let split = text.replace("]]>", "]]]]><![CDATA[>");
        if sink.has_all() || split.chars().all(|c| sink.has(c)) {
            return sink.push(&split);
        }
        for c in split.chars() {
            if sink.has(c) {
                sink.push(c.encode_utf8(&mut [0; 4]))?;
            } else {
                sink.push(&format!("]]>&#{};<![CDATA[", c as u32))?;
            }
        }
        Ok(())
    }

    pub(crate) fn comment(&mut self, text: &str, sink: &mut Sink) -> Result<()> {
        self.declaration(sink)?;
        self.close(sink)?;
        self.indent(sink)?;
        self.any = true;
        sink.push("<!--")?;
        sink.plain(text)?;
        sink.push("-->")
    }

    pub(crate) fn instruction(&mut self, target: &str, data: &str, sink: &mut Sink) -> Result<()> {
        self.declaration(sink)?;
        self.close(sink)?;
        self.indent(sink)?;
        self.any = true;
        sink.push("<?")?;
        sink.plain(target)?;
        if !data.is_empty() {
            sink.push(" ")?;
            sink.plain(data)?;
        }
        sink.push("?>")
    }

    pub(crate) fn finish(&mut self, sink: &mut Sink) -> Result<()> {
        self.declaration(sink)
    }
}

/// Names cannot be escaped.
fn plain_name(name: &str, sink: &mut Sink) -> Result<()> {
    sink.plain(name).map_err(|mut error| {
        error.kind = ErrorKind::Output;
        error
    })
}

/// Text with markup escaped, and what the encoding lacks as character references.
fn escape(text: &str, sink: &mut Sink) -> Result<()> {
    if !sink.has_all() && !text.is_ascii() {
        return escape_missing(text, sink, |c| matches!(c, '&' | '<' | '>' | '\r'));
    }
    let mut rest = text;
    while let Some(at) = rest.bytes().position(|byte| matches!(byte, b'&' | b'<' | b'>' | b'\r')) {
        sink.push(&rest[..at])?;
        sink.push(reference(rest.as_bytes()[at]))?;
        rest = &rest[at + 1..];
    }
    sink.push(rest)
}

fn attribute_value(text: &str, sink: &mut Sink) -> Result<()> {
    let special = |byte: u8| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\r' | b'\n' | b'\t');
    if !sink.has_all() && !text.is_ascii() {
        return escape_missing(text, sink, |c| u8::try_from(c).is_ok_and(special));
    }
    let mut rest = text;
    while let Some(at) = rest.bytes().position(special) {
        sink.push(&rest[..at])?;
        sink.push(reference(rest.as_bytes()[at]))?;
        rest = &rest[at + 1..];
    }
    sink.push(rest)
}

fn reference(byte: u8) -> &'static str {
    match byte {
        b'&' => "&amp;",
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'"' => "&quot;",
        b'\r' => "&#xD;",
        b'\n' => "&#xA;",
        _ => "&#x9;",
    }
}

fn escape_missing(text: &str, sink: &mut Sink, special: impl Fn(char) -> bool) -> Result<()> {
    for c in text.chars() {
        if special(c) {
            sink.push(reference(c as u8))?;
        } else if sink.has(c) {
            sink.push(c.encode_utf8(&mut [0; 4]))?;
        } else {
            sink.push(&format!("&#{};", c as u32))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::Records;
    use crate::testing::{transform, transform_with};

    fn written(output: &str, body: &str) -> String {
        let (text, _) =
            transform_with(&format!(r#"<xsl:output {output}/><xsl:template match="/">{body}</xsl:template>"#), "<a/>", Records::Never)
                .expect("good");
        text
    }

    #[test]
    fn what_xsl_output_asks_for_is_written() {
        for (output, body, text) in [
            ("", "<a/>", r#"<?xml version="1.0" encoding="utf-8"?><a />"#),
            (
                r#"omit-xml-declaration="yes""#,
                "<a b='&lt;&amp;&#10;\"'>&lt;&amp;&gt;</a>",
                r#"<a b="&lt;&amp;&#xA;&quot;">&lt;&amp;&gt;</a>"#,
            ),
            (r#"standalone="yes" encoding="UTF-8""#, "<a/>", r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><a />"#),
            (r#"omit-xml-declaration="yes" indent="yes""#, "<a><b><c/></b>x</a>", "<a>\n  <b>\n    <c />\n  </b>x</a>"),
            (r#"omit-xml-declaration="yes" indent="yes""#, "<a>x<b><c/></b></a>", "<a>x<b><c /></b></a>"),
            (
                r#"omit-xml-declaration="yes" cdata-section-elements="a""#,
                "<a>1 &lt; 2 ]]&gt; <b>&lt;</b></a>",
                "<a><![CDATA[1 < 2 ]]]]><![CDATA[> ]]><b>&lt;</b></a>",
            ),
            (r#"omit-xml-declaration="yes" doctype-system="s" doctype-public="p""#, "<a/>", "<!DOCTYPE a PUBLIC \"p\" \"s\">\n<a />"),
            (r#"omit-xml-declaration="yes" encoding="us-ascii""#, "<a b='é'>€</a>", r#"<a b="&#233;">&#8364;</a>"#),
        ] {
            assert_eq!(written(output, body), text, "{output}");
        }
    }

    #[test]
    fn comments_and_instructions_are_made_safe() {
        let body = r#"<xsl:template match="/"><a><xsl:comment>a--b-</xsl:comment><xsl:processing-instruction name="p"> x?>y</xsl:processing-instruction></a></xsl:template>"#;
        assert_eq!(transform(body, "<a/>").expect("good"), "<a><!--a- -b- --><?p x? >y?></a>");
    }
}
