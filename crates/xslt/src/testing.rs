//! For the tests beside the code: one call from stylesheet and document to result.

use crate::{NoResolver, Records, Report, Result, Stylesheet};

/// The result of a stylesheet's top-level elements; the declaration is left out.
pub(crate) fn transform_with(body: &str, input: &str, records: Records) -> Result<(String, Report)> {
    let text = format!(
        r#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:p="urn:p" xmlns:q="urn:q" exclude-result-prefixes="p q">{body}</xsl:stylesheet>"#
    );
    let sheet = Stylesheet::compile(text.as_bytes(), "test.xsl", &NoResolver).unwrap_or_else(|errors| panic!("{errors}"));
    let mut output = Vec::new();
    let report = sheet.transform().byte_order_mark(false).records(records).run(input.as_bytes(), &mut output)?;
    Ok((String::from_utf8(output).expect("UTF-8"), report))
}

/// The result, without its XML declaration.
pub(crate) fn transform(body: &str, input: &str) -> Result<String> {
    let (result, _) = transform_with(body, input, Records::Never)?;
    Ok(match result.strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>") {
        Some(rest) => rest.to_owned(),
        None => result,
    })
}

/// The text of an expression evaluated at the root of a document.
pub(crate) fn value(expression: &str, input: &str) -> Result<String> {
    let escaped = expression.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    transform(&format!(r#"<xsl:output method="text"/><xsl:template match="/"><xsl:value-of select="{escaped}"/></xsl:template>"#), input)
}
