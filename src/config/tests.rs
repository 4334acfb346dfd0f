use std::path::Path;

use proptest::prelude::*;

use super::parse::parse;
use super::{Config, starter};
use crate::auth::secret;
use crate::model::id::ApplicationId;
use crate::model::job::Recurrence;

fn starter_text() -> String {
    let id: ApplicationId = "7f4c1b0e-2a57-4d7c-9f0a-5f1b6a0c9b11".parse().unwrap();
    starter::text(id, &secret::hash_text(&secret::hash("x")), "C:\\data \"dir\"", "127.0.0.1:8420")
}

fn read(text: &str) -> Result<Config, String> {
    parse(text, Path::new("/base"), None).map(|checked| checked.config).map_err(|problems| problems.to_string())
}

#[test]
fn the_starter_file_works_as_it_is() {
    let config = read(&starter_text()).unwrap();
    assert_eq!(config.jobs.len(), 2);
    assert!(matches!(config.jobs[0].recurrence, Recurrence::OnArrival));
    assert_eq!(config.server.public_url, "http://127.0.0.1:8420");
    assert_eq!(config.jobs[0].applications, [config.applications[0].id]);
    assert_eq!(config.projects[0].entity("custcustomergroupentity").unwrap().mapping.len(), 5);
    assert_eq!(config.databases[0].path, config.server.data_dir.join("entities.db"));
}

#[test]
fn an_empty_file_is_a_configuration_of_nothing() {
    let config = read("").unwrap();
    assert!(config.jobs.is_empty() && config.server.listen.ip().is_loopback());
}

/// Each change breaks the starter in one place; the report names the place and the remedy.
#[test]
fn each_mistake_is_told_with_its_place_and_what_to_do() {
    let table: &[(&str, &str, &str)] = &[
        ("lease     = \"30m\"", "leese     = \"30m\"", "unknown key\n  hint: did you mean \"lease\"?"),
        ("\"30m\"", "\"soon\"", "queue.lease: \"soon\" is no duration"),
        ("\"30m\"", "\"1ms\"", "out of bounds"),
        ("\"2GiB\"", "\"lots\"", "queue.max_body: this is no size"),
        ("[server]", "[server", "this is no TOML"),
        ("\"127.0.0.1:8420\"", "\"localhost\"", "server.listen: \"localhost\" is no address and port"),
        ("type = \"integer\"", "type = \"integr\"", "did you mean \"integer\"?"),
        ("references = \"Terms of payment\"", "references = \"Terms of paymant\"", "did you mean \"Terms of payment\"?"),
        ("key     = [\"CUSTOMERGROUPID\"]", "key     = [\"CUSTOMERGROUP\"]", "did you mean \"CUSTOMERGROUPID\"?"),
        ("key     = [\"CUSTOMERGROUPID\"]", "key     = []", "an entity has a key"),
        ("field = \"CREDITLIMIT\"", "field = \"CREDITLIMITS\"", "did you mean \"CREDITLIMIT\"?"),
        ("field = \"CREDITLIMIT\"", "field = \"DESCRIPTION\"", "\"DESCRIPTION\" is mapped twice"),
        (
            "{ source = \"Group\",",
            "{ source = \"Group\", value = \"x\",",
            "only one of source, value, number_sequence, concatenate and company",
        ),
        (
            "{ source = \"Group\",  field = \"CUSTOMERGROUPID\", trim = true, upper = true },",
            "",
            "the required field \"CUSTOMERGROUPID\" is not mapped",
        ),
        ("trim = true", "split = { at = \"-\" }", "a split has a text to split at and the number of a part"),
        ("trim = true", "pad = { length = 3, with = \"ab\" }", "one character to fill up with"),
        ("trim = true", "parent = \"DESCRIPTION\"", "only nested records have a parent"),
        ("trim = true", "when = \"never\"", "\"never\" is not understood"),
        ("trim = true", "when = { source = \"Name\" }", "a source and one of equals, not and blank"),
        ("trim = true", "look_up = { entity = \"Terms\", find = \"NAME\", take = \"NAME\" }", "there is no entity \"Terms\""),
        ("trim = true", "decimal_separator = \";\"", "separates no decimals"),
        ("trim = true", "date_formats = [\"%Q\"]", "is no strftime pattern"),
        ("minimum = 0, maximum = 365", "pattern = \"[0-9\"", "is no regular expression"),
        ("entity  = \"Terms of payment\"", "entity  = \"Terms of payment\"\n  write = \"append\"", "is no way to write"),
        (
            "key    = [\"NAME\"]",
            "key    = [\"NAME\"]\nchecks = [{ rule = \"NUMBEROFDAYS > DESCRIPTION\" }]",
            "\"NUMBEROFDAYS\" and \"DESCRIPTION\" are of different types",
        ),
        ("{ type = \"csv\", delimiter = \";\", header = true }", "{ type = \"fixed\" }", "fixed width has columns"),
        (
            "{ type = \"csv\", delimiter = \";\", header = true }",
            "{ type = \"csv\", delimiter = \";\", qualifier = \"\", record_end = \"END\" }",
            "without a qualifier \"END\" stands in values",
        ),
        (
            "{ type = \"csv\", delimiter = \";\", header = true }",
            "{ type = \"fixed\", record_end = \"#\", columns = [{ name = \"Group\", start = 1, length = 3 }] }",
            "\"#\" stands in values and in the reasons of refused rows",
        ),
        (
            "{ type = \"csv\", delimiter = \";\", header = true }",
            "{ type = \"fixed\", encoding = \"utf-16le\", unit = \"bytes\", columns = [{ name = \"Group\", start = 1, length = 3 }] }",
            "in UTF-16LE a place in bytes is none in the text",
        ),
        (
            "{ type = \"csv\", delimiter = \";\", header = true }",
            "{ type = \"fixed\", unit = \"octets\", columns = [{ name = \"Group\", start = 1, length = 3 }] }",
            "\"octets\" is nothing that positions count",
        ),
        (
            "fields = [\"CUSTOMERGROUPID\", \"DESCRIPTION\", \"PAYMENTTERMID\"]",
            "format = { type = \"fixed\", columns = [{ name = \"CUSTOMERGROUPID\", start = 1, length = 9 }, { name = \"DESCRIPTION\", start = 9, length = 9 }] }",
            "the columns \"CUSTOMERGROUPID\" and \"DESCRIPTION\" overlap",
        ),
        ("{ type = \"csv\", delimiter = \";\", header = true }", "{ type = \"json\", record = \"a[\" }", "\"a[\" is no path"),
        ("{ type = \"csv\", delimiter = \";\", header = true }", "{ type = \"xml-element\", record = \"//@a\" }", "a record is an element"),
        (
            "{ type = \"csv\", delimiter = \";\", header = true }",
            "{ type = \"xml-element\", record = \"/D/c:R\" }",
            "the prefix \"c\" is not declared",
        ),
        ("equals = \"No\"", "equals = \"Maybe\"", "\"Maybe\" for \"BLOCKED\": not one of No, Yes"),
        ("equals = \"No\"", "", "exactly one of equals"),
        ("type = \"csv\", delimiter", "type = \"exel\", delimiter", "there is no format \"exel\"\n  hint: did you mean \"excel\"?"),
        ("type = \"csv\", delimiter", "type = \"excel\", delimiter", "format.delimiter: unknown key"),
        (
            "type = \"csv\", delimiter",
            "type = \"csv\", encoding = \"CP-932\", delimiter",
            "there is no encoding \"CP-932\"\n  hint: write shift_jis",
        ),
        (
            "fields = [\"CUSTOMERGROUPID\", \"DESCRIPTION\", \"PAYMENTTERMID\"]",
            "format = { type = \"excel\", sheet = \"Customer groups: all [2026]\" }",
            "no sheet can be called \"Customer groups: all [2026]\"",
        ),
        ("direction = \"import\"", "direction = \"inport\"", "\"inport\" is no direction"),
        ("project      = \"Customer groups in\"", "project      = \"Customer groups inn\"", "did you mean \"Customer groups in\"?"),
        ("applications = [\"Web shop\"]", "applications = [\"Web ship\"]", "did you mean \"Web shop\"?"),
        (starter::EXPORT_JOB, starter::IMPORT_JOB, "has this activity id too"),
        (starter::EXPORT_JOB, "C03BB937", "not a GUID"),
        ("0 6 * * 1-5", "0 6 31 2 *", "never fires"),
        ("Europe/Amsterdam", "Europe/Amsterdm", "did you mean \"Europe/Amsterdam\"?"),
        ("recurrence   = { cron", "recurrence   = { crn", "did you mean \"cron\"?"),
        ("table   = \"customer_groups\"", "table   = \"payment_terms\"", "another entity has the table"),
        ("table   = \"customer_groups\"", "table   = \"sqlite_x\"", "cannot be a name in a table"),
        ("\"sha256:", "\"md5:", "this is no hash of a secret"),
        (
            "name        = \"Web shop\"",
            "name        = \"${NO_SUCH_VARIABLE_HERE}\"",
            "the environment has no variable NO_SUCH_VARIABLE_HERE",
        ),
        (
            "prevent_upload_when_zero_records = true",
            "filter = [{ field = \"DESCRIPTIN\", equals = \"x\" }]",
            "\"Customer groups\" has no field \"DESCRIPTIN\"\n  hint: did you mean \"DESCRIPTION\"?",
        ),
        ("in_order     = true", "filter = [{ field = \"NAME\", equals = \"x\" }]", "an import has no filter"),
        ("prevent_upload_when_zero_records = true", "accepts = \"zip\"", "\"zip\" is not understood"),
    ];
    for (good, bad, expected) in table {
        let text = starter_text();
        assert!(text.contains(good), "{good}");
        let report = read(&text.replacen(good, bad, 1)).expect_err(bad);
        assert!(report.contains(expected), "{bad}:\n{report}");
        let place = report.split(": error").next().unwrap();
        assert!(!place.ends_with(":0:0"), "{bad} has no place: {report}");
        let of = |word: &str| report.lines().filter(|line| line.contains(word)).count();
        assert_eq!(of(": error: ") + of(": warning: "), of("  hint: "), "{bad} has no remedy: {report}");
    }
}

/// As somebody writes it who does it for the first time. What follows from a mistake is no other one.
#[test]
fn a_mistake_is_told_once_and_not_what_follows_from_it() {
    let csv = "{ type = \"csv\", delimiter = \";\", header = true }";
    let table: &[(&str, &str, &str)] = &[
        ("[[entity]]\nname   = \"Terms of payment\"", "[[entities]]\nname   = \"Terms of payment\"", "did you mean \"entity\"?"),
        ("direction = \"import\"", "direction = \"inport\"", "is no direction"),
        ("direction = \"import\"", "", "direction: it is missing"),
        (csv, "{ type = \"cvs\" }", "there is no format \"cvs\""),
        (csv, "\"csv\"", "as in format = { … = … }"),
        (csv, "{ type = \"csv\", delimiter = \"\" }", "as in \";\""),
        ("table   = \"customer_groups\"", "table   = \"a;b\"", "cannot be a name in a table"),
        ("key     = [\"CUSTOMERGROUPID\"]", "key     = \"CUSTOMERGROUPID\"", "as in key = [\"…\", \"…\"]"),
        ("key     = [\"CUSTOMERGROUPID\"]", "key     = [\"GROUP\"]", "there is no field \"GROUP\""),
        ("name = \"CUSTOMERGROUPID\", type = \"string\"", "name = \"CUSTOMERGROUPID\", type = \"text\"", "there is no type \"text\""),
        (
            "name = \"CUSTOMERGROUPID\", type = \"string\", length = 10",
            "name = \"CUSTOMERGROUPID\", type = \"string\", length = \"10\"",
            "as in length = 10",
        ),
        ("applications = [\"Web shop\"]", "applications = [\"Web ship\"]", "did you mean \"Web shop\"?"),
        ("applications = [\"Web shop\"]", "applications = \"Web shop\"", "as in applications = [\"…\", \"…\"]"),
        ("{ source = \"Group\",", "{ sorce = \"Group\",", "did you mean \"source\"?"),
        ("field = \"CUSTOMERGROUPID\", trim", "field = \"CUSTOMERGROUP\", trim", "did you mean \"CUSTOMERGROUPID\"?"),
        (
            "entity  = \"Terms of payment\"",
            "entity  = \"Terms of payment\"\n  filter = [{ field = \"NAME\", equals = \"x\" }]",
            "an import takes what the document holds",
        ),
        ("in_order     = true", "time_zone = \"Europe/Berlin\"", "recurrence = { cron = "),
        ("type = \"integer\", minimum = 0, maximum = 365", "type = \"enum\", values = [\"A\", \"B\"]", "expected a table"),
        ("key    = [\"NAME\"]", "key    = [\"NAME\"]\nkey = [\"NAME\"]", "take one out"),
        (
            "key    = [\"NAME\"]",
            "key    = [\"NAME\"]\nchecks = [{ rule = \"NUMBEROFDAYS > DAYS\" }]",
            "\"DAYS\" is no field, and no value of \"NUMBEROFDAYS\"",
        ),
    ];
    for (good, bad, expected) in table {
        let text = starter_text();
        assert!(text.contains(good), "{good}");
        let report = read(&text.replacen(good, bad, 1)).expect_err(bad);
        assert!(report.contains(expected), "{bad}:\n{report}");
        let problems = report.lines().filter(|line| !line.starts_with("  hint")).count();
        assert_eq!(problems, 1, "{bad}:\n{report}");
    }
}

#[test]
fn a_job_that_takes_no_legal_entity_for_a_mapping_that_needs_one_is_warned_of() {
    let mapped = starter_text().replacen("source = \"Group\", ", "company = true, ", 1);
    assert!(mapped.contains("company = true"));
    let warnings = |text: &str| {
        let checked = parse(text, Path::new("/base"), None).unwrap_or_else(|problems| panic!("{problems}"));
        checked.warnings.iter().map(|warning| warning.message.clone()).filter(|text| text.contains("legal entity")).collect::<Vec<_>>()
    };
    assert_eq!(
        warnings(&mapped),
        ["the mapping of \"Customer groups\" fills CUSTOMERGROUPID with the legal entity of the message, and this job takes none"]
    );
    for company in ["message", "usmf"] {
        let stated = format!("company = \"{company}\"\nactivity_id");
        assert_eq!(warnings(&mapped.replace("activity_id ", &format!("{stated} "))), [""; 0], "{company}");
    }
}

#[test]
fn names_of_an_enum_that_cannot_be_told_apart_are_refused() {
    for (values, expected) in [
        ("{ No = 0, no = 1 }", "\"No\" and \"no\" cannot be told apart"),
        ("{ No = 0, Yes = 0 }", "\"No\" and \"Yes\" cannot be told apart"),
        ("{ No = 0, Yes = \"1\" }", "\"Yes\" has no whole number"),
        ("{}", "an enum has values"),
    ] {
        let text =
            starter_text().replacen("type = \"integer\", minimum = 0, maximum = 365", &format!("type = \"enum\", values = {values}"), 1);
        let report = read(&text).expect_err(values);
        assert!(report.contains(expected), "{values}:\n{report}");
    }
}

#[test]
fn an_entity_has_no_more_fields_than_its_table_has_columns() {
    let entity = |count: usize| {
        let fields: String = (0..count).map(|at| format!("{{ name = \"F{at}\", type = \"string\" }},")).collect();
        format!("[[entity]]\nname = \"Wide\"\ntable = \"wide\"\nkey = [\"F0\"]\nfields = [{fields}]\n")
    };
    assert!(read(&entity(1990)).is_ok());
    let report = read(&entity(1991)).unwrap_err();
    assert!(report.contains("1991 fields, and 1990 are the most"), "{report}");
}

#[test]
fn paths_that_can_lead_nowhere_are_refused() {
    let csv = "{ type = \"csv\", delimiter = \";\", header = true }";
    let source = "source = \"Group\"";
    for (format, path, expected) in [
        ("{ type = \"xml-element\" }", "c:Group", "the prefix \"c\" is not declared"),
        ("{ type = \"xml-element\" }", "Group[c:No='1']/Name", "the prefix \"c\" is not declared"),
        ("{ type = \"xml-element\" }", "concat(B,A)", "\"concat(B,A)\" is no name"),
        ("{ type = \"xml-element\" }", "Group/text()", "\"text()\" is no name"),
        ("{ type = \"json\" }", "c:Group", "and JSON has none"),
        ("{ type = \"json\" }", "Group/text()", "\"text()\" is no name"),
    ] {
        let text = starter_text().replace(csv, format).replacen(source, &format!("source = \"{path}\""), 1);
        let report = read(&text).expect_err(path);
        assert!(report.contains(expected), "{path}:\n{report}");
    }
    for (format, path) in [
        ("{ type = \"xml-element\", namespaces = { c = \"urn:c\" } }", "c:Group"),
        ("{ type = \"json\" }", "'c:Group'"),
        ("{ type = \"json\" }", "Price (EUR)"),
    ] {
        let text = starter_text().replace(csv, format).replacen(source, &format!("source = \"{path}\""), 1);
        assert!(read(&text).is_ok(), "{path}: {:?}", read(&text));
    }
}

#[test]
fn a_job_may_take_fewer_rows_than_its_project() {
    let own = "prevent_upload_when_zero_records = true\nfilter = [{ field = \"PAYMENTTERMID\", equals = \"Net30\" }]";
    let config = read(&starter_text().replace("prevent_upload_when_zero_records = true", own)).unwrap();
    assert_eq!(config.jobs[1].project.entities[0].filter.len(), 2);
    assert_eq!(config.projects[1].entities[0].filter.len(), 1, "the project is as it was");
}

#[test]
fn a_job_whose_filter_an_application_never_meets_is_warned_of() {
    let job = |name: &str, more: &str| {
        format!(
            "\n[[job]]\nname = \"{name}\"\nactivity_id = \"{}\"\nproject = \"Customer groups out\"\napplications = [\"Web shop\"]\n{more}",
            uuid::Uuid::new_v4()
        )
    };
    let filter = "filter = [{ field = \"PAYMENTTERMID\", equals = \"Net30\" }]\n";
    let warned = |jobs: &str| {
        let checked = parse(&(starter_text() + jobs), Path::new("/base"), None).map_err(|problems| problems.to_string()).unwrap();
        checked.warnings.into_iter().map(|warning| warning.message).collect::<Vec<_>>()
    };
    let warnings = warned(&job("More", filter));
    assert!(
        warnings.len() == 1 && warnings[0].contains("follow the filter of the first of its jobs, \"Customer groups to the book-keeper"),
        "{warnings:?}"
    );
    assert_eq!(warned(&job("More", "")), [""; 0]);
    assert_eq!(warned(&job("More", &format!("enabled = false\n{filter}"))), [""; 0]);
    assert_eq!(warned(&(job("More", filter) + &job("As the first", ""))).len(), 1);
}

#[test]
fn nested_records_are_elements_also_where_values_are_attributes() {
    let nested = "{ value = \"No\",      field = \"BLOCKED\" },\n  ]\n  [[project.entity.nested]]\n  entity = \"Terms of payment\"\n  record = \"TERMS\"\n  mapping = [{ parent = \"PAYMENTTERMID\", field = \"NAME\" }]";
    let text = starter_text()
        .replace("{ type = \"csv\", delimiter = \";\", header = true }", "{ type = \"xml-attribute\" }")
        .replace("{ value = \"No\",      field = \"BLOCKED\" },\n  ]", nested);
    let emptied = text.replacen("  mapping = [", "  truncate = true\n  mapping = [", 1);
    let checked = parse(&emptied, Path::new("/base"), None).map_err(|problems| problems.to_string()).unwrap();
    assert!(checked.warnings[0].message.contains("those of \"Terms of payment\" that belonged to them stay"), "{:?}", checked.warnings);
    let config = read(&text).unwrap();
    let groups = config.projects[0].entity("Customer groups").unwrap();
    assert_eq!(groups.nested[0].record, crate::model::path::Path::element("TERMS"));
    // Where it has no mapping nobody has said what is there.
    let unmapped = text.replace("\n  mapping = [{ parent = \"PAYMENTTERMID\", field = \"NAME\" }]", "");
    let stated = |config: &Config| {
        config.projects[0].entities.iter().flat_map(|entity| &entity.nested).all(|nested| nested.project_entity.mapping_stated)
    };
    assert_eq!((stated(&config), stated(&read(&unmapped).unwrap())), (true, false));
}

#[test]
fn attributes_are_refused_where_documents_are_json() {
    let text = |kind: &str, source: &str| {
        starter_text()
            .replace("{ type = \"csv\", delimiter = \";\", header = true }", &format!("{{ type = \"{kind}\" }}"))
            .replace("source = \"Name\",", &format!("source = \"{source}\","))
    };
    for (source, refused) in [("@id", true), ("a/@id", true), ("a[@kind='b']/c", true), ("a[kind='b']/c", false), ("a/'@id'", false)] {
        let problem = read(&text("json", source)).err();
        let told = problem.as_ref().is_some_and(|problem| problem.contains("is an attribute, and JSON has none"));
        assert_eq!((problem.is_some(), told), (refused, refused), "{source}: {problem:?}");
        assert!(read(&text("xml-element", source)).is_ok(), "{source}");
    }
}

#[test]
fn a_number_and_what_the_outer_row_has_are_not_converted() {
    let line = |keys: &str| {
        let nested = format!(
            "{{ value = \"No\",      field = \"BLOCKED\" }},\n  ]\n  [[project.entity.nested]]\n  entity = \"Terms of payment\"\n  record = \"TERMS\"\n  mapping = [{{ parent = \"PAYMENTTERMID\", field = \"NAME\"{keys} }}]"
        );
        starter_text()
            .replace("{ value = \"No\",      field = \"BLOCKED\" },\n  ]", &nested)
            .replace("{ type = \"csv\", delimiter = \";\", header = true }", "{ type = \"xml-element\" }")
    };
    let problem = read(&line(", lower = true, pad = { length = 10 }")).unwrap_err();
    let expected = "what the outer row has is not converted: lower, pad does nothing here";
    assert!(problem.contains(expected), "{problem}");
    for key in ["time_zone = \"UTC\"", "values = { A = \"B\" }", "date_formats = [\"%Y%m%d\"]", "decimal_separator = \",\""] {
        assert!(read(&line(&format!(", {key}"))).unwrap_err().contains("is not converted"), "{key}");
    }
    let number = starter_text().replace("{ value = \"No\",      field", "{ number_sequence = \"N-#\", upper = true, field");
    assert!(read(&number).unwrap_err().contains("a number is not converted: upper does nothing here"));
}

#[test]
fn change_tracking_of_d365_is_read_and_warned_of_no_more() {
    let text = starter_text().replace("table  = \"payment_terms\"", "table  = \"payment_terms\"\nchange_tracking = true");
    let checked = parse(&text, Path::new("/base"), None).unwrap();
    assert!(text.contains("change_tracking") && checked.warnings.is_empty(), "{:?}", checked.warnings);
}

#[test]
fn all_problems_are_told_together_in_the_order_of_the_file() {
    let report = read("[server]\nlisten = 1\n\n[queue]\nlease = \"x\"\nbogus = 2\n").unwrap_err();
    let lines: Vec<&str> = report.lines().filter(|line| line.contains("error")).collect();
    assert_eq!(lines.len(), 3, "{report}");
    for (line, place) in lines.iter().zip([":2:", ":5:", ":6:1:"]) {
        assert!(line.contains(place), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hostile_text_is_refused_or_read_but_never_panics(at in 0usize..4000, cut in 0usize..30, with in "[-\\[\\]{}=\"a-z0-9.,# \n]{0,12}") {
        let text = starter_text();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        let end = (at..=(at + cut).min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap();
        let _ = read(&format!("{}{with}{}", &text[..at], &text[end..]));
    }
}

#[test]
fn where_the_server_is_can_be_read_of_a_file_that_is_wrong_elsewhere() {
    let server = "[server]\nlisten = \"127.0.0.1:7\" # here\ndata_dir = \"kept\"\n";
    for text in [
        format!("{server}[[job]]\nname = \"a\"\n"),
        format!("[[entity]]\nname = \"a\nfields = [\n{server}[[job]\nname =\n"),
        format!("data_dir = \"not this\"\n{server}workers = = 3\n[queue]\ndata_dir = \"nor this\"\n"),
    ] {
        assert!(read(&text).is_err(), "{text}");
        let found = super::parse::parse_server(&text, Path::new("/base"));
        assert_eq!((found.data_dir.as_path(), found.listen.port()), (Path::new("/base/kept"), 7), "{text}");
    }
    assert_eq!(super::parse::parse_server("= nothing", Path::new("/base")).data_dir, Path::new("/base/data"));
}
