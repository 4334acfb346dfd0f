//! Entities: the thing whose rows are imported and exported, and the types of its fields.

use regex_lite::Regex;

use super::check::Check;

/// The name of the managed database.
pub const MANAGED: &str = "entities";

/// An entity as the configuration resolves it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entity {
    /// The label clients use: `?entity=Customer%20groups`.
    pub name: String,
    /// Other names a client may use.
    pub aliases: Vec<String>,
    /// The `[[database]]` it lives in; `entities` is the managed one.
    pub database: String,
    /// The table, a plain SQLite table whose columns are the fields.
    pub table: String,
    /// Positions in `fields` that identify a row. Never empty, unless it is unread.
    pub key: Vec<usize>,
    /// The fields, in the order of the table's columns.
    pub fields: Vec<Field>,
    /// What must hold between the fields of a row.
    pub checks: Vec<Check>,
    /// Why its table could not be read, which it leaves its fields to: nothing of it is known, and what needs it waits.
    pub unread: Option<String>,
}

impl Entity {
    /// Whether its table is ours: what it holds is in the spelling of [`FieldKind`].
    pub fn is_managed(&self) -> bool {
        self.database == MANAGED
    }

    /// The database of somebody else that its table is in, as what only one worker may have at a time: another program may hold it, and one that waits
    /// for it is enough.
    pub fn database_of_others(&self) -> Option<String> {
        (!self.is_managed()).then(|| format!("[[database]] {}", self.database))
    }

    /// The position of a field, by its name without regard to case.
    pub fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// Whether a client that says `label` means this entity (case does not matter).
    pub fn is_called(&self, label: &str) -> bool {
        let label = label.trim().to_lowercase();
        self.name.to_lowercase() == label || self.aliases.iter().any(|alias| alias.to_lowercase() == label)
    }
}

/// One field of an entity.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Field {
    /// Its name, which is the column's name too.
    pub name: String,
    /// What it holds.
    pub kind: FieldKind,
    /// A blank value is a finding.
    pub required: bool,
    /// The value must be a key of this entity. The target has a one-field key.
    pub references: Option<String>,
    /// Smallest value allowed; integer and decimal fields only.
    pub minimum: Option<Decimal>,
    /// Largest value allowed; integer and decimal fields only.
    pub maximum: Option<Decimal>,
    /// Texts match this as a whole.
    pub pattern: Option<Pattern>,
    /// No two rows of a document have the same value.
    pub unique: bool,
}

/// A regular expression that a text matches as a whole.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub text: String,
    /// Ready to be used.
    pub regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// Compiles. The error says what is wrong.
    pub fn new(text: &str) -> Result<Pattern, String> {
        let regex = Regex::new(&format!("^(?:{text})$")).map_err(|error| error.to_string())?;
        Ok(Pattern { text: text.to_owned(), regex })
    }
}

/// The types of DESIGN §3, and how each is kept in SQLite.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldKind {
    /// Text, kept as TEXT; `length` counts characters.
    String {
        /// At most this many characters.
        length: Option<u32>,
    },
    /// A 64-bit integer, kept as INTEGER.
    Integer,
    /// An exact decimal: at most `precision` digits, `scale` of them after the point. Kept as TEXT with exactly `scale` digits after the
    /// point (`"12.50"`), because a REAL would lose digits and a NUMERIC column would make a REAL of it.
    Decimal {
        /// Digits in all, at most 38.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// A day, kept as TEXT `YYYY-MM-DD`.
    Date,
    /// An instant, kept as TEXT in UTC: `YYYY-MM-DDTHH:MM:SSZ`, and as many digits of a fraction as it has: none, or three to nine.
    DateTime,
    /// Kept as INTEGER 0 or 1. `Yes`, `No`, `true`, `false`, `1`, `0` are read, any case.
    Boolean,
    /// One of these names (with its number); kept as TEXT, the name. Name (any case) or number is read.
    Enum {
        /// Name and number, in the order of the file.
        values: Vec<(String, i64)>,
    },
    /// A GUID, kept as TEXT, lower case with hyphens.
    Guid,
}

impl Default for FieldKind {
    fn default() -> Self {
        FieldKind::String { length: None }
    }
}

impl FieldKind {
    /// The word used for it in the configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            FieldKind::String { .. } => "string",
            FieldKind::Integer => "integer",
            FieldKind::Decimal { .. } => "decimal",
            FieldKind::Date => "date",
            FieldKind::DateTime => "datetime",
            FieldKind::Boolean => "boolean",
            FieldKind::Enum { .. } => "enum",
            FieldKind::Guid => "guid",
        }
    }
}

/// An exact decimal number: `units` × 10^-`scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// The digits as an integer.
    pub units: i128,
    /// How many of them stand after the point.
    pub scale: u8,
}
