//! Any text as a path, and as a rule between the fields of a row: refused with a word, or taken apart the same way again.
#![no_main]

use entrepot::document::mapping::check;
use entrepot::model::entity::{Entity, Field, FieldKind};
use entrepot::model::path::Path;
use shared::{Edit, edited};

const PATH: &str = "//cac:Party[@role='buyer'][2]/../'odd name'//cbc:Name[a/b=\"x\"]/@Ccy";
const RULE: &str = "TO >= FROM and PRICE < 9.50 or KIND = 'a b' and COUNT is not blank or AT <> 2026-01-02T03:04:05Z";

libfuzzer_sys::fuzz_target!(|input: (bool, bool, Vec<Edit<'_>>, &str)| {
    let (path, whole, edits, text) = input;
    let text = match (whole, path) {
        (true, true) => edited(PATH, &edits),
        (true, false) => edited(RULE, &edits),
        (false, _) => text.to_owned(),
    };
    if path {
        match Path::parse(&text) {
            Ok(path) => assert_eq!(Path::parse(path.text()), Ok(path)),
            Err(message) => assert!(!message.is_empty()),
        }
        return;
    }
    let field = |name: &str, kind| Field { name: name.into(), kind, ..Field::default() };
    let fields = vec![
        field("FROM", FieldKind::Date),
        field("TO", FieldKind::Date),
        field("PRICE", FieldKind::Decimal { precision: 10, scale: 2 }),
        field("KIND", FieldKind::String { length: None }),
        field("COUNT", FieldKind::Integer),
        field("AT", FieldKind::DateTime),
        field("OPEN", FieldKind::Boolean),
    ];
    let entity = Entity { name: "Prices".into(), fields, ..Entity::default() };
    match check::parse(&entity, &text) {
        Ok(rule) => {
            assert_eq!(check::parse(&entity, &rule.text).as_ref(), Ok(&rule));
            for value in [None, Some("1"), Some("99999999999999999999999999999999999999"), Some("2026-01-02")] {
                check::holds(&entity, &rule, &|_| value.map(str::to_owned));
            }
        }
        Err(message) => assert!(!message.is_empty()),
    }
});
