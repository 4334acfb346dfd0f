//! Real files that nobody here wrote, with the rows and sums of their README. They are read where they lie, never copied.

use std::fmt::Write;
use std::io::Read;
use std::path::PathBuf;

use crate::appliance::Appliance;

/// Formats that rows go out in and come back in; those of many rows in the first two.
const THERE_AND_BACK: [&str; 7] = [
    "type = \"csv\"",
    "type = \"xml-element\"",
    "type = \"csv\", delimiter = \"+|\", record_end = \"&|\\n\", qualifier = \"\", encoding = \"utf-16le\"",
    "type = \"xml-attribute\", root = \"Rows\"",
    "type = \"excel\"",
    "type = \"json\"",
    "type = \"jsonl\"",
];
/// From here on there are many.
const MANY_ROWS: usize = 5000;

/// The job that exports in a format, and the one that imports it into an empty copy.
fn there_and_back(number: usize) -> [String; 2] {
    [format!("00000000-0000-4000-9000-0000000000{number:02}"), format!("00000000-0000-4000-9000-0000000001{number:02}")]
}

fn data() -> Option<PathBuf> {
    let shared =
        std::env::var_os("ENTREPOT_SHARED").map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let data = shared.join("data");
    if !data.is_dir() {
        println!("skipped: {} is not there", data.display());
        return None;
    }
    Some(data)
}

/// Type of a column: t text, i integer, d decimal with 6 digits after the point, D datetime, g guid, b boolean.
fn kind(letter: char) -> &'static str {
    match letter {
        'i' => "type = \"integer\"",
        'd' => "type = \"decimal\", precision = 30, scale = 6",
        'D' => "type = \"datetime\"",
        'g' => "type = \"guid\"",
        'b' => "type = \"boolean\"",
        _ => "type = \"string\"",
    }
}

/// An entity and a project for a file: columns as letters, in order; key columns by number.
fn configuration(format: &str, columns: &str, key: &[usize], header: Option<&[String]>) -> String {
    let fields: Vec<String> = columns.chars().enumerate().map(|(at, letter)| format!("{{ name = \"C{at}\", {} }}", kind(letter))).collect();
    let key: Vec<String> = key.iter().map(|at| format!("\"C{at}\"")).collect();
    let mapping: Vec<String> = (0..columns.len())
        .map(|at| match header {
            Some(header) => format!("{{ source = {}, field = \"C{at}\" }}", toml_edit::Value::from(header[at].as_str())),
            None => format!("{{ source = {}, field = \"C{at}\" }}", at + 1),
        })
        .collect();
    let mut ways =
        format!("\n[[entity]]\nname = \"Copy\"\ntable = \"copy\"\nkey = [{}]\nfields = [{}]\n", key.join(", "), fields.join(", "));
    for (number, format) in THERE_AND_BACK.iter().enumerate() {
        let [out, back] = there_and_back(number);
        let entity = |name: &str, rest: &str| format!("[[project.entity]]\nentity = \"{name}\"\nformat = {{ {format} }}\n{rest}");
        let _ = write!(
            ways,
            "\n[[project]]\nname = \"Out {number}\"\ndirection = \"export\"\n{}\n[[project]]\nname = \"Back {number}\"\ndirection = \"import\"\n{}",
            entity("File", ""),
            entity("Copy", "truncate = true\n")
        );
        for (name, activity, more) in [("Out", out, "recurrence = \"on demand\"\n"), ("Back", back, "")] {
            let _ = write!(
                ways,
                "\n[[job]]\nname = \"{name} {number}\"\nactivity_id = \"{activity}\"\nproject = \"{name} {number}\"\napplications = [\"Tests\"]\n{more}"
            );
        }
    }
    format!(
        "[[entity]]\nname = \"File\"\ntable = \"file\"\nkey = [{}]\nfields = [{}]\n\n[[project]]\nname = \"File in\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"File\"\nformat = {{ type = \"csv\", {format} }}\nmapping = [{}]\n\n[[job]]\nname = \"File in\"\nactivity_id = \"{}\"\nproject = \"File in\"\napplications = [\"Tests\"]\n{ways}",
        key.join(", "),
        fields.join(", "),
        mapping.join(", "),
        crate::appliance::IMPORT
    )
}

/// Exports what was loaded, imports that into an empty table, and finds the same rows there: in every format.
fn goes_there_and_back(app: &mut Appliance, rows: usize, name: &str) {
    let ways = if rows < MANY_ROWS { THERE_AND_BACK.len() } else { 2 };
    for (number, format) in THERE_AND_BACK.iter().enumerate().take(ways) {
        let [out, back] = there_and_back(number);
        app.operator("POST", &format!("jobs/{out}/run")).expect(200);
        app.settle();
        let body = app.get(&format!("/api/connector/dequeue/{out}")).expect(200).json();
        let location = body["DownloadLocation"].as_str().unwrap().strip_prefix("http://exchange.test").unwrap();
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(app.get(location).expect(200).body)).unwrap();
        let file = zip.file_names().map(|name| name.unwrap().into_owned()).find(|name| name.starts_with("File")).expect("the document");
        let mut document = Vec::new();
        zip.by_name(&file).unwrap().read_to_end(&mut document).unwrap();
        let id = app.enqueue_to(&back, "Copy", &document, None);
        app.settle();
        let message = app.message(&id);
        assert_eq!(message["state"], "processed", "{name} as {format}: {message} {:?}", app.findings(&id).first());
        let lost = "SELECT count(*) FROM (SELECT * FROM file EXCEPT SELECT * FROM copy)";
        let made = "SELECT count(*) FROM (SELECT * FROM copy EXCEPT SELECT * FROM file)";
        let found = app.sql(&format!("SELECT (SELECT count(*) FROM copy), ({lost}), ({made})"));
        assert_eq!(found, [format!("{rows}|0|0")], "{name} as {format}: rows, lost, made");
    }
}

/// Loads a file, checks that every row is in, and that exact sums of columns are those of the README.
fn loads(app: &mut Appliance, document: &[u8], rows: usize, sums: &[(usize, &str)], name: &str) {
    let id = app.enqueue_to(crate::appliance::IMPORT, "File", document, None);
    app.settle();
    let message = app.message(&id);
    assert_eq!(message["state"], "processed", "{name}: {message} {:?}", app.findings(&id).first());
    assert_eq!(message["rows"]["inserted"], rows, "{name}: {message}");
    for (column, expected) in sums {
        // Exact: in millionths, as integers.
        let sum: i128 =
            app.sql(&format!("SELECT C{column} FROM file WHERE C{column} IS NOT NULL")).iter().map(|value| millionths(value)).sum();
        assert_eq!(sum, millionths(expected), "{name}: column {column}");
    }
    let again = app.enqueue_to(crate::appliance::IMPORT, "File", document, None);
    app.settle();
    assert_eq!(app.message(&again)["rows"]["unchanged"], rows, "{name}: a second import changes nothing");
    goes_there_and_back(app, rows, name);
}

fn millionths(text: &str) -> i128 {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let part = format!("{part:0<6}");
    sign * (whole.parse::<i128>().unwrap_or(0) * 1_000_000 + part[..6].parse::<i128>().unwrap())
}

#[test]
fn the_files_of_adventureworks_load_without_header_by_column_number() {
    let Some(data) = data() else { return };
    let tab = "delimiter = \"\\t\", header = false, qualifier = \"\"";
    let xml = "delimiter = \"+|\", record_end = \"&|\\n\", header = false, qualifier = \"\"";
    let table: &[(&str, &str, &str, &[usize], usize, &[(usize, &str)])] = &[
        ("Currency", tab, "ttD", &[0], 105, &[]),
        ("CurrencyRate", tab, "iDttddD", &[0], 13532, &[(4, "1072225.6152"), (5, "1072226.0991")]),
        ("CountryRegion", tab, "ttD", &[0], 238, &[]),
        ("StateProvince", tab, "ittbtigD", &[0], 181, &[(0, "16471"), (3, "8")]),
        ("UnitMeasure", tab, "ttD", &[0], 38, &[]),
        ("Product", tab, "ittbbtiiddtttditttiiDDDgD", &[0], 504, &[(8, "130335.8925"), (9, "221087.7900"), (13, "15184.19")]),
        ("ProductCategory", tab, "itgD", &[0], 4, &[(0, "10")]),
        ("ProductSubcategory", tab, "iitgD", &[0], 37, &[(0, "703"), (1, "103")]),
        ("SalesTerritory", tab, "itttddddgD", &[0], 10, &[(4, "52751209.9534"), (5, "32715355.4353"), (6, "0")]),
        ("SpecialOffer", tab, "itdttDDiigD", &[0], 16, &[(2, "3.52")]),
        ("Vendor", tab, "ittibbtD", &[0], 104, &[(0, "165880"), (3, "141")]),
        ("Customer", tab, "iiiitgD", &[0], 19820, &[(0, "393313572"), (1, "213830533")]),
        ("ProductModel", xml, "ittttD", &[0], 128, &[(0, "8256")]),
    ];
    for (name, format, columns, key, rows, sums) in table {
        // The model's fourth column is a document; the README's names: id, name, two documents, rowguid, date.
        let document = std::fs::read(data.join(format!("csv/adventureworks/{name}.csv"))).unwrap();
        let mut app = Appliance::start(&configuration(format, columns, key, None));
        loads(&mut app, &document, *rows, sums, name);
    }
}

#[test]
fn the_files_with_headers_load_with_their_nulls_marks_and_accents() {
    let Some(data) = data() else { return };
    let plain = "header = true";
    let nulls = "header = true, nulls = [\"NULL\"]";
    let table: &[(&str, &str, &[&str], usize, &[(&str, &str)])] = &[
        ("csv/northwind/customers.csv", nulls, &["customerID"], 91, &[]),
        ("csv/northwind/orders.csv", nulls, &["orderID"], 830, &[("freight", "64942.69")]),
        ("csv/northwind/order_details.csv", nulls, &["orderID", "productID"], 2155, &[("unitPrice", "56500.91"), ("discount", "121.04")]),
        ("csv/northwind/products.csv", nulls, &["productID"], 77, &[("unitPrice", "2222.71")]),
        ("csv/northwind/categories.csv", nulls, &["categoryID"], 8, &[("categoryID", "36")]),
        ("csv/northwind/suppliers.csv", nulls, &["supplierID"], 29, &[("supplierID", "435")]),
        ("csv/northwind/employees.csv", nulls, &["employeeID"], 9, &[("employeeID", "45"), ("extension", "24597")]),
        ("csv/northwind/shippers.csv", nulls, &["shipperID"], 3, &[("shipperID", "6")]),
        ("csv/reference/country-codes.csv", plain, &["ISO3166-1-Alpha-3"], 249, &[("ISO3166-1-numeric", "108025"), ("GAUL", "245883")]),
        ("csv/reference/exchange-rates-monthly.csv", plain, &["Date", "Country"], 17237, &[("Exchange rate", "37692167.3406")]),
        ("csv/shopify/shopify_customer_data.csv", plain, &["id"], 4, &[("total_spent", "21.16")]),
        (
            "csv/shopify/shopify_order_data.csv",
            plain,
            &["id"],
            8,
            &[("subtotal_price", "590.00"), ("total_tax", "0.03"), ("total_price", "627.01")],
        ),
        ("csv/shopify/shopify_order_line_data.csv", plain, &["order_id", "id"], 3, &[("price", "10.0")]),
        ("csv/shopify/shopify_inventory_item_data.csv", plain, &["id"], 5, &[("id", "219926987669684"), ("duplicate_sku_count", "5")]),
        (
            "dmf/CustomersV3Export-Customers V3.csv",
            plain,
            &["ORGANIZATIONNAME"],
            3,
            &[("ADDRESSLATITUDE", "0"), ("ADDRESSLOCATIONID", "3366366")],
        ),
    ];
    for (file, format, key, rows, sums) in table {
        let document = std::fs::read(data.join(file)).unwrap();
        let header: Vec<String> = csv::Reader::from_reader(document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&document))
            .headers()
            .unwrap()
            .iter()
            .map(str::to_owned)
            .collect();
        let at = |name: &str| header.iter().position(|column| column == name).unwrap_or_else(|| panic!("{file} has no {name}: {header:?}"));
        let mut columns = vec!['t'; header.len()];
        sums.iter().for_each(|(name, _)| columns[at(name)] = 'd');
        let keys: Vec<usize> = key.iter().map(|name| at(name)).collect();
        let sums: Vec<(usize, &str)> = sums.iter().map(|(name, sum)| (at(name), *sum)).collect();
        let columns: String = columns.into_iter().collect();
        let mut app = Appliance::start(&configuration(format, &columns, &keys, Some(&header)));
        loads(&mut app, &document, *rows, &sums, file);
        if *file == "csv/reference/country-codes.csv" {
            let code = at("ISO3166-1-Alpha-2");
            assert_eq!(
                app.sql(&format!("SELECT C{code} FROM file WHERE C{} = 'NAM'", at("ISO3166-1-Alpha-3"))),
                ["NA"],
                "Namibia's code is a text"
            );
        }
        if *file == "csv/northwind/customers.csv" {
            assert_eq!(app.sql(&format!("SELECT count(*) FROM file WHERE C{} = 'NULL'", at("region"))), ["0"]);
        }
    }
}

#[test]
fn currency_codes_keep_their_leading_zeros_and_withdrawn_ones_without_code_are_refused() {
    let Some(data) = data() else { return };
    let document = std::fs::read(data.join("csv/reference/currency-codes.csv")).unwrap();
    let header: Vec<String> = ["Entity", "AlphabeticCode", "NumericCode"].map(str::to_owned).to_vec();
    let mut app = Appliance::start(&configuration("header = true", "ttt", &[0, 1], Some(&header)));
    let id = app.enqueue_to(crate::appliance::IMPORT, "File", &document, None);
    app.settle();
    let rows = &app.message(&id)["rows"];
    assert_eq!(rows["read"], 449);
    let sum: u64 = ["inserted", "updated", "unchanged", "refused"].iter().map(|name| rows[name].as_u64().unwrap()).sum();
    assert_eq!(sum, 449);
    let mut listed = String::new();
    app.sql("SELECT DISTINCT C2 FROM file WHERE C1 = 'ALL'").iter().for_each(|code| writeln!(listed, "{code}").unwrap());
    assert_eq!(listed, "008\n");
}

#[test]
fn every_entry_of_the_currency_codes_loads_under_a_number_of_its_own_with_the_sum_of_the_readme() {
    let Some(data) = data() else { return };
    let document = std::fs::read(data.join("csv/reference/currency-codes.csv")).unwrap();
    let header: Vec<String> = ["Entity", "AlphabeticCode", "NumericCode"].map(str::to_owned).to_vec();
    let by_entity = configuration("header = true", "tti", &[0], Some(&header));
    let mut app = Appliance::start(&by_entity.replace("{ source = \"Entity\",", "{ number_sequence = \"R-#####\","));
    let id = app.enqueue_to(crate::appliance::IMPORT, "File", &document, None);
    app.settle();
    assert_eq!(app.message(&id)["rows"]["inserted"], 449);
    assert_eq!(app.sql("SELECT sum(C2), min(C0), max(C0) FROM file"), ["275419|R-00001|R-00449"]);
}

/// As [`configuration`], for any format, with sources as the mapping writes them.
fn mapped(format: &str, sources: &[&str], columns: &str, key: &[usize]) -> String {
    let header: Vec<String> = sources.iter().map(|source| (*source).to_owned()).collect();
    configuration("", columns, key, Some(&header)).replace("format = { type = \"csv\",  }", &format!("format = {{ {format} }}"))
}

#[test]
fn xml_and_json_load_by_paths_with_the_sums_of_the_readme() {
    let Some(data) = data() else { return };
    let ubl = "type = \"xml-element\", record = \"//cac:InvoiceLine\", namespaces = { cac = \"urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2\", cbc = \"urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2\" }";
    let lines: &[&str] = &["../cbc:ID", "cbc:ID", "cbc:LineExtensionAmount", "cbc:LineExtensionAmount/@currencyID", "../cbc:IssueDate"];
    let invoice = "type = \"xml-element\", record = \"/Invoice\"";
    let total: &[&str] = &["ID", "LegalMonetaryTotal/PayableAmount", "DocumentCurrencyCode", "IssueDate"];
    let camt = "type = \"xml-element\", record = \"//Ntry\"";
    let json = "type = \"json\"";
    let table: &[(&str, &str, &[&str], &str, &[usize], usize, &[(usize, &str)])] = &[
        (
            "xml/ecb/eurofxref-daily.xml",
            "type = \"xml-element\", record = \"//Cube[@currency]\"",
            &["@currency", "@rate", "../@time"],
            "tdD",
            &[0],
            31,
            &[(1, "16161.04373")],
        ),
        ("xml/ubl/01.01a-INVOICE_ubl.xml", ubl, lines, "ttdtD", &[0, 1], 2, &[(2, "314.86")]),
        ("xml/ubl/01.02a-INVOICE_ubl.xml", ubl, lines, "ttdtD", &[0, 1], 1, &[(2, "11.78")]),
        ("xml/ubl/01.05a-INVOICE_ubl.xml", ubl, lines, "ttdtD", &[0, 1], 4, &[(2, "8870")]),
        ("xml/ubl/01.01a-INVOICE_ubl.xml", invoice, total, "tdtD", &[0], 1, &[(1, "336.9")]),
        ("xml/ubl/01.02a-INVOICE_ubl.xml", invoice, total, "tdtD", &[0], 1, &[(1, "12.6")]),
        ("xml/ubl/01.05a-INVOICE_ubl.xml", invoice, total, "tdtD", &[0], 1, &[(1, "10555.3")]),
        ("xml/camt/camt053.v4.xml", camt, &["../Id", "Amt", "Amt/@Ccy", "CdtDbtInd", "BookgDt/Dt"], "tdttD", &[0, 1], 1, &[(1, "8.85")]),
        ("xml/camt/camt053.v2.minimal.xml", camt, &["../Id", "Amt", "Amt/@Ccy", "CdtDbtInd"], "tdtt", &[0, 1], 1, &[(1, "8.85")]),
        (
            "json/northwind/orders.json",
            json,
            &["orderID", "customerID", "orderDate", "freight", "shipAddress/city", "shipAddress/postalCode", "details[1]/productID"],
            "itDdtti",
            &[0],
            830,
            &[(3, "64942.69")],
        ),
        ("json/northwind/products.json", json, &["productID", "name", "unitPrice"], "itd", &[0], 77, &[(2, "2222.71")]),
        (
            "json/shopify/orders.json",
            "type = \"json\", record = \"orders\"",
            &["id", "total_price", "created_at"],
            "idD",
            &[0],
            1,
            &[(1, "598.94")],
        ),
        ("json/shopify/order.json", "type = \"json\", record = \"order\"", &["id", "line_items[2]/sku"], "it", &[0], 1, &[]),
        ("json/shopify/products.json", json, &["id", "title"], "it", &[0], 4, &[]),
        ("json/shopify/product.json", "type = \"json\", record = \"product\"", &["id", "variants[1]/price"], "id", &[0], 1, &[]),
        ("json/shopify/customer.json", "type = \"json\", record = \"customer\"", &["id"], "i", &[0], 1, &[]),
        ("json/shopify/variants.json", "type = \"json\", record = \"variants\"", &["id", "price"], "id", &[0], 4, &[]),
        ("json/shopify/inventory_items.json", "type = \"json\", record = \"inventory_items\"", &["id"], "i", &[0], 3, &[]),
        ("json/shopify/price_rules.json", "type = \"json\", record = \"price_rules\"", &["id"], "i", &[0], 2, &[]),
        ("json/shopify/transactions.json", json, &["id", "amount"], "id", &[0], 1, &[]),
        (
            "xml/camt/camt053.v4.json",
            "type = \"json\", record = \"getEntries\"",
            &["getAccountServicerReference", "getAmount/getAmount"],
            "td",
            &[0],
            1,
            &[(1, "885")],
        ),
    ];
    for (file, format, sources, columns, key, rows, sums) in table {
        let document = std::fs::read(data.join(file)).unwrap();
        let mut app = Appliance::start(&mapped(format, sources, columns, key));
        loads(&mut app, &document, *rows, sums, file);
    }
}

#[test]
fn entries_of_iso_4217_without_a_currency_are_refused_with_their_place() {
    let Some(data) = data() else { return };
    let document = std::fs::read(data.join("xml/iso4217/table_a1.xml")).unwrap();
    let sources = ["CtryNm", "Ccy", "CcyNbr", "CcyNm/@IsFund"];
    let mut app = Appliance::start(&mapped("type = \"xml-element\", record = \"//CcyNtry\"", &sources, "tttb", &[0, 1]));
    let id = app.enqueue_to(crate::appliance::IMPORT, "File", &document, None);
    app.settle();
    let rows = &app.message(&id)["rows"];
    assert_eq!((rows["read"].as_u64(), rows["refused"].as_u64()), (Some(280), Some(3)));
    let taken: u64 = ["inserted", "updated", "unchanged"].iter().map(|name| rows[name].as_u64().unwrap()).sum();
    assert_eq!(taken, 277, "those that have a currency");
    let findings = app.findings(&id);
    assert!(findings.iter().all(|finding| finding["rule"] == "required" && finding["column"] == "Ccy"), "{findings:?}");
    assert_eq!(app.sql("SELECT DISTINCT C2 FROM file WHERE C1 = 'ALL'"), ["008"]);
}

#[test]
fn workbooks_load_with_their_dates_codes_and_sums() {
    let Some(data) = data() else { return };
    let table: &[(&str, &[&str], &str, &[usize], usize, &[(usize, &str)])] = &[
        (
            "xlsx/ne_1033_data.xlsx",
            &["county", "fips", "nsn", "item_name", "quantity", "acquisition_cost", "total_cost", "ship_date"],
            "tittiddD",
            &[0, 2, 3, 4, 5, 6, 7],
            0,
            &[(5, "5430787.55"), (6, "5553135.17")],
        ),
        ("xlsx/d365-project-operations/Customers.xlsx", &["Account Number", "Customer Group Id"], "td", &[0], 5, &[(1, "50")]),
        ("xlsx/d365-project-operations/PriceList.xlsx", &["Name", "Currency", "StartDate"], "ttD", &[0], 2, &[]),
        ("xlsx/d365-project-operations/RolePrice.xlsx", &["Role", "PriceList", "Price"], "ttd", &[0, 1], 4, &[(2, "400.00")]),
        ("xlsx/d365-project-operations/ContractLines.xlsx", &["Name", "Amount"], "td", &[0], 2, &[(1, "2000")]),
    ];
    for (file, sources, columns, key, rows, sums) in table {
        let document = std::fs::read(data.join(file)).unwrap();
        // The surplus list has equal rows: a number of its own tells them apart.
        if *rows == 0 {
            let numbered = mapped("type = \"excel\", sheet = \"NE data\"", sources, columns, &[0])
                .replace("key = [\"C0\"]", "key = [\"ROW\"]")
                .replace("fields = [", "fields = [{ name = \"ROW\", type = \"string\" }, ")
                .replace("mapping = [", "mapping = [{ number_sequence = \"R-######\", field = \"ROW\" }, ");
            let mut app = Appliance::start(&numbered);
            let id = app.enqueue_to(crate::appliance::IMPORT, "File", &document, None);
            app.settle();
            assert_eq!(app.message(&id)["rows"]["inserted"], 1036, "{:?}", app.findings(&id).first());
            for (column, expected) in *sums {
                let sum: i128 = app.sql(&format!("SELECT C{column} FROM file")).iter().map(|value| millionths(value)).sum();
                assert_eq!(sum, millionths(expected));
            }
            assert_eq!(app.sql("SELECT C7 FROM file WHERE ROW = 'R-000001'"), ["2008-07-11T00:00:00Z"]);
            assert_eq!(app.sql("SELECT C1 FROM file WHERE ROW = 'R-000001'"), ["31001"]);
            goes_there_and_back(&mut app, 1036, file);
            continue;
        }
        let mut app = Appliance::start(&mapped("type = \"excel\"", sources, columns, key));
        loads(&mut app, &document, *rows, sums, file);
    }
}

#[test]
fn records_of_fixed_width_load_by_type_with_cents_as_they_stand() {
    let Some(data) = data() else { return };
    let column = |name: &str, start: u32, length: u32| format!("{{ name = \"{name}\", start = {start}, length = {length} }}");
    let entries = [column("Trace", 80, 15), column("Account", 13, 17), column("Cents", 30, 10)].join(", ");
    for lines in [true, false] {
        let length = if lines { "" } else { ", record_length = 94" };
        let nacha = format!("type = \"fixed\", columns = [{entries}], record_type = {{ equals = \"6\" }}{length}");
        for (file, rows, cents) in [
            ("ppd-debit", 1, "200000000"),
            ("ppd-mixedDebitCredit", 3, "400000000"),
            ("ctx-debit", 1, "100000000"),
            ("iat-mixedCreditDebit", 2, "200000"),
            ("20110805A", 48, "5101200"),
        ] {
            let document = std::fs::read(data.join(format!("fixed/nacha/{file}.ach"))).unwrap();
            // International entries have their amount elsewhere in the same places.
            let mut app = Appliance::start(&mapped(&nacha, &["Trace", "Account", "Cents"], "ttd", &[0, 1, 2]));
            loads(&mut app, &document, rows, &[(2, cents)], file);
        }
    }
    let places = [("text", 1, 18), ("date", 19, 10), ("integer", 30, 4), ("boolean", 34, 5), ("float", 39, 11), ("datetime", 59, 19)];
    let columns: Vec<String> = places.iter().map(|(name, start, length)| column(name, *start, *length)).collect();
    let format = format!("type = \"fixed\", columns = [{}]", columns.join(", "));
    let sources: Vec<&str> = places.iter().map(|(name, ..)| *name).collect();
    let mut app = Appliance::start(&mapped(&format, &sources, "tDibdD", &[0]));
    loads(&mut app, &std::fs::read(data.join("fixed/csvkit/testfixed")).unwrap(), 4, &[(4, "41800002.25")], "testfixed");
    for (file, sources, columns, rows, sums) in [
        ("testfixed_schema.csv", &["column", "start", "length"][..], "tdd", 8, &[(1, "303"), (2, "77")][..]),
        ("testfixed_converted.csv", &["text", "float"], "td", 4, &[(1, "41800002.25")]),
    ] {
        let mut app = Appliance::start(&mapped("type = \"csv\"", sources, columns, &[0]));
        loads(&mut app, &std::fs::read(data.join("fixed/csvkit").join(file)).unwrap(), rows, sums, file);
    }
}

#[test]
fn orders_load_with_their_lines_in_one_document() {
    let Some(data) = data() else { return };
    let entities = |number: &str, lines: &str| {
        format!(
            "[[entity]]\nname = \"File\"\ntable = \"file\"\nkey = [\"ID\"]\nfields = [{{ name = \"ID\", type = \"{number}\" }}, {{ name = \"TOTAL\", type = \"decimal\", scale = 2 }}]\n[[entity]]\nname = \"Lines\"\ntable = \"lines\"\nkey = [\"ORDERID\", \"ID\"]\nfields = [{{ name = \"ORDERID\", type = \"{number}\", references = \"File\" }}, {{ name = \"ID\", type = \"integer\" }}, {{ name = \"PRICE\", type = \"decimal\", scale = 2 }}]\n{lines}[[job]]\nname = \"File in\"\nactivity_id = \"{}\"\nproject = \"File in\"\napplications = [\"Tests\"]\n",
            crate::appliance::IMPORT
        )
    };
    let project = |record: &str, id: &str, total: &str, lines: &str, line: &str, price: &str| {
        format!(
            "[[project]]\nname = \"File in\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"File\"\nformat = {{ type = \"json\"{record} }}\nmapping = [{{ source = \"{id}\", field = \"ID\" }}, {{ source = \"{total}\", field = \"TOTAL\" }}]\n[[project.entity.nested]]\nentity = \"Lines\"\nrecord = \"{lines}\"\nmapping = [{{ parent = \"ID\", field = \"ORDERID\" }}, {{ source = \"{line}\", field = \"ID\" }}, {{ source = \"{price}\", field = \"PRICE\" }}]\n"
        )
    };
    let shopify = project(", record = \"order\"", "id", "total_price", "line_items", "id", "price");
    let northwind = project("", "orderID", "freight", "details", "productID", "unitPrice");
    for (file, project, orders, lines) in [("json/shopify/order.json", shopify, 1, 3), ("json/northwind/orders.json", northwind, 830, 2155)]
    {
        let mut app = Appliance::start(&entities("integer", &project));
        let id = app.enqueue_to(crate::appliance::IMPORT, "File", &std::fs::read(data.join(file)).unwrap(), None);
        app.settle();
        assert_eq!(app.message(&id)["rows"]["inserted"], orders + lines, "{file}: {:?}", app.findings(&id).first());
        assert_eq!(app.sql("SELECT count(*) FROM file"), [orders.to_string()]);
        assert_eq!(app.sql("SELECT count(*) FROM lines"), [lines.to_string()]);
        if orders == 830 {
            let sum: i128 = app.sql("SELECT PRICE FROM lines").iter().map(|value| millionths(value)).sum();
            assert_eq!(sum, millionths("56500.91"));
        }
    }
}
