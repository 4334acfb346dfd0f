//! The legal entity of what the package API imports and exports: the job's own, or the one that the client names.

use std::io::Read;

use serde_json::json;

use crate::appliance::Appliance;
use crate::package_api::{package_of, put, status, write_url};
use crate::packages::{PACKAGES, manifest, package};

#[test]
fn a_job_s_own_legal_entity_goes_before_the_client_s_on_both_ways() {
    let sheet = r#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:output method="text"/>
<xsl:param name="company" select="'none'"/><xsl:param name="activity_id"/>
<xsl:template match="/"><xsl:value-of select="concat($company, ' ', $activity_id)"/></xsl:template></xsl:stylesheet>"#;
    for (company, named, expected) in [
        ("company = \"NL01\"", "USMF", "NL01"),
        ("company = \"NL01\"", "", "NL01"),
        ("company = \"message\"", "USMF", "USMF"),
        ("", "USMF", "USMF"),
    ] {
        let configuration = format!(
            r#"
[[entity]]
name = "Items"
table = "items"
key = ["CO", "ID"]
fields = [{{ name = "CO", type = "string" }}, {{ name = "ID", type = "string" }}]
[[project]]
name = "Set-up"
direction = "import"
[[project.entity]]
entity = "Items"
mapping = [{{ company = true, field = "CO" }}, {{ source = "ID", field = "ID" }}]
[[project]]
name = "Set-up out"
direction = "export"
[[project.entity]]
entity = "Items"
format = {{ type = "xml-element" }}
transform = ["out.xsl"]
[[job]]
name = "Set-up"
activity_id = "{PACKAGES}"
project = "Set-up"
accepts = "package"
applications = ["Tests"]
recurrence = "on demand"
{company}
[[job]]
name = "Set-up out"
activity_id = "22222222-2222-4333-8444-555555555555"
project = "Set-up out"
applications = ["Tests"]
recurrence = "on demand"
{company}
"#
        );
        let mut app = Appliance::start_with_files(&configuration, &[("out.xsl", sheet)]);
        let url = write_url(&app, "a");
        put(&app, &url, &package(manifest(&[("Items", "Items.csv", 1, "")]).as_bytes(), &[("Items.csv", b"ID\r\nx\r\n")])).expect(201);
        let asked =
            json!({ "packageUrl": url, "definitionGroupId": "Set-up", "executionId": "in", "execute": true, "legalEntityId": named });
        app.value("ImportFromPackage", &asked);
        app.settle();
        assert_eq!((status(&app, "in").as_str(), app.sql("SELECT CO, ID FROM items")), ("Succeeded", vec![format!("{expected}|x")]));
        let asked = json!({ "definitionGroupId": "Set-up out", "packageName": "p", "executionId": "out", "legalEntityId": named });
        app.value("ExportToPackage", &asked);
        app.settle();
        let package = package_of(&app, "out", &[]).body;
        let mut text = String::new();
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package)).unwrap();
        zip.by_name("Items.txt").unwrap().read_to_string(&mut text).unwrap();
        let job = "22222222-2222-4333-8444-555555555555";
        assert_eq!(text.trim_start_matches('\u{feff}'), format!("{expected} {job}"), "{company} {named}");
    }
}
