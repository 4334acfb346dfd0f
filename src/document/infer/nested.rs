//! Guesses where records stand in XML and JSON, and what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use quick_xml::events::Event;
use serde_json::Value;

use super::encoding::{Text, text_of};
use super::{RECORDS_MAX, Shape, VALUES_MAX};
use crate::model::format::{Format, JsonFormat, XmlFormat};
use crate::model::path::Path;

/// So many values around the records are named.
const AROUND_MAX: usize = 5;

#[derive(Default)]
struct Place {
    count: usize,
    /// Values in it, in the order in which they came.
    values: Vec<String>,
    /// Names of elements of which one has more than one in it.
    repeated: BTreeSet<String>,
}

/// The element that comes most often and has values, and its values.
pub(super) fn xml(sample: &[u8]) -> Result<Shape, String> {
    let Text { text, encoding, key, note: doubt } = text_of(sample, true);
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut places: BTreeMap<Vec<String>, Place> = BTreeMap::new();
    let mut open: Vec<Open> = Vec::new();
    let local = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
    loop {
        let event = match reader.read_event() {
            Ok(Event::Eof) | Err(_) => break,
            Ok(event) => event,
        };
        let (start, closes) = match &event {
            Event::Start(start) => (Some(start), false),
            Event::Empty(start) => (Some(start), true),
            Event::End(_) => (None, true),
            Event::Text(text) => {
                if let Some(inner) = open.last_mut() {
                    inner.has_text |= !text.trim_ascii().is_empty();
                }
                continue;
            }
            _ => continue,
        };
        if let Some(start) = start {
            if let Some(outer) = open.last_mut() {
                outer.has_elements = true;
            }
            open.push(Open { name: local(start.name().0), ..Open::default() });
            if open.len() > 50 || places.len() > 10_000 {
                break;
            }
            let names: Vec<String> = open.iter().map(|open| open.name.clone()).collect();
            let place = places.entry(names.clone()).or_default();
            place.count += 1;
            // Those of XML itself and of its schemas are no values.
            let own = |name: &str| match name.split_once(':') {
                None => name != "xmlns",
                Some((prefix, local)) => {
                    !matches!(prefix, "xml" | "xmlns") && !matches!(local, "nil" | "type" | "schemaLocation" | "noNamespaceSchemaLocation")
                }
            };
            for attribute in start.attributes().flatten().filter(|attribute| own(attribute.key.0)) {
                note(&mut places, &names, &format!("@{}", local(attribute.key.0)));
            }
        }
        if closes && let Some(Open { name, has_elements, has_text, .. }) = open.pop() {
            let names: Vec<String> = open.iter().map(|open| open.name.clone()).collect();
            if !has_elements && (has_text || !names.is_empty()) {
                note(&mut places, &names, &name);
            }
            if let Some(outer) = open.last_mut() {
                if outer.inner.contains(&name) {
                    places.entry(names).or_default().repeated.insert(name);
                } else if outer.inner.len() < VALUES_MAX {
                    outer.inner.push(name);
                }
            }
        }
    }
    // A value of an inner element is one of the outer too, by a path; where elements repeat inside, the inner ones are the records.
    let best = places
        .iter()
        .filter(|(names, place)| !place.values.is_empty() && (names.len() > 1 || places.len() == 1))
        .max_by_key(|(names, place)| (place.count, std::cmp::Reverse(names.len()), place.values.len()))
        .ok_or("there is no element with values in the sample")?;
    let (names, _) = best;
    let (mut sources, mut notes) = (Vec::new(), doubt.into_iter().collect::<Vec<_>>());
    for (inner, values) in places.iter().filter(|(inner, _)| inner.starts_with(names)) {
        let way = &inner[names.len()..];
        let several = (0..way.len()).find(|at| {
            let outer = places.get(&inner[..names.len() + at]);
            outer.is_some_and(|outer| outer.repeated.contains(&way[*at]))
        });
        if several.is_some() {
            continue;
        }
        let path = |value: &str| way.iter().map(String::as_str).chain([value]).collect::<Vec<_>>().join("/");
        notes.extend(values.repeated.iter().map(|name| left_out(&path(name))));
        sources.extend(values.values.iter().filter(|value| !values.repeated.contains(*value)).map(|value| path(value)));
    }
    sources.truncate(VALUES_MAX);
    let record = format!("/{}", names.join("/"));
    let above = (1..names.len()).rev().filter_map(|depth| Some((depth, places.get(&names[..depth])?)));
    let around = above.flat_map(|(depth, place)| {
        let is_one = move |value: &&String| !place.repeated.contains(*value) && **value != names[depth];
        place.values.iter().filter(is_one).map(move |value| format!("{}{value}", "../".repeat(names.len() - depth)))
    });
    notes.extend(stands_around(&around.collect::<Vec<_>>()));
    // Without a declaration it is in UTF-8, or the format says in what.
    let encoding = if key.is_empty() { XmlFormat::default().encoding } else { encoding };
    let format = XmlFormat { record: Path::parse(&record).ok(), encoding, ..XmlFormat::default() };
    let text = format!("{{ type = \"xml-element\", record = \"{record}\"{key} }}");
    Ok(Shape { format: Format::Xml(format), text, sources: Some(sources), notes })
}

/// An element that is open.
#[derive(Default)]
struct Open {
    name: String,
    has_elements: bool,
    has_text: bool,
    /// Names of elements in it.
    inner: Vec<String>,
}

fn note(places: &mut BTreeMap<Vec<String>, Place>, names: &[String], value: &str) {
    let place = places.entry(names.to_vec()).or_default();
    if place.values.len() < VALUES_MAX && !place.values.iter().any(|known| known == value) {
        place.values.push(value.to_owned());
    }
}

/// The longest array of objects, and the values of its items.
pub(super) fn json(sample: &[u8]) -> Result<Shape, String> {
    let Text { text, encoding, key: encoding_key, note: doubt } = text_of(sample, false);
    let mut around = Vec::new();
    let whole = serde_json::from_str::<Value>(&text);
    let lines: Vec<Value> =
        text.lines().filter(|line| !line.trim().is_empty()).map_while(|line| serde_json::from_str(line).ok()).take(RECORDS_MAX).collect();
    let (format, record, items) = match whole {
        Ok(value) => {
            let mut best: (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
            longest_array(&value, &mut Vec::new(), &mut best);
            values_around(&value, &best.0, &mut around);
            let (record, items) = if best.1.is_empty() { (Vec::new(), vec![value]) } else { best };
            (JsonFormat { encoding, ..JsonFormat::default() }, record, items)
        }
        Err(_) if lines.len() > 1 => (JsonFormat { lines: true, encoding, ..JsonFormat::default() }, Vec::new(), lines),
        Err(error) => return Err(format!("the sample is no whole JSON document: {error}")),
    };
    let (mut sources, mut arrays): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for item in items.iter().take(RECORDS_MAX) {
        value_paths(item, String::new(), 0, &mut sources, &mut arrays);
    }
    if sources.is_empty() {
        return Err("there is no object with values in the sample".into());
    }
    let mut key = format!("{{ type = \"{}\"", if format.lines { "jsonl" } else { "json" });
    let record = record.iter().map(|name| Path::step_of(name)).collect::<Vec<_>>().join("/");
    if !record.is_empty() {
        let _ = write!(key, ", record = {}", toml_edit::Value::from(record.as_str()));
    }
    let format = JsonFormat { record: Path::parse(&record).ok().filter(|_| !record.is_empty()), ..format };
    // What is an array in one record is no value in another.
    sources.retain(|source| !arrays.contains(source));
    // What is null in one record and an object in another has its values inside.
    let outer: Vec<String> = sources.iter().filter_map(|source| Some(source.rsplit_once('/')?.0.to_owned())).collect();
    let leads_on = |source: &String| outer.iter().any(|outer| outer == source || outer.starts_with(&format!("{source}/")));
    sources.retain(|source| !leads_on(source));
    let notes = doubt.into_iter().chain(arrays.iter().map(|path| left_out(path))).chain(stands_around(&around)).collect();
    Ok(Shape { format: Format::Json(format), text: format!("{key}{encoding_key} }}"), sources: Some(sources), notes })
}

fn longest_array(value: &Value, at: &mut Vec<String>, best: &mut (Vec<String>, Vec<Value>)) {
    match value {
        Value::Array(items) if items.len() > best.1.len() && items.iter().any(Value::is_object) => {
            *best = (at.clone(), items.clone());
        }
        Value::Object(members) => {
            for (name, member) in members {
                at.push(name.clone());
                longest_array(member, at, best);
                at.pop();
            }
        }
        _ => {}
    }
}

/// The values of the objects on the way to the records, as paths from a record, innermost first.
fn values_around(value: &Value, record: &[String], around: &mut Vec<String>) {
    let (Some((name, inner)), Some(members)) = (record.split_first(), value.as_object()) else { return };
    members.get(name).into_iter().for_each(|member| values_around(member, inner, around));
    let values = members.iter().filter(|(_, member)| !member.is_object() && !member.is_array());
    around.extend(values.map(|(name, _)| format!("{}{}", "../".repeat(record.len()), Path::step_of(name))));
}

fn value_paths(value: &Value, at: String, depth: usize, sources: &mut Vec<String>, arrays: &mut Vec<String>) {
    match value {
        Value::Object(members) if depth < 8 => {
            for (name, member) in members {
                let name = Path::step_of(name).into_owned();
                value_paths(member, if at.is_empty() { name } else { format!("{at}/{name}") }, depth + 1, sources, arrays);
            }
        }
        Value::Array(items) if !items.is_empty() && arrays.len() < VALUES_MAX && !arrays.contains(&at) => arrays.push(at),
        Value::Object(_) | Value::Array(_) => {}
        _ if at.is_empty() || sources.len() >= VALUES_MAX || sources.contains(&at) => {}
        _ => sources.push(at),
    }
}

/// What a note says of values that stand several times in a record.
fn left_out(path: &str) -> String {
    format!(
        "{path} stands several times in a record and is left out: take one by a position, {path}[1], or each as a row of its own by [[project.entity.nested]]"
    )
}

/// What a note says of values that stand around the records.
fn stands_around(paths: &[String]) -> Option<String> {
    let first = paths.first()?;
    let more = paths.len().saturating_sub(AROUND_MAX);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    Some(format!(
        "what stands around the records is left out ({}{more}): map what belongs to each, as source = \"{first}\", and take it into the key where records of two such places may be alike",
        paths[..paths.len().min(AROUND_MAX)].join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use crate::document::infer::infer;

    #[test]
    fn values_that_stand_around_the_records_are_noted_with_their_paths() {
        for (sample, paths) in [
            (&br#"{"id":1,"name":"x","lines":[{"n":1},{"n":2}]}"#[..], "(../id, ../name)"),
            (br#"{"day":1,"data":{"a/b":2,"rows":[{"n":1},{"n":2}]}}"#, "(../'a/b', ../../day)"),
            (b"<E><s>x</s><C time='1'><R c='a'/><R c='b'/></C></E>", "(../@time, ../../s)"),
            (b"<I><ID>7</ID><No>1</No><No>2</No><L><n>1</n></L><L><n>2</n></L></I>", "(../ID)"),
        ] {
            let notes = infer(sample).unwrap().notes;
            assert!(notes.iter().any(|note| note.starts_with("what stands around") && note.contains(paths)), "{notes:?}");
        }
        for sample in [&b"[{\"id\":1},{\"id\":2}]"[..], b"{\"id\":1}\n{\"id\":2}\n", b"<D xmlns='u'><R><n>1</n></R><R><n>2</n></R></D>"] {
            let notes = infer(sample).unwrap().notes;
            assert!(!notes.iter().any(|note| note.contains("around")), "{notes:?}");
        }
    }
}
