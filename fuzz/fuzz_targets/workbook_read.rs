//! Any bytes as the sheet and the texts of a workbook that is whole around them, and a few bytes of the whole changed.
#![no_main]

use std::io::{Cursor, Write};

const TYPES: &str = "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Override PartName=\"/xl/workbook.xml\" \
    ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/></Types>";
const BOOK: &str = "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
    xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"rId1\"/></sheets></workbook>";
const LINKS: &str = "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" \
    Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/></Relationships>";

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8], &[u8], [(u16, u8); 2])| {
    let (kind, sheet, strings, changes) = input;
    let sheet = match kind & 1 {
        0 => sheet.to_vec(),
        // Rows inside of what every sheet has.
        _ => [b"<worksheet><sheetData>", sheet, b"</sheetData></worksheet>"].concat(),
    };
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let parts = [
        ("[Content_Types].xml", TYPES.as_bytes()),
        ("xl/workbook.xml", BOOK.as_bytes()),
        ("xl/_rels/workbook.xml.rels", LINKS.as_bytes()),
        ("xl/worksheets/sheet1.xml", &sheet),
        ("xl/sharedStrings.xml", strings),
    ];
    for (name, content) in parts {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    let mut bytes = zip.finish().unwrap().into_inner();
    for (at, with) in changes.into_iter().filter(|_| kind & 2 != 0) {
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= with;
    }
    shared::is_read_or_refused(&bytes, &shared::workbook(u32::from(kind >> 6)));
});
