//! `checks = [{ rule = "VALIDTO >= VALIDFROM", message = "…" }]`: what must hold between the fields of a row. Kept simple: comparisons of a field
//! with a field or a value, joined by `and` or `or` (`and` binds first), and `FIELD is blank`, `FIELD is not blank`. A comparison with a blank
//! value holds: whether it may be blank is another rule.

use std::cmp::Ordering;

use crate::document::value::{self, Reading};
use crate::model::check::{Comparison, Expression, Operand};
use crate::model::entity::{Entity, Field, FieldKind};

/// Takes an expression apart. The error says what is wrong.
pub fn parse(entity: &Entity, text: &str) -> Result<Expression, String> {
    let words = words(text)?;
    let mut either = Vec::new();
    for alternative in words.split(|word| word.eq_ignore_ascii_case("or")) {
        let mut all = Vec::new();
        for one in alternative.split(|word| word.eq_ignore_ascii_case("and")) {
            all.push(comparison(entity, one)?);
        }
        either.push(all);
    }
    Ok(Expression { text: text.trim().to_owned(), either })
}

/// Words; what stands in quotes is one and keeps its opening quote.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut words, mut rest) = (Vec::new(), text.trim());
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '\'' => {
                let (word, after) = rest[1..].split_once(first).ok_or("a quote is never closed")?;
                words.push(format!("\"{word}"));
                rest = after.trim_start();
                continue;
            }
            '=' | '<' | '>' | '!' => rest.find(|c| !"=<>!".contains(c)).unwrap_or(rest.len()),
            _ => rest.find(|c: char| c.is_whitespace() || "=<>!\"'".contains(c)).unwrap_or(rest.len()),
        };
        words.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    Ok(words)
}

fn comparison(entity: &Entity, words: &[String]) -> Result<Comparison, String> {
    let field = |word: &str| entity.field(word).ok_or_else(|| format!("\"{}\" has no field \"{word}\"", entity.name));
    let plain: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    match plain.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [_, "is", "blank"] => return Ok(Comparison::Blank(field(&words[0])?, true)),
        [_, "is", "not", "blank"] => return Ok(Comparison::Blank(field(&words[0])?, false)),
        _ => {}
    }
    let [left, operator, right] = words else {
        return Err(format!("\"{}\" is no comparison of a field with a field or a value", words.join(" ").replace('"', "")));
    };
    let left = field(left)?;
    let allowed: &[Ordering] = match operator.as_str() {
        "=" | "==" => &[Ordering::Equal],
        "!=" | "<>" => &[Ordering::Less, Ordering::Greater],
        "<" => &[Ordering::Less],
        "<=" => &[Ordering::Less, Ordering::Equal],
        ">" => &[Ordering::Greater],
        ">=" => &[Ordering::Greater, Ordering::Equal],
        other => return Err(format!("\"{other}\" is no comparison: write =, !=, <, <=, > or >=")),
    };
    let definition = &entity.fields[left];
    let right = match right.strip_prefix('"') {
        None if entity.field(right).is_some() => {
            let other = field(right)?;
            if !are_alike(&entity.fields[other].kind, &definition.kind) {
                return Err(format!("\"{}\" and \"{}\" are of different types", definition.name, entity.fields[other].name));
            }
            Operand::Field(other)
        }
        literal => {
            let unbounded = Field { minimum: None, maximum: None, ..definition.clone() };
            let stored = value::parse(&unbounded, literal.unwrap_or(right), &Reading::default()).map_err(|wrong| match literal {
                Some(literal) => format!("\"{literal}\" is no value of \"{}\": {}", definition.name, wrong.message),
                None => format!("\"{right}\" is no field, and no value of \"{}\": {}", definition.name, wrong.message),
            })?;
            Operand::Value(stored.text())
        }
    };
    Ok(Comparison::Compare { left, allowed: allowed.to_vec(), right })
}

/// Whether values of two types can be compared. The numbers of one enum say nothing of another.
fn are_alike(one: &FieldKind, other: &FieldKind) -> bool {
    let class = |kind: &FieldKind| match kind {
        FieldKind::Integer | FieldKind::Decimal { .. } => 0,
        FieldKind::Date => 1,
        FieldKind::DateTime => 2,
        FieldKind::Boolean => 3,
        FieldKind::Enum { .. } => 4,
        FieldKind::String { .. } | FieldKind::Guid => 5,
    };
    match (one, other) {
        (FieldKind::Enum { values: one }, FieldKind::Enum { values: other }) => one == other,
        _ => class(one) == class(other),
    }
}

/// How two values of a type, as the table keeps them, stand to each other.
fn order(kind: &FieldKind, one: &str, other: &str) -> Ordering {
    match kind {
        FieldKind::Integer | FieldKind::Decimal { .. } => match (value::parse_decimal(one), value::parse_decimal(other)) {
            (Some(one), Some(other)) => value::compare(one, other),
            _ => one.cmp(other),
        },
        // Days and instants are kept so that text order is their order, but for the `Z` behind a fraction.
        FieldKind::DateTime => one.trim_end_matches('Z').cmp(other.trim_end_matches('Z')),
        FieldKind::Enum { values } => {
            let number = |text: &str| values.iter().find(|(name, _)| name == text).map(|(_, number)| *number);
            number(one).cmp(&number(other))
        }
        _ => one.cmp(other),
    }
}

/// Whether an expression holds for a row. `value` gives a field's value as the table keeps it; `None` is blank.
pub fn holds(entity: &Entity, expression: &Expression, value: &dyn Fn(usize) -> Option<String>) -> bool {
    let one = |comparison: &Comparison| match comparison {
        Comparison::Blank(field, blank) => value(*field).is_none() == *blank,
        Comparison::Compare { left, allowed, right } => {
            let other = match right {
                Operand::Field(field) => value(*field),
                Operand::Value(text) => Some(text.clone()),
            };
            let (Some(one), Some(other)) = (value(*left), other) else { return true };
            allowed.contains(&order(&entity.fields[*left].kind, &one, &other))
        }
    };
    expression.either.iter().any(|all| all.iter().all(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity() -> Entity {
        let field = |name: &str, kind| Field { name: name.into(), kind, ..Field::default() };
        let decimal = || FieldKind::Decimal { precision: 10, scale: 2 };
        Entity {
            name: "Terms".into(),
            fields: vec![
                field("FROM", FieldKind::Date),
                field("TO", FieldKind::Date),
                field("LOW", decimal()),
                field("KIND", FieldKind::String { length: None }),
            ],
            ..Entity::default()
        }
    }

    #[test]
    fn enums_are_compared_by_number_and_with_nothing_else() {
        let states = |names: &[&str]| FieldKind::Enum { values: names.iter().map(|name| (*name).to_owned()).zip(0..).collect() };
        let parcel = states(&["Packed", "Sent", "Delivered"]);
        let fields =
            [("STATE", parcel.clone()), ("BACK", parcel), ("KIND", states(&["Sent", "Packed"])), ("T", FieldKind::String { length: None })];
        let fields = fields.map(|(name, kind)| Field { name: name.into(), kind, ..Field::default() }).to_vec();
        let entity = Entity { name: "Parcels".into(), fields, ..Entity::default() };
        for (text, row, expected) in [
            ("BACK >= STATE", ["Packed", "Delivered"], true),
            ("BACK >= STATE", ["Delivered", "Packed"], false),
            ("BACK = STATE", ["Sent", "Sent"], true),
            ("STATE < 'Delivered'", ["Sent", ""], true),
            ("STATE > Packed", ["Delivered", ""], true),
            ("STATE > Packed", ["Packed", ""], false),
        ] {
            let value = |field: usize| row.get(field).filter(|text| !text.is_empty()).map(|text| (*text).to_owned());
            assert_eq!(holds(&entity, &parse(&entity, text).unwrap(), &value), expected, "{text} {row:?}");
        }
        for text in ["STATE = KIND", "STATE = T", "T != STATE"] {
            assert!(parse(&entity, text).unwrap_err().contains("different types"), "{text}");
        }
    }

    #[test]
    fn rows_are_compared_by_type() {
        let entity = entity();
        let table: &[(&str, [&str; 4], bool)] = &[
            ("TO >= FROM", ["2026-01-01", "2026-01-02", "", ""], true),
            ("TO >= FROM", ["2026-01-02", "2026-01-01", "", ""], false),
            ("TO>=FROM", ["2026-01-02", "", "", ""], true),
            ("LOW > 9", ["", "", "10.00", ""], true),
            ("LOW > 9 and KIND = 'a b'", ["", "", "10.00", "a b"], true),
            ("LOW < 9 and KIND = 'x' or FROM is not blank", ["2026-01-01", "", "10.00", "x"], true),
            ("KIND is blank", ["", "", "", "x"], false),
            ("kind != X", ["", "", "", "X"], false),
        ];
        for (text, row, expected) in table {
            let expression = parse(&entity, text).unwrap();
            let value = |field: usize| Some(row[field]).filter(|text| !text.is_empty()).map(str::to_owned);
            assert_eq!(holds(&entity, &expression, &value), *expected, "{text} {row:?}");
        }
        for (text, part) in [
            ("TO >= LOW", "different types"),
            ("NOPE = 1", "no field"),
            ("LOW = x", "expected a decimal"),
            ("LOW", "no comparison"),
            ("LOW =< 1", "\"=<\""),
            ("KIND = 'x", "never closed"),
            ("", "no comparison"),
        ] {
            assert!(parse(&entity, text).unwrap_err().contains(part), "{text}: {}", parse(&entity, text).unwrap_err());
        }
    }
}
