//! Any bytes as a data package and as its manifest, and packages that were whole before a few bytes of them changed: each is opened or refused with a
//! finding, and what stands in it ends or fails, never beyond what it promised.
#![no_main]

use std::io::{Cursor, Read, Write};

use entrepot::document::package::archive::{Archive, Opened};
use entrepot::document::package::{MANIFEST, manifest};

const WHOLE: &str = "<DataManagementPackageManifest xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"><PackageEntityList>\
    <DataManagementPackageEntityData><EntityName>Groups</EntityName><InputFilePath>Groups.csv</InputFilePath></DataManagementPackageEntityData>\
    </PackageEntityList></DataManagementPackageManifest>";

fn open(bytes: &[u8]) {
    match Archive::open(Cursor::new(bytes), bytes.len() as u64).expect("memory does not fail") {
        Opened::Refused(findings) => assert!(findings.iter().all(|finding| !finding.message.is_empty()) && !findings.is_empty()),
        Opened::Package(mut archive, manifest) => {
            for entity in manifest.entities {
                let Some(index) = archive.find(&entity.file) else { continue };
                if let Ok(document) = archive.document(index) {
                    let _ = document.take(1 << 20).read_to_end(&mut Vec::new());
                }
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|input: (bool, &[u8], &[u8], [(u16, u8); 3])| {
    let (own_manifest, bytes, document, changes) = input;
    if let Err(findings) = manifest::read(bytes) {
        assert!(!findings.is_empty());
    }
    let _ = manifest::check_header(bytes);
    open(bytes);

    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in [(MANIFEST, if own_manifest { bytes } else { WHOLE.as_bytes() }), ("Groups.csv", document)] {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    let mut package = zip.finish().unwrap().into_inner();
    for (at, with) in changes {
        let at = usize::from(at) % package.len();
        package[at] ^= with;
    }
    open(&package);
});
