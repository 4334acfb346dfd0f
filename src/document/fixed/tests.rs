//! Positions that count bytes.

use encoding_rs::{BIG5, SHIFT_JIS};

use super::read::Reader;
use super::write::Writer;
use crate::document::record::{Fault, Record};
use crate::document::write::Unwritable;
use crate::model::format::{FixedColumn, FixedFormat, RecordType, Unit};

fn column(name: &str, start: usize, length: usize, right: bool) -> FixedColumn {
    FixedColumn { name: name.into(), start, length, pad: ' ', right }
}

fn format() -> FixedFormat {
    let columns = vec![column("K", 1, 4, false), column("T", 5, 6, false), column("N", 11, 4, true)];
    FixedFormat { unit: Unit::Bytes, columns, encoding: SHIFT_JIS, ..FixedFormat::default() }
}

fn sjis(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    crate::document::encoding::encode(text, SHIFT_JIS, &mut bytes).unwrap();
    bytes
}

/// The values of each record, or what is wrong with it.
fn read(bytes: &[u8], format: &FixedFormat) -> Vec<Result<Vec<String>, String>> {
    let mut reader = Reader::new(bytes, format);
    let (mut record, mut found) = (Record::default(), Vec::new());
    while reader.next_into(&mut record).unwrap() {
        found.push(match (&record.fault, record.wrong.first()) {
            (Some(Fault::Length(message)), _) => Err(message.clone()),
            (Some(fault), _) => Err(format!("{fault:?}")),
            (None, Some((at, wrong))) => Err(format!("{at}: {}", wrong.message)),
            (None, None) => Ok(record.texts().map(str::to_owned).collect()),
        });
    }
    found
}

fn row<const COUNT: usize>(values: [&str; COUNT]) -> Result<Vec<String>, String> {
    Ok(values.map(str::to_owned).to_vec())
}

#[test]
fn lines_that_are_laid_out_in_bytes_are_read_so() {
    let text = sjis("a   \u{5c71}\u{7530}   100\r\nb   Ink    200\nc   \u{ff71}\u{ff72}\u{5c71}\u{ff71}  7.5\n");
    let rows = [row(["a", "\u{5c71}\u{7530}", "100"]), row(["b", "Ink", "200"]), row(["c", "\u{ff71}\u{ff72}\u{5c71}\u{ff71}", "7.5"])];
    assert_eq!(read(&text, &format()), rows);
    let counted = FixedFormat { record_length: Some(14), ..format() };
    assert_eq!(read(&text, &counted), rows, "on lines, whose length is stated");
    let unended: Vec<u8> = text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    assert_eq!(read(&unended, &counted), rows, "without ends");
}

#[test]
fn a_document_that_its_mark_says_to_be_in_utf16_has_its_places_in_characters() {
    let text = "a   yama   100\nb   y\u{e9}m\u{e9}   200\n";
    let marked: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let rows = [row(["a", "yama", "100"]), row(["b", "y\u{e9}m\u{e9}", "200"])];
    for format in [format(), FixedFormat { record_length: Some(14), ..format() }] {
        assert_eq!(read(&marked, &format), rows);
    }
}

#[test]
fn bytes_that_are_no_text_have_their_places() {
    let found = read(b"f   \x81\xFFcccc1000\n", &format());
    assert!(found[0].is_err(), "{found:?}");
    let mut reader = Reader::new(&b"f   \x81\xFFcccc1000\n"[..], &format());
    let mut record = Record::default();
    assert!(reader.next_into(&mut record).unwrap());
    assert_eq!(record.raw.iter().filter(|byte| !byte.is_ascii()).count(), 2, "{:?}", record.raw);
}

#[test]
fn a_character_counts_as_its_encoder_writes_it() {
    let format = FixedFormat { encoding: encoding_rs::GB18030, ..format() };
    let mut written = Vec::new();
    Writer::new(&format, &["K", "T", "N"], &[]).record([Some("a"), Some("\u{20ac}"), Some("100")], &mut written).unwrap();
    assert_eq!(written.len(), 16, "{written:?}");
    assert_eq!(read(&written, &format), [row(["a", "\u{20ac}", "100"])]);
}

#[test]
fn what_blanks_fill_up_is_its_value_whatever_else_pads() {
    let columns = vec![FixedColumn { pad: '_', ..column("T", 1, 8, false) }, FixedColumn { pad: '*', ..column("N", 9, 6, true) }];
    let format = FixedFormat { columns, ..FixedFormat::default() };
    let text = b"abc     ***100\nabc_____   100\nends ___***100\n        ******\n";
    assert_eq!(read(text, &format), [row(["abc", "100"]), row(["abc", "100"]), row(["ends ", "100"]), row(["", ""])]);
}

#[test]
fn a_line_of_another_length_is_told_in_bytes() {
    let text = sjis("a   \u{5c71}\u{7530}   100\nb   \u{5c71}\u{7530}\u{5c71}  100 x\nc   \u{5c71}\u{7530}\n");
    let found = read(&text, &format());
    assert_eq!(found[1], Err("the line has 17 bytes, and the columns of the format end at 14".to_owned()));
    assert_eq!(found[2], row(["c", "\u{5c71}\u{7530}", ""]));
}

#[test]
fn a_character_across_the_end_of_a_column_or_record_is_told_and_moves_nothing() {
    let across = |at: usize| Err(format!("{at}: a character stands across the beginning or the end of this column"));
    assert_eq!(read(&sjis("a  \u{5c71}x     100\na   xxxxx\u{5c71}100\n"), &format()), [across(0), across(1)]);
    // The second record begins with half of a character, and the third where it should.
    let counted = FixedFormat { record_length: Some(14), ..format() };
    let whole = sjis("a   \u{5c71}\u{7530}   100");
    let text = [&whole[..], &sjis("b   Ink    20\u{5c71}   Ink     30"), &whole, &whole].concat();
    let found = read(&text, &counted);
    assert_eq!((found.len(), &found[0], &found[3], &found[4]), (5, &found[3], &found[0], &found[0]), "{found:?}");
    assert_eq!(found[1], Err("the record has 15 bytes, records have 14".to_owned()));
    assert_eq!(found[2], Err("the record has 13 bytes, records have 14".to_owned()));
}

#[test]
fn bytes_that_are_no_text_count_as_what_they_are() {
    let counted = FixedFormat { record_length: Some(14), ..format() };
    let whole = sjis("a   \u{5c71}\u{7530}   100");
    for bad in [&b"\x81\xFF"[..], b"\xFF\xFF", b"\x81 "] {
        let broken = [b"b   ", bad, b"     100"].concat();
        let found = read(&[&whole[..], &broken, &whole].concat(), &counted);
        assert_eq!(found, [found[0].clone(), Err("Encoding".to_owned()), found[0].clone()], "{bad:x?}");
        assert!(found[0].is_ok());
    }
}

#[test]
fn what_is_written_in_bytes_is_as_long_as_it_should_be_and_reads_back() {
    let kind = RecordType { start: 15, length: 3, equals: vec!["A1b".into(), "\u{5c71}B".into()] };
    let wide = FixedColumn { pad: '\u{3000}', ..column("W", 19, 5, false) };
    let columns = [format().columns, vec![wide]].concat();
    for record_end in [None, Some("\n".to_owned())] {
        let format =
            FixedFormat { record_end, columns: columns.clone(), record_type: Some(kind.clone()), record_length: Some(24), ..format() };
        let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &["K", "T", "N", "W"], &[]));
        let rows =
            [["a", "\u{5c71}\u{7530}", "100", "\u{5c71}"], ["b", "\u{ff71}\u{5c71}\u{7530}x", "7", ""], ["c", "", "", "\u{5c71}\u{7530}"]];
        for values in rows {
            writer.record(values.map(|value| Some(value).filter(|value| !value.is_empty())), &mut bytes).unwrap();
        }
        assert_eq!(bytes.len(), 3 * (24 + usize::from(format.record_end.is_some())));
        let found: Vec<_> = read(&bytes, &format);
        assert_eq!(found, rows.map(row), "{}", SHIFT_JIS.decode(&bytes).0);
        let error = writer.record([Some("a"), Some("\u{5c71}\u{7530}\u{5c71}\u{7530}")], &mut bytes).unwrap_err();
        assert_eq!(error.to_string(), "\"\u{5c71}\u{7530}\u{5c71}\u{7530}\" does not fit into the 6 bytes of column T");
    }
    // Where another character pads, a blank is none of it.
    for right in [false, true] {
        let marked = FixedColumn { pad: '_', ..column("K", 1, 9, right) };
        let format = FixedFormat { columns: vec![marked], ..FixedFormat::default() };
        let (mut bytes, mut writer) = (Vec::new(), Writer::new(&format, &["K"], &[]));
        let values = [Some("ends "), Some(" begins"), None, Some("in side")];
        values.into_iter().for_each(|value| writer.record([value, Some("x")], &mut bytes).unwrap());
        let rows = values.into_iter().flatten().map(|value| row([value])).collect::<Vec<_>>();
        assert_eq!(read(&bytes, &format), rows, "a blank line is no record");
    }
    // Two characters that are one in Big5 are not written by half.
    let big5 = FixedFormat { encoding: BIG5, ..format() };
    let error = Writer::new(&big5, &["K"], &[]).record([Some("abc\u{304}")], &mut Vec::new()).unwrap_err();
    assert_eq!(error, Unwritable::Character { character: '\u{304}', encoding: "Big5" });
}

#[test]
fn records_in_bytes_are_looked_for_in_their_own_bytes_alone() {
    // Not in all that is read ahead, for each of 300,000.
    let format = FixedFormat { record_length: Some(14), ..format() };
    let text = sjis("a   \u{5c71}\u{7530}   100").repeat(300_000);
    assert_eq!(read(&text, &format).iter().filter(|found| found.is_ok()).count(), 300_000);
}
