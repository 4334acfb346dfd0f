//! Order lines for the benchmarks: deterministic, of any number, about 150 bytes each, with the shape of a real shop's.
//!
//! Customers and products are drawn from the orders of `../shared/data/csv/northwind` (or `$ENTREPOT_SHARED/data`) where they lie beside the project, so
//! that their skew is the real one; elsewhere from a few of our own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// The columns, in order.
pub const COLUMNS: [&str; 18] = [
    "LineId",
    "OrderId",
    "OrderDate",
    "CustomerId",
    "CustomerName",
    "ProductId",
    "ProductName",
    "Quantity",
    "UnitPrice",
    "Discount",
    "CurrencyCode",
    "LineAmount",
    "ShipCity",
    "ShipRegion",
    "ShipPostalCode",
    "ShipCountry",
    "Freight",
    "Comment",
];

/// What a reader of the file must find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub rows: u64,
    pub quantity: u64,
    /// Hundredths.
    pub amount: u64,
}

/// SplitMix64, draw `k` of row `row`: a row can be made without those before it.
fn draw(row: u64, k: u64) -> u64 {
    let mut z = 20_260_101u64.wrapping_add(row * 16 + k).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn pick<T>(pool: &[T], draw: u64) -> &T {
    &pool[usize::try_from(draw % pool.len() as u64).expect("an index")]
}

/// Customer, name, city, region, postcode, country, freight of a past order.
type Order = [String; 7];

struct Line {
    product: String,
    name: String,
    /// Hundredths.
    price: u64,
    quantity: u64,
    /// Hundredths.
    discount: u64,
}

/// The past orders that are drawn from.
pub struct Pool {
    orders: Vec<Order>,
    lines: Vec<Line>,
    /// Where they are from.
    pub source: &'static str,
}

fn hundredths(text: &str) -> u64 {
    (text.parse::<f64>().expect("a number") * 100.0).round() as u64
}

fn table(path: &Path) -> Option<Vec<HashMap<String, String>>> {
    let mut reader = csv::Reader::from_path(path).ok()?;
    let rows = reader.deserialize::<HashMap<String, String>>().collect::<Result<Vec<_>, _>>().ok()?;
    Some(rows)
}

impl Pool {
    /// The real ones where they are, or ours.
    pub fn load() -> Pool {
        let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared"));
        let shared = std::env::var_os("ENTREPOT_SHARED").map_or(beside, PathBuf::from);
        Pool::northwind(&shared.join("data/csv/northwind")).unwrap_or_else(Pool::own)
    }

    fn northwind(dir: &Path) -> Option<Pool> {
        let names: HashMap<String, String> =
            table(&dir.join("products.csv"))?.into_iter().map(|row| (row["productID"].clone(), row["productName"].clone())).collect();
        let lines = table(&dir.join("order_details.csv"))?.into_iter().map(|row| Line {
            name: names.get(&row["productID"]).cloned().unwrap_or_default(),
            price: hundredths(&row["unitPrice"]),
            quantity: row["quantity"].parse().expect("a quantity"),
            discount: hundredths(&row["discount"]),
            product: row["productID"].clone(),
        });
        let columns = ["customerID", "shipName", "shipCity", "shipRegion", "shipPostalCode", "shipCountry", "freight"];
        let orders = table(&dir.join("orders.csv"))?
            .into_iter()
            .map(|row| columns.map(|column| if row[column] == "NULL" { String::new() } else { row[column].clone() }));
        Some(Pool { orders: orders.collect(), lines: lines.collect(), source: "the orders of Northwind" })
    }

    fn own() -> Pool {
        let orders = [
            ["ALPIN", "Alpine Händler", "Graz", "", "8010", "Austria", "13.37"],
            ["LAKES", "Lakeside Markets", "Boise", "ID", "83720", "USA", "91.48"],
            ["FLINK", "Flink und Gut", "Görlitz", "", "02826", "Germany", "41.38"],
            ["SHORE", "Shore Owls", "Cork", "Co. Cork", "", "Ireland", "1.36"],
            ["MESAG", "Mesa Grocery", "Santa Fe", "NM", "87501", "USA", "275.79"],
            ["CARNE", "Carnes do Sul", "São Paulo", "SP", "01001-000", "Brazil", "0.02"],
        ];
        let lines = [("1", "Black tea", 1800, 20, 0), ("2", "Root beer", 1900, 3, 0), ("3", "Aniseed syrup", 1000, 10, 5)]
            .into_iter()
            .chain([("4", "Gumbo mix", 2135, 30, 0), ("5", "Grandma's spread", 2500, 60, 25)])
            .map(|(product, name, price, quantity, discount)| Line {
                product: product.into(),
                name: name.into(),
                price,
                quantity,
                discount,
            });
        Pool { orders: orders.map(|order| order.map(str::to_owned)).to_vec(), lines: lines.collect(), source: "a few orders of our own" }
    }
}

/// Facts: ISO 4217.
fn currency(country: &str) -> &'static str {
    match country {
        "USA" => "USD",
        "UK" => "GBP",
        "Brazil" => "BRL",
        "Venezuela" => "VES",
        "Sweden" => "SEK",
        "Canada" => "CAD",
        "Mexico" => "MXN",
        "Denmark" => "DKK",
        "Switzerland" => "CHF",
        "Argentina" => "ARS",
        "Norway" => "NOK",
        "Poland" => "PLN",
        _ => "EUR",
    }
}

/// A value, in quotes where it needs them.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Lines of an order: 1 to 6, and one order of 25 among 830.
fn lines_of(order: u64, first_row: u64) -> u64 {
    if order % 830 == 829 {
        return 25;
    }
    match draw(first_row, 6) % 1000 {
        0..165 => 1,
        165..506 => 2,
        506..805 => 3,
        805..956 => 4,
        956..996 => 5,
        _ => 6,
    }
}

/// Writes so many lines, with a header, CRLF.
pub fn write(pool: &Pool, path: &Path, rows: u64) -> Totals {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).expect("the file can be made"));
    write!(out, "{}\r\n", COLUMNS.join(",")).expect("the disk takes it");
    let mut totals = Totals { rows, ..Totals::default() };
    let (mut order, mut first_row, mut left) = (0, 1, lines_of(0, 1));
    let begin = chrono::NaiveDate::from_ymd_opt(1996, 7, 4).expect("a day");
    for row in 1..=rows {
        if left == 0 {
            (order, first_row) = (order + 1, row);
            left = lines_of(order, row);
        }
        left -= 1;
        let [customer, name, city, region, postcode, country, freight] = pick(&pool.orders, draw(first_row, 0));
        let line = pick(&pool.lines, draw(row, 1));
        // Half-even, from ten-thousandths to hundredths.
        let exact = line.quantity * line.price * (100 - line.discount);
        let (whole, rest) = (exact / 100, exact % 100);
        let amount = whole + u64::from(rest > 50 || rest == 50 && whole % 2 == 1);
        totals.quantity += line.quantity;
        totals.amount += amount;
        let comment = match draw(row, 4) % 200 {
            0 => "\"left with the neighbours\r\nat the back\"",
            1..=3 => "\"fragile, please \"\"handle\"\" with care\"",
            4..=19 => "good as ever and quickly delivered",
            _ => "",
        };
        let day = begin + chrono::Days::new(order % 671);
        write!(
            out,
            "{row},{order},{day},{customer},{},{},{},{},{}.{:02},0.{:02},{},{}.{:02},{},{},{},{},{freight},{comment}\r\n",
            quoted(name),
            line.product,
            quoted(&line.name),
            line.quantity,
            line.price / 100,
            line.price % 100,
            line.discount,
            currency(country),
            amount / 100,
            amount % 100,
            quoted(city),
            quoted(region),
            quoted(postcode),
            quoted(country),
        )
        .expect("the disk takes it");
    }
    out.flush().expect("the disk takes it");
    totals
}
