//! Entrepot against its peers, in the same run on the same machine: ratios, not absolute figures, are the result.
//!
//!   cargo bench                       everything, 1,000,000 rows
//!   ROWS=100000 cargo bench           fewer rows
//!   cargo bench --bench peers -- enqueue      one part: enqueue, documents, formats or start
//!   CLIENTS=64 cargo bench --bench peers -- enqueue      with so many clients alone
//!   cargo bench --bench peers -- constant     memory with documents of 5 GB (BYTES), only when it is asked for: some 20 GB of disk, some minutes
//!
//! Peers: the SQLite shell's `.import` into the same table with the same key; `sqlite3 -csv | zip`; one thread that appends and syncs.
//! Peers that are not installed are left out, and said so.

mod constant;
mod documents;
mod enqueue;
mod formats;
mod load;
#[path = "../orders/mod.rs"]
mod orders;
mod postgres;
mod start;

fn main() {
    // `cargo test --benches` asks for a list of tests: there is none.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let rows = std::env::var("ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(1_000_000);
    let dir = std::env::temp_dir().join(format!("entrepot-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let wanted = |part: &str| {
        let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
        named.is_empty() || named.iter().any(|name| name == part)
    };
    if wanted("enqueue") {
        enqueue::enqueues(&dir);
    }
    if wanted("documents") {
        documents::documents(&dir, rows);
    }
    if wanted("formats") {
        formats::formats(&dir.join("formats"), rows);
    }
    if std::env::args().any(|argument| argument == "constant") {
        std::fs::create_dir_all(dir.join("constant")).unwrap();
        constant::constant(&dir.join("constant"));
    }
    if wanted("start") {
        start::starts(&dir.join("start"));
    }
    let _ = std::fs::remove_dir_all(&dir);
}
