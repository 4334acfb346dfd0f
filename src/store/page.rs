//! Pages of an entity's rows, for readers that ask over HTTP: by keyset, on a snapshot that blocks nobody. What the export project allows (its
//! filter) is always part of the question.

use std::fmt::Write;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use super::entities::quote;
use super::{StoreError, compare, select};
use crate::model::entity::{Entity, FieldKind};
use crate::model::project::ProjectEntity;
use crate::model::query::{Filter, Operator, Page, TextTest};

/// The columns that a page is ordered by: those that were asked for, then the key.
pub fn order(entity: &Entity, page: &Page) -> Vec<(usize, bool)> {
    let key = entity.key.iter().filter(|field| !page.order.iter().any(|(ordered, _)| ordered == *field)).map(|field| (*field, false));
    page.order.iter().copied().chain(key).collect()
}

/// The value of a column of [`order`], by which the page behind it is found: a letter for what it is in the table, and the value.
pub fn place(cell: ValueRef<'_>) -> Option<String> {
    Some(match cell {
        ValueRef::Null => return None,
        ValueRef::Integer(value) => format!("i{value}"),
        ValueRef::Real(value) => format!("r{:x}", value.to_bits()),
        ValueRef::Text(bytes) => format!("t{}", String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => bytes.iter().fold("b".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        }),
    })
}

/// Calls `row` with the values of `fields` and of [`order`]'s columns for each row of a page, until it says `false`. Returns how many rows there are
/// on all pages, when `counted`.
pub fn rows(
    connection: &Connection,
    project_entity: &ProjectEntity,
    fields: &[usize],
    page: &Page,
    counted: bool,
    mut row: impl FnMut(&[ValueRef<'_>], &[ValueRef<'_>]) -> bool,
) -> Result<u64, StoreError> {
    let failed = StoreError::sqlite("read a page of rows");
    select::begin_snapshot(connection)?;
    if !exists(connection, &project_entity.entity)? {
        return Ok(0);
    }
    let count = if counted { count(connection, project_entity, page)? } else { 0 };
    let order = order(&project_entity.entity, page);
    let columns = fields.iter().chain(order.iter().map(|(field, _)| field));
    let mut question = Question::new(project_entity, page.filter.as_ref());
    if let Some(after) = &page.after {
        let text = question.after(&order, after);
        question.conditions.push(text);
    }
    let sql = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {} OFFSET {}",
        columns.map(|field| question.column(*field)).collect::<Vec<_>>().join(", "),
        quote(&project_entity.entity.table),
        question.conditions.join(" AND "),
        order
            .iter()
            .map(|(field, down)| format!("{}{}", question.column(*field), if *down { " DESC" } else { "" }))
            .collect::<Vec<_>>()
            .join(", "),
        i64::try_from(page.limit).unwrap_or(i64::MAX),
        i64::try_from(page.skip).unwrap_or(i64::MAX),
    );
    let mut statement = connection.prepare(&sql).map_err(&failed)?;
    let mut found = statement.query(rusqlite::params_from_iter(&question.values)).map_err(&failed)?;
    while let Some(next) = found.next().map_err(&failed)? {
        let cell = |index: usize| next.get_ref(index);
        let values = (0..fields.len()).map(cell).collect::<Result<Vec<_>, _>>().map_err(&failed)?;
        let place = (fields.len()..fields.len() + order.len()).map(cell).collect::<Result<Vec<_>, _>>().map_err(&failed)?;
        if !row(&values, &place) {
            break;
        }
    }
    Ok(count)
}

fn count(connection: &Connection, project_entity: &ProjectEntity, page: &Page) -> Result<u64, StoreError> {
    let question = Question::new(project_entity, page.filter.as_ref());
    let sql = format!("SELECT count(*) FROM {} WHERE {}", quote(&project_entity.entity.table), question.conditions.join(" AND "));
    connection.query_row(&sql, rusqlite::params_from_iter(&question.values), |row| row.get(0)).map_err(StoreError::sqlite("count the rows"))
}

/// A managed table is made by the first import.
fn exists(connection: &Connection, entity: &Entity) -> Result<bool, StoreError> {
    let found = connection.query_row("SELECT 1 FROM pragma_table_list(?1) WHERE schema = 'main'", [&entity.table], |_| Ok(()));
    found.optional().map(|found| found.is_some()).map_err(StoreError::sqlite("look for the entity's table"))
}

/// Conditions with their values; no value is ever part of the text.
struct Question<'a> {
    entity: &'a Entity,
    conditions: Vec<String>,
    values: Vec<String>,
}

impl<'a> Question<'a> {
    fn new(project_entity: &'a ProjectEntity, filter: Option<&Filter<usize>>) -> Question<'a> {
        let entity = &*project_entity.entity;
        let mut question = Question { entity, conditions: vec!["1".into()], values: Vec::new() };
        for condition in &project_entity.filter {
            let text = compare::condition(entity, &compare::column(entity, condition.field), condition, &mut question.values);
            question.conditions.push(text);
        }
        if let Some(filter) = filter {
            let text = question.filter(filter);
            question.conditions.push(text);
        }
        question
    }

    fn column(&self, field: usize) -> String {
        compare::column(self.entity, field)
    }

    /// A value that [`place`] has spelled; it comes from a client, who may have written anything. What is a number or bytes in the table is compared as that: an order of SQLite has them before texts, or behind.
    fn bind(&mut self, value: &str) -> String {
        if let (Some("i"), Some(Ok(number))) = (value.get(..1), value.get(1..).map(str::parse::<i64>)) {
            return number.to_string();
        }
        if let (Some("r"), Some(Ok(bits))) = (value.get(..1), value.get(1..).map(|bits| u64::from_str_radix(bits, 16))) {
            let real = f64::from_bits(bits);
            return if real.is_finite() { format!("{real:e}") } else { (if real > 0.0 { "9e999" } else { "-9e999" }).to_owned() };
        }
        if let (Some("b"), Some(bytes)) = (value.get(..1), value.get(1..))
            && bytes.len().is_multiple_of(2)
            && bytes.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return format!("x'{bytes}'");
        }
        self.values.push(value.get(1..).unwrap_or_default().to_owned());
        format!("?{}", self.values.len())
    }

    fn compare(&mut self, field: usize, operator: &str, value: &str) -> String {
        compare::comparison(self.entity, field, &self.column(field), operator, value, &mut self.values)
    }

    /// That a row tells no value of a field; a blank text is one.
    fn none(&self, field: usize) -> String {
        let column = self.column(field);
        match self.entity.fields[field].kind {
            FieldKind::String { .. } => format!("{column} IS NULL"),
            _ => format!("({})", compare::blank(self.entity, field, &column)),
        }
    }

    fn filter(&mut self, filter: &Filter<usize>) -> String {
        match filter {
            Filter::And(one, other) => format!("({} AND {})", self.filter(one), self.filter(other)),
            Filter::Or(one, other) => format!("({} OR {})", self.filter(one), self.filter(other)),
            // Without a value a comparison is neither true nor false; to a client it is false.
            Filter::Not(inner) => format!("NOT coalesce({}, 0)", self.filter(inner)),
            Filter::Compare(field, Operator::NotEqual, None) => format!("NOT ({})", self.none(*field)),
            Filter::Compare(field, Operator::Equal, None) => self.none(*field),
            Filter::Compare(_, _, None) => "0".into(),
            Filter::Compare(field, operator, Some(value)) => match operator {
                Operator::Equal => self.compare(*field, "=", value),
                Operator::NotEqual => format!("({} OR {} IS NULL)", self.compare(*field, "<>", value), self.column(*field)),
                Operator::Greater => self.compare(*field, ">", value),
                Operator::GreaterOrEqual => self.compare(*field, ">=", value),
                Operator::Less => self.compare(*field, "<", value),
                Operator::LessOrEqual => self.compare(*field, "<=", value),
            },
            Filter::Text(field, test, value) => {
                self.values.push(value.clone());
                let (column, value) = (self.column(*field), format!("?{}", self.values.len()));
                match test {
                    TextTest::StartsWith => format!("substr({column}, 1, length({value})) = {value}"),
                    TextTest::EndsWith => format!(
                        "(length({column}) >= length({value}) AND substr({column}, length({column}) - length({value}) + 1) = {value})"
                    ),
                    TextTest::Contains => format!("instr({column}, {value}) > 0"),
                }
            }
        }
    }

    /// Rows after a row, in an order of several columns; what has no value comes first, or last when the order is downwards. That order is the one in
    /// which the columns stand, whatever their fields mean.
    fn after(&mut self, order: &[(usize, bool)], values: &[Option<String>]) -> String {
        let mut alternatives = Vec::new();
        let mut same: Vec<String> = Vec::new();
        for (at, ((field, down), value)) in order.iter().zip(values).enumerate() {
            let column = self.column(*field);
            let beyond = match (value, down) {
                (Some(value), false) => format!("{column} > {}", self.bind(value)),
                (Some(value), true) => format!("({column} < {} OR {column} IS NULL)", self.bind(value)),
                (None, false) => format!("{column} IS NOT NULL"),
                (None, true) => "0".into(),
            };
            alternatives.push(same.iter().cloned().chain([beyond]).collect::<Vec<_>>().join(" AND "));
            // Nothing comes after the last column: no value is bound that nothing names.
            if at + 1 == order.len() {
                break;
            }
            same.push(match value {
                Some(value) => {
                    let value = self.bind(value);
                    format!("{column} = {value}")
                }
                None => format!("{column} IS NULL"),
            });
        }
        format!("({})", alternatives.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(" OR "))
    }
}
