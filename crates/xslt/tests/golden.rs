//! Mapping stylesheets as integrations use them, each with its input and the result it must give, byte for byte.
//!
//! A folder of `golden/` has one `input.xml` and many stylesheets `NAME.xsl` with their results `NAME.out`. To add a case, write the
//! stylesheet, run with `GOLDEN_WRITE=1`, and read the result before committing it; `oracle/compare.py` compares all results with those
//! of Microsoft's engine.

use std::path::{Path, PathBuf};

use entrepot_xslt::{Records, Resolver, Resource, ResourceKind, Stylesheet};

/// Stylesheets may only load what stands beside them.
struct Beside(PathBuf);

impl Resolver for Beside {
    fn resolve(&self, uri: &str, _: ResourceKind) -> Result<Resource, String> {
        let content = std::fs::read(self.0.join(uri)).map_err(|error| error.to_string())?;
        Ok(Resource { uri: uri.to_owned(), content })
    }
}

fn cases() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut found = Vec::new();
    for folder in std::fs::read_dir(golden).expect("the folder is there").flatten() {
        for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
            if file.path().extension().is_some_and(|extension| extension == "xsl") {
                found.push(file.path());
            }
        }
    }
    found.sort();
    found
}

fn transform(case: &Path, records: Records) -> Vec<u8> {
    let folder = case.parent().expect("a case is in a folder");
    let name = case.file_name().and_then(|name| name.to_str()).expect("names are UTF-8");
    let text = std::fs::read(case).expect("readable");
    let resolver = Beside(folder.to_owned());
    let sheet = Stylesheet::compile(&text, name, &resolver).unwrap_or_else(|errors| panic!("{}: {errors}", case.display()));
    let input = std::fs::read(folder.join("input.xml")).expect("readable");
    let mut output = Vec::new();
    let run = sheet.transform().resolver(&resolver).source_uri("input.xml").records(records).run(&input[..], &mut output);
    run.unwrap_or_else(|error| panic!("{}: {error}", case.display()));
    output
}

#[test]
fn every_result_is_as_it_was_approved() {
    let cases = cases();
    assert!(cases.len() >= 153, "only {} cases were found", cases.len());
    let write = std::env::var_os("GOLDEN_WRITE").is_some();
    let mut wrong = Vec::new();
    for case in &cases {
        let result = transform(case, Records::Never);
        let expected = case.with_extension("out");
        if write {
            std::fs::write(&expected, &result).expect("writable");
        } else if std::fs::read(&expected).ok().as_deref() != Some(&result[..]) {
            wrong.push(format!("{}\n{}", case.display(), String::from_utf8_lossy(&result)));
        }
    }
    assert!(wrong.is_empty(), "{} results differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn record_by_record_gives_the_same() {
    for case in cases() {
        let (whole, by_record) = (transform(&case, Records::Never), transform(&case, Records::WhenAllowed));
        assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&by_record), "{}", case.display());
    }
}
