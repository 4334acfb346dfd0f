//! Looks at the first bytes of a document before it is read: is it what its format says? What it is instead is named before the damage.

mod utf8;

use std::io::{self, Cursor, Read};

use encoding_rs::Encoding;

use self::utf8::{Stated, Watched};
use super::broken::Broken;
use super::encoding::declared_encoding;
use super::read::record_of;
use super::refused;
use crate::model::format::Format;
use crate::model::path::To;

/// Bytes that are looked at.
const FIRST: u64 = 16 * 1024;
/// One byte of zero among so many is more than text has.
const ZEROS_SHARE: usize = 16;

/// What a document looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// A zip that holds a workbook.
    Workbook,
    /// A zip that holds a manifest.
    Package,
    /// Another zip.
    Zip,
    /// An Office document of before 2007.
    Old,
    /// Of a kind that no format reads: what it is, and what to do.
    Other(&'static str, &'static str),
    /// So many bytes of zero among the first, and no text.
    Zeros(usize),
    /// A page of HTML, which may be XML as well.
    Html,
    /// XML.
    Xml,
    /// JSON.
    Json,
    /// Other text.
    Text,
    /// Nothing at all.
    Empty,
}

const UNPACK: &str = "send the file in it alone, unpacked";
/// What to do about a page.
const PAGE: &str = "where the document was fetched a page came in its place, to sign in or to tell an error: see what it says, and send the document itself";
const EXPORT: &str = "send the data that it was made of, as text or as a workbook";

/// Kinds of files that come by mistake, by how they begin.
const OTHERS: [(&[u8], &str, &str); 15] = [
    (b"\xFF\xFE\0\0", "text in UTF-32", "save the document in UTF-8"),
    (b"\0\0\xFE\xFF", "text in UTF-32", "save the document in UTF-8"),
    (b"\x1F\x8B", "packed by gzip", UNPACK),
    (b"BZh", "packed by bzip2", UNPACK),
    (b"\xFD7zXZ\0", "packed by xz", UNPACK),
    (b"\x28\xB5\x2F\xFD", "packed by zstd", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive", UNPACK),
    (b"Rar!\x1A", "a RAR archive", UNPACK),
    (b"%PDF", "a PDF", EXPORT),
    (b"\x89PNG", "a picture", EXPORT),
    (b"\xFF\xD8\xFF", "a picture", EXPORT),
    (b"SQLite format 3\0", "an SQLite database", EXPORT),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"\x7FELF", "a program", EXPORT),
    (b"MZ\x90\0", "a program", EXPORT),
];

impl Looks {
    /// In words, behind "this is".
    pub fn name(self) -> &'static str {
        match self {
            Looks::Workbook => "a workbook",
            Looks::Package => "a data package",
            Looks::Zip => "a zip archive",
            Looks::Old => "an Office document of before 2007",
            Looks::Other(what, _) => what,
            Looks::Zeros(_) => "no text: bytes of zero stand in it",
            Looks::Html => "an HTML page",
            Looks::Xml => "XML",
            Looks::Json => "JSON",
            Looks::Text => "text",
            Looks::Empty => "empty",
        }
    }
}

/// What the first bytes of a document look like.
pub fn looks(first: &[u8]) -> Looks {
    let has = |word: &str| memchr::memmem::find(first, word.as_bytes()).is_some();
    match first {
        [] => return Looks::Empty,
        [b'P', b'K', 3, 4, ..] if has("Manifest.xml") || has("PackageHeader.xml") => return Looks::Package,
        [b'P', b'K', 3, 4, ..] if has("xl/") || has("[Content_Types].xml") || has("opendocument.spreadsheet") => return Looks::Workbook,
        [b'P', b'K', 3, 4, ..] => return Looks::Zip,
        [0xD0, 0xCF, 0x11, 0xE0, ..] => return Looks::Old,
        _ => {}
    }
    if first.starts_with(b"--") && has("form-data;") {
        return Looks::Other(
            "a form of a web page (multipart)",
            "send the file itself as the body: curl does with --data-binary @FILE, not with -F",
        );
    }
    if let Some((_, what, hint)) = OTHERS.iter().find(|(begin, ..)| first.starts_with(begin)) {
        return Looks::Other(what, hint);
    }
    let zeros = memchr::memchr_iter(0, first).count();
    let wide = Encoding::for_bom(first).is_some() || utf16(first).is_some();
    // A stray zero is the fault of its row.
    if !wide && zeros * ZEROS_SHARE > first.len() {
        return Looks::Zeros(zeros);
    }
    let text = text(first);
    let text = text.trim_start();
    let after = |text: &str| text[1..].trim_start().chars().next();
    match text.chars().next() {
        None => Looks::Empty,
        Some('<') if is_page(text) => Looks::Html,
        Some('<') if text.starts_with("<?xml") || text.starts_with("<!") || text.contains("</") || text.contains("/>") => Looks::Xml,
        Some('{') if matches!(after(text), Some('"' | '}')) => Looks::Json,
        Some('[') if matches!(after(text), Some('{' | '[' | ']')) => Looks::Json,
        _ => Looks::Text,
    }
}

/// Whether text begins as a page of HTML does, behind a declaration and comments.
fn is_page(text: &str) -> bool {
    let mut rest = text;
    while let Some((_, after)) = match rest {
        _ if rest.starts_with("<?") => rest.split_once("?>"),
        _ if rest.starts_with("<!--") => rest.split_once("-->"),
        _ => None,
    } {
        rest = after.trim_start();
    }
    let begins = |word: &str| rest.get(..word.len()).filter(|begin| begin.eq_ignore_ascii_case(word)).map(|_| &rest[word.len()..]);
    let kind = begins("<!doctype").map(str::trim_start).and_then(|kind| kind.get(..4)).filter(|kind| kind.eq_ignore_ascii_case("html"));
    let root = begins("<html").filter(|behind| behind.starts_with(|c: char| c == '>' || c == '/' || c.is_ascii_whitespace()));
    kind.is_some() || root.is_some()
}

/// Whether a format reads pages: its records stand in what pages have.
fn reads_pages(format: &Format) -> bool {
    let names = ["html", "body", "table", "tbody", "tr"];
    let is_of_pages = |to: &To| matches!(to, To::Element(name) if names.iter().any(|page| name.local.eq_ignore_ascii_case(page)));
    matches!(format, Format::Xml(xml) if record_of(xml).steps.iter().any(|step| is_of_pages(&step.to)))
}

/// Whether it cannot be JSON, and is text of several columns: a value of JSON without quotes is a number or one of three words.
fn is_delimited(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let first = text.lines().next().unwrap_or_default();
    let word = first.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let may_be = matches!(word, "true" | "false" | "null") || !first.starts_with(char::is_alphabetic);
    // Lines of JSON are each a fault of their own.
    let other = text.lines().any(|line| line.trim_start().starts_with(['{', '[']));
    !may_be && !other && first.contains([',', ';', '\t', '|'])
}

/// The first bytes as text, good enough to look at.
fn text(first: &[u8]) -> String {
    let encoding = Encoding::for_bom(first).map(|(encoding, _)| encoding).or_else(|| utf16(first)).unwrap_or(encoding_rs::UTF_8);
    encoding.decode(first).0.into_owned()
}

/// UTF-16 without a byte order mark: every second byte of Latin text is zero. Text in single bytes between zeros is none: there two zeros follow each
/// other now and then, and stand on both sides.
pub fn utf16(first: &[u8]) -> Option<&'static Encoding> {
    let pairs = first.chunks_exact(2);
    let count = pairs.len();
    let (mut high, mut low, mut both) = (0, 0, 0);
    for pair in pairs {
        high += usize::from(pair[0] == 0 && pair[1] != 0);
        low += usize::from(pair[1] == 0 && pair[0] != 0);
        both += usize::from(pair == [0, 0]);
    }
    match () {
        () if count == 0 || both > 0 => None,
        () if low * 10 > count * 7 => Some(encoding_rs::UTF_16LE),
        () if high * 10 > count * 7 => Some(encoding_rs::UTF_16BE),
        () => None,
    }
}

fn is_wide(encoding: &'static Encoding) -> bool {
    encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE
}

/// A document that is looked at: its first bytes, and the others.
pub struct Looked<R> {
    document: io::Chain<Cursor<Vec<u8>>, Watched<R>>,
    /// It has no byte.
    pub empty: bool,
}

impl<R> Looked<R> {
    /// What is still not known of it now that it is read: that it may be in UTF-8, and what to do.
    pub fn doubt(&self) -> Option<(String, String)> {
        self.document.get_ref().1.doubt()
    }
}

impl<R: Read> Read for Looked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.document.read(buffer)
    }
}

/// Reads the first bytes, and gives the document back with them when it may be of this format.
pub fn check<R: Read>(mut source: R, format: &Format) -> Result<Looked<R>, Broken> {
    let mut first = Vec::new();
    Read::by_ref(&mut source).take(FIRST).read_to_end(&mut first)?;
    if let Some((message, hint)) = trap(&first, format) {
        return Err(Broken::at(0, message, hint));
    }
    watch(source, first, matches!(format, Format::Xml(_)), format.encoding())
}

/// XML that stylesheets read, whose declaration may say another encoding than it has.
pub fn for_stylesheets<R: Read>(mut source: R) -> Result<Looked<R>, Broken> {
    let mut first = Vec::new();
    Read::by_ref(&mut source).take(FIRST).read_to_end(&mut first)?;
    watch(source, first, true, encoding_rs::UTF_8)
}

fn watch<R: Read>(source: R, first: Vec<u8>, xml: bool, stated: &'static Encoding) -> Result<Looked<R>, Broken> {
    let declared = declared_encoding(&first).filter(|_| xml);
    let encoding = declared.as_ref().map_or(stated, |(encoding, _)| *encoding);
    let doubted = encoding != encoding_rs::UTF_8 && !is_wide(encoding) && Encoding::for_bom(&first).is_none();
    let marks = [refused::REFUSED, refused::TRANSFORMED];
    let ours = refused::words_in(&first).is_some() || marks.iter().any(|mark| memchr::memmem::find(&first, mark.as_bytes()).is_some());
    let stated = doubted.then_some(Stated { encoding, declared: declared.is_some(), ours });
    let watched = Watched::new(source, stated, &first, (first.len() as u64) < FIRST)?;
    Ok(Looked { empty: first.is_empty(), document: Cursor::new(first).chain(watched) })
}

fn trap(first: &[u8], format: &Format) -> Option<(String, String)> {
    if first.is_empty() && !format.may_be_empty() {
        return Some(("the document is empty".into(), "send it again: it was cut off before its first byte".into()));
    }
    let looks = looks(first);
    let wanted = format.name();
    let say = |found: &str, hint: &str| Some((format!("this is {found}, and the format says {wanted}"), hint.to_owned()));
    if matches!(format, Format::Excel(_)) {
        // Its reader tells the kinds of workbooks apart.
        return match looks {
            Looks::Package => say("a data package", "send it to a job with accepts = \"package\", or send the file in it alone"),
            Looks::Html => say("an HTML page", PAGE),
            Looks::Xml => say("XML", "send a workbook, or write type = \"xml-element\""),
            Looks::Json => say("JSON", "send a workbook, or write type = \"json\""),
            Looks::Text => say("text", "send a workbook, or write type = \"csv\""),
            Looks::Other(what, hint) => say(what, hint),
            _ => None,
        };
    }
    // Columns may be filled up with zeros, and what is stated to be UTF-16 has many.
    let zeros = matches!(format, Format::Fixed(fixed) if fixed.columns.iter().any(|column| column.pad == '\0'));
    let found = match looks {
        Looks::Package => say("a data package", "send it to a job with accepts = \"package\", or send the file in it alone"),
        Looks::Workbook => say("a workbook of Excel", "save the sheet as text, or write type = \"excel\""),
        Looks::Old => say("an Office document", "save it as text"),
        Looks::Zip => say(looks.name(), UNPACK),
        Looks::Other(what, hint) => say(what, hint),
        Looks::Zeros(count) if !zeros && !is_wide(format.encoding()) => {
            let message = format!("this is no text: {count} of its first {} bytes are zero", first.len());
            Some((message, "find out what wrote it, and send text or a workbook; columns that are filled up with zeros are read by type = \"fixed\" with pad = \"\\u0000\"".to_owned()))
        }
        Looks::Html if !reads_pages(format) => say("an HTML page", PAGE),
        Looks::Text if matches!(format, Format::Json(_)) && is_delimited(&text(first)) => {
            say("delimited text", "write type = \"csv\", or send JSON")
        }
        Looks::Xml if !matches!(format, Format::Xml(_)) => {
            say("XML", "write type = \"xml-element\" or \"xml-attribute\", or send what the format says")
        }
        Looks::Json if !matches!(format, Format::Json(_)) => say("JSON", "write type = \"json\", or send what the format says"),
        // A first element may be longer than what is looked at.
        Looks::Text if matches!(format, Format::Xml(_)) && !text(first).trim_start().starts_with('<') => {
            say("text without elements", "write type = \"csv\", or send XML")
        }
        _ => None,
    };
    if found.is_some() {
        return found;
    }
    if Encoding::for_bom(first).is_some() {
        return None;
    }
    let stated = format.encoding();
    let wide = is_wide(stated);
    let hint = |found: &str| format!("write encoding = \"{found}\", or save the document in {}", stated.name());
    match utf16(first) {
        Some(found) if found != stated && !matches!(format, Format::Xml(_)) => Some((
            format!("the document is in {}, and the format says {}", found.name(), stated.name()),
            hint(&found.name().to_lowercase()),
        )),
        None if wide
            && first.len() >= 2
            && std::str::from_utf8(first.get(..first.len().min(1024)).unwrap_or(first)).is_ok_and(|text| !text.contains('\0')) =>
        {
            Some((format!("the document is in a narrow encoding such as UTF-8, and the format says {}", stated.name()), hint("utf-8")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::format::{CsvFormat, ExcelFormat, FixedColumn, FixedFormat, JsonFormat, XmlFormat};

    #[test]
    fn what_a_document_is_instead_is_named() {
        let csv = Format::Csv(CsvFormat::default());
        let unicode = Format::Csv(CsvFormat { encoding: encoding_rs::UTF_16LE, ..CsvFormat::default() });
        let wide: Vec<u8> = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let page = b"\n<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\n<html><head><title>Sign in</title></head></html>";
        let table: &[(&Format, &[u8], &str)] = &[
            (&csv, b"", "the document is empty"),
            (&csv, b"\xFF\xFE\0\0a\0\0\0", "this is text in UTF-32"),
            (&csv, b"\0\0\xFE\xFF\0\0\0a", "this is text in UTF-32"),
            (&csv, b"PK\x03\x04....Manifest.xml", "this is a data package, and the format says csv"),
            (&csv, b"PK\x03\x04....[Content_Types].xml", "this is a workbook of Excel"),
            (&csv, b"PK\x03\x04....other", "this is a zip archive"),
            (&csv, b"<?xml version='1.0'?><a/>", "this is XML"),
            (&csv, b"\xEF\xBB\xBF <a><b/></a>", "this is XML"),
            (&csv, b"[{\"a\":1}]", "this is JSON"),
            (&csv, b"%PDF-1.7", "this is a PDF"),
            (
                &csv,
                b"--------------------------703a\r\nContent-Disposition: form-data; name=\"file\"; filename=\"t.csv\"\r\n\r\na,b\n",
                "this is a form of a web page",
            ),
            (&csv, b"SQLite format 3\0\x10\0", "this is an SQLite database, and the format says csv"),
            (&Format::Excel(ExcelFormat::default()), b"\x89PNG\r\n", "this is a picture, and the format says excel"),
            (&csv, b"\x7FELF\x02\x01", "this is a program"),
            (&csv, b"a\0\0\0,b\0\0\0\n1\0\0\0,2\0\0\0\n", "this is no text: 12 of its first 20 bytes are zero"),
            (&Format::Json(JsonFormat::default()), b"\0a\0b\0c\0\0d\0e\0f\0g", "this is no text: 8 of its first 15 bytes are zero"),
            (&csv, &wide, "the document is in UTF-16LE, and the format says UTF-8"),
            (&unicode, b"a,b\n1,2\n", "narrow encoding"),
            (&Format::Xml(XmlFormat::default()), b"a;b\n", "this is text without elements"),
            (&Format::Xml(XmlFormat::default()), b"{\"a\":1}", "this is JSON"),
            (&Format::Json(JsonFormat::default()), b"<a/>", "this is XML"),
            (&Format::Json(JsonFormat::default()), b"ID;NAME\n1;a\n", "this is delimited text, and the format says json"),
            (&Format::Json(JsonFormat::default()), b"\xEF\xBB\xBFname,at\n1,a\n", "this is delimited text"),
            (&Format::Json(JsonFormat { lines: true, ..JsonFormat::default() }), b"ID\tNAME\n1\ta\n", "this is delimited text"),
            (&csv, page, "this is an HTML page, and the format says csv"),
            (&Format::Excel(ExcelFormat::default()), page, "this is an HTML page"),
            (&Format::Xml(XmlFormat::default()), page, "this is an HTML page, and the format says xml-element"),
            (&Format::Json(JsonFormat::default()), b"<HTML lang='de'>\n<head></head></HTML>", "this is an HTML page"),
            (
                &Format::Xml(XmlFormat::default()),
                b"<?xml version='1.0'?>\n<!-- a -->\n<html xmlns='http://www.w3.org/1999/xhtml'><head/><body/></html>",
                "this is an HTML page",
            ),
        ];
        // What reads pages is given them, and what only begins alike is none.
        let root = XmlFormat { root: Some("HTML".into()), ..XmlFormat::default() };
        let rows = XmlFormat { record: crate::model::path::Path::parse("//table/tr").ok(), ..XmlFormat::default() };
        for format in [root, rows] {
            assert_eq!(trap(page, &Format::Xml(format)), None);
        }
        assert_eq!(trap(b"<html5><a/></html5>", &Format::Xml(XmlFormat::default())), None);
        for good in [&b"null,\n"[..], b"{\"a\":1}\n", b"1,2\n", b"\"a\",1\n", b"oops,\n{\"a\":1}\n", b"Not authorized\n"] {
            assert_eq!(trap(good, &Format::Json(JsonFormat::default())), None, "{}", String::from_utf8_lossy(good));
        }
        for (format, first, expected) in table {
            let (message, hint) = trap(first, format).unwrap_or_else(|| panic!("{expected}"));
            assert!(message.contains(expected), "{message}");
            assert!(!hint.is_empty());
        }
        for good in [&b"a,b\n"[..], b"\n", b"<5,>7\n", b"[a],[b]\n", b"{id},x\n", b"\xE9\xE8,x\n", b"--,form-data\n"] {
            assert_eq!(trap(good, &csv), None, "{}", String::from_utf8_lossy(good));
        }
        assert_eq!(trap(&wide, &unicode), None);
        let long = [&b"<Record text='"[..], &[b'x'; 16 * 1024]].concat();
        assert_eq!(trap(&long, &Format::Xml(XmlFormat::default())), None);
        // A stray zero is the fault of its row, columns may be filled up with zeros, and both sides of UTF-16 may have one now and then.
        assert_eq!(trap(b"NAME,DAYS\nNet\x0030,30\n", &csv), None);
        let column = FixedColumn { name: "A".into(), start: 1, length: 4, pad: '\0', right: false };
        let fixed = Format::Fixed(FixedFormat { columns: vec![column], ..FixedFormat::default() });
        assert_eq!(trap(b"a\0\0\0\nbc\0\0\n", &fixed), None);
        let mixed: Vec<u8> = "a,\u{100}\u{3000}b,c,d,e,f\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!((trap(&mixed, &unicode), utf16(&mixed)), (None, Some(encoding_rs::UTF_16LE)));
    }
}
