//! Mappings: from a document's column to an entity's field, with conversions.

/// One line of a project entity's mapping. A project entity without any gets one line for each field, by equal names.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Where the value comes from.
    pub source: Source,
    /// Position of the field in the entity's `fields`.
    pub field: usize,
    /// Cut white space around the value. (A string's trailing blanks are kept without this.)
    pub trim: bool,
    /// To upper case.
    pub upper: bool,
    /// To lower case.
    pub lower: bool,
    /// Value conversion: the first pair whose left side equals the value; a left side `*` matches any other value, which a
    /// right side `*` leaves as it is.
    pub values: Vec<(String, String)>,
    /// A blank value leaves the field of an existing row as it is, in place of clearing it.
    pub ignore_blank: bool,
    /// How dates and datetimes are written in the document, as strftime patterns, tried in order; empty means the ISO forms and D365's.
    pub date_formats: Vec<String>,
    /// The zone of datetimes that carry none; UTC when `None`.
    pub time_zone: Option<chrono_tz::Tz>,
}

impl Mapping {
    /// A plain line: this column into this field.
    pub fn plain(source: Source, field: usize) -> Self {
        Mapping {
            source,
            field,
            trim: false,
            upper: false,
            lower: false,
            values: Vec::new(),
            ignore_blank: false,
            date_formats: Vec::new(),
            time_zone: None,
        }
    }
}

/// Where a mapped value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The column with this name, without regard to case.
    Column(String),
    /// The column with this number, from 1.
    Number(usize),
    /// A fixed value for every row (the default of the field).
    Value(String),
    /// The next number of a sequence: the run of `#` in the pattern is the number, zero-padded to its length. Used for every row, or only
    /// where the value mapped so far is blank.
    NumberSequence {
        /// `CG-#####`.
        pattern: String,
        /// Only where the value mapped so far is blank.
        when_blank: bool,
    },
}
