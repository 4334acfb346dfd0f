//! Rows of entities: `/data/<Entity>`, page by page. The link to the next page carries the last row's place in the order, so that a page costs the same
//! at any depth and no row is told twice, whatever is loaded meanwhile.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::types::ValueRef;
use serde_json::{Value, json};

use super::{Answer, PAGE_ROWS, Question, address, refuse};
use crate::document::value::{self, Reading, Wrong};
use crate::model::entity::{Entity, Field, FieldKind};
use crate::model::project::{Direction, ProjectEntity};
use crate::model::query::{Filter, Operator, Page};
use crate::store::entities::{as_kept, is_kept};
use crate::store::{StoreError, page};

/// A page ends early when it has this many bytes: wide rows do not fill the memory.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// What the caller may read: of each entity, as the first export job in the file that names the caller has it.
pub fn readable(question: &Question<'_>) -> Vec<ProjectEntity> {
    let mut readable = allowed(question);
    readable.retain(|readable| readable.entity.unread.is_none());
    readable
}

/// The same with those whose table could not be read yet.
fn allowed(question: &Question<'_>) -> Vec<ProjectEntity> {
    let live = question.appliance.live();
    let mut found: Vec<ProjectEntity> = Vec::new();
    let jobs = live.config.jobs.iter().filter(|job| job.enabled && job.project.direction == Direction::Export);
    for job in jobs.filter(|job| job.applications.contains(&question.caller.id)) {
        for entity in &job.project.entities {
            if !found.iter().any(|other| Arc::ptr_eq(&other.entity, &entity.entity)) {
                found.push(entity.clone());
            }
        }
    }
    found
}

/// The set's name of an entity: its label without what cannot stand in a name.
pub fn set_name(entity: &Entity) -> String {
    let name: String = entity.name.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) { name } else { format!("Entity{name}") }
}

pub fn answer(question: &Question<'_>, set: &str, key: &[(Option<String>, String)]) -> Result<Answer, Answer> {
    let allowed = allowed(question);
    let known = allowed.iter().find(|readable| set_name(&readable.entity).eq_ignore_ascii_case(set) || readable.entity.is_called(set));
    let Some(readable) = known else {
        let detail = format!("there is no entity set {set}, or no enabled export job that names this application has that entity");
        return Err(refuse(404, &detail));
    };
    let entity = &*readable.entity;
    if entity.unread.is_some() {
        return Err(away(entity));
    }
    let options = &question.options;
    let field = |name: &str| {
        let found = entity.field(name).filter(|index| readable.fields.contains(index));
        found.ok_or_else(|| refuse(400, &format!("{} has no field {name} that this application may read", entity.name)))
    };
    let mut fields = options.select.iter().map(|name| field(name)).collect::<Result<Vec<_>, _>>()?;
    if fields.is_empty() {
        fields = readable.fields.clone();
    }
    let mut filter =
        options.filter.as_ref().map(|filter| filter.convert(&|name, value| converted(entity, field(name)?, value))).transpose()?;
    for (at, (name, value)) in key.iter().enumerate() {
        let index = match name {
            Some(name) => entity.key.iter().copied().find(|index| entity.fields[*index].name.eq_ignore_ascii_case(name)),
            None => entity.key.get(at).copied(),
        };
        // A company, which the real system has in every key, says nothing here.
        let Some(index) = index else { continue };
        let (index, value) = converted(entity, index, Some(value))?;
        let is = Filter::Compare(index, Operator::Equal, value);
        filter = Some(match filter {
            Some(other) => Filter::And(Box::new(other), Box::new(is)),
            None => is,
        });
    }
    let mut order = Vec::new();
    for (name, down) in &options.order {
        let index = field(name)?;
        if matches!(entity.fields[index].kind, FieldKind::Decimal { .. }) {
            return Err(refuse(400, &format!("$orderby: {name} is a decimal, which is kept as text: rows are not ordered by it")));
        }
        order.push((index, *down));
    }
    let (after, given) = match &options.after {
        Some(token) => {
            let (after, given) = read_token(token).ok_or_else(|| refuse(400, "$skiptoken is none that @odata.nextLink gave"))?;
            (Some(after), given)
        }
        None => (None, 0),
    };
    let left = options.top.map_or(u64::MAX, |top| top.saturating_sub(given));
    let mut asked = Page { filter, order, after, skip: if given > 0 { 0 } else { options.skip }, limit: left.min(PAGE_ROWS) };
    let columns = page::order(entity, &asked);
    if asked.after.as_ref().is_some_and(|after| after.len() != columns.len()) {
        return Err(refuse(400, "$skiptoken belongs to another question"));
    }
    let live = question.appliance.live();
    let connection = live.entities.reader(&entity.database, &[entity]).map_err(|error| unread(entity, &error))?;
    let context = format!("{}/data/$metadata#{}", question.base, set_name(entity));
    let mut body = format!("{{\"@odata.context\":{}", json!(if key.is_empty() { context } else { format!("{context}/$entity") }));
    let (mut list, mut rows, mut last, mut cut, mut wrong) = (String::new(), 0u64, None, false, None);
    if let Some(connection) = &connection {
        // One row more than the page: whether there is a next one.
        let most = asked.limit;
        asked.limit = most.saturating_add(1);
        let counted = options.count && key.is_empty();
        let count = page::rows(connection, readable, &fields, &asked, counted, |cells, place| {
            if rows == most || list.len() > PAGE_BYTES {
                cut = true;
                return false;
            }
            rows += 1;
            if rows > 1 {
                list.push(',');
            }
            list.push('{');
            for (at, (cell, index)) in cells.iter().zip(&fields).enumerate() {
                if at > 0 {
                    list.push(',');
                }
                let field = &entity.fields[*index];
                if let Err(reason) = write(&mut list, field, *cell, entity.is_managed()) {
                    wrong = Some(format!("a row of {} cannot be told: {}: {}", entity.name, field.name, reason.message));
                    return false;
                }
            }
            list.push('}');
            last = Some(place.iter().map(|cell| page::place(*cell)).collect::<Vec<_>>());
            true
        })
        .map_err(|error| unread(entity, &error))?;
        if let Some(wrong) = wrong {
            return Err(refuse(500, &wrong));
        }
        if counted {
            body.push_str(&format!(",\"@odata.count\":{count}"));
        }
    }
    if !key.is_empty() {
        if rows == 0 {
            return Err(refuse(404, &format!("{} has no row under this key, or none that this application may read", entity.name)));
        }
        // The members of the one row, beside the context.
        body.push_str(&format!(",{}", list.strip_prefix('{').unwrap_or(&list)));
    } else {
        body.push_str(&format!(",\"value\":[{list}]"));
        let told = given.saturating_add(rows);
        if let Some(last) = last.filter(|_| cut && options.top.is_none_or(|top| told < top)) {
            body.push_str(&format!(",\"@odata.nextLink\":{}", json!(next_link(question, entity, &last, told))));
        }
        body.push('}');
    }
    Ok(Answer::text(200, "application/json; odata.metadata=minimal", body).with("OData-Version", "4.0"))
}

fn away(entity: &Entity) -> Answer {
    refuse(503, &format!("the database of {} is locked or away: ask again later", entity.name)).with("Retry-After", "5")
}

/// The database of an entity cannot be read: 503 where that may pass.
fn unread(entity: &Entity, error: &StoreError) -> Answer {
    log::error!("rows not read entity=\"{}\" database=\"{}\" reason=\"{error}\"", entity.name, entity.database);
    match error.may_pass() {
        true => away(entity),
        false => refuse(500, &format!("the rows of {} cannot be read: an operator finds the reason in the log", entity.name)),
    }
}

/// A value of a filter in the spelling that the table keeps; bounds of the field do not apply to it.
fn converted(entity: &Entity, index: usize, text: Option<&str>) -> Result<(usize, Option<String>), Answer> {
    let mut field = Field { minimum: None, maximum: None, ..entity.fields[index].clone() };
    let Some(text) = text else { return Ok((index, None)) };
    if let FieldKind::String { length } = &mut field.kind {
        *length = None;
    }
    match value::parse(&field, text, &Reading::default()) {
        Ok(stored) => Ok((index, Some(stored.text()))),
        Err(wrong) => Err(refuse(400, &format!("{}: \"{}\": {}", field.name, text.chars().take(200).collect::<String>(), wrong.message))),
    }
}

fn text(cell: ValueRef<'_>) -> Option<String> {
    match cell {
        ValueRef::Null => None,
        ValueRef::Integer(value) => Some(value.to_string()),
        ValueRef::Real(value) => Some(value::real_text(value)),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
    }
}

/// A member of a row. Decimals are numbers with all their digits, which a floating-point number would not keep. What a table of somebody else holds, or
/// one of ours from before a field had another type, is told as a value of the field's type, or not at all.
fn write(into: &mut String, field: &Field, cell: ValueRef<'_>, managed: bool) -> Result<(), Wrong> {
    into.push_str(&json!(field.name).to_string());
    into.push(':');
    let ours = match cell {
        ValueRef::Null => true,
        ValueRef::Integer(value) => field.kind == FieldKind::Integer || field.kind == FieldKind::Boolean && (0..=1).contains(&value),
        ValueRef::Text(bytes) => is_kept(bytes, &field.kind),
        _ => false,
    };
    let value = if managed && ours { text(cell) } else { as_kept(cell, field)?.map(|kept| kept.text()) };
    match (value, &field.kind) {
        (None, _) => into.push_str("null"),
        (Some(value), FieldKind::Boolean) => into.push_str(if value == "0" { "false" } else { "true" }),
        (Some(value), FieldKind::Integer | FieldKind::Decimal { .. }) if is_number(&value) => into.push_str(&value),
        (Some(value), _) => into.push_str(&Value::String(value).to_string()),
    }
    Ok(())
}

/// Whether a text is a JSON number (RFC 8259 §6, without exponent).
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    all(whole) && all(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// The address of the next page: the same question, and the place of the last row.
fn next_link(question: &Question<'_>, entity: &Entity, last: &[Option<String>], told: u64) -> String {
    let options = &question.options;
    let mut query: Vec<String> = Vec::new();
    let mut add = |name: &str, value: &str| query.push(format!("{name}={}", address::encode(value)));
    if let Some(filter) = &options.filter {
        add("$filter", &super::filter::write(filter));
    }
    if !options.select.is_empty() {
        add("$select", &options.select.join(","));
    }
    if !options.order.is_empty() {
        let order: Vec<String> = options.order.iter().map(|(name, down)| format!("{name}{}", if *down { " desc" } else { "" })).collect();
        add("$orderby", &order.join(","));
    }
    if let Some(top) = options.top {
        add("$top", &top.to_string());
    }
    add("$skiptoken", &URL_SAFE_NO_PAD.encode(json!([told, last]).to_string()));
    format!("{}/data/{}?{}", question.base, set_name(entity), query.join("&"))
}

fn read_token(token: &str) -> Option<(Vec<Option<String>>, u64)> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    let (told, last): (u64, Vec<Option<String>>) = serde_json::from_slice(&bytes).ok()?;
    Some((last, told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_numbers_are_written_as_numbers() {
        for good in ["0", "-1", "12.50", "99999999999999999999.99", "0.5"] {
            assert!(is_number(good), "{good}");
        }
        for bad in ["", "-", "01", "1.", ".5", "1e5", "NaN", "1,5", "0x1"] {
            assert!(!is_number(bad), "{bad}");
        }
    }
}
