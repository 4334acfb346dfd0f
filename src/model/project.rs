//! Projects: a named set of entities with formats and mappings, and a direction.

use std::sync::Arc;

use entrepot_xslt::OutputMethod;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::entity::Entity;
use super::format::Format;
use super::mapping::Mapping;
use super::path::Path;
use super::transform::Step;

/// Which way a project moves rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Documents become rows.
    Import,
    /// Rows become documents.
    Export,
}

impl Direction {
    /// The word used in the configuration file and the store.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Import => "import",
            Direction::Export => "export",
        }
    }
}

/// Which rows an export holds, of those that its filter selects (CONTRACT §5: refresh type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Refresh {
    /// All.
    #[default]
    Full,
    /// Those that were inserted or changed since the export whose message was acked last; the first export holds all.
    Incremental {
        /// The keys of deleted rows are exported too, as a document of their own.
        deletes: bool,
    },
}

impl Refresh {
    /// As manifests and OData spell it (MANIFEST.md; DMFRefreshType).
    pub fn wire_name(self) -> &'static str {
        match self {
            Refresh::Full => "FullPush",
            Refresh::Incremental { .. } => "IncrementalPush",
        }
    }
}

/// A data project.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Its name, unique.
    pub name: String,
    /// Import or export.
    pub direction: Direction,
    /// Its entities, ordered by unit, level and sequence. Never empty.
    pub entities: Vec<ProjectEntity>,
}

impl Project {
    /// An entity that it needs, and whose table could not be read.
    pub fn unread(&self) -> Option<&Arc<Entity>> {
        let nested = self.entities.iter().flat_map(|entity| &entity.nested).map(|nested| &nested.project_entity);
        self.entities.iter().chain(nested).map(|entity| &entity.entity).find(|entity| entity.unread.is_some())
    }

    /// The databases of somebody else that it needs, each once.
    pub fn databases_of_others(&self) -> Vec<String> {
        self.entities
            .iter()
            .filter_map(|part| part.entity.database_of_others())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect()
    }

    /// The project's entity that a client calls `label`.
    pub fn entity(&self, label: &str) -> Option<&ProjectEntity> {
        self.entities.iter().find(|entity| entity.entity.is_called(label))
    }
}

/// An entity within a project.
#[derive(Clone, Debug, PartialEq)]
pub struct ProjectEntity {
    /// The entity itself.
    pub entity: Arc<Entity>,
    /// How its documents are written.
    pub format: Format,
    /// Stylesheets that its documents pass, in order. In: `format` is what the last of them gives. Out: `format` is what the first is given.
    pub transform: Vec<Step>,
    /// Import: what the last stylesheet gave is kept, for viewing.
    pub keep_transformed: bool,
    /// Import: refused rows that come back mended are taken as stylesheets gave them.
    pub accepts_mended: bool,
    /// Import: rows as they were mapped are not kept.
    pub skip_staging: bool,
    /// Whether the project states that; otherwise a package's manifest may.
    pub skip_staging_stated: bool,
    /// Whether the project states the format; otherwise a package's manifest may.
    pub format_stated: bool,
    /// Import: source columns to fields.
    pub mapping: Vec<Mapping>,
    /// Whether the project states the mapping; otherwise a package's manifest may.
    pub mapping_stated: bool,
    /// Execution unit, as in D365.
    pub unit: u32,
    /// Level within the unit.
    pub level: u32,
    /// Sequence within the level.
    pub sequence: u32,
    /// Export: rows for which every condition holds.
    pub filter: Vec<Condition>,
    /// Export: positions in the entity's `fields`, in the order of the document's columns.
    pub fields: Vec<usize>,
    /// Export: whether unchanged rows are left out.
    pub refresh: Refresh,
    /// Import: which rows are written.
    pub write: WriteMode,
    /// Import: all rows of the entity are removed first, in the same transaction.
    pub truncate: bool,
    /// Import: which of several rows of a document with the same key is taken.
    pub duplicates: Duplicates,
    /// Import: records nested in this one's, which become rows of other entities; all of them are loaded with it, or none.
    pub nested: Vec<NestedEntity>,
}

/// Records nested in those of a project's entity.
#[derive(Clone, Debug, PartialEq)]
pub struct NestedEntity {
    /// Where they stand, from the record on.
    pub record: Path,
    /// What they become. Its format is that of the outer one.
    pub project_entity: ProjectEntity,
}

impl ProjectEntity {
    /// An entity in this format, with everything else as it is by default.
    pub fn new(entity: Arc<Entity>, format: Format) -> ProjectEntity {
        ProjectEntity {
            fields: (0..entity.fields.len()).collect(),
            entity,
            format,
            transform: Vec::new(),
            keep_transformed: false,
            accepts_mended: true,
            skip_staging: true,
            skip_staging_stated: true,
            format_stated: true,
            mapping: Vec::new(),
            mapping_stated: true,
            unit: 1,
            level: 1,
            sequence: 1,
            filter: Vec::new(),
            refresh: Refresh::Full,
            write: WriteMode::Upsert,
            truncate: false,
            duplicates: Duplicates::Last,
            nested: Vec::new(),
        }
    }
}

impl ProjectEntity {
    /// Whether documents may lack what is mapped to a field: nobody has written that it is there. Rows keep what they have in it. A header without a required
    /// field is one that is spelled otherwise, unless only rows are changed that have it already; records that nest say one by one what they lack.
    pub fn may_lack(&self, field: usize) -> bool {
        let required = self.entity.fields[field].required && self.write != WriteMode::Update && !self.format.nests();
        !self.mapping_stated && !required && !self.entity.key.contains(&field)
    }

    /// Whether what a record says nothing of is kept; a column that the header lacks, which no record has, apart.
    pub fn keeps(&self, mapping: &Mapping) -> bool {
        mapping.ignore_blank || (self.format.nests() && self.may_lack(mapping.field))
    }

    /// The extension of an exported document's file: stylesheets may write something else than XML.
    pub fn exported_extension(&self) -> &'static str {
        match self.transform.last().and_then(|step| step.stylesheet.output_method()) {
            Some(OutputMethod::Text) => "txt",
            Some(OutputMethod::Html) => "html",
            _ => self.format.file_extension(),
        }
    }

    /// Which fields and rows an export selects, digested: where it is the same as before, what changed is all that a consumer lacks.
    pub fn selection(&self) -> String {
        let name = |index: &usize| self.entity.fields[*index].name.as_str();
        let mut lines: Vec<String> = self.fields.iter().map(|field| format!("field {}", name(field))).collect();
        lines.extend(self.filter.iter().map(|condition| format!("where {} {:?}", name(&condition.field), condition.test)));
        lines.sort();
        Sha256::digest(lines.join("\n")).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The names of its entity and of those of nested records.
    pub fn labels(&self) -> Vec<String> {
        let nested = self.nested.iter().map(|nested| &nested.project_entity);
        std::iter::once(self).chain(nested).map(|one| one.entity.name.clone()).collect()
    }

    /// Names of the entities whose tables an import needs besides its own: references, look-ups, nested records.
    pub fn needs(&self) -> impl Iterator<Item = &str> {
        let nested = self.nested.iter().map(|nested| &nested.project_entity);
        let names = nested.clone().map(|nested| nested.entity.name.as_str());
        names.chain(std::iter::once(self).chain(nested).flat_map(|one| {
            let references = one.entity.fields.iter().filter_map(|field| field.references.as_deref());
            references.chain(one.mapping.iter().filter_map(|mapping| mapping.look_up.as_ref()).map(|look_up| look_up.entity.as_str()))
        }))
    }
}

/// Which of several rows of a document with the same key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duplicates {
    /// The last; nobody has said so, and it is noted where it is seen.
    Last,
    /// The last, as the configuration says.
    LastAsMeant,
    /// The first; the others are refused.
    Refuse,
}

/// Which rows an import writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// New ones are inserted, changed ones updated.
    Upsert,
    /// A row whose key exists is refused.
    Insert,
    /// A row whose key does not exist is refused.
    Update,
}

/// One condition of an export's filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Position in the entity's `fields`.
    pub field: usize,
    /// The comparison.
    pub test: Test,
}

/// A comparison with values already checked against the field's type and in the spelling the table keeps.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal to the value.
    Equals(String),
    /// Not equal to the value, or without one.
    NotEquals(String),
    /// One of the values.
    OneOf(Vec<String>),
    /// Greater than or equal.
    AtLeast(String),
    /// Less than or equal.
    AtMost(String),
    /// Text that begins with the value.
    StartsWith(String),
    /// Without a value (true) or with one (false).
    Blank(bool),
}
