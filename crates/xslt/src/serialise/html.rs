//! The output method html (XSLT 1.0, section 16.2): HTML 4.

use super::sink::Sink;
use super::{OutputOptions, StartTag};
use crate::error::Result;
use crate::name::{Names, QNameId};

/// Elements without content or end tag.
const VOID: [&str; 18] = [
    "area", "base", "basefont", "br", "col", "embed", "frame", "hr", "img", "input", "isindex", "keygen", "link", "meta", "param",
    "source", "track", "wbr",
];
/// Elements whose text is not escaped.
const RAW: [&str; 2] = ["script", "style"];
/// Attributes whose name is their value.
const BOOLEAN: [&str; 13] = [
    "checked", "compact", "declare", "defer", "disabled", "ismap", "multiple", "nohref", "noresize", "noshade", "nowrap", "readonly",
    "selected",
];
/// Attributes that are addresses.
const ADDRESS: [&str; 14] = [
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "datasrc",
    "dynsrc",
    "href",
    "longdesc",
    "profile",
    "src",
    "usemap",
];
/// Elements that stand within a line: no white space is added around them.
const INLINE: [&str; 42] = [
    "a", "abbr", "acronym", "applet", "b", "basefont", "bdo", "big", "br", "button", "cite", "code", "del", "dfn", "em", "font", "i",
    "iframe", "img", "input", "ins", "kbd", "label", "map", "object", "q", "s", "samp", "select", "small", "span", "strike", "strong",
    "sub", "sup", "textarea", "tt", "u", "var", "script", "noscript", "param",
];

struct Open {
    name: QNameId,
    /// In lower case, of an element without namespace; empty for others, which are written as XML.
    html: String,
    /// The start tag is not closed; only elements with a namespace wait.
    waits: bool,
    raw: bool,
    /// White space counts here.
    kept: bool,
    has_text: bool,
    last_was_block: bool,
}

pub(crate) struct HtmlWriter {
    options: OutputOptions,
    open: Vec<Open>,
    started: bool,
}

/// The name of an anchor is the part of an address after `#` (HTML 4.01, appendix B.2.1).
fn is_address(element: &str, attribute: &str) -> bool {
    listed(&ADDRESS, attribute) || element == "a" && attribute == "name"
}

fn listed(list: &[&str], name: &str) -> bool {
    list.contains(&name)
}

impl HtmlWriter {
    pub(crate) fn new(options: &OutputOptions) -> HtmlWriter {
        HtmlWriter { options: options.clone(), open: Vec::new(), started: false }
    }

    fn close(&mut self, sink: &mut Sink) -> Result<()> {
        if let Some(open) = self.open.last_mut()
            && open.waits
        {
            open.waits = false;
            sink.push(">")?;
        }
        Ok(())
    }

    fn doctype(&mut self, name: &str, sink: &mut Sink) -> Result<()> {
        if self.started {
            return Ok(());
        }
        self.started = true;
        let (public, system) = (self.options.doctype_public.clone(), self.options.doctype_system.clone());
        if public.is_none() && system.is_none() {
            return Ok(());
        }
        sink.plain(&format!("<!DOCTYPE {name}"))?;
        if let Some(public) = &public {
            sink.plain(&format!(" PUBLIC \"{public}\""))?;
        }
        if let Some(system) = &system {
            sink.plain(&if public.is_some() { format!(" \"{system}\"") } else { format!(" SYSTEM \"{system}\"") })?;
        }
        sink.push(">\n")
    }

    fn indent(&mut self, inline: bool, sink: &mut Sink) -> Result<()> {
        if self.options.indent == Some(false) || inline {
            return Ok(());
        }
        let Some(parent) = self.open.last() else { return Ok(()) };
        if parent.has_text || parent.kept || parent.html.is_empty() || listed(&INLINE, &parent.html) {
            return Ok(());
        }
        sink.push("\n")?;
        for _ in 0..self.open.len() {
            sink.push("  ")?;
        }
        Ok(())
    }

    pub(crate) fn start(&mut self, names: &Names, tag: &StartTag, sink: &mut Sink) -> Result<()> {
        let is_html = names.uri_text(tag.name).is_empty();
        let html = if is_html { names.local_text(tag.name).to_ascii_lowercase() } else { String::new() };
        let name = names.lexical(tag.name);
        self.doctype(&name, sink)?;
        self.close(sink)?;
        let inline = !is_html || listed(&INLINE, &html);
        self.indent(inline, sink)?;
        if let Some(parent) = self.open.last_mut() {
            parent.last_was_block = !inline;
            parent.has_text |= inline;
        }
        sink.push("<")?;
        sink.plain(&name)?;
        for &(prefix, uri) in tag.declarations {
            let prefix = names.text(prefix);
            sink.plain(&if prefix.is_empty() { " xmlns=\"".to_owned() } else { format!(" xmlns:{prefix}=\"") })?;
            attribute_value(names.text(uri), sink)?;
            sink.push("\"")?;
        }
        for &(attribute, start, end) in tag.attributes {
            self.attribute(names, attribute, &tag.values[start..end], &html, sink)?;
        }
        if is_html {
            sink.push(">")?;
        }
        let kept = self.open.last().is_some_and(|open| open.kept) || matches!(html.as_str(), "pre" | "textarea" | "script" | "style");
        let raw = listed(&RAW, &html);
        let is_head = html == "head";
        self.open.push(Open { name: tag.name, html, waits: !is_html, raw, kept, has_text: false, last_was_block: false });
        if is_head {
            self.meta(sink)?;
        }
        Ok(())
    }

    /// The encoding is said inside `head` (section 16.2).
    fn meta(&mut self, sink: &mut Sink) -> Result<()> {
        let encoding = sink.encoding().to_owned();
        let media = self.options.media_type.clone().unwrap_or_else(|| "text/html".to_owned());
        self.indent(false, sink)?;
        if let Some(open) = self.open.last_mut() {
            open.last_was_block = true;
        }
        sink.push(&format!("<META http-equiv=\"Content-Type\" content=\"{media}; charset={encoding}\">"))
    }

    fn attribute(&mut self, names: &Names, name: QNameId, value: &str, html: &str, sink: &mut Sink) -> Result<()> {
        let is_html = !html.is_empty();
        sink.push(" ")?;
        let written = names.lexical(name);
        sink.plain(&written)?;
        let lower = written.to_ascii_lowercase();
        if is_html && listed(&BOOLEAN, &lower) && value.eq_ignore_ascii_case(&lower) {
            return Ok(());
        }
        sink.push("=\"")?;
        if is_html && is_address(html, &lower) && !value.is_ascii() {
            let mut escaped = String::with_capacity(value.len());
            for byte in value.bytes() {
                if byte.is_ascii() {
                    escaped.push(char::from(byte));
                } else {
                    escaped.push_str(&format!("%{byte:02X}"));
                }
            }
            attribute_value(&escaped, sink)?;
        } else {
            attribute_value(value, sink)?;
        }
        sink.push("\"")
    }

    pub(crate) fn end(&mut self, names: &Names, sink: &mut Sink) -> Result<()> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        if open.html.is_empty() {
            if open.waits {
                return sink.push(" />");
            }
        } else if listed(&VOID, &open.html) {
            return Ok(());
        } else if open.last_was_block && !open.has_text && !open.kept && self.options.indent != Some(false) {
            sink.push("\n")?;
            for _ in 0..self.open.len() {
                sink.push("  ")?;
            }
        }
        sink.push("</")?;
        sink.plain(&names.lexical(open.name))?;
        sink.push(">")
    }

    pub(crate) fn text(&mut self, text: &str, raw: bool, sink: &mut Sink) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.close(sink)?;
        if let Some(open) = self.open.last_mut() {
            open.has_text = true;
            if open.raw {
                return sink.plain(text);
            }
        }
        if raw {
            return sink.plain(text);
        }
        for_pieces(text, sink, |byte| match byte {
            b'&' => Some("&amp;"),
            b'<' => Some("&lt;"),
            b'>' => Some("&gt;"),
            _ => None,
        })
    }

    pub(crate) fn comment(&mut self, text: &str, sink: &mut Sink) -> Result<()> {
        self.close(sink)?;
        sink.push("<!--")?;
        sink.plain(text)?;
        sink.push("-->")
    }

    pub(crate) fn instruction(&mut self, target: &str, data: &str, sink: &mut Sink) -> Result<()> {
        self.close(sink)?;
        sink.plain(&if data.is_empty() { format!("<?{target}>") } else { format!("<?{target} {data}>") })
    }
}

/// `<` stays as it is, and so does `&` before `{` (section 16.2).
fn attribute_value(text: &str, sink: &mut Sink) -> Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find("&{") {
        for_pieces(&rest[..at], sink, attribute_reference)?;
        sink.push("&{")?;
        rest = &rest[at + 2..];
    }
    for_pieces(rest, sink, attribute_reference)
}

fn attribute_reference(byte: u8) -> Option<&'static str> {
    match byte {
        b'&' => Some("&amp;"),
        b'"' => Some("&quot;"),
        _ => None,
    }
}

fn for_pieces(text: &str, sink: &mut Sink, reference: impl Fn(u8) -> Option<&'static str>) -> Result<()> {
    let whole = sink.has_all() || text.is_ascii();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let escaped = if c.is_ascii() { reference(c as u8) } else { None };
        if let Some(escaped) = escaped {
            sink.push(&text[from..at])?;
            sink.push(escaped)?;
            from = at + 1;
        } else if !whole && !sink.has(c) {
            sink.push(&text[from..at])?;
            sink.push(&format!("&#{};", c as u32))?;
            from = at + c.len_utf8();
        }
    }
    sink.push(&text[from..])
}

#[cfg(test)]
mod tests {
    use crate::testing::transform;

    #[test]
    fn html_is_written_as_browsers_read_it() {
        for (body, text) in [
            ("<html><body><br/><p/></body></html>", "<html><body><br><p></p></body></html>"),
            ("<html><head/></html>", "<html><head><META http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\"></head></html>"),
            ("<script>if (a &lt; b &amp;&amp; c) d()</script>", "<script>if (a < b && c) d()</script>"),
            ("<p title='&lt;&amp;'>&lt;&amp;</p>", "<p title=\"<&amp;\">&lt;&amp;</p>"),
            ("<input checked='checked' value='checked'/>", "<input checked value=\"checked\">"),
            ("<a href='a b?é' name='é'>é</a>", "<a href=\"a b?%C3%A9\" name=\"%C3%A9\">é</a>"),
            ("<a b='&amp;{{x}}'/>", "<a b=\"&{x}\"></a>"),
            ("<p><x:y xmlns:x='urn:x'/></p>", "<p><x:y xmlns:x=\"urn:x\" /></p>"),
            ("<BR/>", "<BR>"),
        ] {
            let sheet = format!(r#"<xsl:output method="html" indent="no"/><xsl:template match="/">{body}</xsl:template>"#);
            assert_eq!(transform(&sheet, "<a/>").expect("good"), text);
        }
    }

    #[test]
    fn a_root_named_html_means_html() {
        let html = transform(r#"<xsl:template match="/"><HTML><hr/></HTML></xsl:template>"#, "<a/>").expect("good");
        assert!(html.starts_with("<HTML>") && html.contains("<hr>"), "{html}");
        let xml = transform(r#"<xsl:template match="/"><html xmlns="urn:x"><hr/></html></xsl:template>"#, "<a/>").expect("good");
        assert!(xml.contains("<hr />"), "{xml}");
    }
}
