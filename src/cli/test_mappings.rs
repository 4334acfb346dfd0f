//! `entrepot test`: runs the mapping tests of the configuration, each on an empty database in memory, with the engine of the live run.

use std::fmt::Write as _;
use std::path::PathBuf;

use quick_xml::escape::escape;

use super::{ConfigFile, Failure};
use crate::config::Config;
use crate::inbound::trial::{self, Limits, Row};
use crate::model::finding::{Finding, Rule};
use crate::model::mapping_test::{ExpectedFinding, MappingTest};
use crate::store::entities::Writing;
use crate::transform::Passage;

/// Bytes of a result that a test compares, and characters of one that a report shows.
const PREVIEW_MAX: usize = 16 << 20;
const REPORT_MAX: usize = 2000;

#[derive(clap::Args)]
pub struct Test {
    /// Only tests of this project.
    project: Option<String>,
    /// Write the outcome as JUnit XML into this file too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFile,
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.config.load()?.config;
        let wanted = |test: &&MappingTest| self.project.as_ref().is_none_or(|project| project.eq_ignore_ascii_case(&test.project));
        let tests: Vec<&MappingTest> = config.tests.iter().filter(wanted).collect();
        if tests.is_empty() {
            return Err(Failure::usage("there is no test\n  hint: write [[project.test]] with input and rows"));
        }
        let mut failures = Vec::new();
        for test in &tests {
            let complaints = run_test(&config, test);
            println!("{}  {}: {}", if complaints.is_empty() { "ok    " } else { "FAILED" }, test.project, test.name);
            complaints.iter().for_each(|complaint| println!("        {complaint}"));
            failures.push(complaints);
        }
        if let Some(path) = &self.junit {
            let text = junit(&tests, &failures);
            std::fs::write(path, text).map_err(|error| Failure::no(format!("cannot write {}: {error}", path.display())))?;
        }
        match failures.iter().filter(|complaints| !complaints.is_empty()).count() {
            0 => Ok(()),
            failed => Err(Failure::no(format!("{failed} of {} tests failed", tests.len()))),
        }
    }
}

/// What is not as the test says.
fn run_test(config: &Config, test: &MappingTest) -> Vec<String> {
    let project = config.projects.iter().find(|project| project.name == test.project).expect("it was read with its project");
    let of = |name: &str| project.entity(name).expect("the configuration was checked");
    let project_entity = of(&test.entity);
    let here: Vec<_> = config.entities.iter().filter(|entity| entity.database == project_entity.entity.database).cloned().collect();
    let limits = Limits { rows: 10_000, findings: 10_000, preview: PREVIEW_MAX };
    let mut missing = Vec::new();
    let mut run = || {
        let database = Writing::scratch(&here)?;
        for (name, document) in &test.given {
            // Kept: what is given must be there.
            let (report, shown) = database
                .keep(|kept| trial::run(of(name), &here, kept, test.company.as_deref(), document.as_slice(), limits, &config.xslt))?;
            if report.document_refused || report.counts.refused > 0 {
                missing.extend(shown.findings.iter().map(|finding| format!("given {name}: {}", line_of(finding))));
            }
        }
        trial::run(project_entity, &here, &database, test.company.as_deref(), test.input.as_slice(), limits, &config.xslt)
    };
    match run() {
        Err(error) => vec![error.to_string()],
        Ok((_, shown)) => {
            let mut complaints = missing;
            for expected in &test.rows {
                let rows: Vec<&Row> = shown.rows.iter().filter(|row| row.entity == expected.entity).collect();
                let whose = if expected.entity == test.entity { String::new() } else { format!("{}: ", expected.entity) };
                complaints.extend(rows_differ(&expected.rows, &rows).into_iter().map(|complaint| whose.clone() + &complaint));
            }
            complaints.extend(findings_differ(&test.findings, &shown.findings));
            if let Some(expected) = &test.transformed {
                let found = shown.passages.last().map_or("", |last| last.preview.as_str());
                complaints.extend(texts_differ(expected.trim(), found.trim()));
            }
            if !complaints.is_empty() {
                // Where it went wrong shows in what the stylesheets gave.
                complaints.extend(shown.passages.iter().map(|passage| super::try_document::passage_text(&shortened(passage))));
            }
            complaints
        }
    }
}

/// The beginning of a result, for a report.
fn shortened(passage: &Passage) -> Passage {
    Passage { preview: passage.preview.chars().take(REPORT_MAX).collect(), ..passage.clone() }
}

/// The first line in which a result is not as it was expected.
fn texts_differ(expected: &str, found: &str) -> Option<String> {
    let (mut wanted, mut given) = (expected.lines(), found.lines());
    for number in 1.. {
        match (wanted.next(), given.next()) {
            (None, None) => break,
            (wanted, given) if wanted == given => {}
            (wanted, given) => {
                let line = |text: Option<&str>| text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
                return Some(format!("transformed, line {number}: expected {}, found {}", line(wanted), line(given)));
            }
        }
    }
    None
}

fn rows_differ(expected: &[Vec<(String, Option<String>)>], found: &[&Row]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (number, pair) in
        (1..).zip(expected.iter().map(Some).chain(std::iter::repeat(None)).zip(found.iter().map(Some).chain(std::iter::repeat(None))))
    {
        match pair {
            (None, None) => break,
            (Some(expected), None) => {
                let values = expected.iter().map(|(name, value)| format!("{name}={}", shown(value.as_ref())));
                complaints.push(format!("row {number} is missing: {}", values.collect::<Vec<_>>().join(" ")));
            }
            (None, Some(found)) => complaints.push(format!("row {number} is not expected: {}", super::try_document::row_line(found))),
            (Some(expected), Some(found)) => {
                for (name, value) in expected {
                    let found = found.values.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_ref());
                    if found != value.as_ref() {
                        complaints.push(format!("row {number}, {name}: expected {}, found {}", shown(value.as_ref()), shown(found)));
                    }
                }
            }
        }
    }
    complaints
}

fn shown(value: Option<&String>) -> String {
    value.map_or_else(|| "nothing".into(), |value| format!("{value:?}"))
}

fn findings_differ(expected: &[ExpectedFinding], found: &[Finding]) -> Vec<String> {
    let is = |expected: &ExpectedFinding, found: &Finding| {
        expected.row.is_none_or(|row| row == found.row)
            && expected.field.as_ref().is_none_or(|field| found.field.split(", ").any(|one| one.eq_ignore_ascii_case(field)))
            && expected.rule.is_none_or(|rule| rule == found.rule)
    };
    let mut complaints = Vec::new();
    for (number, expected) in (1..).zip(expected) {
        match found.get(number - 1) {
            Some(found) if is(expected, found) => {}
            Some(found) => complaints.push(format!("finding {number}: expected {}, found {}", expected_line(expected), line_of(found))),
            None => complaints.push(format!("finding {number} is missing: {}", expected_line(expected))),
        }
    }
    complaints.extend(found.iter().skip(expected.len()).map(|found| format!("a finding is not expected: {}", line_of(found))));
    complaints
}

fn expected_line(expected: &ExpectedFinding) -> String {
    let row = expected.row.map_or_else(|| "any row".to_owned(), |row| format!("row {row}"));
    format!("{row}, {}, {}", expected.field.as_deref().unwrap_or("any field"), expected.rule.map_or("any rule", Rule::name))
}

fn line_of(finding: &Finding) -> String {
    format!("row {}, {}, {}: {:?}: {}", finding.row, finding.field, finding.rule.name(), finding.value, finding.message)
}

fn junit(tests: &[&MappingTest], failures: &[Vec<String>]) -> String {
    let failed = failures.iter().filter(|complaints| !complaints.is_empty()).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"entrepot\" tests=\"{}\" failures=\"{failed}\">\n",
        tests.len()
    );
    for (test, complaints) in tests.iter().zip(failures) {
        let _ = write!(text, "  <testcase classname=\"{}\" name=\"{}\"", escape(test.project.as_str()), escape(test.name.as_str()));
        if complaints.is_empty() {
            text.push_str(" />\n");
        } else {
            let first = complaints.first().map_or("", String::as_str);
            let _ = writeln!(
                text,
                ">\n    <failure message=\"{}\">{}</failure>\n  </testcase>",
                escape(first),
                escape(complaints.join("\n").as_str())
            );
        }
    }
    text.push_str("</testsuite>\n");
    text
}
