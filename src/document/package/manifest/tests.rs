use super::*;

const NS: &str =
    "xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"";

fn package(entities: &str) -> String {
    format!(
        "<DataManagementPackageManifest {NS}><DefinitionGroupName>Terms &amp; more</DefinitionGroupName><PackageEntityList>{entities}</PackageEntityList></DataManagementPackageManifest>"
    )
}

fn entity(members: &str) -> String {
    format!("<DataManagementPackageEntityData>{members}</DataManagementPackageEntityData>")
}

#[test]
fn what_we_write_reads_back() {
    let members = "<EntityName>Terms</EntityName><InputFilePath>Terms.csv</InputFilePath><ExecutionUnit>2</ExecutionUnit><LevelInExecutionUnit>10</LevelInExecutionUnit>\
        <SequenceInLevel>20</SequenceInLevel><FailLevelOnError>true</FailLevelOnError><SkipStaging>false</SkipStaging><SourceFormat>CSV</SourceFormat><ExcelSheetName/>\
        <EntityMapList><EntityMap><ArrayIndex>0</ArrayIndex><EntityField>NAME</EntityField><EntityFieldConversionList i:nil=\"true\" /><XMLField>Name</XMLField></EntityMap></EntityMapList>";
    let manifest = read(package(&entity(members)).as_bytes()).unwrap();
    assert_eq!((manifest.project.as_str(), manifest.notes.len()), ("Terms & more", 0));
    let found = &manifest.entities[0];
    assert_eq!((found.name.as_str(), found.file.as_str(), found.source_format.as_str()), ("Terms", "Terms.csv", "CSV"));
    assert_eq!(
        (found.unit, found.level, found.sequence, found.fail_level, found.fail_unit, found.disabled),
        (2, 10, 20, true, false, false)
    );
    assert_eq!(found.skip_staging, Some(false));
    assert_eq!(found.map, [MapLine { column: "Name".into(), field: "NAME".into(), ..MapLine::default() }]);
}

#[test]
fn elements_come_in_any_order_and_numbers_may_be_empty_or_zero() {
    let members = "<TargetEntity>T</TargetEntity><SequenceInLevel>0</SequenceInLevel><ExecutionUnit/><Unknown><Deep>1</Deep></Unknown><EntityName>A</EntityName>";
    let text = format!(
        "<DataManagementPackageManifest {NS}>\n<PackageEntityList>{}</PackageEntityList><DefinitionGroupName>P</DefinitionGroupName></DataManagementPackageManifest>",
        entity(members)
    );
    let manifest = read(text.as_bytes()).unwrap();
    assert_eq!((manifest.project.as_str(), manifest.entities[0].target.as_str()), ("P", "T"));
    assert_eq!((manifest.entities[0].unit, manifest.entities[0].sequence, manifest.entities[0].line), (1, 0, 2));
}

#[test]
fn every_encoding_and_declaration_that_occurs_is_read() {
    let body = package(&entity("<EntityName>Zahlungsbedingungen für Köln</EntityName>"));
    let wide = |text: &str, little: bool, mark: bool| -> Vec<u8> {
        let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
        units.flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
    };
    let declared = |label: &str| format!("<?xml version=\"1.0\" encoding='{label}'?>{body}");
    // The flag says whether the declaration is told to be wrong.
    let cases: Vec<(Vec<u8>, bool)> = vec![
        (body.clone().into_bytes(), false),
        ([b"\xEF\xBB\xBF", body.as_bytes()].concat(), false),
        (wide(&body, true, true), false),
        (wide(&body, false, true), false),
        (wide(&body, true, false), false),
        (wide(&body, false, false), false),
        (wide(&declared("utf-16"), true, true), false),
        (wide(&declared("utf-8"), true, true), true),
        (declared("utf-8").into_bytes(), false),
        (declared("utf-16").into_bytes(), true),
        (declared("klingon").into_bytes(), true),
        (encoding_rs::WINDOWS_1252.encode(&declared("windows-1252")).0.into_owned(), false),
    ];
    for (number, (bytes, wrong)) in cases.into_iter().enumerate() {
        let manifest = read(&bytes).unwrap_or_else(|findings| panic!("case {number}: {findings:?}"));
        assert_eq!(manifest.entities[0].name, "Zahlungsbedingungen für Köln", "case {number}");
        assert_eq!(manifest.notes.len(), usize::from(wrong), "case {number}: {:?}", manifest.notes);
    }
    let broken = read(&encoding_rs::WINDOWS_1252.encode(&body).0).unwrap_err();
    assert!(broken[0].message.contains("no text in UTF-8"), "{broken:?}");
}

#[test]
fn namespace_mistakes_are_read_and_noted() {
    let good = package(&entity("<EntityName>A</EntityName>"));
    for text in [
        good.replace(NS, ""),
        good.replace("dynamics/2015/01", "dynamics/2014/01"),
        good.replace("xmlns=", "xmlns:d=")
            .replace("</", "</d:")
            .replace("<Data", "<d:Data")
            .replace("<Pack", "<d:Pack")
            .replace("<Entity", "<d:Entity")
            .replace("<Defi", "<d:Defi")
            .replace("xmlns:d=\"http://schemas.microsoft.com/dynamics/2015/01/DataManagement\"", "xmlns:d=\"urn:x\""),
    ] {
        let manifest = read(text.as_bytes()).unwrap_or_else(|findings| panic!("{text}: {findings:?}"));
        assert_eq!(manifest.entities[0].name, "A");
        assert_eq!(manifest.notes.len(), 1, "{text}");
        assert!(manifest.notes[0].message.contains("namespace"));
    }
}

#[test]
fn every_fault_is_told_with_its_line_and_all_in_one_go() {
    let text = format!(
        "<DataManagementPackageManifest {NS}>\n<PackageEntityList>\n{}\n{}\n{}\n{}\n</PackageEntityList></DataManagementPackageManifest>",
        entity("<EntityName>A</EntityName>\n<ExecutionUnit>abc</ExecutionUnit>"),
        entity("<EntityName>B</EntityName><Disable>maybe</Disable>"),
        entity("<EntityName></EntityName>"),
        entity("<EntityName>a</EntityName>"),
    );
    let places: Vec<(u64, String)> = read(text.as_bytes()).unwrap_err().into_iter().map(|fault| (fault.line, fault.message)).collect();
    assert_eq!(
        places,
        [
            (4, "Manifest.xml: ExecutionUnit is \"abc\"".to_owned()),
            (5, "Manifest.xml: Disable is \"maybe\"".into()),
            (6, "Manifest.xml: an entity has no EntityName".into()),
            (7, "Manifest.xml: the entity \"a\" stands here and in line 3".into()),
        ]
    );
}

#[test]
fn what_is_no_manifest_is_refused_by_name() {
    let with = |root: &str| format!("<{root} {NS}><Entities><Entity/></Entities></{root}>");
    for (text, word) in [
        (with("DataManagementSchema"), "<DataManagementSchema>"),
        (with("DataManagementTemplatePackageManifest"), "a template"),
        (with("DataManagementPackageManifest"), "has Entities where PackageEntityList is expected"),
        (package(""), "names no entity"),
        (String::new(), "has no PackageEntityList"),
        ("plain text".into(), "has no PackageEntityList"),
        (package(&entity("<EntityName>A"))[..300].to_owned(), "Manifest.xml"),
        (package("<a></b>"), "is no XML"),
        (package(&"<a>".repeat(40)), "more than 32 deep"),
        (
            format!("<!DOCTYPE x [<!ENTITY a \"aaaa\">]>{}", package(&entity("<EntityName>&a;</EntityName>"))),
            "an entity that XML does not have",
        ),
    ] {
        let findings = read(text.as_bytes()).expect_err(&text);
        assert!(findings[0].message.contains(word), "{word}: {findings:?}");
    }
}

#[test]
fn value_conversions_are_read_for_each_type() {
    let conversion = |members: &str| format!("<EntityFieldConversion>{members}</EntityFieldConversion>");
    let map = format!(
        "<EntityName>A</EntityName><EntityMapList><EntityMap><EntityField>F</EntityField><EntityFieldConversionList>{}{}{}{}</EntityFieldConversionList><IsAutoDefault>true</IsAutoDefault><XMLField>C</XMLField></EntityMap></EntityMapList>",
        conversion(
            "<FieldType>String</FieldType><IsDefault>false</IsDefault><SourceInt>0</SourceInt><SourceStr>30</SourceStr><StagingInt>0</StagingInt><StagingStr>Net30</StagingStr>"
        ),
        conversion(
            "<FieldType>Int</FieldType><SourceInt>0</SourceInt><SourceStr>x</SourceStr><StagingInt>7</StagingInt><StagingStr>y</StagingStr>"
        ),
        conversion("<IsDefault>false</IsDefault><SourceInt>0</SourceInt><SourceReal>1.5</SourceReal><StagingReal>2.5</StagingReal>"),
        conversion("<FieldType>String</FieldType><IsDefault>true</IsDefault><SourceStr/><StagingStr>Cash</StagingStr>"),
    );
    let line = read(package(&entity(&map)).as_bytes()).unwrap().entities.remove(0).map.remove(0);
    let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    assert_eq!(line.conversions, [pair("30", "Net30"), pair("0", "7"), pair("1.5", "2.5")]);
    assert_eq!((line.default, line.default_value.as_deref()), (true, Some("Cash")));
    for (members, word) in [
        ("<FieldType>String</FieldType><SourceValue>1</SourceValue><TargetValue>Retail</TargetValue>", "has <SourceValue>"),
        ("<SourceStr>1</SourceStr><TargetStr>Retail</TargetStr>", "has <TargetStr>"),
        ("<FieldType>String</FieldType><SourceStr>1</SourceStr>", "lacks SourceStr or StagingStr"),
    ] {
        let list = format!("<EntityFieldConversionList>{}</EntityFieldConversionList>", conversion(members));
        let map =
            format!("<EntityName>A</EntityName><EntityMapList><EntityMap><EntityField>F</EntityField>{list}</EntityMap></EntityMapList>");
        let findings = read(package(&entity(&map)).as_bytes()).expect_err(members);
        assert!(findings[0].message.contains(word), "{word}: {findings:?}");
    }
}

#[test]
fn more_entities_than_the_limit_are_refused() {
    let many: String = (0..=ENTITIES_MAX).map(|number| entity(&format!("<EntityName>{number}</EntityName>"))).collect();
    let findings = read(package(&many).as_bytes()).unwrap_err();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].message.contains("more than 2000 entities"));
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400), at in 0usize..600) {
        let _ = read(&bytes);
        let good = package(&entity("<EntityName>Ä</EntityName><EntityMapList><EntityMap><XMLField>C</XMLField></EntityMap></EntityMapList>")).into_bytes();
        let at = at.min(good.len());
        let _ = read(&[&good[..at], &bytes, &good[at..]].concat());
        let _ = check_header(&bytes);
    }
}
