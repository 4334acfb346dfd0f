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
    connection.create_scalar_function("entrepot_compare_guid", 3, flags, |context| both(context, guid, Ord::cmp))
}

type Kept<T> = Result<Option<T>, String>;

fn both<'a, T>(
    context: &'a Context<'_>,
    read: impl Fn(ValueRef<'a>) -> Kept<T>,
    compare: impl Fn(&T, &T) -> Ordering,
) -> rusqlite::Result<Option<i64>> {
    let read = |index: usize| {
        read(context.get_raw(index)).map_err(|wrong| {
            let field = context.get_raw(2).as_str().unwrap_or_default();
            rusqlite::Error::UserFunctionError(format!("{field} cannot be compared with the filter's value: {wrong}").into())
        })
    };
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
        && let (20 | 24, Some(b'Z'), Some(b'T')) = (bytes.len(), bytes.last(), bytes.get(10))
        && let Ok(text) = std::str::from_utf8(&bytes[..bytes.len() - 1])
    {
        return Ok(Some(Cow::Borrowed(text)));
    }
    let kept = kept(cell, FieldKind::DateTime)?;
    Ok(kept.map(|kept| Cow::Owned(kept.text().trim_end_matches('Z').to_owned())))
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
        Test::AtMost(value) => compare("<=", value),
        Test::OneOf(given) if given.is_empty() => "0".into(),
        Test::OneOf(given) => format!("({})", joined(&given.iter().map(|value| compare("=", value)).collect::<Vec<_>>(), " OR ")),
        Test::StartsWith(value) => {
            values.push(value.clone());
            format!("substr({column}, 1, length(?{0})) = ?{0}", values.len())
        }
        Test::Blank(true) => format!("({column} IS NULL OR {column} = '')"),
        Test::Blank(false) => format!("({column} IS NOT NULL AND {column} <> '')"),
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
            let fitting = names.iter().filter(|(name, number)| fits(name, *number));
            let list: Vec<String> = fitting.flat_map(|(name, number)| [bind(name), format!("'{number}'")]).collect();
            // A REAL column keeps the number 1 as 1.0.
            let whole = format!(
                "CASE WHEN typeof({column}) = 'real' AND {column} = CAST({column} AS INTEGER) THEN CAST({column} AS INTEGER) ELSE {column} END"
            );
            let column = if managed { column.to_owned() } else { format!("trim({whole}) COLLATE NOCASE") };
            return format!("{column} {} ({})", if operator == "<>" { "NOT IN" } else { "IN" }, list.join(", "));
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
    format!("entrepot_compare_{function}({column}, {value}, {name}) {operator} 0")
}
