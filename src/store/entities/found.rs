//! Tables of an external database as they are found: what an entity says of one is held against it, and what it leaves out is read from it.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::quote;
use crate::document::value;
use crate::model::entity::{Entity, Field, FieldKind};

/// A table or a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Nothing is loaded into a view, and no changes of it are tracked.
    pub view: bool,
    /// Its rows have no number of their own.
    pub without_rowid: bool,
    /// Triggers of somebody else's, or rules that pass over a row in conflict: what they make of one has to be looked at.
    pub triggers: bool,
    /// In order.
    pub columns: Vec<Column>,
    /// Sets of columns that no two rows have alike, the primary key first.
    pub keys: Vec<Vec<String>>,
    /// By which rules the index of each of them compares; nothing where none is known.
    pub collations: Vec<Vec<String>>,
    /// Tables of which rows go, or lose what they refer to, when a row of this one is removed.
    pub cascades: Vec<String>,
    /// Tables whose rows refer to rows of this one and keep them from being removed.
    pub holders: Vec<String>,
}

/// What to do where rows of other tables keep those of one from being removed.
pub const HELD: &str = "leave truncate out, or declare the foreign key ON DELETE CASCADE, or DEFERRABLE INITIALLY DEFERRED without RESTRICT: it is judged then when all is loaded";

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// As the table has it.
    pub name: String,
    /// The declared type, which SQLite takes for a wish.
    pub declared: String,
    /// It takes no NULL.
    pub not_null: bool,
    /// It must have a value, and has none of its own.
    pub required: bool,
    /// The value that it has of its own, as an expression of SQL.
    pub default: Option<String>,
    /// Computed from others: it can be read, not written.
    pub generated: bool,
}

/// What a column makes of the values that are put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// A number is kept as its text.
    Text,
    /// A text that is a number is kept as the number.
    Number,
    /// The same, and the number is a double.
    Real,
    /// All is kept as it comes.
    Nothing,
}

/// What is found under a table's name; `Err` says why it cannot be used, as a clause.
pub fn look(path: &Path, table: &str, lock_wait: Duration) -> Result<Table, String> {
    if !path.is_file() {
        return Err(format!("there is no file {}", path.display()));
    }
    let unreadable = |error: rusqlite::Error| format!("{} cannot be read: {error}", path.display());
    let connection = super::open(path, false, lock_wait).map_err(unreadable)?;
    match of(&connection, table).map_err(unreadable)? {
        Some(found) => Ok(found),
        None => {
            let names: Vec<String> = connection
                .prepare(
                    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
                     AND name NOT LIKE 'entrepot\\_%' ESCAPE '\\' ORDER BY name LIMIT 50",
                )
                .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
                .map_err(unreadable)?;
            let has = if names.is_empty() { "it is empty".to_owned() } else { format!("it has {}", names.join(", ")) };
            Err(format!("{} has no table \"{table}\": {has}", path.display()))
        }
    }
}

/// The same in a database that is open; `None` when there is no such table.
pub fn of(connection: &Connection, table: &str) -> rusqlite::Result<Option<Table>> {
    let mut found = Table::default();
    let mut key = Vec::new();
    let mut columns = connection.prepare_cached("SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)")?;
    let mut rows = columns.query([table])?;
    while let Some(row) = rows.next()? {
        // 1 is a hidden column of a virtual table; 2 and 3 are generated.
        let (name, hidden): (String, u8) = (row.get(0)?, row.get(5)?);
        if hidden == 1 {
            continue;
        }
        match row.get(4)? {
            0 => {}
            place => key.push((place, name.clone())),
        }
        let default: Option<String> = row.get::<_, Option<String>>(3)?.filter(|default| !default.eq_ignore_ascii_case("NULL"));
        let not_null: bool = row.get(2)?;
        let required = not_null && default.is_none();
        let default = default.as_deref().map(expression);
        found.columns.push(Column { name, declared: row.get(1)?, not_null, required, default, generated: hidden > 1 });
    }
    if found.columns.is_empty() {
        return Ok(None);
    }
    key.sort_by_key(|(place, _): &(u32, String)| *place);
    if let [(_, alone)] = key.as_slice() {
        // An INTEGER PRIMARY KEY has always a value of its own.
        let rowid = found.columns.iter_mut().find(|column| column.name == *alone && column.declared.eq_ignore_ascii_case("INTEGER"));
        rowid.into_iter().for_each(|column| column.required = false);
    }
    if !key.is_empty() {
        found.keys.push(key.into_iter().map(|(_, name)| name).collect());
        found.collations.push(Vec::new());
    }
    let mut kind = connection.prepare_cached(
        "SELECT type = 'view', wr, EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE
            AND name NOT LIKE 'entrepot\\_%' ESCAPE '\\')
            OR EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE AND sql LIKE '%conflict%')
         FROM pragma_table_list(?1) WHERE schema = 'main'",
    )?;
    (found.view, found.without_rowid, found.triggers) = kind.query_row([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    // Without an action a key is judged when the statement ends, where rows of the table itself are gone as well, or with the commit; RESTRICT is at once.
    let mut others = connection.prepare_cached(
        "SELECT DISTINCT other.name, refers.on_delete IN ('RESTRICT', 'NO ACTION') FROM sqlite_schema AS other, pragma_foreign_key_list(other.name) AS refers
         WHERE other.type = 'table' AND refers.\"table\" = ?1 COLLATE NOCASE AND (other.name <> ?1 COLLATE NOCASE OR refers.on_delete = 'RESTRICT')
           AND NOT (refers.on_delete = 'NO ACTION' AND other.sql LIKE '%INITIALLY%DEFERRED%'
            AND (SELECT count(DISTINCT id) FROM pragma_foreign_key_list(other.name)) = 1) ORDER BY other.name",
    )?;
    let mut rows = others.query([table])?;
    while let Some(row) = rows.next()? {
        if row.get(1)? { &mut found.holders } else { &mut found.cascades }.push(row.get(0)?);
    }
    let mut indexes = connection.prepare_cached(
        "SELECT list.name, info.name, info.coll FROM pragma_index_list(?1) AS list, pragma_index_xinfo(list.name) AS info
         WHERE list.\"unique\" AND NOT list.partial AND info.\"key\" ORDER BY list.seq, info.seqno",
    )?;
    let mut rows = indexes.query([table])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (index, column): (String, Option<String>) = (row.get(0)?, row.get(1)?);
        if last.as_ref() != Some(&index) {
            found.keys.push(Vec::new());
            found.collations.push(Vec::new());
            last = Some(index);
        }
        found.collations.last_mut().expect("one was added").push(row.get(2)?);
        // An expression has no name, and no key of an entity is one.
        found.keys.last_mut().expect("one was added").push(column.unwrap_or_default());
    }
    Ok(Some(found))
}

/// Digits of a decimal that a double keeps, whatever they are.
pub const DOUBLE_DIGITS: usize = 15;

/// The number that a column of this type makes of a text, as it is read again; nothing where the text stays one, or comes back as it was.
pub fn changed(text: &str, affinity: Affinity) -> Option<String> {
    let is_digits = !text.starts_with('0') && text.len() <= DOUBLE_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits || !matches!(affinity, Affinity::Number | Affinity::Real) || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = text.trim_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    // What Rust reads beyond that are words, without a digit.
    let real: f64 = number.parse().ok()?;
    let kept = match number.parse::<i64>() {
        Ok(whole) if affinity == Affinity::Number => whole.to_string(),
        // Nothing is less than nothing.
        _ => value::real_text(real + 0.0),
    };
    (kept != text).then_some(kept)
}

/// By which rules a column compares texts.
pub fn collation(connection: &Connection, table: &str, column: &str) -> String {
    // A view's column is not asked for its own.
    let known = connection.column_metadata(Some("main"), table, column).ok().and_then(|(_, collation, ..)| collation);
    known.map_or_else(|| "BINARY".into(), |collation| collation.to_string_lossy().into_owned())
}

/// The default of a column as an expression that stands anywhere. A word alone, in quotes or not, is a text as a default, and the name of a column
/// elsewhere. What was written in brackets may end with a comment.
fn expression(default: &str) -> String {
    const VALUES: [&str; 5] = ["TRUE", "FALSE", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"];
    let within = |open: char, close: char| default.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let in_quotes = ['"', '`'].into_iter().find_map(|mark| Some(within(mark, mark)?.replace(&format!("{mark}{mark}"), &mark.to_string())));
    let is_word = default.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii())
        && !default.starts_with(|c: char| c.is_ascii_digit())
        && !VALUES.iter().any(|value| default.eq_ignore_ascii_case(value));
    match in_quotes.or_else(|| within('[', ']').map(str::to_owned)).or_else(|| is_word.then(|| default.to_owned())) {
        Some(word) => format!("'{}'", word.replace('\'', "''")),
        None => format!("({default}\n)"),
    }
}

impl Table {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// That a field of the entity's key has a value, as the index compares by which rows are told apart: it may call alike what the column does not, and the
    /// reverse.
    pub fn is_key(&self, entity: &Entity, index: usize, number: usize) -> String {
        let name = quote(&entity.fields[index].name);
        match self.collation_of_key(entity, index) {
            Some(collation) => format!("{name} = ?{number} COLLATE {}", quote(collation)),
            None => format!("{name} = ?{number}"),
        }
    }

    /// By which rules that index compares the field.
    pub fn collation_of_key(&self, entity: &Entity, index: usize) -> Option<&str> {
        let mut known = self.keys.iter().zip(&self.collations).filter(|_| !entity.is_managed());
        let (columns, rules) = known.find(|(columns, rules)| !rules.is_empty() && self.is_of(entity, columns))?;
        let place = columns.iter().position(|column| column.eq_ignore_ascii_case(&entity.fields[index].name))?;
        rules.get(place).map(String::as_str)
    }

    /// Whether these columns are the entity's key.
    fn is_of(&self, entity: &Entity, columns: &[String]) -> bool {
        let is = |column: &String| entity.key.iter().any(|index| entity.fields[*index].name.eq_ignore_ascii_case(column));
        columns.len() == entity.key.len() && columns.iter().all(is)
    }

    /// The value of a blank one in a new row, as SQL; `None` where that is NULL, and may be.
    pub fn blank(&self, name: &str) -> Option<&str> {
        let column = self.column(name)?;
        column.default.as_deref().or(column.required.then_some("NULL"))
    }

    /// Whether a blank of the field is the empty text: in tables of somebody else whose column takes no NULL, which have it for a blank themselves.
    pub fn blank_is_empty(&self, entity: &Entity, index: usize) -> bool {
        let field = &entity.fields[index];
        let takes_none = || self.column(&field.name).is_some_and(|column| column.not_null) && self.affinity(&field.name) == Affinity::Text;
        !entity.is_managed() && matches!(field.kind, FieldKind::String { .. }) && takes_none()
    }

    /// What a table of ours keeps in another type, or by another key, than the configuration says, from before that was changed; as a sentence.
    pub fn keeps_otherwise(&self, entity: &Entity) -> Option<String> {
        let types = entity.fields.iter().find_map(|field| {
            let column = self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(&field.name))?;
            (column.declared != super::column_type(&field.kind)).then(|| super::kept_otherwise(entity, field, &column.declared))
        });
        types.or_else(|| super::key_otherwise(entity, self.keys.first().map_or(&[], Vec::as_slice)))
    }

    /// Fields of the entity that the table has no column for, as a clause; nothing when it has all.
    pub fn lacks(&self, entity: &Entity) -> Option<String> {
        let missing: Vec<&str> = entity.fields.iter().map(|field| field.name.as_str()).filter(|name| self.column(name).is_none()).collect();
        let has: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        (!missing.is_empty()).then(|| format!("\"{}\" has no column {}: it has {}", entity.table, missing.join(", "), has.join(", ")))
    }

    /// Why rows cannot be loaded into it, as a clause. `fields` are those that a project fills.
    pub fn refuses(&self, entity: &Entity, fields: &[usize]) -> Option<String> {
        let table = &entity.table;
        if self.view {
            return Some(format!("\"{table}\" is a view: rows are loaded into tables only"));
        }
        let name = |index: &usize| entity.fields[*index].name.as_str();
        if let Some(generated) = fields.iter().map(name).find(|name| self.column(name).is_some_and(|column| column.generated)) {
            return Some(format!("\"{table}\" computes the column {generated} itself: no value can be loaded into it"));
        }
        let key: Vec<&str> = entity.key.iter().map(name).collect();
        (!self.keys.iter().any(|columns| self.is_of(entity, columns))).then(|| {
            let keys = key.join(", ");
            format!(
                "\"{table}\" has neither primary key nor unique index of just {keys}: new rows could not be told from those that are there"
            )
        })
    }

    /// What the declared type of a column makes of values, in SQLite's words.
    pub fn affinity(&self, name: &str) -> Affinity {
        let Some(column) = self.column(name) else { return Affinity::Nothing };
        let declared = column.declared.to_ascii_uppercase();
        let has = |part: &&str| declared.contains(part);
        match () {
            () if declared.contains("INT") => Affinity::Number,
            () if ["CHAR", "CLOB", "TEXT"].iter().any(has) => Affinity::Text,
            // ANY is a type of strict tables.
            () if declared.contains("BLOB") || declared.is_empty() || declared == "ANY" => Affinity::Nothing,
            () if ["REAL", "FLOA", "DOUB"].iter().any(has) => Affinity::Real,
            () => Affinity::Number,
        }
    }

    /// Whether the column is declared as a number.
    pub fn is_number(&self, name: &str) -> bool {
        matches!(self.affinity(name), Affinity::Number | Affinity::Real)
    }

    /// Whether the field's column makes a double of a decimal. A whole number of 64 bits stays one, but where the column is REAL.
    pub fn keeps_doubles(&self, field: &Field) -> bool {
        match (self.affinity(&field.name), &field.kind) {
            (Affinity::Real, FieldKind::Decimal { .. }) => true,
            (Affinity::Number, FieldKind::Decimal { precision, scale }) => *scale > 0 || *precision > 18,
            _ => false,
        }
    }

    /// Where texts are put into a column that is a number to SQLite, as a clause. Dates are texts that are none.
    pub fn takes_for_numbers(&self, entity: &Entity, fields: &[usize]) -> Option<String> {
        let texts = fields.iter().map(|index| &entity.fields[*index]).filter(|field| matches!(field.kind, FieldKind::String { .. }));
        let mut columns = texts.filter(|field| self.is_number(&field.name)).filter_map(|field| self.column(&field.name));
        let is_date = |column: &&Column| ["DATE", "TIME"].iter().any(|begin| column.declared.to_ascii_uppercase().starts_with(begin));
        columns.find(|column| !is_date(column)).map(|column| {
            format!("the column {} is declared as {}, to SQLite a number: of the text 0012 it keeps 12", column.name, column.declared)
        })
    }

    /// Columns that must have a value and have none of their own, and are none of these fields: no row can be new.
    pub fn requires(&self, entity: &Entity, fields: &[usize]) -> Option<String> {
        let filled = |column: &Column| fields.iter().any(|index| entity.fields[*index].name.eq_ignore_ascii_case(&column.name));
        let lacking: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.required && !column.generated && !filled(column))
            .map(|column| column.name.as_str())
            .collect();
        (!lacking.is_empty()).then(|| {
            format!("\"{}\" takes no new row without {}, which nothing fills and which has no default", entity.table, lacking.join(", "))
        })
    }

    /// Fields for the columns that are not computed, with the types that they are declared with.
    pub fn fields(&self) -> Vec<Field> {
        let stored = self.columns.iter().filter(|column| !column.generated);
        stored
            .map(|column| Field {
                name: column.name.clone(),
                kind: kind_of(&column.declared),
                required: column.required,
                ..Field::default()
            })
            .collect()
    }
}

/// The type of a field for a declared type. What the declaration leaves open is text, which is stored and sent as it is: dates, too, because SQLite has
/// no type for them, and every program writes them in its own way.
fn kind_of(declared: &str) -> FieldKind {
    let declared = declared.to_ascii_uppercase();
    let (name, sizes) = declared.split_once('(').unwrap_or((&declared, ""));
    let mut sizes = sizes.trim_end_matches(')').split(',').map(|size| size.trim().parse::<u32>().ok());
    let (first, second) = (sizes.next().flatten(), sizes.next().flatten());
    let name = name.trim();
    if name.starts_with("BOOL") {
        FieldKind::Boolean
    } else if name.contains("INT") || name == "LONG" {
        FieldKind::Integer
    } else if ["GUID", "UUID", "UNIQUEIDENTIFIER"].contains(&name) {
        FieldKind::Guid
    } else if ["DEC", "NUM", "REAL", "FLOA", "DOUB", "MONEY", "SMALLMONEY", "CURRENCY", "PRICE", "AMOUNT"]
        .iter()
        .any(|begin| name.starts_with(begin))
    {
        // A double may be large; how many digits of it count is looked at where one is read or written.
        let precision = first.filter(|precision| (1..=38).contains(precision)).unwrap_or(38);
        let scale = second.or(first.map(|_| 0)).unwrap_or(6).min(precision).min(28);
        FieldKind::Decimal { precision: precision as u8, scale: scale as u8 }
    } else {
        FieldKind::String { length: first.filter(|length| (1..=1_000_000).contains(length) && name.contains("CHAR")) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::as_kept;
    use super::*;

    #[test]
    fn types_are_those_that_the_table_declares() {
        let decimal = |precision, scale| FieldKind::Decimal { precision, scale };
        let string = |length| FieldKind::String { length };
        for (declared, kind) in [
            ("INTEGER", FieldKind::Integer),
            ("bigint", FieldKind::Integer),
            ("BOOLEAN", FieldKind::Boolean),
            ("DECIMAL(10, 3)", decimal(10, 3)),
            ("numeric(8)", decimal(8, 0)),
            ("REAL", decimal(38, 6)),
            ("double precision", decimal(38, 6)),
            ("currency", decimal(38, 6)),
            ("LONG", FieldKind::Integer),
            ("LONG VARCHAR(20)", string(Some(20))),
            ("VARCHAR(20)", string(Some(20))),
            ("TEXT", string(None)),
            ("DATETIME", string(None)),
            ("", string(None)),
            ("uuid", FieldKind::Guid),
            ("VARCHAR(99999999999)", string(None)),
            ("DECIMAL(99,77)", decimal(38, 28)),
        ] {
            assert_eq!(kind_of(declared), kind, "{declared}");
        }
    }

    #[test]
    fn a_text_is_told_as_changed_when_sqlite_makes_another_number_of_it() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (n STRING, r REAL, c TEXT)").unwrap();
        let table = of(&connection, "t").unwrap().unwrap();
        let texts = [
            "12",
            "-7",
            "0",
            "-0.0",
            "0012",
            "+5",
            "-0",
            " 12",
            "12 ",
            "1.5",
            "1.50",
            ".5",
            "5.",
            "1e3",
            "1e",
            "1E-2",
            "0x10",
            "12a",
            "a12",
            "",
            "abc",
            "inf",
            "NaN",
            "1_000",
            "9223372036854775807",
            "9223372036854775808",
            "12345678901234567890",
            "9007199254740993",
            "123456789.123456",
            "0.1234567890123456",
            "1e400",
            "2026-01-31",
            "100000000000000000000",
            "١٢",
            "12\u{a0}",
        ];
        for text in texts {
            for column in ["n", "r", "c"] {
                let sql = format!("INSERT INTO t ({column}) VALUES (?1) RETURNING {column}");
                let read = connection
                    .query_row(&sql, [text], |row| Ok(as_kept(row.get_ref(0)?, &Field::default()).unwrap().unwrap().text()))
                    .unwrap();
                let changed = changed(text, table.affinity(column));
                assert_eq!(changed.is_some(), read != text, "{text} in {column} is {read}, and {changed:?}");
            }
        }
    }

    #[test]
    fn the_default_of_a_column_is_what_a_row_has_that_leaves_it_out() {
        for (default, text) in [
            ("open", "open"),
            ("\"N\"", "N"),
            ("\"true\"", "true"),
            ("\"it's \"\"so\"\"\"", "it's \"so\""),
            ("`N`", "N"),
            ("[N N]", "N N"),
            ("größe", "größe"),
            ("a$b", "a$b"),
            ("replace", "replace"),
            ("'it''s'", "it's"),
            ("true", "1"),
            ("0x10", "16"),
            ("1e2", "100.0"),
            ("-5", "-5"),
            ("+5", "5"),
            ("x'41'", "A"),
            ("(1 + 1 -- two\n)", "2"),
            ("(/* one */ 'a' || \n'b')", "ab"),
        ] {
            let connection = Connection::open_in_memory().unwrap();
            connection
                .execute_batch(&format!("CREATE TABLE t (a INT, b NOT NULL DEFAULT {default}); INSERT INTO t (a) VALUES (1)"))
                .unwrap();
            let table = of(&connection, "t").unwrap().unwrap();
            let blank = table.blank("b").unwrap();
            connection.execute(&format!("INSERT INTO t (a, b) VALUES (2, coalesce(?1, {blank}))"), [None::<i64>]).unwrap();
            let values: (String, bool) = connection
                .query_row("SELECT max(CAST(b AS TEXT)), count(DISTINCT b) = 1 FROM t", [], |row| Ok((row.get(0)?, row.get(1)?)))
                .unwrap();
            assert_eq!(values, (text.to_owned(), true), "{default}");
        }
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a INT, b NOT NULL DEFAULT null, c DEFAULT NULL)").unwrap();
        let table = of(&connection, "t").unwrap().unwrap();
        assert_eq!((table.blank("b"), table.blank("c")), (Some("NULL"), None));
        assert_eq!(table.columns.iter().map(|column| column.required).collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn a_table_says_what_can_be_loaded_into_it() {
        let connection = Connection::open_in_memory().unwrap();
        let tables = "CREATE TABLE t (a TEXT NOT NULL, b INT NOT NULL DEFAULT 1, c INT AS (b + 1), d TEXT, PRIMARY KEY (d, a));
             CREATE UNIQUE INDEX one ON t (b); CREATE UNIQUE INDEX some ON t (d) WHERE b > 1; CREATE VIEW v AS SELECT a FROM t;";
        connection.execute_batch(tables).unwrap();
        assert_eq!(of(&connection, "none").unwrap(), None);
        let table = of(&connection, "t").unwrap().unwrap();
        assert!(table.keys.contains(&vec!["d".to_owned(), "a".to_owned()]) && table.keys.contains(&vec!["b".to_owned()]), "{table:?}");
        let fields = table.fields();
        assert_eq!(
            fields.iter().map(|field| (field.name.as_str(), field.required)).collect::<Vec<_>>(),
            [("a", true), ("b", false), ("d", false)]
        );
        let entity = |fields: &[&str], key: &[usize]| {
            let fields = fields.iter().map(|name| Field { name: (*name).into(), ..Field::default() }).collect();
            Entity {
                name: "E".into(),
                aliases: Vec::new(),
                database: "d".into(),
                table: "t".into(),
                key: key.to_vec(),
                fields,
                ..Entity::default()
            }
        };
        let good = entity(&["A", "D", "b"], &[0, 1]);
        assert_eq!((table.lacks(&good), table.refuses(&good, &[0, 1, 2])), (None, None));
        assert_eq!(table.lacks(&entity(&["a", "x"], &[0])).unwrap(), "\"t\" has no column x: it has a, b, c, d");
        assert!(table.refuses(&entity(&["d"], &[0]), &[0]).unwrap().contains("neither primary key nor unique index of just d"));
        assert!(table.refuses(&entity(&["b", "c"], &[0]), &[0, 1]).unwrap().contains("computes the column c"));
        assert!(of(&connection, "v").unwrap().unwrap().refuses(&entity(&["a"], &[0]), &[0]).unwrap().contains("is a view"));
    }
}
