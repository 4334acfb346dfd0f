//! Mappings: from a document's column to an entity's field, with conversions.

use super::format::Numbers;

/// One line of a project entity's mapping. A project entity without any gets one line for each field, by equal names.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Where the value comes from.
    pub source: Source,
    /// Position of the field in the entity's `fields`.
    pub field: usize,
    /// For which records the line is.
    pub when: When,
    /// What is done with the value, in this order.
    pub conversions: Vec<Conversion>,
    /// The value is a key of another entity; what is loaded is a field of the row that it finds.
    pub look_up: Option<LookUp>,
    /// A blank value leaves the field of an existing row as it is, in place of clearing it.
    pub ignore_blank: bool,
    /// How dates and datetimes are written in the document, as strftime patterns, tried in order; empty means the ISO forms and D365's.
    /// `excel` is the number of days that Excel keeps.
    pub date_formats: Vec<String>,
    /// The zone of datetimes that carry none; UTC when `None`.
    pub time_zone: Option<chrono_tz::Tz>,
    /// How numbers are written, when not as the format says.
    pub numbers: Option<Numbers>,
    /// A text such as `1.01E+12` is a text, and not a number that a spreadsheet has shortened.
    pub keep_exponent: bool,
}

impl Mapping {
    /// A plain line: this column into this field.
    pub fn plain(source: Source, field: usize) -> Self {
        Mapping {
            source,
            field,
            when: When::Always,
            conversions: Vec::new(),
            look_up: None,
            ignore_blank: false,
            date_formats: Vec::new(),
            time_zone: None,
            numbers: None,
            keep_exponent: false,
        }
    }
}

/// Where a mapped value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The column with this name, give or take case, spaces and underscores; or a path, in a document that nests.
    Column(String),
    /// The column with this number, from 1.
    Number(usize),
    /// A fixed value for every row (the default of the field).
    Value(String),
    /// The values of several columns, one behind the other.
    Concatenate {
        /// The columns: by name or by number.
        parts: Vec<Source>,
        /// What stands between two.
        with: String,
    },
    /// The legal entity that the message is for.
    Company,
    /// A field of the row that a nested record belongs to, by its position in that entity's `fields`.
    Parent(usize),
    /// The next number of a sequence: the run of `#` in the pattern is the number, zero-padded to its length.
    NumberSequence {
        /// `CG-#####`.
        pattern: String,
    },
}

impl Source {
    /// The columns that it reads.
    pub fn columns(&self) -> &[Source] {
        match self {
            Source::Column(_) | Source::Number(_) => std::slice::from_ref(self),
            Source::Concatenate { parts, .. } => parts,
            Source::Value(_) | Source::Company | Source::Parent(_) | Source::NumberSequence { .. } => &[],
        }
    }

    /// Its name in findings; empty when it is no column.
    pub fn name(&self) -> String {
        let names = self.columns().iter().map(|column| match column {
            Source::Column(name) => name.clone(),
            Source::Number(number) => number.to_string(),
            _ => String::new(),
        });
        names.collect::<Vec<_>>().join(" + ")
    }
}

/// For which records a line of a mapping is.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// All.
    Always,
    /// Those for which the lines before gave the field no value.
    Blank,
    /// Those for which this holds of a column.
    Holds(Source, Test),
}

/// A condition on a column's value, without white space around it.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// One of these.
    Equals(Vec<String>),
    /// None of these.
    Not(Vec<String>),
    /// Blank, or not.
    Blank(bool),
}

/// What is done with a value between the document and the field's type.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// No white space around it.
    Trim,
    /// One part of it.
    Split {
        /// Between parts.
        at: String,
        /// Which, from 1; from the end when negative.
        part: i32,
    },
    /// In upper case.
    Upper,
    /// In lower case.
    Lower,
    /// The right side of the first pair whose left side is the value; a left side `*` matches any other value.
    Values(Vec<(String, String)>),
    /// Filled up to a length.
    Pad {
        /// Characters.
        length: usize,
        /// What fills up.
        with: char,
        /// On the right.
        right: bool,
    },
}

/// A value of another entity's row.
#[derive(Clone, Debug, PartialEq)]
pub struct LookUp {
    /// The entity's name.
    pub entity: String,
    /// The field that is compared with the value.
    pub find: String,
    /// The field whose value is taken.
    pub take: String,
}
