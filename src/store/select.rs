//! Selects an entity's rows for an export: fields, filter, key order, on a snapshot that blocks nobody.

use std::collections::HashSet;
use std::ops::ControlFlow;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use super::changes::{self, Range};
use super::entities::{as_kept, found, quote};
use super::{StoreError, compare};
use crate::model::entity::{Entity, FieldKind};
use crate::model::project::ProjectEntity;

/// Begins a read transaction: all entities of an export show the same moment.
pub fn begin_snapshot(connection: &Connection) -> Result<(), StoreError> {
    let failed = StoreError::sqlite("begin the export");
    compare::register(connection).map_err(&failed)?;
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

/// The same with the keys of rows that were deleted in these epochs, and are not there again. Of the filter only the conditions on key fields can be
/// judged: nothing else is left of such a row.
pub fn deleted<B>(
    connection: &Connection,
    project_entity: &ProjectEntity,
    range: Range,
    mut row: impl FnMut(&[ValueRef<'_>]) -> ControlFlow<B>,
) -> Result<(u64, Option<B>), StoreError> {
    let entity = &*project_entity.entity;
    let key: Vec<String> = entity.key.iter().map(|index| compare::column(entity, *index)).collect();
    let (table, log, keys) = (quote(&entity.table), changes::log_of(entity), key.join(", "));
    let epoch = changes::epoch_of(entity);
    let same: Vec<String> = key.iter().map(|column| same_spelling(entity, &format!("kept.{column}"), &format!("log.{column}"))).collect();
    let mut values = Vec::new();
    let mut conditions = vec!["1".to_owned()];
    for condition in project_entity.filter.iter().filter(|condition| entity.key.contains(&condition.field)) {
        let column = format!("log.{}", compare::column(entity, condition.field));
        // The log's columns have no type, by which a number would be compared as the text that the field is, and compare byte by byte.
        let column = match entity.fields[condition.field].kind {
            FieldKind::String { .. } => {
                let collation = found::collation(connection, &entity.table, &entity.fields[condition.field].name);
                format!("CAST({column} AS TEXT) COLLATE {}", quote(&collation))
            }
            _ => column,
        };
        conditions.push(compare::condition(entity, &column, condition, &mut values));
    }
    let sql = format!(
        "SELECT DISTINCT {keys} FROM {log} AS log WHERE {epoch} > {} AND {epoch} <= {} AND {} AND NOT EXISTS (SELECT 1 FROM {table} AS kept WHERE {})
         ORDER BY {keys}",
        range.after,
        range.epoch,
        conditions.join(" AND "),
        same.join(" AND ")
    );
    let there = there_otherwise(connection, entity, &sql, &values, &format!("SELECT {keys} FROM {table}"))?;
    let mut passed_over = 0;
    let found = each(connection, entity, &sql, values, key.len(), |cells| {
        if !there.is_empty() && there.contains(&as_told(entity, cells)) {
            passed_over += 1;
            return ControlFlow::Continue(());
        }
        row(cells)
    });
    found.map(|(count, broken)| (count - passed_over, broken))
}

/// A key as a document tells it, in few bytes.
type Told = [u8; 16];

/// Of the keys that are gone those that a row of somebody else's table still has in another spelling (`007` and `7`, a GUID in small letters): a document
/// says the same of both, and whoever is told that it is gone removes a row that is there.
fn there_otherwise(
    connection: &Connection,
    entity: &Entity,
    gone: &str,
    values: &[String],
    all: &str,
) -> Result<HashSet<Told>, StoreError> {
    let mut there = HashSet::new();
    if entity.is_managed() || !entity.key.iter().any(|index| has_spellings(connection, entity, *index)) {
        return Ok(there);
    }
    let (mut told, width) = (HashSet::new(), entity.key.len());
    each(connection, entity, gone, values.to_vec(), width, |cells| {
        told.insert(as_told(entity, cells));
        ControlFlow::<()>::Continue(())
    })?;
    if !told.is_empty() {
        each(connection, entity, all, Vec::new(), width, |cells| {
            there.extend(Some(as_told(entity, cells)).filter(|one| told.contains(one)));
            ControlFlow::<()>::Continue(())
        })?;
    }
    Ok(there)
}

/// Whether a column may keep one value of its field in several spellings. Columns of numbers keep numbers.
fn has_spellings(connection: &Connection, entity: &Entity, index: usize) -> bool {
    let field = &entity.fields[index];
    let declared = || {
        let known = connection.column_metadata(Some("main"), &entity.table, &field.name).ok().and_then(|(kind, ..)| kind);
        known.map(|kind| kind.to_string_lossy().to_ascii_uppercase()).unwrap_or_default()
    };
    match field.kind {
        FieldKind::String { .. } => false,
        FieldKind::Integer | FieldKind::Decimal { .. } => {
            // As SQLite derives an affinity from a declared type.
            let declared = declared();
            let is = |words: &[&str]| words.iter().any(|word| declared.contains(word));
            !is(&["INT"]) && (declared.is_empty() || is(&["CHAR", "CLOB", "TEXT", "BLOB", "ANY"]))
        }
        _ => true,
    }
}

fn as_told(entity: &Entity, cells: &[ValueRef<'_>]) -> Told {
    let mut hash = Sha256::new();
    for (index, cell) in entity.key.iter().zip(cells) {
        let text = match as_kept(*cell, &entity.fields[*index]) {
            Ok(kept) => kept.map(|kept| kept.text()).unwrap_or_default(),
            // It ends the export where it is told.
            Err(wrong) => wrong.message,
        };
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let mut told = Told::default();
    told.copy_from_slice(&hash.finalize()[..16]);
    told
}

/// That a column has a key of the log. Of the keys that a column of somebody else's table calls alike (NOCASE) it is the one that is spelled so: a row
/// stands once in what changed, and a spelling that is no more is a key that is gone. The column's own comparison is what an index serves.
fn same_spelling(entity: &Entity, column: &str, key: &str) -> String {
    match entity.is_managed() {
        true => format!("{column} IS {key}"),
        false => format!("{column} IS {key} AND {column} COLLATE BINARY IS {key}"),
    }
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
    let fields: Vec<String> = project_entity.fields.iter().map(|index| compare::column(entity, *index)).collect();
    let key: Vec<String> = entity.key.iter().map(|index| compare::column(entity, *index)).collect();
    let mut values = Vec::new();
    let mut conditions = vec!["1".to_owned()];
    for condition in &project_entity.filter {
        conditions.push(compare::condition(entity, &compare::column(entity, condition.field), condition, &mut values));
    }
    let table = quote(&entity.table);
    let source = match range {
        None => table,
        Some(range) => {
            let (log, epoch) = (changes::log_of(entity), changes::epoch_of(entity));
            let (after, last) = (range.after, range.epoch);
            // IS: a table of somebody else may have rows without a key.
            let named: Vec<String> = key.iter().enumerate().map(|(at, column)| format!("{column} AS entrepot_key{at}")).collect();
            let same = key.iter().enumerate();
            let same = same.map(|(at, column)| same_spelling(entity, &format!("{table}.{column}"), &format!("entrepot_key{at}")));
            let same: Vec<String> = same.collect();
            format!(
                "(SELECT DISTINCT {} FROM {log} WHERE {epoch} > {after} AND {epoch} <= {last}) JOIN {table} ON {}",
                named.join(", "),
                same.join(" AND ")
            )
        }
    };
    (format!("SELECT {} FROM {} WHERE {} ORDER BY {}", fields.join(", "), source, conditions.join(" AND "), key.join(", ")), values)
}
