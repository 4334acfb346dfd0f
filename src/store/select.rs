//! Selects an entity's rows for an export: fields, filter, key order, on a snapshot that blocks nobody.

use std::ops::ControlFlow;

use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::StoreError;
use super::changes::{self, Range};
use super::entities::quote;
use crate::document::value;
use crate::model::entity::{Entity, FieldKind};
use crate::model::project::{Condition, ProjectEntity, Test};

/// Begins a read transaction: all entities of an export show the same moment.
pub fn begin_snapshot(connection: &Connection) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("begin the export");
    // Decimals are text with a fixed scale; as text "9.00" is more than "10.00". This compares them exactly.
    connection
        .create_scalar_function(
            "entrepot_decimal_compare",
            2,
            FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC,
            |context| {
                let read =
                    |index: usize| context.get::<Option<String>>(index).map(|text| text.and_then(|text| value::parse_decimal(&text)));
                Ok(match (read(0)?, read(1)?) {
                    (Some(one), Some(other)) => Some(value::compare(one, other) as i64),
                    _ => None,
                })
            },
        )
        .map_err(&failed)?;
    connection.execute_batch("BEGIN").map_err(&failed)
}

/// Calls `row` with the selected values of each row, in key order, until it breaks; returns how many rows it saw.
pub fn rows<B>(
    connection: &Connection,
    project_entity: &ProjectEntity,
    range: Option<Range>,
    row: impl FnMut(&[ValueRef<'_>]) -> ControlFlow<B>,
) -> Result<(u64, Option<B>), StoreError> {
    let (sql, values) = statement(project_entity, range.filter(|range| !range.is_full()));
    each(connection, &project_entity.entity, &sql, values, project_entity.fields.len(), row)
}

/// The same with the keys of rows that were deleted in these epochs, and are not there again.
pub fn deleted<B>(
    connection: &Connection,
    entity: &Entity,
    range: Range,
    row: impl FnMut(&[ValueRef<'_>]) -> ControlFlow<B>,
) -> Result<(u64, Option<B>), StoreError> {
    let key: Vec<String> = entity.key.iter().map(|index| quote(&entity.fields[*index].name)).collect();
    let (table, log, keys) = (quote(&entity.table), changes::log_of(entity), key.join(", "));
    let same: Vec<String> = key.iter().map(|column| format!("kept.{column} = log.{column}")).collect();
    let sql = format!(
        "SELECT DISTINCT {keys} FROM {log} AS log WHERE epoch > {} AND epoch <= {} AND NOT EXISTS (SELECT 1 FROM {table} AS kept WHERE {})
         ORDER BY {keys}",
        range.after,
        range.epoch,
        same.join(" AND ")
    );
    each(connection, entity, &sql, Vec::new(), key.len(), row)
}

fn each<B>(
    connection: &Connection,
    entity: &Entity,
    sql: &str,
    values: Vec<String>,
    width: usize,
    mut row: impl FnMut(&[ValueRef<'_>]) -> ControlFlow<B>,
) -> Result<(u64, Option<B>), StoreError> {
    let failed = StoreError::sqlite("select the entity's rows");
    let exists = connection
        .query_row("SELECT 1 FROM pragma_table_list(?1) WHERE schema = 'main'", [&entity.table], |_| Ok(()))
        .optional()
        .map_err(&failed)?;
    if exists.is_none() {
        // A managed table is made by the first import.
        return Ok((0, None));
    }
    let mut statement = connection.prepare(sql).map_err(&failed)?;
    let mut found = statement.query(rusqlite::params_from_iter(values)).map_err(&failed)?;
    let mut count = 0;
    while let Some(next) = found.next().map_err(&failed)? {
        // They borrow the row, and so are each row's own; what most tables need costs no allocation and little to clear.
        let (mut few, mut many);
        let cells = if width <= 24 {
            few = [ValueRef::Null; 24];
            &mut few[..width]
        } else {
            many = vec![ValueRef::Null; width];
            &mut many[..]
        };
        for (index, cell) in cells.iter_mut().enumerate() {
            *cell = next.get_ref(index).map_err(&failed)?;
        }
        count += 1;
        if let ControlFlow::Break(reason) = row(cells) {
            return Ok((count, Some(reason)));
        }
    }
    Ok((count, None))
}

fn statement(project_entity: &ProjectEntity, range: Option<Range>) -> (String, Vec<String>) {
    let entity = &*project_entity.entity;
    let column = |index: usize| quote(&entity.fields[index].name);
    let fields: Vec<String> = project_entity.fields.iter().map(|index| column(*index)).collect();
    let key: Vec<String> = entity.key.iter().map(|index| column(*index)).collect();
    let mut values = Vec::new();
    let mut conditions = vec!["1".to_owned()];
    conditions.extend(project_entity.filter.iter().map(|condition| compile(entity, condition, &mut values)));
    let table = quote(&entity.table);
    let source = match range {
        None => table,
        Some(range) => {
            let (log, keys) = (changes::log_of(entity), key.join(", "));
            let (after, epoch) = (range.after, range.epoch);
            format!("(SELECT DISTINCT {keys} FROM {log} WHERE epoch > {after} AND epoch <= {epoch}) JOIN {table} USING ({keys})")
        }
    };
    (format!("SELECT {} FROM {} WHERE {} ORDER BY {}", fields.join(", "), source, conditions.join(" AND "), key.join(", ")), values)
}

pub(super) fn compile(entity: &Entity, condition: &Condition, values: &mut Vec<String>) -> String {
    let field = &entity.fields[condition.field];
    let column = quote(&field.name);
    let numeric = matches!(field.kind, FieldKind::Integer | FieldKind::Boolean);
    let mut bind = |value: &str| {
        values.push(value.to_owned());
        if numeric { format!("CAST(?{} AS INTEGER)", values.len()) } else { format!("?{}", values.len()) }
    };
    let mut compare = |operator: &str, value: &str| {
        let value = bind(value);
        if matches!(field.kind, FieldKind::Decimal { .. }) {
            format!("entrepot_decimal_compare({column}, {value}) {operator} 0")
        } else {
            format!("{column} {operator} {value}")
        }
    };
    match &condition.test {
        Test::Equals(value) => compare("=", value),
        Test::NotEquals(value) => compare("<>", value),
        Test::AtLeast(value) => compare(">=", value),
        Test::AtMost(value) => compare("<=", value),
        Test::OneOf(values) if values.is_empty() => "0".into(),
        Test::OneOf(values) => format!("({})", values.iter().map(|value| compare("=", value)).collect::<Vec<_>>().join(" OR ")),
        Test::StartsWith(value) => {
            let value = bind(value);
            format!("substr({column}, 1, length({value})) = {value}")
        }
        Test::Blank(true) => format!("({column} IS NULL OR {column} = '')"),
        Test::Blank(false) => format!("({column} IS NOT NULL AND {column} <> '')"),
    }
}
