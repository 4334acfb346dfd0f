//! The elements of XSLT 1.0: which attributes they have, what may be in them, where they stand (appendix B, the DTD, as a table).

/// What may be inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    Nothing,
    /// A template: instructions, literal result elements, text.
    Template,
    /// Only text: xsl:text.
    Text,
    /// Certain elements, checked where they are compiled.
    Special,
}

/// One element.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    /// May stand in a template.
    pub(crate) instruction: bool,
    /// May stand at the top level.
    pub(crate) top_level: bool,
    pub(crate) content: Content,
    pub(crate) required: &'static [&'static str],
    pub(crate) optional: &'static [&'static str],
}

const fn known(
    name: &'static str,
    instruction: bool,
    top_level: bool,
    content: Content,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> Known {
    Known { name, instruction, top_level, content, required, optional }
}

use Content::{Nothing, Special, Template, Text};

static ELEMENTS: [Known; 35] = [
    known("apply-imports", true, false, Nothing, &[], &[]),
    known("apply-templates", true, false, Special, &[], &["select", "mode"]),
    known("attribute", true, false, Template, &["name"], &["namespace"]),
    known("attribute-set", false, true, Special, &["name"], &["use-attribute-sets"]),
    known("call-template", true, false, Special, &["name"], &[]),
    known("choose", true, false, Special, &[], &[]),
    known("comment", true, false, Template, &[], &[]),
    known("copy", true, false, Template, &[], &["use-attribute-sets"]),
    known("copy-of", true, false, Nothing, &["select"], &[]),
    known(
        "decimal-format",
        false,
        true,
        Nothing,
        &[],
        &[
            "name",
            "decimal-separator",
            "grouping-separator",
            "infinity",
            "minus-sign",
            "NaN",
            "percent",
            "per-mille",
            "zero-digit",
            "digit",
            "pattern-separator",
        ],
    ),
    known("element", true, false, Template, &["name"], &["namespace", "use-attribute-sets"]),
    known("fallback", true, false, Template, &[], &[]),
    known("for-each", true, false, Special, &["select"], &[]),
    known("if", true, false, Template, &["test"], &[]),
    known("import", false, true, Nothing, &["href"], &[]),
    known("include", false, true, Nothing, &["href"], &[]),
    known("key", false, true, Nothing, &["name", "match", "use"], &[]),
    known("message", true, false, Template, &[], &["terminate"]),
    known("namespace-alias", false, true, Nothing, &["stylesheet-prefix", "result-prefix"], &[]),
    known(
        "number",
        true,
        false,
        Nothing,
        &[],
        &["level", "count", "from", "value", "format", "lang", "letter-value", "grouping-separator", "grouping-size"],
    ),
    known("otherwise", false, false, Template, &[], &[]),
    known(
        "output",
        false,
        true,
        Nothing,
        &[],
        &[
            "method",
            "version",
            "encoding",
            "omit-xml-declaration",
            "standalone",
            "doctype-public",
            "doctype-system",
            "cdata-section-elements",
            "indent",
            "media-type",
        ],
    ),
    known("param", false, true, Template, &["name"], &["select"]),
    known("preserve-space", false, true, Nothing, &["elements"], &[]),
    known("processing-instruction", true, false, Template, &["name"], &[]),
    known("sort", false, false, Nothing, &[], &["select", "lang", "data-type", "order", "case-order"]),
    known("strip-space", false, true, Nothing, &["elements"], &[]),
    known("stylesheet", false, false, Special, &["version"], &["id", "extension-element-prefixes", "exclude-result-prefixes"]),
    known("template", false, true, Special, &[], &["match", "name", "priority", "mode"]),
    known("text", true, false, Text, &[], &["disable-output-escaping"]),
    known("transform", false, false, Special, &["version"], &["id", "extension-element-prefixes", "exclude-result-prefixes"]),
    known("value-of", true, false, Nothing, &["select"], &["disable-output-escaping"]),
    known("variable", true, true, Template, &["name"], &["select"]),
    known("when", false, false, Template, &["test"], &[]),
    known("with-param", false, false, Template, &["name"], &["select"]),
];

/// The element of this local name.
pub(crate) fn find(local: &str) -> Option<&'static Known> {
    ELEMENTS.iter().find(|known| known.name == local)
}

/// The name nearest to a mistyped one.
pub(crate) fn nearest(local: &str) -> Option<&'static str> {
    ELEMENTS
        .iter()
        .map(|known| (super::distance(local, known.name), known.name))
        .filter(|&(distance, _)| distance <= 2)
        .min()
        .map(|(_, name)| name)
}

/// Whether it is an element of XSLT 2 or 3.
pub(crate) fn is_later(local: &str) -> bool {
    matches!(
        local,
        "analyze-string"
            | "matching-substring"
            | "non-matching-substring"
            | "character-map"
            | "output-character"
            | "document"
            | "for-each-group"
            | "function"
            | "import-schema"
            | "namespace"
            | "next-match"
            | "perform-sort"
            | "result-document"
            | "sequence"
            | "iterate"
            | "try"
            | "catch"
            | "map"
            | "evaluate"
            | "source-document"
            | "stream"
            | "where-populated"
            | "on-empty"
            | "accumulator"
            | "mode"
            | "package"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_name() {
        assert!(find("value-of").is_some_and(|known| known.instruction && known.required == ["select"]));
        assert!(find("document").is_none());
        assert_eq!(nearest("valueof"), Some("value-of"));
        assert!(is_later("for-each-group"));
    }
}
