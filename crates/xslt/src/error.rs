//! What can go wrong and what looks wrong: where, what was found, what was expected, what to do.

use std::fmt;
use std::sync::Arc;

/// A place in a stylesheet or document. Lines and columns count from 1; columns count characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The address the text was loaded from; empty when none was given.
    pub uri: Arc<str>,
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.uri.is_empty() {
            write!(f, "{}:{}", self.line, self.column)
        } else {
            write!(f, "{}:{}:{}", self.uri, self.line, self.column)
        }
    }
}

/// What kind of fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A document or stylesheet is not well-formed XML.
    Document,
    /// The stylesheet is against XSLT 1.0.
    Stylesheet,
    /// An expression or pattern is against XPath 1.0.
    Expression,
    /// A fault that shows only while transforming.
    Run,
    /// A budget is spent: steps, depth, nodes, output, entity bytes.
    Budget,
    /// The caller's check asked to stop.
    Cancelled,
    /// `xsl:message terminate="yes"`.
    Terminated,
    /// A stylesheet or document could not be had from the resolver.
    Resource,
    /// The result could not be written.
    Output,
    /// The system gave no thread.
    System,
}

/// One fault: the operation is given up. `Display` prints the place, what is wrong, and the node at hand and the hint on
/// lines of their own.
#[derive(Clone, Debug)]
pub struct Error {
    /// What kind of fault it is.
    pub kind: ErrorKind,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where, if it has a place.
    pub place: Option<Place>,
    /// The node of the source that was being worked on, as a path: `/Orders/Order[3]`.
    pub node: Option<String>,
    /// What was found there, as written.
    pub found: Option<String>,
    /// What would have been right.
    pub expected: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), place: None, node: None, found: None, expected: None, hint: None }
    }

    pub(crate) fn run(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Run, message)
    }

    pub(crate) fn at(mut self, place: Place) -> Error {
        self.place.get_or_insert(place);
        self
    }

    pub(crate) fn found(mut self, found: impl Into<String>) -> Error {
        self.found = Some(shorten(&found.into()));
        self
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Error {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = Some(hint.into());
        self
    }
}

/// What was found is quoted to be recognised, not to fill a log.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(found) = &self.found {
            write!(f, ": found {found:?}")?;
        }
        if let Some(expected) = &self.expected {
            write!(f, ", expected {expected}")?;
        }
        if let Some(node) = &self.node {
            write!(f, "\n  at: {node}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Everything that is wrong with a stylesheet: at least one error.
#[derive(Clone, Debug)]
pub struct CompileError {
    /// The errors, in the order in which they were met.
    pub errors: Vec<Error>,
    /// What else looks wrong.
    pub warnings: Vec<Warning>,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for CompileError {}

/// Legal, but surely not meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What looks wrong.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_where_what_and_what_to_do() {
        let error = Error::new(ErrorKind::Stylesheet, "unknown attribute on xsl:if")
            .found("tset")
            .expected("test")
            .hint("correct the name")
            .at(Place { uri: "a.xsl".into(), line: 3, column: 9 });
        assert_eq!(error.to_string(), "a.xsl:3:9: unknown attribute on xsl:if: found \"tset\", expected test\n  hint: correct the name");
    }

    #[test]
    fn the_innermost_place_stays() {
        let inner = Place { uri: "a".into(), line: 1, column: 2 };
        let error = Error::run("x").at(inner.clone()).at(Place { uri: "b".into(), line: 9, column: 9 });
        assert_eq!(error.place, Some(inner));
    }

    #[test]
    fn what_was_found_is_shortened() {
        assert_eq!(Error::run("x").found("é".repeat(1000)).found.unwrap_or_default().chars().count(), 121);
    }
}
