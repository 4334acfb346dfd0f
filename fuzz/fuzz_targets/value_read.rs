//! Any text as a value of any field, written in any way: what the table keeps is read as itself.
#![no_main]

use entrepot::document::value::{EXCEL_DAYS, Reading, parse};
use entrepot::model::entity::{Field, FieldKind};
use entrepot::model::format::Numbers;
use shared::{Edit, edited};

const TEXTS: [&str; 10] = [
    "1.234.567,89",
    "-12 345.6E+7",
    "31.12.2026 23:59",
    "2026-12-31T23:59:59.999+14:00",
    "46387.75",
    "12/31/26 11:59 PM",
    "{6D31E09F-0249-459F-94F0-AAD9C2C47B64}",
    "yes",
    "2026-02-29",
    "0123",
];
const FORMATS: [&str; 9] = [
    "%d/%b/%Y:%H:%M:%S %z",
    "%d.%m.%Y %H:%M",
    "%m/%d/%y %I:%M %p",
    "%Y%m%d",
    "%s",
    "%G-W%V-%u",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%e %B %Y",
    EXCEL_DAYS,
];

libfuzzer_sys::fuzz_target!(|input: (u8, [u8; 3], [u8; 3], u16, Vec<Edit<'_>>)| {
    let (kind, [separators, precision, scale], formats, zone, edits) = input;
    let values = vec![("No".to_owned(), 0), ("Yes".to_owned(), 1)];
    let kind = match kind % 8 {
        0 => FieldKind::String { length: Some(u32::from(precision)) },
        1 => FieldKind::Integer,
        2 => FieldKind::Decimal { precision: 1 + precision % 38, scale: (scale % 29).min(precision % 38) },
        3 => FieldKind::Date,
        4 => FieldKind::DateTime,
        5 => FieldKind::Boolean,
        6 => FieldKind::Enum { values },
        _ => FieldKind::Guid,
    };
    let (decimal_separator, thousands_separator) =
        [('.', None), (',', Some('.')), ('.', Some(' ')), (',', Some('\u{a0}')), ('.', Some('\''))][usize::from(separators) % 5];
    let reading = Reading {
        numbers: Numbers { decimal_separator, thousands_separator },
        date_formats: formats.iter().filter_map(|at| FORMATS.get(usize::from(*at))).map(|&format| format.to_owned()).collect(),
        time_zone: chrono_tz::TZ_VARIANTS.get(usize::from(zone)).copied(),
        plain: separators > 127,
        own_numbers: edits.len() % 2 == 1,
    };
    let field = Field { name: "F".into(), kind, ..Field::default() };
    let text = edited(TEXTS[usize::from(separators) % TEXTS.len()], &edits);
    match parse(&field, &text, &reading) {
        Ok(stored) => assert_eq!(parse(&field, &stored.text(), &Reading::default()).as_ref(), Ok(&stored), "{text:?} with {reading:?}"),
        Err(wrong) => assert!(!wrong.message.is_empty() && !wrong.hint.is_empty(), "{text:?}"),
    }
});
