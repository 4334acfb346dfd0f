//! OData entity sets (CONTRACT §1.7): what clients read of projects, executions and companies, and the rows of entities; and the projects that they make.
//!
//! Who may read what: the sets tell of the projects that at least one job of the caller's names. An entity's rows are read when an enabled export
//! job that names the caller has the entity in its project, and then with that project's fields and filter, no others.

mod catalogue;
pub(super) mod filter;
mod made;
mod metadata;
mod rows;
mod sets;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::connector::failed;
use super::{Answer, Call, address, route};
use crate::appliance::Appliance;
use crate::config::Application;
use crate::model::query::Filter;

/// The category of every entity, as the real system sorts them: what stands here is not sorted.
const CATEGORY: &str = "Master";
/// Rows of one page; `@odata.nextLink` leads to the next.
const PAGE_ROWS: u64 = 1_000;
/// Rows that `$skip` passes over at most; pages are by keyset.
const SKIP_MAX: u64 = 10_000;

/// The options of a question, as they were sent.
struct Options {
    filter: Option<Filter<String>>,
    select: Vec<String>,
    order: Vec<(String, bool)>,
    top: Option<u64>,
    skip: u64,
    count: bool,
    after: Option<String>,
}

fn refuse(status: u16, detail: &str) -> Answer {
    let mut answer = Answer::json(status, &json!({ "error": { "code": "", "message": detail, "innererror": { "message": detail } } }));
    answer.reason = detail.to_owned();
    answer.with("OData-Version", "4.0")
}

impl Options {
    fn read(call: &Call) -> Result<Options, Answer> {
        let bad = |name: &str, detail: &str| refuse(400, &format!("{name}: {detail}"));
        let mut options = Options { filter: None, select: Vec::new(), order: Vec::new(), top: None, skip: 0, count: false, after: None };
        for (name, value) in &call.query {
            let name = name.to_ascii_lowercase();
            let number = || value.trim().parse::<u64>().map_err(|_| bad(&name, "a whole number is expected"));
            let list = || value.split(',').map(str::trim).filter(|part| !part.is_empty());
            match name.as_str() {
                "$filter" => options.filter = Some(filter::read(value).map_err(|error| bad(&name, &error))?),
                "$select" => options.select = list().filter(|part| *part != "*").map(str::to_owned).collect(),
                "$orderby" => {
                    for part in list() {
                        let (field, way) = part.split_once(char::is_whitespace).unwrap_or((part, "asc"));
                        let down = match way.trim().to_ascii_lowercase().as_str() {
                            "asc" => false,
                            "desc" => true,
                            _ => return Err(bad(&name, "a field is followed by asc, desc or nothing")),
                        };
                        options.order.push((field.to_owned(), down));
                    }
                }
                "$top" => options.top = Some(number()?),
                "$skip" => {
                    options.skip = number()?;
                    if options.skip > SKIP_MAX {
                        return Err(bad(&name, "at most 10,000 rows are passed over: follow @odata.nextLink"));
                    }
                }
                "$count" => options.count = value.eq_ignore_ascii_case("true"),
                "$skiptoken" => options.after = Some(value.clone()),
                "$format" => {}
                other if other.starts_with('$') => {
                    return Err(bad(&name, "this option is not served; $filter, $select, $orderby, $top, $skip, $count are"));
                }
                // cross-company and others of the real system.
                _ => {}
            }
        }
        Ok(options)
    }
}

/// A request below `/data`.
struct Question<'a> {
    appliance: &'a Arc<Appliance>,
    caller: &'a Application,
    base: String,
    options: Options,
}

/// Answers below `/data`, all but the actions.
pub fn route(appliance: &Arc<Appliance>, mut call: Call, path: &[&str]) {
    let answer = answer(appliance, &mut call, path).unwrap_or_else(|refusal| refusal);
    if answer.status >= 400 {
        log::warn!("request refused peer={} reason=\"{}\"", call.peer(), answer.reason.escape_debug());
    }
    call.answer(answer);
}

/// Answers below `/metadata`: which entities there are.
pub fn catalogue(appliance: &Arc<Appliance>, call: Call, path: &[&str]) {
    let answer = route::caller(appliance, call.header("Authorization")).and_then(|caller| {
        let base = appliance.live().config.server.public_url.clone();
        catalogue::answer(&Question { appliance, caller: &caller, base, options: Options::read(&call)? }, path)
    });
    call.answer(answer.unwrap_or_else(|refusal| refusal));
}

fn answer(appliance: &Arc<Appliance>, call: &mut Call, path: &[&str]) -> Result<Answer, Answer> {
    let caller = route::caller(appliance, call.header("Authorization"))?;
    let base = appliance.live().config.server.public_url.clone();
    let question = Question { appliance, caller: &caller, base, options: Options::read(call)? };
    let (set, key) = match path {
        [] => return Ok(metadata::service(&question)),
        [one] if one.eq_ignore_ascii_case("$metadata") => return Ok(metadata::document(&question)),
        [one] => keyed(one).ok_or_else(|| refuse(400, "the key of the address is not understood: SET('key') or SET(Field='key')"))?,
        [one, rest] if rest.eq_ignore_ascii_case("details") => {
            let (set, key) = keyed(one).ok_or_else(|| refuse(400, "the key of the address is not understood"))?;
            match (set.to_ascii_lowercase().as_str(), key.first()) {
                ("datamanagementdefinitiongroups", Some((_, project))) => {
                    ("DataManagementDefinitionGroupDetails".to_owned(), vec![(Some("DefinitionGroupId".to_owned()), project.clone())])
                }
                _ => return Err(refuse(404, "there is no such entity set")),
            }
        }
        _ => return Err(refuse(404, "there is no such entity set")),
    };
    if !matches!(call.method.as_str(), "GET" | "HEAD") {
        return made::change(&question, call, &set, &key);
    }
    match sets::find(&question, &set)? {
        Some((name, keys, list)) => in_memory(&question, name, keys, &key, list, path.len() > 1),
        None => rows::answer(&question, &set, &key),
    }
}

/// `Set(Field='a',Other='b')`: the set, and the parts of the key with their names.
pub(super) fn keyed(segment: &str) -> Option<(String, Vec<(Option<String>, String)>)> {
    let Some((set, rest)) = segment.split_once('(') else { return Some((segment.to_owned(), Vec::new())) };
    let inside = rest.strip_suffix(')')?;
    let mut parts = Vec::new();
    let (mut part, mut quoted) = (String::new(), false);
    for character in inside.chars().chain([',']) {
        match character {
            '\'' => {
                quoted = !quoted;
                part.push(character);
            }
            ',' if !quoted => {
                let (name, value) = match part.split_once('=') {
                    Some((name, value)) if !name.contains('\'') => (Some(name.trim().to_owned()), value),
                    _ => (None, part.as_str()),
                };
                let value = value.trim();
                let value = match value.find('\'') {
                    Some(at) => value[at + 1..].strip_suffix('\'')?.replace("''", "'"),
                    None => value.to_owned(),
                };
                parts.push((name, value));
                part.clear();
            }
            other => part.push(other),
        }
    }
    (!quoted && parts.len() <= 16).then(|| (set.to_owned(), parts))
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn object(context: String, mut body: Map<String, Value>) -> Answer {
    body.shift_insert(0, "@odata.context".into(), Value::String(context));
    Answer::json(200, &Value::Object(body)).with("Content-Type", "application/json; odata.metadata=minimal").with("OData-Version", "4.0")
}

/// A set that is small enough to be made whole: as many members as the configuration has projects, or an execution has entities.
fn in_memory(
    question: &Question<'_>,
    set: &str,
    keys: &[&str],
    key: &[(Option<String>, String)],
    list: Vec<Map<String, Value>>,
    navigated: bool,
) -> Result<Answer, Answer> {
    let options = &question.options;
    let context = format!("{}/{}/$metadata#{set}", question.base, if set == catalogue::SET { "metadata" } else { "data" });
    let field = |member: &Map<String, Value>, name: &str| {
        member.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| shown(value))
    };
    let is = |member: &Map<String, Value>| {
        key.iter().enumerate().all(|(at, (name, value))| {
            let name = name.as_deref().or(keys.get(at).copied()).unwrap_or_default();
            // Parts of a key that the set does not have, such as dataAreaId, say nothing.
            !keys.iter().any(|known| known.eq_ignore_ascii_case(name))
                || field(member, name).is_some_and(|found| found.eq_ignore_ascii_case(value))
        })
    };
    let mut list: Vec<Map<String, Value>> = list.into_iter().filter(|member| is(member)).collect();
    if let Some(filter) = &options.filter {
        list.retain(|member| filter.holds(&|name: &String| field(member, name)));
    }
    for (name, down) in options.order.iter().rev() {
        list.sort_by(|one, other| {
            let order = field(one, name).cmp(&field(other, name));
            if *down { order.reverse() } else { order }
        });
    }
    let count = list.len();
    let skip = usize::try_from(options.skip).unwrap_or(usize::MAX);
    let top = options.top.map_or(usize::MAX, |top| usize::try_from(top).unwrap_or(usize::MAX));
    let list: Vec<Value> = list
        .into_iter()
        .skip(skip)
        .take(top)
        .map(|mut member| {
            if !options.select.is_empty() {
                member.retain(|name, _| options.select.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
            }
            Value::Object(member)
        })
        .collect();
    if !key.is_empty() && !navigated {
        return match list.into_iter().next() {
            Some(Value::Object(member)) => Ok(object(format!("{context}/$entity"), member)),
            _ => Err(refuse(404, &format!("{set} has nothing under this key, or nothing that this application may see"))),
        };
    }
    let mut body = Map::new();
    if options.count {
        body.insert("@odata.count".into(), json!(count));
    }
    body.insert("value".into(), Value::Array(list));
    Ok(object(context, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_clients_write_them() {
        let part = |name: Option<&str>, value: &str| (name.map(str::to_owned), value.to_owned());
        assert_eq!(keyed("LegalEntities('USMF')"), Some(("LegalEntities".into(), vec![part(None, "USMF")])));
        assert_eq!(
            keyed("G(dataAreaId='usmf',Name='a, ''b''=(c)',N=5)"),
            Some(("G".into(), vec![part(Some("dataAreaId"), "usmf"), part(Some("Name"), "a, 'b'=(c)"), part(Some("N"), "5")]))
        );
        assert_eq!(keyed("G"), Some(("G".into(), vec![])));
        for bad in ["G('a", "G('a'", "G(a='b)"] {
            assert_eq!(keyed(bad), None, "{bad}");
        }
    }
}
