//! `/metadata/DataEntities`: the entities that the caller may load or read, as the metadata service of the real system lists them (CONTRACT §1.7).

use serde_json::{Map, Value, json};

use super::{Answer, Question, in_memory, keyed, refuse, rows};
use crate::http::projects;
use crate::model::entity::Entity;
use crate::model::project::Direction;

/// The name of the set.
pub const SET: &str = "DataEntities";

/// `GET` below `/metadata`.
pub fn answer(question: &Question<'_>, path: &[&str]) -> Result<Answer, Answer> {
    let parsed = match path {
        [one] => keyed(one),
        _ => None,
    };
    let Some((_, key)) = parsed.filter(|(set, _)| set.eq_ignore_ascii_case(SET)) else {
        return Err(refuse(404, "of the metadata service DataEntities is served; $metadata of the rows is at /data/$metadata"));
    };
    in_memory(question, SET, &["Name"], &key, entities(question), false)
}

fn entities(question: &Question<'_>) -> Vec<Map<String, Value>> {
    let live = question.appliance.live();
    let (readable, mut list) = (rows::readable(question), Vec::new());
    for entity in &live.config.entities {
        let same = |other: &Entity| other.name == entity.name;
        let loaded = projects::jobs(&live, question.caller, Direction::Import).any(|job| job.project.entity(&entity.name).is_some());
        let read = readable.iter().any(|readable| same(&readable.entity));
        if !loaded && !read {
            continue;
        }
        let set = rows::set_name(entity);
        let Value::Object(member) = json!({
            "Name": entity.aliases.first().unwrap_or(&set),
            "PublicEntityName": set,
            "PublicCollectionName": set,
            // The real system has the label's number here; what we have is the label.
            "LabelId": entity.name,
            "DataServiceEnabled": read,
            "DataManagementEnabled": true,
            "EntityCategory": super::CATEGORY,
            "IsReadOnly": !loaded,
        }) else {
            continue;
        };
        list.push(member);
    }
    list
}
