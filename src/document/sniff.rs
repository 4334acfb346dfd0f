//! Looks at the first bytes of a document before it is read: is it what its format says? What it is instead is named before the damage.

use std::io::{self, Cursor, Read};

use encoding_rs::Encoding;

use super::broken::Broken;
use crate::model::format::Format;

/// Bytes that are looked at.
const FIRST: u64 = 16 * 1024;

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
    /// PDF.
    Pdf,
    /// Packed by gzip.
    Gzip,
    /// XML.
    Xml,
    /// JSON.
    Json,
    /// Other text.
    Text,
    /// Nothing at all.
    Empty,
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
        [b'%', b'P', b'D', b'F', ..] => return Looks::Pdf,
        [0x1F, 0x8B, ..] => return Looks::Gzip,
        _ => {}
    }
    let text = text(first);
    let text = text.trim_start();
    let after = |text: &str| text[1..].trim_start().chars().next();
    match text.chars().next() {
        None => Looks::Empty,
        Some('<') if text.starts_with("<?xml") || text.starts_with("<!") || text.contains("</") || text.contains("/>") => Looks::Xml,
        Some('{') if matches!(after(text), Some('"' | '}')) => Looks::Json,
        Some('[') if matches!(after(text), Some('{' | '[' | ']')) => Looks::Json,
        _ => Looks::Text,
    }
}

/// The first bytes as text, good enough to look at.
fn text(first: &[u8]) -> String {
    let encoding = Encoding::for_bom(first).map(|(encoding, _)| encoding).or_else(|| utf16(first)).unwrap_or(encoding_rs::UTF_8);
    encoding.decode(first).0.into_owned()
}

/// UTF-16 without a byte order mark: every second byte of Latin text is zero.
pub fn utf16(first: &[u8]) -> Option<&'static Encoding> {
    let pairs = first.chunks_exact(2);
    let count = pairs.len();
    let (mut high, mut low) = (0, 0);
    for pair in pairs {
        high += usize::from(pair[0] == 0 && pair[1] != 0);
        low += usize::from(pair[1] == 0 && pair[0] != 0);
    }
    match () {
        () if count == 0 => None,
        () if low * 10 > count * 7 => Some(encoding_rs::UTF_16LE),
        () if high * 10 > count * 7 => Some(encoding_rs::UTF_16BE),
        () => None,
    }
}

/// Reads the first bytes, and gives the document back with them when it may be of this format.
pub fn check<R: Read>(mut source: R, format: &Format) -> Result<io::Chain<Cursor<Vec<u8>>, R>, Broken> {
    let mut first = Vec::new();
    Read::by_ref(&mut source).take(FIRST).read_to_end(&mut first)?;
    match trap(&first, format) {
        Some((message, hint)) => Err(Broken::at(0, message, hint)),
        None => Ok(Cursor::new(first).chain(source)),
    }
}

fn trap(first: &[u8], format: &Format) -> Option<(String, String)> {
    let looks = looks(first);
    let wanted = format.name();
    let say = |found: &str, hint: &str| Some((format!("this is {found}, and the format says {wanted}"), hint.to_owned()));
    if matches!(format, Format::Excel(_)) {
        // Its reader tells the kinds of workbooks apart.
        return match looks {
            Looks::Package => say("a data package", "send it to a job with accepts = \"package\", or send the file in it alone"),
            Looks::Xml => say("XML", "send a workbook, or write type = \"xml-element\""),
            Looks::Json => say("JSON", "send a workbook, or write type = \"json\""),
            Looks::Text => say("text", "send a workbook, or write type = \"csv\""),
            _ => None,
        };
    }
    let found = match looks {
        Looks::Package => say("a data package", "send it to a job with accepts = \"package\", or send the file in it alone"),
        Looks::Workbook => say("a workbook of Excel", "save the sheet as text, or write type = \"excel\""),
        Looks::Zip => say("a zip archive", "send the file in it alone"),
        Looks::Old => say("an Office document", "save it as text"),
        Looks::Pdf => say("a PDF", "send the data it was made of"),
        Looks::Gzip => say("packed by gzip", "send it unpacked"),
        Looks::Xml if !matches!(format, Format::Xml(_)) => {
            say("XML", "write type = \"xml-element\" or \"xml-attribute\", or send what the format says")
        }
        Looks::Json if !matches!(format, Format::Json(_)) => say("JSON", "write type = \"json\", or send what the format says"),
        Looks::Text if matches!(format, Format::Xml(_)) => say("text without elements", "write type = \"csv\", or send XML"),
        _ => None,
    };
    if found.is_some() {
        return found;
    }
    if Encoding::for_bom(first).is_some() {
        return None;
    }
    let stated = format.encoding();
    let wide = stated == encoding_rs::UTF_16LE || stated == encoding_rs::UTF_16BE;
    match utf16(first) {
        Some(found) if found != stated && !matches!(format, Format::Xml(_)) => {
            let hint = format!("write encoding = \"{}\", or save the document in {}", found.name().to_lowercase(), stated.name());
            Some((format!("the document is in {}, and the format says {}", found.name(), stated.name()), hint))
        }
        None if wide
            && first.len() >= 2
            && std::str::from_utf8(first.get(..first.len().min(1024)).unwrap_or(first)).is_ok_and(|text| !text.contains('\0')) =>
        {
            let hint = format!("write encoding = \"utf-8\", or save the document in {}", stated.name());
            Some((format!("the document is in a narrow encoding such as UTF-8, and the format says {}", stated.name()), hint))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::format::{CsvFormat, JsonFormat, XmlFormat};

    #[test]
    fn what_a_document_is_instead_is_named() {
        let csv = Format::Csv(CsvFormat::default());
        let unicode = Format::Csv(CsvFormat { encoding: encoding_rs::UTF_16LE, ..CsvFormat::default() });
        let wide: Vec<u8> = "a,b\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let table: &[(&Format, &[u8], &str)] = &[
            (&csv, b"PK\x03\x04....Manifest.xml", "this is a data package, and the format says csv"),
            (&csv, b"PK\x03\x04....[Content_Types].xml", "this is a workbook of Excel"),
            (&csv, b"PK\x03\x04....other", "this is a zip archive"),
            (&csv, b"<?xml version='1.0'?><a/>", "this is XML"),
            (&csv, b"\xEF\xBB\xBF <a><b/></a>", "this is XML"),
            (&csv, b"[{\"a\":1}]", "this is JSON"),
            (&csv, b"%PDF-1.7", "this is a PDF"),
            (&csv, &wide, "the document is in UTF-16LE, and the format says UTF-8"),
            (&unicode, b"a,b\n1,2\n", "narrow encoding"),
            (&Format::Xml(XmlFormat::default()), b"a;b\n", "this is text without elements"),
            (&Format::Xml(XmlFormat::default()), b"{\"a\":1}", "this is JSON"),
            (&Format::Json(JsonFormat::default()), b"<a/>", "this is XML"),
        ];
        for (format, first, expected) in table {
            let (message, hint) = trap(first, format).unwrap_or_else(|| panic!("{expected}"));
            assert!(message.contains(expected), "{message}");
            assert!(!hint.is_empty());
        }
        for good in [&b"a,b\n"[..], b"", b"<5,>7\n", b"[a],[b]\n", b"{id},x\n", b"\xE9\xE8,x\n"] {
            assert_eq!(trap(good, &csv), None, "{}", String::from_utf8_lossy(good));
        }
        assert_eq!(trap(&wide, &unicode), None);
    }
}
