//! Any text as an expression, a pattern and an attribute value template.
#![no_main]

use entrepot_xslt::{Limits, NoResolver, Stylesheet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|expression: &str| {
    let escaped = expression.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    for body in [
        format!(r#"<xsl:template match="/"><o><xsl:value-of select="{escaped}"/></o></xsl:template>"#),
        format!(r#"<xsl:template match="{escaped}"><o/></xsl:template>"#),
        format!(r#"<xsl:template match="/"><o a="{escaped}"/></xsl:template>"#),
    ] {
        let text = format!(
            r#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:p="urn:p">{body}</xsl:stylesheet>"#
        );
        if let Ok(sheet) = Stylesheet::compile(text.as_bytes(), "fuzz.xsl", &NoResolver) {
            let limits = Limits { steps_max: 100_000, stack_bytes: 32 << 20, ..Limits::default() };
            let _ = sheet.transform().limits(limits).run(&b"<r xmlns:p='urn:p'><a p:x='1'>one<b>2</b></a><p:b/></r>"[..], &mut Vec::new());
        }
    }
});
