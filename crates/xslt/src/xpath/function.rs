//! The functions: names, numbers of arguments, what they give. One table; what they do stands in `evaluate` and `extension`.

use super::expression::Type;

/// No namespace: XPath 1.0, section 4; XSLT 1.0, section 12.
pub(crate) const CORE: &str = "";
/// Extensions of Microsoft.
pub(crate) const MICROSOFT: &str = "urn:schemas-microsoft-com:xslt";
/// EXSLT, by module.
pub(crate) const COMMON: &str = "http://exslt.org/common";
pub(crate) const MATH: &str = "http://exslt.org/math";
pub(crate) const SETS: &str = "http://exslt.org/sets";
pub(crate) const STRINGS: &str = "http://exslt.org/strings";
pub(crate) const DATES: &str = "http://exslt.org/dates-and-times";
pub(crate) const DYNAMIC: &str = "http://exslt.org/dynamic";

/// What a call must look like and what it gives.
pub(crate) struct Signature {
    pub(crate) function: Function,
    pub(crate) namespace: &'static str,
    pub(crate) name: &'static str,
    pub(crate) least: usize,
    /// `ANY` for no bound.
    pub(crate) most: usize,
    pub(crate) result: Type,
    /// Which arguments must be node-sets, by number from 0.
    pub(crate) nodes: &'static [usize],
}

/// As many arguments as one likes.
pub(crate) const ANY: usize = usize::MAX;

macro_rules! functions {
    ($($variant:ident $namespace:ident $name:literal $least:literal $most:tt $result:ident [$($nodes:literal)*];)*) => {
        /// A function of XPath, XSLT or an extension.
        #[expect(clippy::enum_variant_names, reason = "the names are those of the functions")]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Function {
            $($variant,)*
        }

        /// In the order of the enumeration.
        static TABLE: &[Signature] = &[
            $(Signature {
                function: Function::$variant, namespace: $namespace, name: $name, least: $least, most: $most,
                result: Type::$result, nodes: &[$($nodes),*],
            },)*
        ];
    };
}

functions! {
    Last CORE "last" 0 0 Number [];
    Position CORE "position" 0 0 Number [];
    Count CORE "count" 1 1 Number [0];
    Id CORE "id" 1 1 Nodes [];
    LocalName CORE "local-name" 0 1 Text [0];
    NamespaceUri CORE "namespace-uri" 0 1 Text [0];
    Name CORE "name" 0 1 Text [0];
    String CORE "string" 0 1 Text [];
    Concat CORE "concat" 2 ANY Text [];
    StartsWith CORE "starts-with" 2 2 Boolean [];
    Contains CORE "contains" 2 2 Boolean [];
    SubstringBefore CORE "substring-before" 2 2 Text [];
    SubstringAfter CORE "substring-after" 2 2 Text [];
    Substring CORE "substring" 2 3 Text [];
    StringLength CORE "string-length" 0 1 Number [];
    NormalizeSpace CORE "normalize-space" 0 1 Text [];
    Translate CORE "translate" 3 3 Text [];
    Boolean CORE "boolean" 1 1 Boolean [];
    Not CORE "not" 1 1 Boolean [];
    True CORE "true" 0 0 Boolean [];
    False CORE "false" 0 0 Boolean [];
    Lang CORE "lang" 1 1 Boolean [];
    Number CORE "number" 0 1 Number [];
    Sum CORE "sum" 1 1 Number [0];
    Floor CORE "floor" 1 1 Number [];
    Ceiling CORE "ceiling" 1 1 Number [];
    Round CORE "round" 1 1 Number [];
    Document CORE "document" 1 2 Nodes [1];
    Key CORE "key" 2 2 Nodes [];
    FormatNumber CORE "format-number" 2 3 Text [];
    Current CORE "current" 0 0 Nodes [];
    UnparsedEntityUri CORE "unparsed-entity-uri" 1 1 Text [];
    GenerateId CORE "generate-id" 0 1 Text [0];
    SystemProperty CORE "system-property" 1 1 Any [];
    ElementAvailable CORE "element-available" 1 1 Boolean [];
    FunctionAvailable CORE "function-available" 1 1 Boolean [];
    MicrosoftNodeSet MICROSOFT "node-set" 1 1 Nodes [];
    FormatDate MICROSOFT "format-date" 1 3 Text [];
    FormatTime MICROSOFT "format-time" 1 3 Text [];
    StringCompare MICROSOFT "string-compare" 2 4 Number [];
    Utc MICROSOFT "utc" 1 1 Text [];
    MicrosoftNumber MICROSOFT "number" 1 1 Number [];
    MicrosoftNamespaceUri MICROSOFT "namespace-uri" 1 1 Text [];
    MicrosoftLocalName MICROSOFT "local-name" 1 1 Text [];
    SchemaInfoAvailable MICROSOFT "schema-info-available" 0 1 Boolean [];
    TypeIs MICROSOFT "type-is" 2 2 Boolean [];
    TypeLocalName MICROSOFT "type-local-name" 0 1 Text [];
    TypeNamespaceUri MICROSOFT "type-namespace-uri" 0 1 Text [];
    NodeSet COMMON "node-set" 1 1 Nodes [];
    ObjectType COMMON "object-type" 1 1 Text [];
    Minimum MATH "min" 1 1 Number [0];
    Maximum MATH "max" 1 1 Number [0];
    Highest MATH "highest" 1 1 Nodes [0];
    Lowest MATH "lowest" 1 1 Nodes [0];
    Absolute MATH "abs" 1 1 Number [];
    SquareRoot MATH "sqrt" 1 1 Number [];
    Power MATH "power" 2 2 Number [];
    Logarithm MATH "log" 1 1 Number [];
    Exponential MATH "exp" 1 1 Number [];
    Sine MATH "sin" 1 1 Number [];
    Cosine MATH "cos" 1 1 Number [];
    Tangent MATH "tan" 1 1 Number [];
    ArcSine MATH "asin" 1 1 Number [];
    ArcCosine MATH "acos" 1 1 Number [];
    ArcTangent MATH "atan" 1 1 Number [];
    ArcTangent2 MATH "atan2" 2 2 Number [];
    Constant MATH "constant" 2 2 Number [];
    Difference SETS "difference" 2 2 Nodes [0 1];
    Intersection SETS "intersection" 2 2 Nodes [0 1];
    Distinct SETS "distinct" 1 1 Nodes [0];
    HasSameNode SETS "has-same-node" 2 2 Boolean [0 1];
    Leading SETS "leading" 2 2 Nodes [0 1];
    Trailing SETS "trailing" 2 2 Nodes [0 1];
    Tokenize STRINGS "tokenize" 1 2 Nodes [];
    Split STRINGS "split" 1 2 Nodes [];
    Replace STRINGS "replace" 3 3 Nodes [];
    Padding STRINGS "padding" 1 2 Text [];
    Align STRINGS "align" 2 3 Text [];
    ConcatNodes STRINGS "concat" 1 1 Text [0];
    EncodeUri STRINGS "encode-uri" 2 3 Text [];
    DecodeUri STRINGS "decode-uri" 1 2 Text [];
    DateTime DATES "date-time" 0 0 Text [];
    Date DATES "date" 0 1 Text [];
    Time DATES "time" 0 1 Text [];
    Year DATES "year" 0 1 Number [];
    LeapYear DATES "leap-year" 0 1 Any [];
    MonthInYear DATES "month-in-year" 0 1 Number [];
    MonthName DATES "month-name" 0 1 Text [];
    MonthAbbreviation DATES "month-abbreviation" 0 1 Text [];
    WeekInYear DATES "week-in-year" 0 1 Number [];
    WeekInMonth DATES "week-in-month" 0 1 Number [];
    DayInYear DATES "day-in-year" 0 1 Number [];
    DayInMonth DATES "day-in-month" 0 1 Number [];
    DayOfWeekInMonth DATES "day-of-week-in-month" 0 1 Number [];
    DayInWeek DATES "day-in-week" 0 1 Number [];
    DayName DATES "day-name" 0 1 Text [];
    DayAbbreviation DATES "day-abbreviation" 0 1 Text [];
    HourInDay DATES "hour-in-day" 0 1 Number [];
    MinuteInHour DATES "minute-in-hour" 0 1 Number [];
    SecondInMinute DATES "second-in-minute" 0 1 Number [];
    Seconds DATES "seconds" 0 1 Number [];
    Duration DATES "duration" 0 1 Text [];
    AddDate DATES "add" 2 2 Text [];
    AddDuration DATES "add-duration" 2 2 Text [];
    DifferenceOfDates DATES "difference" 2 2 Text [];
    SumOfDurations DATES "sum" 1 1 Text [0];
    FormatDatePattern DATES "format-date" 2 2 Text [];
    Evaluate DYNAMIC "evaluate" 1 1 Any [];
}

impl Function {
    pub(crate) fn signature(self) -> &'static Signature {
        &TABLE[self as usize]
    }

    /// The function of this name.
    pub(crate) fn find(namespace: &str, name: &str) -> Option<&'static Signature> {
        TABLE.iter().find(|signature| signature.name == name && signature.namespace == namespace)
    }

    /// Whether names with prefixes are resolved when it is called.
    pub(crate) fn needs_namespaces(self) -> bool {
        matches!(
            self,
            Function::Key
                | Function::FormatNumber
                | Function::SystemProperty
                | Function::ElementAvailable
                | Function::FunctionAvailable
                | Function::Evaluate
        )
    }
}

/// Names that XPath 2 has and XPath 1 has not: for the hint.
pub(crate) fn is_later(name: &str) -> bool {
    const LATER: [&str; 62] = [
        "abs",
        "adjust-date-to-timezone",
        "avg",
        "codepoints-to-string",
        "collection",
        "compare",
        "current-date",
        "current-dateTime",
        "current-group",
        "current-grouping-key",
        "current-time",
        "data",
        "dateTime",
        "day-from-date",
        "days-from-duration",
        "deep-equal",
        "distinct-values",
        "doc",
        "doc-available",
        "document-uri",
        "empty",
        "ends-with",
        "error",
        "escape-html-uri",
        "exactly-one",
        "exists",
        "format-date",
        "format-dateTime",
        "format-integer",
        "format-time",
        "head",
        "hours-from-dateTime",
        "in-scope-prefixes",
        "index-of",
        "insert-before",
        "iri-to-uri",
        "lower-case",
        "matches",
        "max",
        "min",
        "month-from-date",
        "node-name",
        "one-or-more",
        "parse-xml",
        "regex-group",
        "remove",
        "replace",
        "resolve-QName",
        "resolve-uri",
        "reverse",
        "root",
        "round-half-to-even",
        "serialize",
        "string-join",
        "string-to-codepoints",
        "subsequence",
        "tail",
        "tokenize",
        "unparsed-text",
        "upper-case",
        "year-from-date",
        "zero-or-one",
    ];
    LATER.contains(&name)
}

/// The functions without a namespace whose names are nearest to a mistyped one.
pub(crate) fn nearest(name: &str) -> Option<&'static str> {
    TABLE
        .iter()
        .filter(|signature| signature.namespace.is_empty())
        .map(|signature| (crate::compile::distance(name, signature.name), signature.name))
        .filter(|&(distance, _)| distance <= 2)
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_enumeration() {
        for signature in TABLE {
            assert_eq!(signature.function.signature().name, signature.name);
            assert_eq!(signature.function.signature().namespace, signature.namespace);
            assert!(signature.least <= signature.most);
        }
        assert_eq!(Function::find("", "count").map(|signature| signature.function), Some(Function::Count));
        assert!(Function::find("", "node-set").is_none());
    }

    #[test]
    fn a_mistyped_name_finds_its_neighbour() {
        assert_eq!(nearest("nt"), Some("not"));
        assert_eq!(nearest("normalise-space"), Some("normalize-space"));
        assert_eq!(nearest("frobnicate"), None);
        assert!(is_later("upper-case"));
    }
}
