//! Real files that nobody here wrote, with the rows and sums of their README. They are read where they lie, never copied.

use std::fmt::Write;
use std::path::PathBuf;

use crate::appliance::Appliance;

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
    format!(
        "[[entity]]\nname = \"File\"\ntable = \"file\"\nkey = [{}]\nfields = [{}]\n\n[[project]]\nname = \"File in\"\ndirection = \"import\"\n[[project.entity]]\nentity = \"File\"\nformat = {{ type = \"csv\", {format} }}\nmapping = [{}]\n\n[[job]]\nname = \"File in\"\nactivity_id = \"{}\"\nproject = \"File in\"\napplications = [\"Tests\"]\n",
        key.join(", "),
        fields.join(", "),
        mapping.join(", "),
        crate::appliance::IMPORT
    )
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
