//! The manual in `packaging/common/man` says what the verbs and the configuration file are: it is made from the table of verbs and from the JSON
//! Schema. Where it differs this fails, and `ENTREPOT_MANUAL=write cargo test manual` writes it anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};
use serde_json::Value;

/// Where the pages lie.
const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/common/man");
/// What the service of the packages is configured with at first, and the example beside it.
const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/common/entrepot.toml");
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/common/example.toml");

/// A page for each verb, as `entrepot-app-add.1`, and the one of the program.
fn verbs(command: &clap::Command, pages: &mut BTreeMap<String, String>) {
    let name = command.get_display_name().unwrap_or(command.get_name()).to_owned();
    let mut page = Vec::new();
    let version = format!("entrepot {}", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).title(name.to_uppercase()).section("1").source(version).manual("Entrepot");
    // The pieces one by one: the program's page has sections of its own at the end.
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    if command.has_subcommands() {
        let mut list = Roff::new();
        list.control("SH", ["VERBS"]);
        for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let page = verb.get_display_name().unwrap_or(verb.get_name()).to_owned();
            list.control("TP", []).text([bold(page), roman("(1)")]);
            list.text([roman(verb.get_about().map(ToString::to_string).unwrap_or_default())]);
        }
        list.to_writer(&mut page).unwrap();
    }
    if let Some(example) = command.get_after_help().map(ToString::to_string) {
        let mut roff = Roff::new();
        roff.control("SH", ["EXAMPLE"]).text([roman(example.trim_start_matches("Example: "))]);
        roff.to_writer(&mut page).unwrap();
    }
    ending(name == "entrepot").to_writer(&mut page).unwrap();
    pages.insert(format!("{name}.1"), dated(&String::from_utf8(page).unwrap()));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        verbs(verb, pages);
    }
}

/// The title has a place for a date, which stays empty: roff leaves it out instead, and the version would be read as a date.
fn dated(page: &str) -> String {
    page.replacen("  \"entrepot ", " \"\" \"entrepot ", 1)
}

/// What stands at the end of a verb's page, and what only the program's has.
fn ending(program: bool) -> Roff {
    let mut roff = Roff::new();
    if program {
        roff.control("SH", ["FILES"]);
        for (file, what) in [
            (
                "entrepot.toml",
                "The configuration, where no --config names one: in the current directory, else in /etc/entrepot. See entrepot.toml(5).",
            ),
            (
                "/var/lib/entrepot",
                "Data of the packaged service: queue, entities, payloads, keys. data_dir of [server] names another place.",
            ),
            (
                "running.json",
                "In the data directory, while the appliance runs: its address, and the token with which the verbs above ask it. Only its user and root can read it.",
            ),
        ] {
            roff.control("TP", []).text([italic(file)]).text([roman(what)]);
        }
        roff.control("SH", ["ENVIRONMENT"]);
        roff.control("TP", []).text([bold("RUST_LOG")]);
        roff.text([roman("What is logged: error, warn, info (without it), debug.")]);
        roff.control("TP", []).text([bold("NOTIFY_SOCKET"), roman(", "), bold("WATCHDOG_USEC")]);
        roff.text([roman("Set by systemd: readiness, the stop and the watchdog are told there, see sd_notify(3).")]);
        roff.control("SH", ["SIGNALS"]);
        roff.text([roman(
            "SIGTERM, SIGINT and SIGHUP end it in order: running transfers have stop_grace of [server], then everything is committed. \
             After a kill nothing that was answered is lost.",
        )]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, what) in [
        ("0", "Done."),
        ("1", "The answer is no: something failed, a check has findings, a test does not hold."),
        ("2", "Wrong use: an unknown verb or option, or no configuration file."),
    ] {
        roff.control("TP", []).text([bold(code)]).text([roman(what)]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text(if program {
        vec![bold("entrepot.toml"), roman("(5)")]
    } else {
        vec![bold("entrepot"), roman("(1), "), bold("entrepot.toml"), roman("(5)")]
    });
    roff
}

struct FilePage<'a> {
    schema: &'a Value,
    roff: Roff,
    /// Tables that stand in a definition of their own: told once, under the place where they come first.
    told: BTreeMap<String, String>,
}

impl FilePage<'_> {
    fn target<'a>(&'a self, at: &'a Value) -> Option<(&'a str, &'a Value)> {
        let name = at["$ref"].as_str()?;
        Some((name, self.schema.pointer(&name[1..]).unwrap_or_else(|| panic!("{name} is not in the schema"))))
    }

    /// The table that a value is or may be, and whether it is a list of them.
    fn table<'a>(&'a self, at: &'a Value) -> Option<(&'a Value, bool, Option<String>)> {
        if at["properties"].is_object() {
            return Some((at, false, None));
        }
        if let Some((name, target)) = self.target(at) {
            let (table, list, inner) = self.table(target)?;
            return Some((table, list, inner.or_else(|| Some(name.to_owned()))));
        }
        if at["items"].is_object() {
            let (table, _, name) = self.table(&at["items"])?;
            return Some((table, true, name));
        }
        at["anyOf"].as_array()?.iter().find_map(|choice| self.table(choice))
    }

    /// What may be written for a value.
    fn kind(&self, at: &Value) -> String {
        let one = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| format!("\"{text}\""));
        if let Some((name, target)) = self.target(at) {
            return match name.rsplit('/').next().unwrap_or_default() {
                name @ ("duration" | "size" | "guid" | "cron") => name.to_owned(),
                _ => self.kind(target),
            };
        }
        if let Some(choices) = at["enum"].as_array() {
            return choices.iter().map(one).collect::<Vec<_>>().join(" or ");
        }
        if let Some(choices) = at["anyOf"].as_array() {
            let mut kinds: Vec<String> = choices.iter().map(|choice| self.kind(choice)).collect();
            kinds.dedup();
            return kinds.join(", or ");
        }
        match at["type"].as_str() {
            Some("array") if self.table(at).is_some() => "list of tables".into(),
            Some("array") => format!("list of {}", self.kind(&at["items"])),
            Some("object") => "table".into(),
            Some("string") => "text".into(),
            Some("boolean") => "true or false".into(),
            Some(number) => number.into(),
            None => "date and time".into(),
        }
    }

    fn key(&mut self, key: &str, at: &Value, required: bool) {
        let mut about = self.kind(at);
        match (at["minimum"].as_i64(), at["maximum"].as_i64()) {
            (Some(least), Some(most)) => write!(about, " from {least} to {most}").unwrap(),
            (Some(least), None) => write!(about, " from {least}").unwrap(),
            (None, Some(most)) => write!(about, " to {most}").unwrap(),
            (None, None) => {}
        }
        if required {
            about.push_str("; must be there");
        }
        if !at["default"].is_null() {
            write!(about, "; default {}", at["default"]).unwrap();
        }
        let own = at["description"].as_str();
        let behind = self.target(at).and_then(|(_, target)| target["description"].as_str());
        let told: Vec<Inline> = own.or(behind).map(roman).into_iter().collect();
        let examples: Vec<String> = at["examples"].as_array().into_iter().flatten().map(Value::to_string).collect();
        self.roff.control("TP", []).text([bold(key), roman(format!("  ({about})"))]);
        self.roff.text(if told.is_empty() { vec![roman("See the table of its name below.")] } else { told });
        if !examples.is_empty() {
            self.roff.control("br", []).text([roman(format!("Example: {}", examples.join(", ")))]);
        }
    }

    /// A table with its keys, then the tables in it.
    fn tell(&mut self, place: &str, list: bool, table: &Value, about: Option<&str>, level: usize) {
        let heading = match (level, list) {
            (1, true) => format!("[[{place}]]"),
            (1, false) => format!("[{place}]"),
            (_, true) => format!("{place}, a list of tables"),
            (_, false) => format!("{place}, a table"),
        };
        self.roff.control(if level == 1 { "SH" } else { "SS" }, [heading.as_str()]);
        if let Some(about) = about {
            self.roff.text([roman(about)]);
        }
        let required: Vec<&str> = table["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (key, at) in table["properties"].as_object().into_iter().flatten() {
            self.key(key, at, required.contains(&key.as_str()));
        }
        for (key, at) in table["properties"].as_object().into_iter().flatten() {
            let Some((table, list, definition)) = self.table(at) else { continue };
            let (table, place) = (table.clone(), format!("{place}.{key}"));
            if let Some(definition) = definition {
                if let Some(first) = self.told.get(&definition) {
                    let first = first.clone();
                    self.roff.control("SS", [place.as_str()]).text([roman("As "), bold(first), roman(".")]);
                    continue;
                }
                self.told.insert(definition, place.clone());
            }
            let about = table["description"].as_str().map(str::to_owned);
            self.tell(&place, list, &table, about.as_deref(), level + 1);
        }
    }
}

fn file_page() -> String {
    let schema: Value = serde_json::from_str(entrepot::config::schema::SCHEMA).unwrap();
    let mut page = FilePage { schema: &schema, roff: Roff::new(), told: BTreeMap::new() };
    let version = format!("entrepot {}", env!("CARGO_PKG_VERSION"));
    page.roff.control("TH", ["ENTREPOT.TOML", "5", "", &version, "Entrepot"]);
    page.roff.control("SH", ["NAME"]).text([roman("entrepot.toml - the configuration file of Entrepot")]);
    page.roff.control("SH", ["DESCRIPTION"]);
    for paragraph in [
        "Everything is configured in this one file, in TOML. Relative paths in it are relative to the file.",
        "entrepot check tells every problem, with line, column and remedy. A change is applied within two seconds after it was saved, or at once by \
         entrepot reload; a file with a problem is refused as a whole, and what was in force stays in force. Only [server] needs a restart.",
        "A duration is a text such as \"30s\", \"30m\", \"1h 30m\" or \"7d\". A size is a number of bytes, or a text such as \"64KiB\" or \"2GiB\". A guid \
         is written with or without braces. A cron is a text of five fields: minute, hour, day, month, weekday; or of six, with seconds first.",
        "Tables in tables are named after their place: project.entity.mapping is the key mapping of [[project.entity]].",
    ] {
        page.roff.control("PP", []).text([roman(paragraph)]);
    }
    for (key, at) in schema["properties"].as_object().unwrap() {
        let (table, list, _) = page.table(at).unwrap_or_else(|| panic!("{key} is no table"));
        let table = table.clone();
        let about = at["description"].as_str().or(table["description"].as_str()).map(str::to_owned);
        page.tell(key, list, &table, about.as_deref(), 1);
    }
    page.roff.control("SH", ["FILES"]);
    page.roff.control("TP", []).text([italic("/etc/entrepot/entrepot.toml")]).text([roman("The file of the packaged service.")]);
    page.roff.control("TP", []).text([italic("/usr/share/doc/entrepot/examples/entrepot.toml")]);
    page.roff.text([roman("A whole one that works, with comments: entities, projects, jobs.")]);
    page.roff.control("SH", ["SEE ALSO"]).text([bold("entrepot"), roman("(1), "), bold("entrepot-check"), roman("(1)")]);
    dated(&page.roff.to_roff())
}

#[test]
fn the_manual_is_that_of_these_verbs_and_of_this_file() {
    let mut command = entrepot::cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = BTreeMap::from([("entrepot.toml.5".to_owned(), file_page())]);
    verbs(&command, &mut pages);
    let manual = Path::new(MANUAL);
    if std::env::var("ENTREPOT_MANUAL").is_ok_and(|wish| wish == "write") {
        let _ = std::fs::remove_dir_all(manual);
        std::fs::create_dir_all(manual).unwrap();
        pages.iter().for_each(|(name, page)| std::fs::write(manual.join(name), page).unwrap());
    }
    let kept: BTreeMap<String, String> = std::fs::read_dir(manual)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect();
    let stale: Vec<&String> = pages.iter().filter(|(name, page)| kept.get(*name) != Some(page)).map(|(name, _)| name).collect();
    let left: Vec<&String> = kept.keys().filter(|name| !pages.contains_key(*name)).collect();
    assert!(stale.is_empty() && left.is_empty(), "stale: {stale:?}, without a verb: {left:?}: ENTREPOT_MANUAL=write cargo test manual");
}

/// Every key of the schema has its entry; that the schema is that of the reader is shown beside it (`config/schema.rs`).
#[test]
fn the_page_of_the_file_tells_every_key() {
    fn keys(at: &Value, found: &mut Vec<String>) {
        for (name, value) in at.as_object().into_iter().flatten() {
            if name == "properties" {
                found.extend(value.as_object().unwrap().keys().cloned());
            }
            keys(value, found);
        }
        at.as_array().into_iter().flatten().for_each(|item| keys(item, found));
    }
    let (page, mut found) = (file_page(), Vec::new());
    keys(&serde_json::from_str(entrepot::config::schema::SCHEMA).unwrap(), &mut found);
    assert!(found.len() > 100);
    for key in found {
        assert!(page.contains(&format!("\\fB{key}\\fR")) || page.contains(&format!("[{key}]")), "{key}");
    }
}

/// The example is what `init` writes, with an application that has no secret yet: nothing is known to have this hash.
#[test]
fn the_example_of_the_packages_is_the_starter() {
    let id = entrepot::model::id::ApplicationId(uuid::Uuid::from_u128(1 << 78 | 1 << 63 | 1));
    let hash = format!("sha256:{}", "0".repeat(64));
    let starter = entrepot::config::starter::text(id, &hash, "/var/lib/entrepot", "127.0.0.1:8420");
    let (first, rest) = starter.split_once('\n').unwrap();
    let example = format!("{first}\n# An example: sudo entrepot app rotate \"Web shop\" gives its application a secret.\n{rest}");
    if std::env::var("ENTREPOT_MANUAL").is_ok_and(|wish| wish == "write") {
        std::fs::write(EXAMPLE, &example).unwrap();
    }
    assert!(std::fs::read_to_string(EXAMPLE).unwrap() == example, "stale: ENTREPOT_MANUAL=write cargo test manual");
}

#[test]
fn the_shipped_configuration_checks_and_nothing_listens_beyond_loopback() {
    let shipped = std::fs::read_to_string(SHIPPED).unwrap();
    let commented_in: String =
        shipped.lines().map(|line| line.strip_prefix("#|").unwrap_or(line)).fold(String::new(), |text, line| text + line + "\n");
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("tls")).unwrap();
    ["fullchain.pem", "privkey.pem"].iter().for_each(|name| std::fs::write(dir.path().join("tls").join(name), "").unwrap());
    for text in [shipped, commented_in] {
        let checked = entrepot::config::parse::parse(&text, dir.path(), None).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(checked.config.server.listen.ip().is_loopback());
        assert_eq!(checked.config.server.data_dir, Path::new("/var/lib/entrepot"));
    }
}
