//! OData entity sets (CONTRACT §1.7): what clients read of projects, executions, companies and rows.

use serde_json::{Value, json};

use crate::appliance::{Appliance, OTHER_APPLICATION, groups};
use crate::databases::{articles, start_with};
use crate::packages::{PACKAGES, both, configuration};

const READING: &str = r#"
[[entity]]
name = "Prices/all"
table = "prices"
key = ["ITEM", "FROM"]
fields = [
  { name = "ITEM", type = "string", length = 10 },
  { name = "FROM", type = "date" },
  { name = "PRICE", type = "decimal", precision = 30, scale = 10 },
  { name = "COUNT", type = "integer" },
  { name = "BLOCKED", type = "boolean" },
  { name = "SECRET", type = "string" },
]

[[project]]
name = "Prices in"
direction = "import"
[[project.entity]]
entity = "Prices/all"

[[project]]
name = "Prices out"
direction = "export"
[[project.entity]]
entity = "Prices/all"
fields = ["ITEM", "FROM", "PRICE", "COUNT", "BLOCKED"]
filter = [{ field = "ITEM", not = "hidden" }]

[[job]]
name = "Prices in"
activity_id = "33333333-2222-4333-8444-555555555555"
project = "Prices in"
applications = ["Tests"]
company = "USMF"

[[job]]
name = "Prices out"
activity_id = "44444444-2222-4333-8444-555555555555"
project = "Prices out"
applications = ["Tests"]
"#;

fn get(app: &Appliance, path: &str) -> Value {
    app.get(&format!("/data/{}", path.replace(' ', "%20"))).expect(200).json()
}

fn column(value: &Value, name: &str) -> Vec<String> {
    value["value"].as_array().unwrap().iter().map(|row| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned)).collect()
}

fn prices(rows: &str) -> Appliance {
    let mut app = Appliance::start(READING);
    app.enqueue_to(
        "33333333-2222-4333-8444-555555555555",
        "Prices/all",
        format!("ITEM,FROM,PRICE,COUNT,BLOCKED,SECRET\n{rows}").as_bytes(),
        None,
    );
    app.settle();
    app
}

#[test]
fn section_1_7_definition_groups_and_their_details_are_told_to_who_may_run_them() {
    let mut app = Appliance::start(&groups(""));
    let all = get(&app, "DataManagementDefinitionGroups");
    assert_eq!(all["@odata.context"], "http://exchange.test/data/$metadata#DataManagementDefinitionGroups");
    assert_eq!(column(&all, "Name"), ["Groups in", "Groups out"]);
    let one = get(
        &app,
        "DataManagementDefinitionGroups?$filter=Name eq 'groups in' and OperationType eq Microsoft.Dynamics.DataEntities.DMFOperationType'Import'&$select=Name,OperationType&$top=1",
    );
    assert_eq!(one["value"], json!([{ "Name": "Groups in", "OperationType": "Import" }]));
    assert_eq!(get(&app, "DataManagementDefinitionGroups('Groups out')")["OperationType"], "Export");
    app.get("/data/DataManagementDefinitionGroups('Nope')").expect(404);
    assert_eq!(column(&get(&app, "DataManagementDefinitionGroups('Groups in')/Details"), "InputFilePath"), ["Customer groups.csv"]);
    let details = get(&app, "DataManagementDefinitionGroupDetails?$filter=DefinitionGroupId eq 'Groups in'&cross-company=true&$count=true");
    assert_eq!(
        (&details["value"][0]["EntityName"], &details["value"][0]["AutoGenerateMapping"], &details["@odata.count"]),
        (&json!("Customer groups"), &json!("Yes"), &json!(1))
    );
    for (path, status) in [
        ("Nothing", 404),
        ("DataManagementDefinitionGroups?$filter=Name", 400),
        ("DataManagementDefinitionGroups?$expand=Details", 400),
        ("DataManagementDefinitionGroups?$top=x", 400),
        ("DataManagementDefinitionGroups('a", 400),
    ] {
        let refused = app.get(&format!("/data/{path}")).expect(status);
        assert!(refused.json()["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{path}");
    }
    app.post("/data/DataManagementDefinitionGroups", b"{}").expect(400);
    app.post("/data/LegalEntities", b"{}").expect(405);
    app.send("GET", "/data/DataManagementDefinitionGroups", &[], b"").expect(401);
    app.token = app.token_of(OTHER_APPLICATION);
    assert_eq!(get(&app, "DataManagementDefinitionGroups")["value"], json!([]));
    app.get("/data/CustomerGroups").expect(404);
}

#[test]
fn section_1_7_execution_job_details_are_told_entity_by_entity() {
    let mut app = Appliance::start(&configuration(""));
    let package = both(b"NAME,DAYS\r\nNet30,30\r\nBad,x\r\n", b"ID,NAME,TERMS\r\n10,Retail,Net30\r\n");
    let id = app.enqueue_to(PACKAGES, "", &package, None);
    app.settle();
    let execution = app.message(&id)["execution_id"].as_str().unwrap().to_owned();
    let told = get(
        &app,
        &format!(
            "DataManagementExecutionJobDetails?$filter=JobId eq '{execution}'&$select=EntityName,StagingStatus,TargetStatus,StagingRecordsCreatedCount,TargetRecordsCreatedCount"
        ),
    );
    assert_eq!(
        told["value"],
        json!([
            { "EntityName": "Terms of payment", "StagingStatus": "Error", "TargetStatus": "Finished", "StagingRecordsCreatedCount": 2, "TargetRecordsCreatedCount": 1 },
            { "EntityName": "Customer groups", "StagingStatus": "Finished", "TargetStatus": "Finished", "StagingRecordsCreatedCount": 1, "TargetRecordsCreatedCount": 1 },
        ])
    );
    assert_eq!(
        column(
            &get(&app, "DataManagementExecutionJobDetails?$filter=DefinitionGroupId eq 'Set-up' and EntityName eq 'Customer groups'"),
            "JobId"
        ),
        std::slice::from_ref(&execution)
    );
    assert_eq!(get(&app, "DataManagementExecutionJobDetails?$filter=JobId eq 'other'")["value"], json!([]));
    app.token = app.token_of(OTHER_APPLICATION);
    assert_eq!(get(&app, &format!("DataManagementExecutionJobDetails?$filter=JobId eq '{execution}'"))["value"], json!([]));
}

#[test]
fn section_1_7_legal_entities_metadata_and_the_service_document() {
    let app = Appliance::start(READING);
    assert_eq!(get(&app, "LegalEntities('USMF')")["LegalEntityId"], "USMF");
    app.get("/data/LegalEntities('DAT')").expect(404);
    let metadata = app.get("/data/$metadata").expect(200);
    assert_eq!(metadata.header("Content-Type"), Some("application/xml"));
    let text = metadata.text();
    let mut reader = quick_xml::Reader::from_str(&text);
    while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
    assert!(
        text.contains("<EntitySet Name=\"Pricesall\"")
            && text.contains("<Property Name=\"PRICE\" Type=\"Edm.Decimal\" Precision=\"30\" Scale=\"10\"/>"),
        "{text}"
    );
    assert!(!text.contains("SECRET"));
    assert!(column(&get(&app, ""), "name").contains(&"Pricesall".to_owned()));
    app.get("/namespaces/AXSF/data/LegalEntities").expect(200);
}

#[test]
fn rows_are_read_with_the_fields_and_the_filter_of_the_export_that_allows_it() {
    let app = prices("a,2026-01-01,12345678901234567890.0123456789,5,Yes,s\nb,2026-02-01,2,,No,s\nhidden,2026-01-01,1,1,No,s\n");
    let all = app.get("/data/Pricesall").expect(200);
    assert!(all.text().contains("\"PRICE\":12345678901234567890.0123456789"), "every digit: {}", all.text());
    let all = all.json();
    assert_eq!(column(&all, "ITEM"), ["a", "b"]);
    assert_eq!(
        (&all["value"][0]["FROM"], &all["value"][0]["BLOCKED"], &all["value"][1]["COUNT"]),
        (&json!("2026-01-01"), &json!(true), &Value::Null)
    );
    assert!(all["value"][0].get("SECRET").is_none());
    for (filter, expected) in [
        ("ITEM eq 'a'", vec!["a"]),
        ("ITEM eq 'hidden'", vec![]),
        ("PRICE gt 2", vec!["a"]),
        ("PRICE ge 2.0", vec!["a", "b"]),
        ("COUNT eq null", vec!["b"]),
        ("COUNT ne 5", vec!["b"]),
        ("not (COUNT eq 5)", vec!["b"]),
        ("BLOCKED eq true or FROM gt 2026-01-15", vec!["a", "b"]),
        ("startswith(ITEM,'a') and endswith(ITEM,'a') and contains(ITEM,'a')", vec!["a"]),
        ("ITEM eq ''' OR 1=1 --'", vec![]),
    ] {
        assert_eq!(
            column(&get(&app, &format!("Pricesall?$filter={}&$select=ITEM", filter.replace('\'', "%27"))), "ITEM"),
            expected,
            "{filter}"
        );
    }
    let counted = get(&app, "prices%2Fall?$count=true&$top=1&$orderby=FROM desc");
    assert_eq!((&counted["@odata.count"], column(&counted, "ITEM")), (&json!(2), vec!["b".to_owned()]));
    assert_eq!(column(&get(&app, "Pricesall?$skip=1"), "ITEM"), ["b"]);
    let one = get(&app, "Pricesall(dataAreaId='usmf',ITEM='a',FROM=2026-01-01)");
    assert_eq!((&one["ITEM"], &one["@odata.context"]), (&json!("a"), &json!("http://exchange.test/data/$metadata#Pricesall/$entity")));
    app.get("/data/Pricesall('hidden',2026-01-01)").expect(404);
    for bad in [
        "$select=SECRET",
        "$filter=SECRET%20eq%20's'",
        "$orderby=SECRET",
        "$orderby=PRICE",
        "$filter=COUNT%20eq%20'x'",
        "$skip=10001",
        "$skiptoken=abc",
        "$apply=x",
    ] {
        app.get(&format!("/data/Pricesall?{bad}")).expect(400);
    }
}

#[test]
fn pages_lead_through_every_row_exactly_once_whatever_the_order() {
    let rows: String = (0..2_500)
        .map(|number| {
            format!(
                "i{number:05},2026-01-{:02},1,{},No,s\n",
                number % 28 + 1,
                if number % 7 == 0 { String::new() } else { (number % 10).to_string() }
            )
        })
        .collect();
    let mut app = prices(&rows);
    let long = format!("Pricesall?$filter={}", vec!["ITEM ne 'z'"; 60].join(" and "));
    let ordered = "Pricesall?$orderby=COUNT desc,FROM&$filter=ITEM ne 'zz''z'";
    for question in ["Pricesall?$select=ITEM", "Pricesall?$orderby=COUNT", ordered, &long] {
        let (mut items, mut next, mut pages) = (Vec::new(), Some(format!("/data/{}", question.replace(' ', "%20"))), 0);
        while let Some(path) = next {
            let page = app.get(&path);
            assert_eq!(page.status, 200, "{path}: {}", app.log().lines().last().unwrap());
            let page = page.json();
            items.extend(column(&page, "ITEM"));
            next = page["@odata.nextLink"].as_str().map(|link| link.strip_prefix("http://exchange.test").unwrap().to_owned());
            pages += 1;
        }
        assert_eq!((items.len(), pages), (2_500, 3), "{question}");
        items.sort();
        items.dedup();
        assert_eq!(items.len(), 2_500, "{question}: each once");
    }
    let top = get(&app, "Pricesall?$top=1200");
    assert_eq!(top["value"].as_array().unwrap().len(), 1000);
    let rest = app.get(top["@odata.nextLink"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap()).expect(200).json();
    assert_eq!((rest["value"].as_array().unwrap().len(), rest["@odata.nextLink"].is_null()), (200, true));
    // What is loaded meanwhile, before the place that was reached, moves nothing.
    let first = get(&app, "Pricesall");
    app.enqueue_to(
        "33333333-2222-4333-8444-555555555555",
        "Prices/all",
        b"ITEM,FROM,PRICE,COUNT,BLOCKED,SECRET\nh,2026-01-01,1,1,No,s\n",
        None,
    );
    app.settle();
    let second = app.get(first["@odata.nextLink"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap()).expect(200).json();
    assert_eq!(column(&second, "ITEM")[0], "i01000");
}

#[test]
fn pages_of_a_table_or_view_whose_columns_have_no_type_hold_each_row_once() {
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)";
    for tables in [
        format!("CREATE TABLE x (SKU INTEGER PRIMARY KEY, N INT); {numbers} INSERT INTO x SELECT i, i FROM n; CREATE VIEW article AS SELECT SKU + 0 AS SKU, N FROM x"),
        format!("CREATE TABLE article (SKU PRIMARY KEY, N INT); {numbers} INSERT INTO article SELECT i, i FROM n"),
        format!(
            "CREATE TABLE article (SKU PRIMARY KEY, N INT);
             {numbers} INSERT INTO article SELECT CASE i % 4 WHEN 0 THEN i WHEN 1 THEN i + 0.1 WHEN 2 THEN 't' || i ELSE CAST(i AS BLOB) END, i FROM n"
        ),
    ] {
        let (app, _) = start_with(&articles("key = [\"SKU\"]\nfields = [{ name = \"SKU\", type = \"string\" }, { name = \"N\", type = \"integer\" }]", ""), &tables);
        for order in ["", "?$orderby=SKU%20desc"] {
            let mut all = Vec::new();
            let mut next = Some(format!("Articles{order}"));
            while let Some(path) = next {
                let page = get(&app, &path);
                all.extend(page["value"].as_array().unwrap().iter().map(|row| row["N"].as_u64().unwrap()));
                next = page["@odata.nextLink"].as_str().map(|link| link.rsplit_once("/data/").unwrap().1.to_owned());
            }
            let told = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!((told, all.len()), (2500, 2500), "{order} {tables}");
        }
        // Places that nobody gave out: [1,["babc"]], [1,["rfff8000000000000"]], [1,["é"]], [1,[""]], [1,["i1; DROP"]].
        for token in ["WzEsWyJiYWJjIl1d", "WzEsWyJyZmZmODAwMDAwMDAwMDAwMCJdXQ", "WzEsWyLDqSJdXQ", "WzEsWyIiXV0", "WzEsWyJpMTsgRFJPUCJdXQ"] {
            get(&app, &format!("Articles?$skiptoken={token}"));
        }
    }
}

#[test]
fn rows_are_read_by_moments_and_enums_and_in_pages_also_where_the_key_is_a_decimal() {
    let configuration = READING
        .replace("key = [\"ITEM\", \"FROM\"]", "key = [\"PRICE\"]")
        .replace("{ name = \"FROM\", type = \"date\" }", "{ name = \"FROM\", type = \"datetime\" }")
        .replace(
            "{ name = \"SECRET\", type = \"string\" }",
            "{ name = \"SIZE\", type = \"enum\", values = { Low = 1, Mid = 2, High = 10 } }",
        )
        .replace("\"BLOCKED\"]\nfilter", "\"BLOCKED\", \"SIZE\"]\nfilter");
    let mut app = Appliance::start(&configuration);
    let mut rows = String::from("ITEM,FROM,PRICE,COUNT,BLOCKED,SIZE\n");
    for number in 1..=1200 {
        rows += &format!("i{number},,{number}.5,{number},No,\n");
    }
    rows += "a,2024-01-01T10:00:00Z,0.1,1,No,Low\nb,2024-01-01T10:00:00.250Z,0.2,1,No,Mid\nc,2024-01-01T10:00:00.500Z,0.3,1,No,High\n";
    app.enqueue_to("33333333-2222-4333-8444-555555555555", "Prices/all", rows.as_bytes(), None);
    app.settle();
    let mut all = Vec::new();
    let mut next = Some("Pricesall?$select=ITEM".to_owned());
    while let Some(path) = next {
        let page = get(&app, &path);
        all.extend(column(&page, "ITEM"));
        next = page["@odata.nextLink"].as_str().map(|link| link.rsplit_once("/data/").unwrap().1.to_owned());
    }
    let told = all.len();
    all.sort();
    all.dedup();
    assert_eq!((told, all.len()), (1203, 1203));
    for (filter, expected) in [
        ("FROM ge 2024-01-01T10:00:00Z", &["a", "b", "c"][..]),
        ("FROM ge 2024-01-01T10:00:00.250Z", &["b", "c"]),
        ("FROM lt 2024-01-01T10:00:00.500Z", &["a", "b"]),
        ("FROM eq 2024-01-01T10:00:00.500Z", &["c"]),
        ("SIZE ge 'Mid'", &["b", "c"]),
        ("SIZE lt 'High'", &["a", "b"]),
        ("SIZE eq 'Low'", &["a"]),
        ("SIZE ne 'Low' and PRICE lt 1", &["b", "c"]),
    ] {
        assert_eq!(column(&get(&app, &format!("Pricesall?$filter={filter}&$orderby=ITEM")), "ITEM"), expected, "{filter}");
    }
}

#[test]
fn rows_of_a_database_of_somebody_else_are_told_as_values_of_their_fields_or_refused() {
    let configuration = READING
        .replace("table = \"prices\"", "table = \"prices\"\ndatabase = \"shop\"")
        .replacen("[[entity]]", "[[database]]\nname = \"shop\"\nsqlite = \"shop.db\"\n\n[[entity]]", 1)
        .replace("precision = 30, scale = 10", "precision = 30, scale = 2");
    let app = Appliance::start(&configuration);
    let shop = rusqlite::Connection::open(app.dir.path().join("shop.db")).unwrap();
    shop.execute_batch(
        "CREATE TABLE prices (ITEM, \"FROM\", PRICE REAL, COUNT, BLOCKED, SECRET);
         INSERT INTO prices VALUES ('a', '2024-01-31 00:00:00', 9.5, 3.0, 'true', ''), ('b', NULL, 0.1 + 0.2, NULL, NULL, '')",
    )
    .unwrap();
    let rows = app.get("/data/Pricesall?$filter=PRICE%20le%209.5").expect(200).text();
    let told = "{\"ITEM\":\"a\",\"FROM\":\"2024-01-31\",\"PRICE\":9.50,\"COUNT\":3,\"BLOCKED\":true},{\"ITEM\":\"b\",\"FROM\":null,\"PRICE\":0.30,\"COUNT\":null,\"BLOCKED\":null}";
    assert!(rows.contains(told), "{rows}");
    shop.execute_batch("INSERT INTO prices VALUES (x'FF', NULL, 1, 1, 1, '')").unwrap();
    let refused = app.get("/data/Pricesall").expect(500).text();
    assert!(refused.contains("a row of Prices/all cannot be told: ITEM: it holds bytes that are no text"), "{refused}");
}
