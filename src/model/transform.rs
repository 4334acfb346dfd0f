//! Stylesheets of a project's entity: what a document passes on its way in or out (XSLT.md).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use entrepot_xslt::{Error, Limits, Parameter, Resolver, Stylesheet};

/// Parameters that every stylesheet is given, if it declares them; the configuration's own have other names.
pub const GIVEN: [&str; 5] = ["company", "entity", "message_id", "activity_id", "date"];

/// One stylesheet, compiled.
#[derive(Clone)]
pub struct Step {
    /// What findings and the log call it.
    pub name: String,
    /// Immutable and shared by all who transform.
    pub stylesheet: Stylesheet,
    /// The configuration's parameters.
    pub parameters: Vec<(String, Parameter)>,
    /// Where `document()` looks.
    pub documents: Arc<dyn Resolver + Send + Sync>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("name", &self.name).field("parameters", &self.parameters).finish_non_exhaustive()
    }
}

impl PartialEq for Step {
    /// The same compiled stylesheet with the same parameters.
    fn eq(&self, other: &Step) -> bool {
        self.name == other.name && self.parameters == other.parameters && Arc::ptr_eq(&self.documents, &other.documents)
    }
}

/// `[xslt]`: what one transformation may cost.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Steps, depth, nodes, text and output.
    pub limits: Limits,
    /// How long it may take.
    pub time_max: Duration,
}

impl Default for Budget {
    /// About a GiB of memory at the most, ten minutes, 4 GiB written.
    fn default() -> Budget {
        let limits = Limits {
            nodes_max: 20_000_000,
            text_bytes_max: 512 << 20,
            fragment_bytes_max: 512 << 20,
            output_bytes_max: 4 << 30,
            ..Limits::default()
        };
        Budget { limits, time_max: Duration::from_secs(600) }
    }
}

/// A fault on one line, with what was found, what was expected, and the node that was worked on; its hint stands apart.
pub fn told(error: &Error) -> String {
    let mut text = error.place.as_ref().map_or_else(String::new, |place| format!("{place}: "));
    text.push_str(&error.message);
    if let Some(found) = &error.found {
        text.push_str(&format!(": found {found:?}"));
    }
    if let Some(expected) = &error.expected {
        text.push_str(&format!(", expected {expected}"));
    }
    if let Some(node) = &error.node {
        text.push_str(&format!(", at {node}"));
    }
    text
}
