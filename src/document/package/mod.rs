//! Data packages (CONTRACT §4, MANIFEST.md): zip files of `Manifest.xml`, `PackageHeader.xml` and one document for each entity.
//!
//! `write` makes the two XML documents of a package of ours; `archive` opens a package of somebody else's at bounded cost, and `manifest` reads
//! what it says.

pub mod archive;
pub mod manifest;
mod write;

pub use write::{DELETED, HEADER, MANIFEST, NAMESPACE, deleted_name, file_names, header, manifest};

use crate::model::finding::{Finding, Rule};

/// A finding about a package as a whole, or about one of its entities.
fn finding(entity: &str, line: u64, value: &str, message: impl Into<String>, hint: &str) -> Finding {
    Finding { line, value: value.chars().take(200).collect(), ..Finding::of_document(Rule::Package, entity, message, hint) }
}
