//! What is delimited text, and what is a fault of it.

use super::*;
use proptest::prelude::*;

/// Gives its bytes in pieces of one size, so that every buffer boundary is met.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

fn all(bytes: &[u8], format: &CsvFormat, piece: usize) -> Vec<Record> {
    let mut reader = Reader::new(Pieces(bytes, piece), format);
    let mut records = Vec::new();
    let mut record = Record::default();
    while reader.next_into(&mut record).unwrap() {
        records.push(record.clone());
    }
    records
}

fn texts(bytes: &[u8], format: &CsvFormat) -> Vec<Vec<String>> {
    let records = all(bytes, format, 1);
    assert_eq!(records, all(bytes, format, usize::MAX), "the size of pieces makes no difference");
    records.iter().map(|record| record.texts().map(str::to_owned).collect()).collect()
}

#[test]
fn quotes_delimiters_and_line_ends_mean_what_they_mean_in_rfc_4180() {
    let csv = CsvFormat::default();
    assert_eq!(texts(b"a,b\r\nc,d\r\n", &csv), [["a", "b"], ["c", "d"]]);
    assert_eq!(texts(b"a,b\nc,d", &csv), [["a", "b"], ["c", "d"]]);
    assert_eq!(texts(b"a,b\rc,d\r", &csv), [["a", "b"], ["c", "d"]]);
    assert_eq!(texts(b"\"a,\"\"x\"\"\",\"two\r\nlines\"\r\n", &csv), [["a,\"x\"", "two\r\nlines"]]);
    assert_eq!(texts(b"a\"b,\"c\" \n", &csv), [["a\"b", "c "]], "a quote inside an unqualified value is data");
    assert_eq!(texts(b"\n\na,\n\n,\n", &csv), [["a", ""]], "an empty line is no record");
    assert_eq!(texts(b",\n\"\",\n,,,\n", &csv), [["", ""]], "nor is one of delimiters alone");
    assert_eq!(texts(b"\"\"\n", &csv), [[""]]);
    assert_eq!(texts(b"", &csv), Vec::<Vec<String>>::new());
}

#[test]
fn other_dialects_are_read_as_the_configuration_says() {
    let plus = CsvFormat { delimiter: "+|".into(), record_end: Some("&|\n".into()), qualifier: None, header: false, ..Default::default() };
    assert_eq!(texts(b"1+|a\nb+|\"x\"&|\n2+|+&+|&&|\n", &plus), [["1", "a\nb", "\"x\""], ["2", "+&", "&"]]);
    let tab = CsvFormat { delimiter: "\t".into(), qualifier: None, ..Default::default() };
    assert_eq!(texts(b"a\t\"b\tc\n", &tab), [["a", "\"b", "c"]]);
    let escaped = CsvFormat { escape: Some('\\'), ..Default::default() };
    assert_eq!(texts(br#""a\"b","c\\",d\n"#, &escaped), [["a\"b", "c\\", "d\\n"]]);
}

#[test]
fn each_record_knows_its_line_and_its_exact_text() {
    let records = all(b"h1,h2\r\n\r\n\"a\nb\",1\r\nc,2", &CsvFormat::default(), 3);
    assert_eq!(records.iter().map(|record| record.line).collect::<Vec<_>>(), [1, 3, 5]);
    assert_eq!(records[1].raw, b"\"a\nb\",1");
    assert_eq!(records[2].raw, b"c,2");
}

#[test]
fn a_qualifier_that_is_never_closed_is_a_fault_of_its_record() {
    let records = all(b"a\n\"b\nc\n", &CsvFormat::default(), 2);
    assert_eq!(records[1].fault, Some(Fault::Unterminated));
    assert_eq!(records[1].line, 2);
}

#[test]
fn a_byte_order_mark_wins_over_the_stated_encoding() {
    let utf16: Vec<u8> = "a;é\n1;€\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let format = CsvFormat { delimiter: ";".into(), encoding: encoding_rs::WINDOWS_1252, ..Default::default() };
    assert_eq!(texts(&[&[0xFF, 0xFE][..], &utf16].concat(), &format), [["a", "é"], ["1", "€"]]);
    assert_eq!(texts("\u{feff}a;é\n".as_bytes(), &format), [["a", "é"]]);
    assert_eq!(texts(b"a;\xE9\x80\n", &format), [["a", "é€"]]);
}

#[test]
fn bytes_that_are_no_text_are_a_fault_of_their_record_alone() {
    let records = all(b"good\nb\xE9d\ngood\n", &CsvFormat::default(), 4);
    assert_eq!(records.iter().map(|record| record.fault.clone()).collect::<Vec<_>>(), [None, Some(Fault::Encoding), None]);
    let utf16 = CsvFormat { encoding: encoding_rs::UTF_16LE, ..Default::default() };
    let mut bytes: Vec<u8> = "ok\nb".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.extend([0x00, 0xD8, b'x', 0, b'\n', 0]);
    assert_eq!(all(&bytes, &utf16, 3).iter().map(|record| record.fault.clone()).collect::<Vec<_>>(), [None, Some(Fault::Encoding)]);
}

fn faults(bytes: &[u8], format: &CsvFormat) -> Vec<Option<Fault>> {
    texts(bytes, format);
    all(bytes, format, usize::MAX).into_iter().map(|record| record.fault).collect()
}

#[test]
fn text_behind_a_closing_qualifier_is_a_fault_of_its_record_alone() {
    let csv = CsvFormat::default();
    let bytes = b"1,\"12\" pipe\",x\n\"3\" x 4\"\",y\n\"1\"2,z\n\"a\" ,\"b\"\t\n";
    assert_eq!(faults(bytes, &csv), [Some(Fault::Qualifier(2)), Some(Fault::Qualifier(1)), Some(Fault::Qualifier(1)), None]);
    assert_eq!(texts(b"a\"b\n", &csv), [["a\"b"]]);
}

#[test]
fn a_qualifier_behind_blanks_is_a_fault_where_it_ends_its_field() {
    let csv = CsvFormat::default();
    let bytes = b"1, \"x\"\n1, \"x, y\"\n1, \"x\" y\n1, \"\n1,x \"y\"\n 1,\t\"\"\n";
    assert_eq!(faults(bytes, &csv), [Some(Fault::Blanks(2)), None, None, None, None, Some(Fault::Blanks(2))]);
    assert_eq!(faults(b"1, \"x\"\n", &CsvFormat { qualifier: None, ..csv }), [None]);
}

#[test]
fn the_mark_with_which_dos_ends_a_file_is_no_record() {
    let csv = CsvFormat::default();
    assert_eq!(texts(b"a\n1\n\x1A", &csv), [["a"], ["1"]]);
    assert_eq!(texts(b"a\n\x1A\n1\n", &csv), [["a"], ["\x1A"], ["1"]]);
    for end in ["\x1A", "\x1A\r\n", "\n\x1A\n", "\r\n\x1A\x1A\r\n\r\n"] {
        for (value, read) in [("1", "1"), ("\"1\"", "1"), ("\"x\x1A\"", "x\x1A"), ("x\x1A1", "x\x1A1")] {
            assert_eq!(texts(format!("a\n{value}{end}").as_bytes(), &csv), [["a"], [read]], "{value}{end:?}");
        }
    }
    assert_eq!(texts(b"a\n1\x1A\n\n2\n", &csv), [["a"], ["1\x1A"], ["2"]], "inside of a document it is data");
}

#[test]
fn a_byte_order_mark_is_no_data_before_any_record() {
    let csv = CsvFormat::default();
    assert_eq!(
        texts("\u{feff}A,B\n1,x\n\u{feff}A,B\n\u{feff}\"2\",y\n\u{feff}".as_bytes(), &csv),
        [["A", "B"], ["1", "x"], ["A", "B"], ["2", "y"]]
    );
    assert_eq!(texts("é,\u{feff}x\n".as_bytes(), &csv), [["é", "\u{feff}x"]]);
}

#[test]
fn a_stated_record_end_takes_what_is_meant_and_says_when_it_is_nowhere() {
    let with = |end: &str, delimiter: &str| CsvFormat { record_end: Some(end.into()), delimiter: delimiter.into(), ..Default::default() };
    assert_eq!(texts(b"1,3\r\n2,\"x\"\r\n3,a\rb\n", &with("\n", ",")), [["1", "3"], ["2", "x"], ["3", "a\rb"]]);
    let records = all(b"1+|a\nb&|\r\n2+|c&|\n", &with("&|", "+|"), 1);
    assert_eq!(
        records.iter().map(|record| (record.line, record.texts().collect())).collect::<Vec<(u64, Vec<_>)>>(),
        [(1, vec!["1", "a\nb"]), (3, vec!["2", "c"])]
    );
    assert_eq!(texts(b"1+|a&|\r\n2+|b&|\n", &with("&|\n", "+|")), [["1", "a"], ["2", "b"]]);
    assert_eq!(texts(b"1|a|\r\n2||\n|b|\n", &with("|\n", "|")), [["1", "a"], ["2", ""], ["", "b"]]);
    assert_eq!(texts(b"1|a||\n2|||\n", &with("||\n", "|")), [["1", "a"], ["2", ""]]);
    assert_eq!(texts(b"A|B||1|\"||\"||", &with("||", "|")), [["A", "B"], ["1", "||"]]);
    assert_eq!(faults(b"1|2|\n3|4|\n", &with("|\n", "|")), [None, None]);
    assert_eq!(faults(b"1,2\n3,4\n", &with("\r\n", ",")), [Some(Fault::RecordEnd)]);
    assert_eq!(faults(b"\"1\",\"2\"\n\"3\",\"4\"\n", &with("\r\n", ",")), [Some(Fault::RecordEnd)]);
    assert_eq!(faults(b"1,2\r\n3,4\n5", &with("\r\n", ",")), [None, None]);
    assert_eq!(faults(b"1,\"2\n3\"", &with("\r\n", ",")), [None]);
}

#[test]
fn a_preamble_is_passed_over_line_by_line_whatever_stands_in_it() {
    let rest = |bytes: &[u8], format: &CsvFormat, lines: u32, piece: usize| {
        let mut reader = Reader::new(Pieces(bytes, piece), format);
        (0..lines).for_each(|_| drop(reader.skip_line().unwrap()));
        let (mut record, stated) = (Record::default(), reader.stated_delimiter().unwrap());
        reader.next_into(&mut record).unwrap().then(|| (record.line, record.texts().map(str::to_owned).collect::<Vec<_>>(), stated))
    };
    let ends = CsvFormat { record_end: Some("&|".into()), ..Default::default() };
    let fed = CsvFormat { record_end: Some("#\n".into()), ..CsvFormat::default() };
    let long = [&vec![b'x'; 2 * BLOCK][..], b"\n1,2\n"].concat();
    for piece in [1, 3, usize::MAX] {
        let row = |line, one: &str, two: &str| Some((line, vec![one.to_owned(), two.to_owned()], None));
        let csv = CsvFormat::default();
        assert_eq!(rest(b"Report \"x\r\n\r\n1,2\r\n", &csv, 2, piece), row(3, "1", "2"));
        assert_eq!(rest(b"a\rb\r1,2", &csv, 2, piece), row(3, "1", "2"));
        assert_eq!(rest(b"x&y&|1,2&|", &ends, 1, piece), row(1, "1", "2"));
        assert_eq!(rest(b"x\ny&|\r\nz\n\n1,2&|", &ends, 4, piece), row(5, "1", "2"), "lines are passed over, whatever ends records");
        assert_eq!(rest(b"Title\nMade#\n1,2#\n", &fed, 2, piece), row(3, "1", "2"));
        assert_eq!(rest(b"sep=;&|a,b&|", &ends, 0, piece), Some((1, vec!["a".into(), "b".into()], Some(';'))));
        assert_eq!(rest(b"sep=;\na,b&|", &ends, 0, piece), Some((2, vec!["a".into(), "b".into()], Some(';'))));
        assert_eq!(rest(b"sep=;\na,b#\n", &fed, 0, piece), Some((2, vec!["a".into(), "b".into()], Some(';'))));
        assert_eq!(rest(b"one", &csv, 3, piece), None);
        assert_eq!(rest(b"\xEF\xBB\xBFsep=;\r\na,b\n", &csv, 0, piece), Some((2, vec!["a".into(), "b".into()], Some(';'))));
        assert_eq!(rest(b"sep=x,b\n", &csv, 0, piece), row(1, "sep=x", "b"));
        if piece > 3 {
            assert_eq!(rest(&long, &csv, 1, piece), row(2, "1", "2"));
        }
    }
}

#[test]
fn records_beyond_the_bounds_are_faults_and_the_next_is_read() {
    // So many that looking at all of them again for each block would be felt.
    let wide = [",".repeat(2 << 20), "\na,b\n".into()].concat();
    let records = all(wide.as_bytes(), &CsvFormat::default(), usize::MAX);
    assert_eq!(records[0].fault, Some(Fault::Fields));
    assert_eq!(records[1].texts().collect::<Vec<_>>(), ["a", "b"]);
    let mut long = vec![b'x'; RECORD_SIZE_MAX + 3 * BLOCK];
    long.extend(b"\na,b\n");
    let records = all(&long, &CsvFormat::default(), usize::MAX);
    assert_eq!(records[0].fault, Some(Fault::Size));
    assert_eq!(records[1].texts().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(records[1].line, 2);
}

proptest! {
    #[test]
    fn it_agrees_with_an_independent_reader(records in proptest::collection::vec(proptest::collection::vec("[a-z\",\r\n;é ]{0,6}", 1..5), 1..8), piece in 1usize..20) {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        let records: Vec<Vec<String>> = records.into_iter().filter(|record| !record.concat().is_empty()).collect();
        records.iter().for_each(|record| writer.write_record(record).unwrap());
        let bytes = writer.into_inner().unwrap();
        let ours: Vec<Vec<String>> = all(&bytes, &CsvFormat::default(), piece).iter().map(|record| record.texts().map(str::to_owned).collect()).collect();
        prop_assert_eq!(ours, records);
    }

    #[test]
    fn hostile_bytes_never_panic_and_pieces_make_no_difference(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), Just(b'|'), Just(b'\\')], 0..300), piece in 1usize..9) {
        for format in [
            CsvFormat::default(),
            CsvFormat { delimiter: ",|".into(), record_end: Some("|\n".into()), ..Default::default() },
            CsvFormat { delimiter: "|".into(), record_end: Some("|,\n".into()), ..Default::default() },
            CsvFormat { escape: Some('\\'), encoding: encoding_rs::SHIFT_JIS, ..Default::default() },
            CsvFormat { encoding: encoding_rs::UTF_16BE, ..Default::default() },
        ] {
            prop_assert_eq!(all(&bytes, &format, piece), all(&bytes, &format, usize::MAX));
        }
    }
}
