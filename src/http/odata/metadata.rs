//! The service document and `$metadata`: the sets that everybody has, and the entities whose rows the caller may read.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{Answer, Question, object, rows, sets};
use crate::model::entity::FieldKind;

/// The Edm type of a field.
fn edm(kind: &FieldKind) -> String {
    match kind {
        FieldKind::String { .. } | FieldKind::Enum { .. } => "Edm.String".into(),
        FieldKind::Integer => "Edm.Int64".into(),
        FieldKind::Decimal { precision, scale } => format!("Edm.Decimal\" Precision=\"{precision}\" Scale=\"{scale}"),
        FieldKind::Date => "Edm.Date".into(),
        FieldKind::DateTime => "Edm.DateTimeOffset".into(),
        FieldKind::Boolean => "Edm.Boolean".into(),
        FieldKind::Guid => "Edm.Guid".into(),
    }
}

/// `GET /data`
pub fn service(question: &Question<'_>) -> Answer {
    let fixed = sets::SETS.iter().map(|(set, ..)| (*set).to_owned());
    let readable = rows::readable(question).into_iter().map(|readable| rows::set_name(&readable.entity));
    let list: Vec<Value> = fixed.chain(readable).map(|set| json!({ "name": set, "kind": "EntitySet", "url": set })).collect();
    object(format!("{}/data/$metadata", question.base), Map::from_iter([("value".to_owned(), Value::Array(list))]))
}

/// `GET /data/$metadata`
pub fn document(question: &Question<'_>) -> Answer {
    let escape = |text: &str| quick_xml::escape::escape(text).into_owned();
    let (mut types, mut container) = (String::new(), String::new());
    let mut add = |set: &str, kind: &str, keys: &[String], fields: &[(String, String, bool)]| {
        let _ = write!(types, "<EntityType Name=\"{}\"><Key>", escape(kind));
        for key in keys {
            let _ = write!(types, "<PropertyRef Name=\"{}\"/>", escape(key));
        }
        types.push_str("</Key>");
        for (name, edm, needed) in fields {
            let nullable = if *needed { " Nullable=\"false\"" } else { "" };
            let _ = write!(types, "<Property Name=\"{}\" Type=\"{edm}\"{nullable}/>", escape(name));
        }
        types.push_str("</EntityType>");
        let _ = write!(container, "<EntitySet Name=\"{}\" EntityType=\"Microsoft.Dynamics.DataEntities.{}\"/>", escape(set), escape(kind));
    };
    for (set, kind, keys, others) in sets::SETS {
        let text = |name: &&str, needed| ((*name).to_owned(), "Edm.String".to_owned(), needed);
        let fields: Vec<_> = keys.iter().map(|name| text(name, true)).chain(others.iter().map(|name| text(name, false))).collect();
        add(set, kind, &keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>(), &fields);
    }
    for readable in rows::readable(question) {
        let entity = &readable.entity;
        let name = rows::set_name(entity);
        let keys: Vec<String> = entity.key.iter().map(|index| entity.fields[*index].name.clone()).collect();
        let fields: Vec<_> = readable
            .fields
            .iter()
            .map(|index| (entity.fields[*index].name.clone(), edm(&entity.fields[*index].kind), entity.key.contains(index)))
            .collect();
        add(&name, &format!("{name}Row"), &keys, &fields);
    }
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><edmx:Edmx Version=\"4.0\" xmlns:edmx=\"http://docs.oasis-open.org/odata/ns/edmx\"><edmx:DataServices>\
         <Schema Namespace=\"Microsoft.Dynamics.DataEntities\" xmlns=\"http://docs.oasis-open.org/odata/ns/edm\">{types}<EntityContainer Name=\"Resources\">\
         {container}</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"
    );
    Answer::text(200, "application/xml", text).with("OData-Version", "4.0")
}
