//! Comparisons of columns with values, by the type of their field: for the filters of exports and of readers. Values are always bound.
//!
//! What tables of ours keep compares as it stands, where its order is that of its text. Decimals, moments and what tables of somebody else hold go
//! through functions, which end the statement with a word when they cannot read a value: to pass it over would leave rows out unseen.

use std::borrow::Cow;
use std::cmp::Ordering;

use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use super::entities::{as_kept, joined, quote};
use crate::document::value::{self, Stored};
use crate::model::entity::{Decimal, Entity, Field, FieldKind};
use crate::model::project::{Condition, Test};

/// Makes the functions known that comparisons need: of a column, a value and the field's name, less than, equal to or greater than 0.
pub(super) fn register(connection: &Connection) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("entrepot_compare_decimal", 3, flags, |context| {
        both(context, decimal, |one, other| value::compare(*one, *other))
    })?;
    connection.create_scalar_function("entrepot_compare_moment", 3, flags, |context| both(context, moment, Ord::cmp))?;
    connection.create_scalar_function("entrepot_compare_boolean", 3, flags, |context| both(context, boolean, Ord::cmp))?;
    connection.create_scalar_function("entrepot_compare_guid", 3, flags, |context| both(context, guid, Ord::cmp))?;
    connection.create_scalar_function("entrepot_compare_integer", 3, flags, |context| both(context, integer, Ord::cmp))?;
    connection.create_scalar_function("entrepot_is_blank", 1, flags, |context| {
        Ok(matches!(context.get_raw(0), ValueRef::Text(bytes) | ValueRef::Blob(bytes) if String::from_utf8_lossy(bytes).trim().is_empty()))
    })?;
    // What no enum of the field has; never compared.
    connection.create_scalar_function("entrepot_compare_enum", 2, flags, |context| {
        let found = context.get_raw(0).as_bytes().map(String::from_utf8_lossy).unwrap_or_default();
        let wrong = format!("found \"{}\", expected one of its values", found.chars().take(100).collect::<String>().escape_debug());
        Err::<bool, _>(incomparable(context.get_raw(1).as_str().unwrap_or_default(), &wrong))
    })
}

fn incomparable(field: &str, wrong: &str) -> rusqlite::Error {
    rusqlite::Error::UserFunctionError(format!("{field} cannot be compared with the filter's value: {wrong}").into())
}

type Kept<T> = Result<Option<T>, String>;

fn both<'a, T>(
    context: &'a Context<'_>,
    read: impl Fn(ValueRef<'a>) -> Kept<T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> rusqlite::Result<Option<i64>> {
    let read =
        |index: usize| read(context.get_raw(index)).map_err(|wrong| incomparable(context.get_raw(2).as_str().unwrap_or_default(), &wrong));
    Ok(match (read(0)?, read(1)?) {
        (Some(one), Some(other)) => Some(compare(&one, &other) as i64),
        _ => None,
    })
}

fn decimal(cell: ValueRef<'_>) -> Kept<Decimal> {
    let text = match cell {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(integer) => return Ok(Some(Decimal { units: integer.into(), scale: 0 })),
        ValueRef::Real(real) => Cow::Owned(value::real_text(real)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
    };
    match text.trim() {
        "" => Ok(None),
        text => value::parse_decimal(text).map(Some).ok_or_else(|| format!("\"{}\" is no decimal number", text.escape_debug())),
    }
}

/// In an order that is that of time: without the `Z`, behind which a fraction would come first.
fn moment(cell: ValueRef<'_>) -> Kept<Cow<'_, str>> {
    if let ValueRef::Text(bytes) = cell
        && is_kept_moment(bytes)
        && let Ok(text) = std::str::from_utf8(&bytes[..bytes.len() - 1])
    {
        return Ok(Some(Cow::Borrowed(text)));
    }
    let kept = kept(cell, FieldKind::DateTime)?;
    Ok(kept.map(|kept| Cow::Owned(kept.text().trim_end_matches('Z').to_owned())))
}

/// Whether a text is a moment for sure, in the spelling that our tables keep: the most are.
fn is_kept_moment(text: &[u8]) -> bool {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, rest @ ..] = text else { return false };
    let (pairs, most) = ([[m1, m2], [d1, d2], [h1, h2], [n1, n2], [s1, s2]], [b"12", b"28", b"23", b"59", b"59"]);
    let digits = [y1, y2, y3, y4].into_iter().chain(pairs.as_flattened().iter().copied()).all(u8::is_ascii_digit);
    let fits = pairs.iter().zip(most).all(|([one, two], most)| [**one, **two] <= *most);
    // Three digits, and more where they say something.
    let fraction = |rest: &[u8]| match rest {
        [b'.', digits @ ..] => {
            let last = digits.last();
            let says = digits.len() == 3 && digits != b"000" || (4..=9).contains(&digits.len()) && last != Some(&b'0');
            says && digits.iter().all(u8::is_ascii_digit)
        }
        rest => rest.is_empty(),
    };
    let positive = pairs[..2].iter().all(|pair| pair != &[&b'0', &b'0']) && [y1, y2, y3, y4] != [&b'0'; 4];
    digits && fits && positive && rest.split_last().is_some_and(|(last, rest)| *last == b'Z' && fraction(rest))
}

fn integer(cell: ValueRef<'_>) -> Kept<i64> {
    if let ValueRef::Integer(value) = cell {
        return Ok(Some(value));
    }
    Ok(kept(cell, FieldKind::Integer)?.map(|kept| match kept {
        Stored::Integer(value) => value,
        Stored::Text(_) => unreachable!("integers are kept as integers"),
    }))
}

fn boolean(cell: ValueRef<'_>) -> Kept<i64> {
    Ok(kept(cell, FieldKind::Boolean)?.map(|kept| match kept {
        Stored::Integer(value) => value,
        Stored::Text(_) => unreachable!("booleans are kept as integers"),
    }))
}

fn guid(cell: ValueRef<'_>) -> Kept<String> {
    Ok(kept(cell, FieldKind::Guid)?.map(|kept| kept.text()))
}

fn kept(cell: ValueRef<'_>, kind: FieldKind) -> Kept<Stored> {
    as_kept(cell, &Field { kind, ..Field::default() }).map_err(|wrong| wrong.message)
}

/// A condition of a filter on a column, which may be any expression.
pub(super) fn condition(entity: &Entity, column: &str, condition: &Condition, values: &mut Vec<String>) -> String {
    let mut compare = |operator: &str, value: &str| comparison(entity, condition.field, column, operator, value, values);
    match &condition.test {
        Test::Equals(value) => compare("=", value),
        Test::NotEquals(value) => format!("({} OR {column} IS NULL)", compare("<>", value)),
        Test::AtLeast(value) => compare(">=", value),
        // An empty text in a table of somebody else comes before all others, and is blank.
        Test::AtMost(value) if matches!(entity.fields[condition.field].kind, FieldKind::String { .. }) && !entity.is_managed() => {
            format!("({} AND {column} <> '')", compare("<=", value))
        }
        Test::AtMost(value) => compare("<=", value),
        Test::OneOf(given) if given.is_empty() => "0".into(),
        Test::OneOf(given) => format!("({})", joined(&given.iter().map(|value| compare("=", value)).collect::<Vec<_>>(), " OR ")),
        Test::StartsWith(value) => {
            values.push(value.clone());
            format!("substr({column}, 1, length(?{0})) = ?{0}", values.len())
        }
        Test::Blank(true) => format!("({})", blank(entity, condition.field, column)),
        Test::Blank(false) => format!("NOT ({})", blank(entity, condition.field, column)),
    }
}

/// That a column has no value: in tables of somebody else, fields that are no text have none where a text of blanks stands.
pub(super) fn blank(entity: &Entity, field: usize, column: &str) -> String {
    match entity.fields[field].kind {
        FieldKind::String { .. } => format!("{column} IS NULL OR {column} = ''"),
        _ if entity.is_managed() => format!("{column} IS NULL OR {column} = ''"),
        _ => format!("{column} IS NULL OR entrepot_is_blank({column})"),
    }
}

/// The name of a field's column, quoted.
pub(super) fn column(entity: &Entity, field: usize) -> String {
    quote(&entity.fields[field].name)
}

/// A comparison of a field's column with a value in the spelling that our tables keep.
pub(super) fn comparison(entity: &Entity, field: usize, column: &str, operator: &str, value: &str, values: &mut Vec<String>) -> String {
    let field = &entity.fields[field];
    let exact = matches!(operator, "=" | "<>");
    let mut bind = |value: &str| {
        values.push(value.to_owned());
        format!("?{}", values.len())
    };
    let managed = entity.is_managed();
    let function = match (&field.kind, managed) {
        (FieldKind::Decimal { .. }, _) => "decimal",
        (FieldKind::DateTime, managed) if !managed || !exact => "moment",
        (FieldKind::Date, false) => "moment",
        (FieldKind::Boolean, false) => "boolean",
        (FieldKind::Guid, false) => "guid",
        // What equals a number is found by an index.
        (FieldKind::Integer, false) if !exact => "integer",
        (FieldKind::Integer | FieldKind::Boolean, _) => return format!("{column} {operator} CAST({} AS INTEGER)", bind(value)),
        // By number, as they are declared; tables of somebody else may keep the number itself.
        (FieldKind::Enum { values: names }, _) => {
            let number = names.iter().find(|(name, _)| name == value).map_or(0, |(_, number)| *number);
            let fits = |name: &str, other: i64| match operator {
                ">=" => other >= number,
                ">" => other > number,
                "<=" => other <= number,
                "<" => other < number,
                _ => name == value,
            };
            let mut list = |fitting: bool| {
                let such = names.iter().filter(|(name, number)| fits(name, *number) == fitting);
                such.flat_map(|(name, number)| [bind(name), format!("'{number}'")]).collect::<Vec<String>>().join(", ")
            };
            // A REAL column keeps the number 1 as 1.0.
            let whole = format!(
                "CASE WHEN typeof({column}) = 'real' AND {column} = CAST({column} AS INTEGER) THEN CAST({column} AS INTEGER) ELSE {column} END"
            );
            let (then, otherwise, blank) = if operator == "<>" { (0, 1, "1") } else { (1, 0, "NULL") };
            if managed {
                return format!("{column} {} ({})", if operator == "<>" { "NOT IN" } else { "IN" }, list(true));
            }
            let (fitting, others) = (list(true), list(false));
            return format!(
                "CASE WHEN {column} IS NULL THEN NULL WHEN trim({column}) = '' THEN {blank} WHEN trim({whole}) COLLATE NOCASE IN ({fitting}) THEN {then} \
                 WHEN trim({whole}) COLLATE NOCASE IN ({others}) THEN {otherwise} ELSE entrepot_compare_enum(CAST({column} AS TEXT), {}) END",
                bind(&field.name)
            );
        }
        // A column without a type keeps a number, or bytes, as they came.
        (FieldKind::String { .. }, false) if exact => {
            let text = bind(value);
            let number = value.parse::<i64>().ok().filter(|number| number.to_string() == value);
            let number = number.map_or_else(String::new, |number| format!(", {number}"));
            return format!("{column} {} ({text}, CAST({text} AS BLOB){number})", if operator == "<>" { "NOT IN" } else { "IN" });
        }
        (FieldKind::String { .. }, false) => {
            let text = bind(value);
            return format!(
                "CASE typeof({column}) WHEN 'text' THEN {column} {operator} {text} ELSE CAST({column} AS TEXT) {operator} {text} END"
            );
        }
        _ => return format!("{column} {operator} {}", bind(value)),
    };
    let (value, name) = (bind(value), bind(&field.name));
    let compared = format!("entrepot_compare_{function}({column}, {value}, {name}) {operator} 0");
    // What is blank is none of the values.
    if operator == "<>" { format!("coalesce({compared}, 1)") } else { compared }
}
