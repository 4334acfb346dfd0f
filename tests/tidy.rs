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

/// What an anchor of a heading is on the web: small letters, digits and dashes.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

#[test]
fn every_link_of_a_page_for_readers_leads_somewhere() {
    let read = |page: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page));
    let mut links = 0;
    for page in ["README.md", "REFERENCE.md", "EXAMPLES.md", "packaging/README.md", "src/README.md", "tests/README.md"] {
        let text = read(page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|link| !link.contains("://")) {
            links += 1;
            let (path, section) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.into() } else { Path::new(page).with_file_name(path).to_str().unwrap().to_owned() };
            let found = read(&target).unwrap_or_else(|error| panic!("{page}: {link}: {error}"));
            let mut headings = found.lines().filter(|line| line.starts_with('#'));
            assert!(section.is_empty() || headings.any(|heading| anchor(heading) == section), "{page}: {link} leads to no heading");
        }
    }
    assert!(links > 25, "{links} links");
}
