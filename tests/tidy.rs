//! The structure that `src/README.md` states, held by reading the sources as text.

use std::path::{Path, PathBuf};

fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap().to_str().unwrap().replace('\\', "/");
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The part of a file before its tests, without comments.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let text = text.split("#[cfg(all(test, unix))]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_thing_stands_where_the_map_says() {
    let rules: &[(&[&str], &[&str], &str)] = &[
        (&["SELECT ", "INSERT INTO ", "UPDATE message", "DELETE FROM ", "PRAGMA "], &["store/"], "SQL belongs to store/"),
        (&["tiny_http"], &["http/listener.rs"], "tiny_http belongs to http/listener.rs"),
        (
            &["SystemTime::now", "Instant::now", "Utc::now", "Local::now"],
            &["clock.rs"],
            "clocks belong to clock.rs: take a Clock or a Timestamp",
        ),
        (
            &["thread::sleep"],
            // The pause after an error of the system's own, such as too many open files.
            &["edge/acceptor.rs", "edge/relay.rs"],
            "nothing sleeps: wait at a Bell",
        ),
        (&["println!"], &["cli/"], "only the command line prints: use the log"),
        (
            &["unsafe {", "unsafe fn"],
            &["edge/watch.rs", "cli/event_log.rs", "cli/owner.rs"],
            "no unsafe, but what polling, the Event Log of Windows and who owns a file there ask for, with its proof",
        ),
        (&["dbg!(", "todo!(", "unimplemented!("], &[], "unfinished"),
        (
            &["fs::File", "OpenOptions", "fs::write"],
            &[
                "files.rs",
                "files/",
                // The log is no payload.
                "log/rolling.rs",
                "auth/keyring.rs",
                "appliance.rs",
                "cli/",
                "outbound/export.rs",
                "recording/",
                "inbound/process/kept.rs",
                "store/writer.rs",
            ],
            "payload files belong to files.rs",
        ),
    ];
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    assert!(files.len() > 40);
    let mut complaints = Vec::new();
    for (name, text) in files.iter().filter(|(name, _)| !name.ends_with("tests.rs") && !name.contains("/tests/")) {
        let code = code(text);
        for (words, allowed, advice) in rules {
            if !allowed.iter().any(|place| name.starts_with(place)) {
                complaints
                    .extend(words.iter().filter(|word| code.contains(**word)).map(|word| format!("src/{name}: \"{word}\": {advice}")));
            }
        }
        if !text.starts_with("//!") {
            complaints.push(format!("src/{name}: open it with what it is for"));
        }
        for pure in ["model/", "document/", "recurrence/"] {
            if name.starts_with(pure) {
                complaints.extend(
                    ["rusqlite", "std::fs", "std::net", "crate::clock", "crate::store", "crate::http"]
                        .iter()
                        .filter(|word| code.contains(**word))
                        .map(|word| format!("src/{name}: \"{word}\": {pure} is pure")),
                );
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
