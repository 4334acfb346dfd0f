//! Stylesheets in the pipeline: in, out, in packages, in trials (issue 7).

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use crate::appliance::{Appliance, EXPORT, IMPORT};
use crate::packages;
use crate::pages::Person;

/// Orders in on arrival, and out when told to; `{in}` and `{out}` take keys of the project's entity.
const ORDERS: &str = r#"
[[entity]]
name = "Orders"
table = "orders"
key = ["ID"]
fields = [
  { name = "ID", type = "string", length = 60, required = true },
  { name = "CUSTOMER", type = "string", length = 60 },
  { name = "AMOUNT", type = "decimal", precision = 18, scale = 2 },
]
[[project]]
name = "Orders in"
direction = "import"
[[project.entity]]
entity = "Orders"
{in}
[[project]]
name = "Orders out"
direction = "export"
[[project.entity]]
entity = "Orders"
{out}
[[job]]
name = "Orders in"
activity_id = "6D31E09F-0249-459F-94F0-AAD9C2C47B64"
project = "Orders in"
applications = ["Tests"]
company = "message"
[[job]]
name = "Orders out"
activity_id = "C03BB937-09ED-46DE-86EE-4520D7D7E373"
project = "Orders out"
applications = ["Tests"]
recurrence = { cron = "0 6 * * *", time_zone = "UTC" }
company = "usmf"
"#;

const XML: &str = "format = { type = \"xml-element\" }\n";

fn orders(import: &str, export: &str) -> String {
    ORDERS.replace("{in}", import).replace("{out}", export)
}

fn sheet(body: &str) -> String {
    format!("<xsl:stylesheet version=\"1.0\" xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\">\n{body}\n</xsl:stylesheet>\n")
}

/// A web shop's orders as records of ours.
fn shop() -> String {
    sheet(
        r#"<xsl:template match="/shop"><Document><xsl:apply-templates select="order"/></Document></xsl:template>
<xsl:template match="order"><ORDERS><ID><xsl:value-of select="@no"/></ID><CUSTOMER><xsl:value-of select="who"/></CUSTOMER><AMOUNT><xsl:value-of select="translate(sum, ',', '.')"/></AMOUNT></ORDERS></xsl:template>"#,
    )
}

fn in_file(name: &str) -> String {
    format!("{XML}transform = [\"{name}\"]\n")
}

fn send(app: &mut Appliance, document: &str) -> Value {
    let id = app.enqueue_to(IMPORT, "Orders", document.as_bytes(), None);
    app.settle();
    app.message(&id)
}

#[track_caller]
fn only_finding(app: &Appliance, message: &Value) -> Value {
    let findings = app.findings(message["id"].as_str().unwrap());
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings[0].clone()
}

const SHOP: &str =
    "<shop>\n<order no=\"1\"><who>Ada</who><sum>12,50</sum></order>\n<order no=\"2\"><who>Bob</who><sum>3</sum></order>\n</shop>";

#[test]
fn a_document_passes_its_stylesheets_in_order_before_it_is_read() {
    let second = sheet(
        r#"<xsl:template match="/*"><xsl:copy><xsl:for-each select="*"><xsl:sort select="ID" order="descending"/><ORDERS><ID>W-<xsl:value-of select="ID"/></ID><xsl:copy-of select="CUSTOMER|AMOUNT"/></ORDERS></xsl:for-each></xsl:copy></xsl:template>"#,
    );
    let import = format!("{XML}transform = [\"shop.xsl\", {{ file = \"second.xsl\" }}]\n");
    let mut app = Appliance::start_with_files(&orders(&import, ""), &[("shop.xsl", &shop()), ("second.xsl", &second)]);
    let message = send(&mut app, SHOP);
    assert_eq!((&message["state"], &message["findings"]), (&"processed".into(), &0.into()), "{message}");
    assert_eq!(app.sql("SELECT * FROM orders ORDER BY 1"), ["W-1|Ada|12.50", "W-2|Bob|3.00"]);
    let log = app.log();
    let line = log.lines().find(|line| line.contains("execution reported")).unwrap();
    assert!(line.contains("transform=\"shop.xsl: record by record, 2 records; second.xsl: whole, "), "{line}");
    assert!(line.contains(" transform_ms="), "{line}");
    let scratch = app.dir.path().join("data/spool/incoming");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "what was in between is gone");
}

#[test]
fn a_stylesheet_may_write_text_which_is_read_as_the_entity_s_format() {
    let body = r#"<xsl:output method="text" encoding="windows-1252"/>
<xsl:template match="/shop">ID;CUSTOMER;AMOUNT<xsl:text>&#10;</xsl:text><xsl:for-each select="order"><xsl:value-of select="concat(@no, ';', who, ';', sum, '&#10;')"/></xsl:for-each></xsl:template>"#;
    let import = format!(
        "format = {{ type = \"csv\", delimiter = \";\", encoding = \"windows-1252\", decimal_separator = \",\" }}\ntransform = [{{ inline = '''\n{}''' }}]\n",
        sheet(body)
    );
    let mut app = Appliance::start(&orders(&import, ""));
    let message = send(&mut app, &SHOP.replace("Ada", "Zoë"));
    assert_eq!(message["state"], "processed", "{message}");
    assert_eq!(app.sql("SELECT * FROM orders ORDER BY 1"), ["1|Zoë|12.50", "2|Bob|3.00"]);
}

#[test]
fn a_stylesheet_is_given_the_message_and_the_configuration_s_parameters() {
    let names = ["company", "entity", "message_id", "activity_id", "date", "channel", "rate", "final"];
    let declared: String = names.iter().map(|name| format!("<xsl:param name=\"{name}\" select=\"'none'\"/>")).collect();
    let rows: String = names
        .iter()
        .map(|name| format!("<R><ID>{name}</ID><CUSTOMER><xsl:value-of select=\"${name}\"/></CUSTOMER></R>"))
        .chain(["<R><ID>sum</ID><CUSTOMER><xsl:value-of select=\"$rate + 1\"/></CUSTOMER></R>".to_owned()])
        .collect();
    let text = sheet(&format!("{declared}<xsl:template match=\"/\"><D>{rows}</D></xsl:template>"));
    let import =
        format!("{XML}[[project.entity.transform]]\nfile = \"all.xsl\"\nparameters = {{ channel = \"web\", rate = 1.5, final = true }}\n");
    let mut app = Appliance::start_with_files(&orders(&import, ""), &[("all.xsl", &text)]);
    let id = app.enqueue_to(IMPORT, "Orders&company=usmf", b"<a/>", None);
    app.settle();
    let expected = |company: &str, id: &str| {
        vec![
            format!("company|{company}"),
            "entity|Orders".into(),
            format!("message_id|{id}"),
            "activity_id|6d31e09f-0249-459f-94f0-aad9c2c47b64".into(),
            "date|2026-11-24".into(),
            "channel|web".into(),
            "rate|1.5".into(),
            "final|true".into(),
            "sum|2.5".into(),
        ]
    };
    let found = |app: &Appliance| app.sql("SELECT ID, CUSTOMER FROM orders ORDER BY rowid");
    assert_eq!(found(&app), expected("usmf", &id));
    // Without a company the stylesheet's own default holds.
    let id = app.enqueue_to(IMPORT, "Orders", b"<a/>", None);
    app.settle();
    assert_eq!(found(&app), expected("none", &id));
}

#[test]
fn what_a_stylesheet_says_stands_with_the_message_and_is_no_fault() {
    let body = r#"<xsl:template match="/shop"><D><xsl:for-each select="order"><xsl:if test="not(who)"><xsl:message>order&#10;<xsl:value-of select="@no"/> has no customer</xsl:message></xsl:if><R><ID><xsl:value-of select="@no"/></ID></R></xsl:for-each></D></xsl:template>"#;
    let mut app = Appliance::start_with_files(&orders(&in_file("say.xsl"), ""), &[("say.xsl", &sheet(body))]);
    let message = send(&mut app, "<shop><order no=\"1\"><who>Ada</who></order><order no=\"2\"/></shop>");
    assert_eq!((&message["state"], &message["findings"]), (&"processed".into(), &1.into()), "{message}");
    let finding = only_finding(&app, &message);
    assert_eq!((&finding["rule"], &finding["code"]), (&"message".into(), &"ENT108".into()));
    assert_eq!(finding["message"], "order 2 has no customer");
    assert_eq!(finding["hint"], "said by say.xsl:2:85 (xsl:message)");
    assert_eq!(app.sql("SELECT ID FROM orders ORDER BY 1"), ["1", "2"]);
    let page = Person::signed_in(&app).get(&app, &format!("/messages/{}", message["id"].as_str().unwrap())).expect(200).text();
    assert!(page.contains("Said by a stylesheet") && page.contains("Order 2 has no customer"), "{page}");
}

#[test]
fn a_stylesheet_that_terminates_refuses_the_document_with_its_words() {
    let body = r#"<xsl:template match="/shop"><D><xsl:for-each select="order"><xsl:if test="not(who)"><xsl:message terminate="yes">order <xsl:value-of select="@no"/> has no customer</xsl:message></xsl:if><R><ID><xsl:value-of select="@no"/></ID></R></xsl:for-each></D></xsl:template>"#;
    let mut app = Appliance::start_with_files(&orders(&in_file("end.xsl"), ""), &[("end.xsl", &sheet(body))]);
    let message = send(&mut app, "<shop><order no=\"1\"><who>Ada</who></order><order no=\"2\"/></shop>");
    assert_eq!((&message["state"], &message["findings"]), (&"refused".into(), &1.into()), "{message}");
    let finding = only_finding(&app, &message);
    assert_eq!((&finding["rule"], &finding["code"]), (&"transform".into(), &"ENT107".into()));
    let said = finding["message"].as_str().unwrap();
    assert_eq!(said, "end.xsl:2:85: the stylesheet refuses the document: order 2 has no customer, at /shop/*[2]");
    assert!(app.sql("SELECT name FROM sqlite_schema WHERE name = 'orders'").is_empty() || app.sql("SELECT ID FROM orders").is_empty());
}

#[test]
fn a_fault_while_transforming_is_a_finding_with_its_place() {
    // The name of an element is taken from the document.
    let body = r#"<xsl:template match="/*"><D><xsl:apply-templates/></D></xsl:template>
<xsl:template match="*"><R><ID><xsl:value-of select="@no"/></ID><xsl:element name="{@field}">x</xsl:element></R></xsl:template>"#;
    let import = format!("{XML}transform = [\"copy.xsl\", \"name.xsl\"]\n");
    let copy = sheet(r#"<xsl:template match="/"><xsl:copy-of select="/"/></xsl:template>"#);
    let broken = sheet(r#"<xsl:output method="text"/><xsl:template match="/">&lt;a&gt;&#10;&lt;b&gt;</xsl:template>"#);
    let files = [("copy.xsl", copy.as_str()), ("name.xsl", &sheet(body)), ("broken.xsl", &broken)];
    let mut app = Appliance::start_with_files(&orders(&import, ""), &files);
    let message = send(&mut app, "<s><o no='1' field='CUSTOMER'/><o no='2' field='not a name'/></s>");
    assert_eq!(message["state"], "refused", "{message}");
    let finding = only_finding(&app, &message);
    let told = finding["message"].as_str().unwrap();
    assert!(told.starts_with("name.xsl:3:65: ") && told.contains("expected") && told.ends_with(", at /s/*[2]"), "{told}");
    assert_eq!(finding["value"], "not a name");
    assert!(!finding["hint"].as_str().unwrap().is_empty());

    // The document's own faults have its line.
    let message = send(&mut app, "<s>\n<o no='1'>\n</s>");
    let finding = only_finding(&app, &message);
    assert_eq!((&message["state"], &finding["line"]), (&"refused".into(), &3.into()), "{finding}");
    assert!(finding["message"].as_str().unwrap().starts_with("line 3, column 1: "), "{finding}");
    let message = send(&mut app, "ID,CUSTOMER\n1,Ada\n");
    assert_eq!(only_finding(&app, &message)["rule"], "transform", "no XML at all");

    // Those of what a stylesheet gave are told from the sender's.
    app.rewrite_configuration(&orders(&format!("{XML}transform = [\"broken.xsl\", \"copy.xsl\"]\n"), ""));
    app.advance(Duration::from_secs(3));
    let message = send(&mut app, "<s/>");
    let finding = only_finding(&app, &message);
    assert!(finding["message"].as_str().unwrap().starts_with("in what broken.xsl gave, line 2, column "), "{finding}");
}

#[test]
fn a_document_in_utf8_that_says_otherwise_is_refused_before_a_stylesheet_takes_it_for_other_letters() {
    let mut app = Appliance::start_with_files(&orders(&in_file("shop.xsl"), ""), &[("shop.xsl", &shop())]);
    let declared = |encoding: &str| format!("<?xml version=\"1.0\" encoding=\"{encoding}\"?>\n{}", SHOP.replace("Ada", "Müller, Straße"));
    let message = send(&mut app, &declared("windows-1252"));
    let finding = only_finding(&app, &message);
    assert_eq!((&message["state"], &finding["line"]), (&"refused".into(), &3.into()), "{finding}");
    assert!(finding["message"].as_str().unwrap().contains("its declaration says windows-1252"), "{finding}");
    assert_eq!(send(&mut app, &declared("utf-8"))["state"], "processed");
    assert_eq!(app.sql("SELECT CUSTOMER FROM orders WHERE ID = '1'"), ["Müller, Straße"]);
    let id = app.enqueue_to(IMPORT, "Orders", &encoding_rs::WINDOWS_1252.encode(&declared("windows-1252")).0, None);
    app.settle();
    assert_eq!(app.message(&id)["state"], "processed");
    assert_eq!(app.sql("SELECT CUSTOMER FROM orders WHERE ID = '1'"), ["Müller, Straße"]);
}

#[test]
fn a_sender_cannot_reach_files_through_a_stylesheet() {
    let body = r#"<xsl:template match="/a"><D><xsl:for-each select="x"><R><ID><xsl:value-of select="position()"/></ID><CUSTOMER><xsl:value-of select="document(@of)"/></CUSTOMER></R></xsl:for-each></D></xsl:template>"#;
    let lookup = "<t>from a table</t>";
    let import = in_file("look.xsl");
    let mut app = Appliance::start_with_files(&orders(&import, ""), &[("look.xsl", &sheet(body)), ("table.xml", lookup)]);
    let message = send(&mut app, "<a><x of='table.xml'/></a>");
    assert_eq!(message["state"], "processed", "{message}");
    assert_eq!(app.sql("SELECT CUSTOMER FROM orders"), ["from a table"]);
    std::fs::write(app.dir.path().join("data/secret.xml"), "<s>secret</s>").unwrap();
    for of in ["data/secret.xml", "file:///etc/passwd", "../x.xml", "http://127.0.0.1:1/x"] {
        let message = send(&mut app, &format!("<a><x of='{of}'/></a>"));
        assert_eq!(message["state"], "refused", "{of}");
    }
    let message = send(&mut app, "<!DOCTYPE a [<!ENTITY e SYSTEM \"table.xml\">]><a><x of='table.xml'/>&e;</a>");
    assert!(only_finding(&app, &message)["message"].as_str().unwrap().contains("external entit"), "{message}");
}

#[test]
fn a_document_larger_than_the_budget_of_a_tree_is_transformed_record_by_record() {
    let whole = shop().replace("select=\"order\"", "select=\"order[last() &gt; 0]\"");
    let files = [("shop.xsl", shop()), ("whole.xsl", whole)];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let configuration = |name: &str| format!("[xslt]\nnodes_max = 1000\ntext_max = \"64KiB\"\n{}", orders(&in_file(name), ""));
    let mut app = Appliance::start_with_files(&configuration("shop.xsl"), &files);
    let records: String = (0..20_000).map(|n| format!("<order no=\"{n}\"><who>{n}</who><sum>1</sum></order>")).collect();
    let document = format!("<shop>{records}</shop>");
    let message = send(&mut app, &document);
    assert_eq!((&message["state"], &message["rows"]["inserted"]), (&"processed".into(), &20_000.into()), "{message}");
    assert!(app.log().contains("transform=\"shop.xsl: record by record, 20000 records\""));
    app.rewrite_configuration(&configuration("whole.xsl"));
    app.advance(Duration::from_secs(3));
    let message = send(&mut app, &document);
    assert_eq!(message["state"], "refused", "{message}");
    let finding = only_finding(&app, &message);
    assert!(finding["message"].as_str().unwrap().contains("more nodes or text than the budget allows"), "{finding}");
}

#[test]
fn what_takes_too_long_or_gives_too_much_is_refused() {
    let endless = r#"<xsl:template match="/"><D><xsl:for-each select="//b"><xsl:for-each select="//b"><xsl:for-each select="//b"><xsl:for-each select="//b"><xsl:if test="false()">x</xsl:if></xsl:for-each></xsl:for-each></xsl:for-each></xsl:for-each></D></xsl:template>"#;
    let much = endless.replace("false()", "true()");
    let files = [("endless.xsl", sheet(endless)), ("much.xsl", sheet(&much))];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    // A busy machine may take its time to write what is too much.
    let budget = |time: &str| format!("[xslt]\ntime_max = \"{time}\"\noutput_max = \"64KiB\"\n");
    let mut app = Appliance::start_with_files(&format!("{}{}", budget("300ms"), orders(&in_file("endless.xsl"), "")), &files);
    let document = format!("<a>{}</a>", "<b/>".repeat(2000));
    for (name, time, expected) in [("endless.xsl", "300ms", "takes longer than 0.3 s"), ("much.xsl", "5m", "more than 65536 bytes")] {
        app.rewrite_configuration(&format!("{}{}", budget(time), orders(&in_file(name), "")));
        app.advance(Duration::from_secs(3));
        let message = send(&mut app, &document);
        let finding = only_finding(&app, &message);
        assert_eq!(message["state"], "refused", "{message}");
        assert!(finding["message"].as_str().unwrap().contains(expected), "{finding}");
    }
}

#[test]
fn a_stylesheet_file_that_changes_is_taken_up_and_a_bad_one_leaves_the_running_one() {
    let including = sheet(
        "<xsl:include href=\"part.xsl\"/><xsl:template match=\"/shop\"><D><xsl:apply-templates select=\"order\"/></D></xsl:template>",
    );
    let part = |prefix: &str| {
        sheet(&format!("<xsl:template match=\"order\"><R><ID>{prefix}<xsl:value-of select=\"@no\"/></ID></R></xsl:template>"))
    };
    let mut app = Appliance::start_with_files(&orders(&in_file("main.xsl"), ""), &[("main.xsl", &including), ("part.xsl", &part("a"))]);
    let ids = |app: &Appliance| app.sql("SELECT ID FROM orders ORDER BY 1");
    send(&mut app, "<shop><order no=\"1\"/></shop>");
    assert_eq!(ids(&app), ["a1"]);
    let write = |app: &mut Appliance, name: &str, text: &str| {
        std::fs::write(app.dir.path().join(name), text).unwrap();
        app.advance(Duration::from_secs(3));
    };
    write(&mut app, "part.xsl", &part("second-"));
    send(&mut app, "<shop><order no=\"2\"/></shop>");
    assert_eq!(ids(&app), ["a1", "second-2"]);
    write(&mut app, "part.xsl", &part("<xsl:if tset=\"x\"/>"));
    assert!(app.log().contains("part.xsl:2:"), "{}", app.log());
    send(&mut app, "<shop><order no=\"3\"/></shop>");
    assert_eq!(ids(&app), ["a1", "second-2", "second-3"], "the running one stays");
    // Mended where it was broken: the configuration itself did not change.
    write(&mut app, "part.xsl", &part("third-"));
    send(&mut app, "<shop><order no=\"4\"/></shop>");
    assert_eq!(ids(&app), ["a1", "second-2", "second-3", "third-4"]);
}

#[test]
fn an_entity_of_a_package_passes_its_stylesheets_too() {
    let configuration = packages::configuration("").replacen(
        "entity = \"Customer groups\"\n",
        "entity = \"Customer groups\"\nformat = { type = \"xml-element\" }\ntransform = [\"groups.xsl\"]\nkeep_transformed = true\n",
        1,
    );
    let text = sheet(
        r#"<xsl:param name="entity"/><xsl:template match="/g"><D><xsl:for-each select="i"><R><ID><xsl:value-of select="@k"/></ID><NAME><xsl:value-of select="$entity"/></NAME><TERMS>Net30</TERMS></R></xsl:for-each></D></xsl:template>"#,
    );
    let mut app = Appliance::start_with_files(&configuration, &[("groups.xsl", &text)]);
    let package = packages::both(b"NAME,DAYS\r\nNet30,30\r\n", b"<g><i k='10'/><i k='20'/></g>");
    let id = app.enqueue_to(packages::PACKAGES, "", &package, None);
    app.settle();
    let message = app.message(&id);
    assert_eq!(message["state"], "processed", "{message}");
    assert_eq!(app.sql("SELECT ID, NAME, TERMS FROM customer_groups ORDER BY 1"), ["10|Customer groups|Net30", "20|Customer groups|Net30"]);
    let kept: Vec<_> = message["entities"].as_array().unwrap().iter().map(|run| run["transformed_kept"].as_bool().unwrap()).collect();
    assert_eq!(kept, [false, true]);
    let document = app.operator("GET", &format!("messages/{id}/transformed?entity=customer%20groups")).expect(200).text();
    assert!(document.contains("<ID>10</ID>"), "{document}");
    app.operator("GET", &format!("messages/{id}/transformed?entity=Terms%20of%20payment")).expect(404);
    // What cannot be transformed refuses the entity, and the others load.
    let package = packages::both(b"NAME,DAYS\r\nNet60,60\r\n", b"<g><i k='10'>");
    let id = app.enqueue_to(packages::PACKAGES, "", &package, None);
    app.settle();
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["findings"]), (&"processed_with_errors".into(), &1.into()), "{message}");
    assert_eq!(app.sql("SELECT NAME FROM terms ORDER BY 1"), ["Net30", "Net60"]);
}

#[test]
fn the_transformed_document_is_kept_if_wanted_until_its_message_is_pruned() {
    let import = format!("{}keep_transformed = true\n", in_file("shop.xsl"));
    let mut app = Appliance::start_with_files(&orders(&import, ""), &[("shop.xsl", &shop())]);
    let message = send(&mut app, &SHOP.replace("3<", "three<"));
    let id = message["id"].as_str().unwrap().to_owned();
    assert_eq!(message["state"], "processed_with_errors", "{message}");
    let answer = app.operator("GET", &format!("messages/{id}/transformed")).expect(200);
    assert!(answer.header("Content-Disposition").unwrap().contains(".xml"));
    assert!(answer.text().contains("<ID>2</ID><CUSTOMER>Bob</CUSTOMER><AMOUNT>three</AMOUNT>"), "{}", answer.text());
    let person = Person::signed_in(&app);
    let page = person.get(&app, &format!("/messages/{id}")).expect(200).text();
    let link = format!("/messages/{id}/transformed?entity=Orders");
    assert!(page.contains("/transformed?entity=Orders\" download>"), "{page}");
    assert!(page.contains("passes no stylesheet again"), "{page}");
    assert_eq!(person.get(&app, &link).expect(200).body, answer.body);
    app.send("GET", &link, &[], b"").expect(303);
    let folder = app.dir.path().join("data/spool/transformed");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    app.advance(Duration::from_secs(8 * 86_400));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    app.operator("GET", &format!("messages/{id}/transformed")).expect(404);

    app.rewrite_configuration(&orders(&in_file("shop.xsl"), ""));
    app.advance(Duration::from_secs(3));
    let message = send(&mut app, SHOP);
    app.operator("GET", &format!("messages/{}/transformed", message["id"].as_str().unwrap())).expect(404);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn after_a_crash_behind_the_load_notes_and_the_kept_document_are_still_there() {
    let text = sheet("<xsl:template match=\"/\"><xsl:message>seen</xsl:message><D><R><ID>1</ID></R></D></xsl:template>");
    let import = format!("{XML}keep_transformed = true\ntransform = [{{ inline = '''{text}''' }}]\n");
    let mut app = Appliance::start_with_fault(&orders(&import, ""), "rows_loaded:abort");
    let id = app.enqueue_to(IMPORT, "Orders", b"<a/>", None);
    app.relaunch_after_fault();
    app.settle();
    let message = app.message(&id);
    assert_eq!((&message["state"], &message["findings"]), (&"processed".into(), &1.into()), "{message}");
    assert_eq!(only_finding(&app, &message)["message"], "seen");
    assert!(app.operator("GET", &format!("messages/{id}/transformed")).expect(200).text().contains("<ID>1</ID>"));
}

#[test]
fn a_full_disk_defers_the_message_and_leaves_nothing() {
    let much = sheet(
        r#"<xsl:template match="/"><D><xsl:for-each select="//b"><xsl:for-each select="//b"><R><ID>0123456789</ID></R></xsl:for-each></xsl:for-each></D></xsl:template>"#,
    );
    let import = format!("{XML}transform = [{{ inline = '''{much}''' }}]\n");
    let Some(mut app) = Appliance::start_on_disk(24 << 20, &orders(&import, "")) else { return };
    let message = send(&mut app, &format!("<a>{}</a>", "<b/>".repeat(1500)));
    assert_eq!(message["state"], "queued", "{message}");
    assert!(message["reason"].as_str().unwrap().starts_with("cannot transform the document: "), "{message}");
    assert!(app.log().contains("message deferred"));
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().count(), 0);
}

fn exported(app: &mut Appliance) -> Vec<(String, String)> {
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
    let answer = app.get(&format!("/api/connector/dequeue/{EXPORT}")).expect(200).json();
    let location = answer["DownloadLocation"].as_str().unwrap().to_owned();
    let path = &location[location.find("/api/").unwrap()..];
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.get(path).expect(200).body)).unwrap();
    (0..zip.len())
        .map(|at| {
            let (mut file, mut text) = (zip.by_index(at).unwrap(), String::new());
            file.read_to_string(&mut text).unwrap();
            (file.name().unwrap().into_owned(), text)
        })
        .collect()
}

#[test]
fn an_export_s_document_passes_its_stylesheets_before_it_is_packed() {
    let text = sheet(
        r#"<xsl:output method="text"/><xsl:param name="company"/><xsl:param name="message_id"/><xsl:param name="date"/>
<xsl:template match="/*"><xsl:value-of select="concat('H;', $company, ';', $date, ';', string-length($message_id), '&#10;')"/><xsl:apply-templates select="*"/></xsl:template>
<xsl:template match="*"><xsl:message>line <xsl:value-of select="ID"/></xsl:message><xsl:value-of select="concat('L;', ID, ';', AMOUNT, '&#10;')"/></xsl:template>"#,
    );
    let import = in_file("shop.xsl");
    let export = in_file("out.xsl");
    let mut app = Appliance::start_with_files(&orders(&import, &export), &[("shop.xsl", &shop()), ("out.xsl", &text)]);
    send(&mut app, SHOP);
    let files = exported(&mut app);
    let (name, document) = &files[2];
    assert_eq!(name, "Orders.txt");
    assert_eq!(document.trim_start_matches('\u{feff}'), "H;usmf;2026-11-24;36\nL;1;12.50\nL;2;3.00\n");
    assert!(files[0].1.contains("<InputFilePath>Orders.txt</InputFilePath>"));
    let message = &app.operator("GET", "messages?job=Orders%20out").expect(200).json()["messages"][0];
    assert_eq!(message["findings"], 2, "{message}");
    assert_eq!(app.findings(message["id"].as_str().unwrap())[1]["message"], "line 2");
    let log = app.log();
    let line = log.lines().find(|line| line.contains("export reported")).unwrap();
    assert!(line.contains("transform=\"out.xsl: record by record, 2 records\""), "{line}");
}

#[test]
fn an_export_that_its_stylesheet_refuses_makes_no_message_and_says_why() {
    let text = sheet("<xsl:template match=\"/\"><xsl:message terminate=\"yes\">not today</xsl:message></xsl:template>");
    let mut app = Appliance::start_with_files(&orders("", &in_file("out.xsl")), &[("out.xsl", &text)]);
    app.operator("POST", &format!("jobs/{EXPORT}/run")).expect(200);
    app.settle();
    assert_eq!(app.operator("GET", "messages?job=Orders%20out").expect(200).json()["messages"].as_array().unwrap().len(), 0);
    let log = app.log();
    let line = log.lines().find(|line| line.contains("export failed")).unwrap();
    assert!(line.contains("cannot transform Orders: out.xsl:2:25: the stylesheet refuses the document: not today"), "{line}");
    assert_eq!(std::fs::read_dir(app.dir.path().join("data/spool/incoming")).unwrap().count(), 0);
}

fn run(dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_entrepot")).args(arguments).current_dir(dir).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn folder(configuration: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let application = crate::appliance::APPLICATION;
    let secret = "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    let text = format!("[[application]]\nid = \"{application}\"\nname = \"Tests\"\nsecret_hash = \"{secret}\"\n{configuration}");
    std::fs::write(dir.path().join("entrepot.toml"), text).unwrap();
    files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
    dir
}

#[test]
fn a_fault_of_a_stylesheet_is_a_problem_of_the_configuration() {
    let bad =
        sheet("<xsl:template match=\"/\">\n  <xsl:if tset=\"a\">x</xsl:if>\n  <xsl:value-of select=\"upper-case(b)\"/>\n</xsl:template>");
    let dir = folder(&orders(&in_file("bad.xsl"), ""), &[("bad.xsl", &bad)]);
    let (code, _, error) = run(dir.path(), &["check"]);
    let line = std::fs::read_to_string(dir.path().join("entrepot.toml")).unwrap();
    let line = line.lines().position(|line| line.starts_with("transform")).unwrap() + 1;
    assert_eq!(code, 1, "{error}");
    let key = "project \"Orders in\".entity[1].transform[1]";
    assert!(error.contains(&format!("entrepot.toml:{line}:14: error: {key}: bad.xsl:3:11: unknown attribute on xsl:if")), "{error}");
    assert!(error.contains("did you mean test?"), "{error}");
    assert!(error.contains("bad.xsl:4:") && error.contains("XPath 2"), "all are told: {error}");

    // A stylesheet in the configuration itself: the line is the file's.
    let import = format!("{XML}transform = [{{ inline = '''\n{bad}''' }}]\n");
    let dir = folder(&orders(&import, ""), &[]);
    let (code, _, error) = run(dir.path(), &["check"]);
    let text = std::fs::read_to_string(dir.path().join("entrepot.toml")).unwrap();
    let line = text.lines().position(|line| line.contains("tset")).unwrap() + 1;
    assert_eq!(code, 1, "{error}");
    assert!(error.contains(&format!("entrepot.toml:{line}:11: error: {key}.inline: ")), "{error}");

    // What is legal but surely not meant is a warning.
    let odd = sheet("<xsl:template match=\"/\"><D/></xsl:template>\n<xsl:template match=\"a\" mode=\"lost\"/>");
    let import = format!("{XML}transform = [{{ file = \"odd.xsl\", parameters = {{ chanel = \"web\" }} }}]\n");
    let dir = folder(&orders(&import, ""), &[("odd.xsl", &odd)]);
    let (code, _, error) = run(dir.path(), &["check"]);
    assert_eq!(code, 0, "{error}");
    assert!(error.contains("warning: project \"Orders in\".entity[1].transform[1].file: odd.xsl:3:1: "), "{error}");
    assert!(error.contains("odd.xsl declares no parameter \"chanel\""), "{error}");

    let xml = XML;
    for (import, export, expected) in [
        (in_file("none.xsl"), String::new(), "none.xsl cannot be read"),
        (in_file("odd.xsl").replace("xml-element", "excel"), String::new(), "no stylesheet writes a workbook"),
        (in_file("odd.xsl").replace("xml-element", "jsonl"), String::new(), "warning: "),
        (String::new(), "transform = [\"odd.xsl\"]\n".into(), "this export is written as csv"),
        (String::new(), format!("{xml}transform = [\"odd.xsl\"]\nkeep_transformed = true\n"), "an export's package has"),
        (format!("{xml}transform = [{{}}]\n"), String::new(), "a step has one stylesheet"),
        (format!("{xml}transform = \"odd.xsl\"\n"), String::new(), "found string, expected a list"),
        (format!("{xml}transform = [1]\n"), String::new(), "found integer, expected text or a table"),
        (
            format!("{xml}transform = [{{ file = \"odd.xsl\", parameters = {{ date = \"x\" }} }}]\n"),
            String::new(),
            "date is given by the appliance",
        ),
        (format!("{xml}transform = [{{ file = \"odd.xsl\", parametres = {{}} }}]\n"), String::new(), "did you mean \"parameters\"?"),
        (in_file("away.xsl"), String::new(), "neither below the configuration's folder"),
    ] {
        let away = sheet("<xsl:include href=\"../../../../../../etc/passwd\"/>");
        let dir = folder(&orders(&import, &export), &[("odd.xsl", &odd), ("away.xsl", &away)]);
        let (_, _, error) = run(dir.path(), &["check"]);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_trial_and_a_test_show_what_each_stylesheet_gave() {
    let test = "[[project.test]]\nname = \"a shop's order\"\ninput = '<shop><order no=\"1\"><who>Zoë</who><sum>2,5</sum></order></shop>'\nrows = [{ ID = \"1\", CUSTOMER = \"Zoë\", AMOUNT = \"2.5\" }]\ntransformed = '<?xml version=\"1.0\" encoding=\"utf-8\"?><Document><ORDERS><ID>1</ID><CUSTOMER>Zoë</CUSTOMER><AMOUNT>2.5</AMOUNT></ORDERS></Document>'\n";
    let import = format!("{}{test}", in_file("shop.xsl"));
    let files = [("shop.xsl", shop()), ("shop.xml", SHOP.to_owned()), ("bad.xml", "<shop>\n<order></shop>".to_owned())];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let dir = folder(&orders(&import, ""), &files);
    let (code, out, error) = run(dir.path(), &["try", "Orders in", "shop.xml"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("shop.xsl: record by record, 2 records; "), "{out}");
    assert!(out.contains("  | <?xml version=\"1.0\" encoding=\"utf-8\"?><Document><ORDERS><ID>1</ID>"), "{out}");
    assert!(out.contains("ID=\"1\" CUSTOMER=\"Ada\" AMOUNT=\"12.50\""), "{out}");
    let (_, out, _) = run(dir.path(), &["try", "Orders in", "shop.xml", "--json", "--preview", "50"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["transform"][0]["stylesheet"], "shop.xsl", "{answer}");
    assert!(answer["transform"][0]["result"].as_str().unwrap().len() <= 50);
    let (code, out, _) = run(dir.path(), &["try", "Orders in", "bad.xml"]);
    assert!(code == 1 && out.contains("line 2") && out.contains("[ENT107]"), "{out}");

    let (code, out, error) = run(dir.path(), &["test"]);
    assert_eq!((code, out.as_str()), (0, "ok      Orders in: a shop's order\n"), "{error}");
    let dir = folder(&orders(&import.replace("<AMOUNT>2.5<", "<AMOUNT>2,5<"), ""), &files);
    let (code, out, _) = run(dir.path(), &["test"]);
    assert_eq!(code, 1);
    assert!(out.contains("transformed, line 1: expected") && out.contains("shop.xsl: record by record, 1 records"), "{out}");
    assert!(out.contains("<AMOUNT>2.5</AMOUNT>"), "what it gave is shown: {out}");
}

#[test]
fn the_example_of_the_reference_works() {
    let reference = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/REFERENCE.md")).unwrap();
    let section = reference.split("\n## Stylesheets\n").nth(1).unwrap();
    let block = |kind: &str| section.split(&format!("```{kind}\n")).nth(1).unwrap().split("```").next().unwrap().to_owned();
    let dir = folder(&block("toml"), &[("orders.xsl", &block("xml")), ("bad.xml", "<shop><order no='8'/></shop>")]);
    let (code, out, error) = run(dir.path(), &["test"]);
    assert_eq!((code, out.as_str()), (0, "ok      Web orders in: a web order\n"), "{error}");
    let (code, _, error) = run(dir.path(), &["check"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let (code, out, _) = run(dir.path(), &["try", "Web orders in", "bad.xml"]);
    assert!(code == 1 && out.contains("order 8 has no customer"), "{out}");
}

fn refused(app: &Appliance, message: &Value) -> String {
    app.operator("GET", &format!("messages/{}/refused", message["id"].as_str().unwrap())).expect(200).text()
}

#[test]
fn refused_rows_of_a_transformed_document_come_back_mended_and_pass_no_stylesheet_again() {
    let mut app = Appliance::start_with_files(&orders(&in_file("shop.xsl"), ""), &[("shop.xsl", &shop())]);
    let message = send(&mut app, &SHOP.replace("<sum>3</sum>", "<sum>three</sum>"));
    assert_eq!(message["state"], "processed_with_errors", "{message}");
    let file = refused(&app, &message);
    // The byte order mark is that of what the stylesheet gave.
    assert!(file.starts_with("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<?entrepot transformed?>\n<Document>"), "{file}");
    let page = Person::signed_in(&app).get(&app, &format!("/messages/{}", message["id"].as_str().unwrap())).expect(200).text();
    assert!(page.contains("passes no stylesheet again"), "{page}");
    // Mended badly it is refused as any document, and what is refused comes back the same way.
    let worse = send(&mut app, &file.replace("three", "3,5"));
    assert_eq!((worse["state"].as_str(), only_finding(&app, &worse)["column"].as_str()), (Some("refused"), Some("AMOUNT")), "{worse}");
    let file = refused(&app, &worse).replace("3,5", "3.50");
    let mended = send(&mut app, &file);
    assert_eq!((mended["state"].as_str(), mended["rows"]["inserted"].as_u64()), (Some("processed"), Some(1)), "{mended}");
    assert_eq!(app.sql("SELECT * FROM orders ORDER BY 1"), ["1|Ada|12.50", "2|Bob|3.50"]);
    let log = app.log();
    assert_eq!(log.matches("transform=\"none: refused rows that come back mended").count(), 2, "{log}");
    // Any other document passes the stylesheets, whatever stands in its middle.
    let other = SHOP.replace("<who>Bob</who>", "<?entrepot transformed?><who>Rob</who>");
    assert_eq!(send(&mut app, &other)["rows"]["updated"], 1);
    assert_eq!(app.sql("SELECT CUSTOMER FROM orders WHERE ID = '2'"), ["Rob"]);
}

#[test]
fn refused_rows_that_stylesheets_gave_as_text_come_back_too() {
    let body = r#"<xsl:output method="text" encoding="utf-16"/>
<xsl:template match="/shop">ID;CUSTOMER;AMOUNT<xsl:text>&#10;</xsl:text><xsl:for-each select="order"><xsl:value-of select="concat(@no, ';', who, ';', sum, '&#10;')"/></xsl:for-each></xsl:template>"#;
    let import = format!(
        "format = {{ type = \"csv\", delimiter = \";\", decimal_separator = \",\" }}\ntransform = [{{ inline = '''\n{}''' }}]\n",
        sheet(body)
    );
    let mut app = Appliance::start(&orders(&import, ""));
    let message = send(&mut app, &SHOP.replace("<sum>3</sum>", "<sum>three</sum>"));
    assert_eq!((message["state"].as_str(), &message["rows"]["refused"]), (Some("processed_with_errors"), &1.into()), "{message}");
    let id = message["id"].as_str().unwrap();
    let file = app.operator("GET", &format!("messages/{id}/refused")).expect(200).body;
    let (text, ..) = encoding_rs::UTF_16LE.decode(&file);
    assert!(text.starts_with("ID;CUSTOMER;AMOUNT;Entrepot line;Entrepot reason"), "{text}");
    let mut mended = vec![0xFF, 0xFE];
    mended.extend(text.replace("three", "3,5").encode_utf16().flat_map(u16::to_le_bytes));
    let id = app.enqueue_to(IMPORT, "Orders", &mended, None);
    app.settle();
    assert_eq!(app.message(&id)["state"], "processed", "{}", app.message(&id));
    assert_eq!(app.sql("SELECT * FROM orders ORDER BY 1"), ["1|Ada|12.50", "2|Bob|3.50"]);
}

#[test]
fn where_a_stylesheet_is_a_check_refused_rows_pass_it_again() {
    let import = format!("{}accepts_mended = false\n", in_file("shop.xsl"));
    let mut app = Appliance::start_with_files(&orders(&import, ""), &[("shop.xsl", &shop())]);
    let message = send(&mut app, &SHOP.replace("<sum>3</sum>", "<sum>three</sum>"));
    let page = Person::signed_in(&app).get(&app, &format!("/messages/{}", message["id"].as_str().unwrap())).expect(200).text();
    assert!(page.contains("in the document that was sent"), "{page}");
    let file = refused(&app, &message).replace("three", "3");
    let again = send(&mut app, &file);
    assert_eq!(again["rows"]["inserted"], 0, "{again}");
    assert_eq!(app.sql("SELECT ID FROM orders"), ["1"]);
    // Of what is written twice, the mend of the document itself is the way.
    assert_eq!(send(&mut app, SHOP)["rows"]["inserted"], 1);
}
