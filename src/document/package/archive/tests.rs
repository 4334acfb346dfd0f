use super::*;
use std::io::{Cursor, Write};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const GOOD: &str = "<DataManagementPackageManifest xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"><PackageEntityList>\
    <DataManagementPackageEntityData><EntityName>A</EntityName><InputFilePath>A.csv</InputFilePath></DataManagementPackageEntityData></PackageEntityList></DataManagementPackageManifest>";
const HEAD: &str = "<DataManagementPackageHeader xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"/>";

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated)
}

fn zip(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn good(options: SimpleFileOptions) -> Vec<u8> {
    zip(&[("A.csv", b"ID\n1\n"), ("packageheader.xml", HEAD.as_bytes()), ("manifest.XML", GOOD.as_bytes())], options)
}

fn open(bytes: &[u8]) -> Opened<Cursor<&[u8]>> {
    Archive::open(Cursor::new(bytes), bytes.len() as u64).unwrap()
}

#[track_caller]
fn refusal(bytes: &[u8]) -> String {
    match open(bytes) {
        Opened::Refused(findings) => findings[0].message.clone(),
        Opened::Package(..) => panic!("it was opened"),
    }
}

#[test]
fn documents_stream_out_whatever_the_order_and_case_of_the_entries() {
    for options in [stored(), deflated()] {
        let bytes = good(options);
        let Opened::Package(mut archive, manifest) = open(&bytes) else { panic!("refused") };
        assert!(manifest.notes.is_empty(), "{:?}", manifest.notes);
        let index = archive.find("a.CSV").unwrap();
        assert_eq!(archive.find(".\\A.csv"), Some(index));
        let mut text = String::new();
        archive.document(index).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "ID\n1\n");
        assert!(archive.left_over(&[index]).is_empty());
        assert_eq!(archive.left_over(&[]), ["A.csv"]);
    }
}

#[test]
fn what_is_no_package_is_refused_with_a_word() {
    assert!(refusal(b"ID,NAME\n1,2\n").contains("no data package"));
    assert!(refusal(b"").contains("no data package"));
    assert!(refusal(b"PK\x03\x04 and nothing more").contains("damaged or was cut short"));
    let whole = good(deflated());
    for cut in [30, whole.len() / 2, whole.len() - 10, whole.len() - 1] {
        let message = refusal(&whole[..cut]);
        assert!(message.contains("damaged or was cut short"), "{cut}: {message}");
    }
    assert!(refusal(&zip(&[("A.csv", b"x")], stored())).contains("has no Manifest.xml"));
    assert!(refusal(&zip(&[("package/Manifest.xml", GOOD.as_bytes())], stored())).contains("in a folder"));
    assert!(refusal(&zip(&[("Manifest.xml", b"<x/>")], stored())).contains("its root is <x>"));
}

#[test]
fn names_that_lead_out_of_the_package_are_refused() {
    for name in ["../x.csv", "a/../../x.csv", "/etc/passwd", "\\\\host\\x", "C:\\x.csv", "a\\..\\x", "a\nb"] {
        let bytes = zip(&[("Manifest.xml", GOOD.as_bytes()), (name, b"x")], stored());
        let message = refusal(&bytes);
        assert!(message.contains("leads out of it"), "{name}: {message}");
    }
}

/// Two entries of one name, as no writer makes them: the second is renamed in both of its headers.
#[test]
fn duplicates_encrypted_and_foreign_compression_are_refused() {
    let twice = zip(&[("Manifest.xml", GOOD.as_bytes()), ("A.csv", b"1"), ("B.csv", b"2")], stored());
    let mut doubled = twice.clone();
    for at in 0..doubled.len() - 5 {
        if &doubled[at..at + 5] == b"B.csv" {
            doubled[at] = b'A';
        }
    }
    assert!(refusal(&doubled).contains("have the same name"));
    // General purpose bit 0, in the directory's and the file's own header.
    let mut encrypted = twice.clone();
    for (signature, offset) in [(b"PK\x01\x02", 8), (b"PK\x03\x04", 6)] {
        let at = encrypted.windows(4).rposition(|window| window == signature).unwrap();
        encrypted[at + offset] |= 1;
    }
    assert!(refusal(&encrypted).contains("encrypted"), "{}", refusal(&encrypted));
    let mut foreign = twice;
    let at = foreign.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    foreign[at + 10] = 98;
    assert!(refusal(&foreign).contains("compressed as"), "{}", refusal(&foreign));
}

#[test]
fn a_bomb_is_refused_before_a_byte_of_it_is_expanded() {
    let zeros = vec![b'0'; (EXPANDED_FREE + 1) as usize];
    let bytes = zip(&[("A.csv", &zeros), ("Manifest.xml", GOOD.as_bytes())], deflated());
    assert!((bytes.len() as u64) < EXPANDED_FREE / 500);
    assert!(refusal(&bytes).contains("expands from"), "{}", refusal(&bytes));
    // One that lies about its size ends where its directory said.
    let mut liar = zip(&[("Manifest.xml", GOOD.as_bytes()), ("A.csv", &zeros[..1_000_000])], deflated());
    let at = liar.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    liar[at + 24..at + 28].copy_from_slice(&1000u32.to_le_bytes());
    let Opened::Package(mut archive, _) = open(&liar) else { panic!("its directory looks well") };
    let index = archive.find("A.csv").unwrap();
    let error = archive.document(index).and_then(|mut document| io::copy(&mut document, &mut io::sink())).unwrap_err();
    assert!(DocumentFault::of(&error).is_some(), "{error}");
}

#[test]
fn an_archive_of_very_many_entries_costs_no_more_than_its_budget() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..=ENTRIES_MAX {
        writer.start_file(format!("{number}"), stored()).unwrap();
    }
    let many = writer.finish().unwrap().into_inner();
    assert!(refusal(&many).contains("at most 10000 are read"), "{}", refusal(&many));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..45_000 {
        writer.start_file(format!("{number:0>60}"), stored()).unwrap();
    }
    let more = writer.finish().unwrap().into_inner();
    assert!(refusal(&more).contains("the directory of the zip file"), "{}", refusal(&more));
}

#[test]
fn overlapping_entries_are_refused() {
    let mut bytes = zip(&[("Manifest.xml", GOOD.as_bytes()), ("A.csv", b"one"), ("B.csv", b"two")], stored());
    // The last entry of the directory points to the place of the one before.
    let places: Vec<usize> = (0..bytes.len() - 4).filter(|at| &bytes[*at..at + 4] == b"PK\x01\x02").collect();
    let offset: [u8; 4] = bytes[places[1] + 42..places[1] + 46].try_into().unwrap();
    bytes[places[2] + 42..places[2] + 46].copy_from_slice(&offset);
    let message = refusal(&bytes);
    assert!(message.contains("share bytes") || message.contains("damaged"), "{message}");
}

#[test]
fn damage_in_a_document_is_a_fault_of_the_package_and_a_failing_disk_is_not() {
    let mut bytes = zip(&[("Manifest.xml", GOOD.as_bytes()), ("A.csv", &[b'x'; 5000])], stored());
    let at = bytes.windows(100).position(|window| window == [b'x'; 100]).unwrap();
    bytes[at + 2000] = b'y';
    let Opened::Package(mut archive, _) = open(&bytes) else { panic!("its directory looks well") };
    let index = archive.find("A.csv").unwrap();
    let error = archive.document(index).and_then(|mut document| io::copy(&mut document, &mut io::sink())).unwrap_err();
    assert!(DocumentFault::of(&error).unwrap().to_string().contains("A.csv is damaged"), "{error}");

    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.position() > 100 { Err(io::ErrorKind::StorageFull.into()) } else { self.0.read(buffer) }
        }
    }
    impl Seek for Failing {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let size = bytes.len() as u64;
    assert!(Archive::open(Failing(Cursor::new(bytes)), size).is_err(), "our own disk is no finding");
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_never_panic(changes in proptest::collection::vec((0usize..700, proptest::num::u8::ANY), 0..8), cut in 0usize..700) {
        let mut bytes = good(deflated());
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len().max(cut) - cut / 4);
        if let Opened::Package(mut archive, _) = open(&bytes) {
            for index in 0..archive.names.len() {
                let _ = archive.document(index).and_then(|mut document| io::copy(&mut document, &mut io::sink()));
            }
        }
    }
}
