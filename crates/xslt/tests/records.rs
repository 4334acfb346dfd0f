//! Record by record or whole: whatever stylesheet and document, the result is the same.
//!
//! Stylesheets and documents are spelled from a tape of bytes, each of which chooses one of several ways to go on: what is left when a
//! failure is made smaller is a small stylesheet and a small document.

use std::cell::Cell;

use entrepot_xslt::{Limits, NoResolver, Records, Stylesheet, Way};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Bytes that choose. At its end the first way is taken always.
struct Tape<'t>(&'t [u8]);

impl Tape<'_> {
    fn below(&mut self, bound: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % bound
    }

    fn pick<'l>(&mut self, list: &[&'l str]) -> &'l str {
        list[self.below(list.len())]
    }
}

const NAMES: [&str; 3] = ["R", "a", "b"];

const MATCHES: [&str; 24] = [
    "R",
    "a",
    "b",
    "/",
    "*",
    "node()",
    "@*|node()",
    "comment()",
    "text()",
    "@x",
    "processing-instruction()",
    "a/b",
    "R/a",
    "/R",
    "/*",
    "/node()",
    "/comment()",
    "a[@x]",
    "a[b]",
    "b[../@x]",
    "*[. = '1']",
    "R/node()",
    "/R/a",
    "a[a/b]",
];

const PATHS: [&str; 59] = [
    "a",
    "b",
    "*",
    "@x",
    ".",
    "..",
    "node()",
    "@*|node()",
    "text()",
    "comment()",
    "/R",
    "/R/a",
    "/R/b",
    "R/a",
    "R/*",
    "R",
    "/*",
    "/*/*",
    "/node()",
    "/",
    "/R/@x",
    "/*/@x",
    "../@x",
    "../..",
    "../../@x",
    "a/b",
    "*/*",
    "a/@x",
    ".//b",
    "//b",
    "descendant::a",
    "R/a/b",
    "a|b",
    "a|@x",
    "R/a|R/b",
    "@*",
    "@*|a",
    "R/a[@x]",
    "R/a[b]",
    "a[1]",
    "R/a[1]",
    "a[last()]",
    "a[../@x]",
    "*[/R/@x]",
    "self::a",
    "self::node()",
    "parent::*",
    "parent::node()",
    "ancestor::*",
    "ancestor-or-self::*",
    "following-sibling::*",
    "preceding-sibling::node()",
    "following::b",
    "current()",
    "current()/@x",
    "current()/..",
    "$g",
    "$v",
    "$g/node()",
];

const VALUES: [&str; 12] = [
    "position()",
    "last()",
    "name()",
    "name(..)",
    "count({})",
    "name({})",
    "string({})",
    "{} = {}",
    "boolean({})",
    "{} | {}",
    "string-length({})",
    "concat(position(), {})",
];

fn value(tape: &mut Tape<'_>) -> String {
    let mut value = if tape.below(2) == 0 { "{}" } else { tape.pick(&VALUES) }.to_owned();
    while value.contains("{}") {
        value = value.replacen("{}", tape.pick(&PATHS), 1);
    }
    value
}

fn condition(tape: &mut Tape<'_>) -> String {
    match tape.below(4) {
        0 => tape.pick(&PATHS).to_owned(),
        1 => "position() = 1".to_owned(),
        2 => "@x".to_owned(),
        _ => value(tape),
    }
}

fn body(tape: &mut Tape<'_>, depth: u32) -> String {
    let mut body = String::new();
    for _ in 0..tape.below(3) + usize::from(depth == 0) {
        body.push_str(&instruction(tape, depth + 1));
    }
    body
}

fn instruction(tape: &mut Tape<'_>, depth: u32) -> String {
    let kinds = if depth > 4 { 4 } else { 16 };
    match tape.below(kinds) {
        0 => "<xsl:apply-templates/>".to_owned(),
        1 => "<t/>".to_owned(),
        2 => format!(r#"<xsl:value-of select="{}"/>,"#, value(tape)),
        3 => format!(r#"<xsl:copy-of select="{}"/>"#, tape.pick(&PATHS)),
        4 | 5 => {
            let select = if tape.below(3) == 0 { String::new() } else { format!(r#" select="{}""#, tape.pick(&PATHS)) };
            let mode = tape.pick(&["", "", r#" mode="m""#]);
            let inside = match tape.below(6) {
                4 => format!(r#"<xsl:sort select="{}"/>"#, tape.pick(&PATHS)),
                5 => format!(r#"<xsl:with-param name="v" select="{}"/>"#, value(tape)),
                _ => String::new(),
            };
            format!("<xsl:apply-templates{select}{mode}>{inside}</xsl:apply-templates>")
        }
        6 | 7 => {
            let select = tape.pick(&PATHS);
            let sort = if tape.below(8) == 7 { format!(r#"<xsl:sort select="{}"/>"#, tape.pick(&PATHS)) } else { String::new() };
            format!(r#"<xsl:for-each select="{select}">{sort}{}</xsl:for-each>"#, body(tape, depth))
        }
        8 => format!(r#"<o v="{{{}}}">{}</o>"#, value(tape), body(tape, depth)),
        9 => format!("<xsl:copy>{}</xsl:copy>", body(tape, depth)),
        10 => format!(r#"<xsl:if test="{}">{}</xsl:if>"#, condition(tape), body(tape, depth)),
        11 => format!(
            r#"<xsl:choose><xsl:when test="{}">{}</xsl:when><xsl:otherwise>{}</xsl:otherwise></xsl:choose>"#,
            condition(tape),
            body(tape, depth),
            body(tape, depth)
        ),
        12 => format!(r#"<w><xsl:variable name="v" select="{}"/>{}</w>"#, value(tape), body(tape, depth)),
        13 => format!(r#"<w><xsl:variable name="v">{}</xsl:variable>{}</w>"#, body(tape, depth), body(tape, depth)),
        14 => r#"<xsl:call-template name="t"/>"#.to_owned(),
        _ => format!(r#"<w xsl:use-attribute-sets="s"/><xsl:comment>{}</xsl:comment>"#, body(tape, depth)),
    }
}

fn stylesheet(tape: &mut Tape<'_>) -> String {
    let mut sheet = String::from(r#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">"#);
    sheet.push_str(tape.pick(&["", "", r#"<xsl:strip-space elements="*"/>"#]));
    sheet.push_str(&format!(
        r#"<xsl:variable name="v" select="'v'"/><xsl:variable name="g" select="{}"/>"#,
        tape.pick(&PATHS[..PATHS.len() - 3])
    ));
    for _ in 0..tape.below(6) {
        let mode = tape.pick(&["", "", r#" mode="m""#]);
        let matches = tape.pick(&MATCHES);
        let parameter = tape.pick(&["", "", r#"<xsl:param name="v"/>"#]);
        sheet.push_str(&format!(r#"<xsl:template match="{matches}"{mode}>{parameter}{}</xsl:template>"#, body(tape, 0)));
    }
    sheet.push_str(&format!(r#"<xsl:template name="t">{}</xsl:template>"#, body(tape, 1)));
    let set = format!(r#"<xsl:attribute-set name="s"><xsl:attribute name="s">{}</xsl:attribute></xsl:attribute-set>"#, body(tape, 2));
    sheet + &set + "</xsl:stylesheet>"
}

fn beside(tape: &mut Tape<'_>) -> String {
    ["", "", "<!--c-->", "<?p i?>", "<!--c--><?p i?><!--1-->"][tape.below(5)].to_owned()
}

fn element(tape: &mut Tape<'_>, name: &str, depth: u32) -> String {
    let attributes = tape.pick(&["", r#" x="1""#, r#" x="2" y="1""#]);
    let mut inside = String::new();
    for _ in 0..if depth > 2 { 0 } else { tape.below(4) } {
        match tape.below(8) {
            0 => inside.push('1'),
            1 => inside.push_str(" \n"),
            2 => inside.push_str("<!--c-->"),
            3 => inside.push_str("<?p i?>"),
            _ => {
                let name = tape.pick(&NAMES[1..]);
                inside.push_str(&element(tape, name, depth + 1));
            }
        }
    }
    format!("<{name}{attributes}>{inside}</{name}>")
}

fn document(tape: &mut Tape<'_>) -> String {
    let name = if tape.below(8) == 7 { "a" } else { "R" };
    let before = beside(tape);
    let root = element(tape, name, 0);
    before + &root + &beside(tape)
}

/// What came of a stylesheet and a document.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// It has no result, one way or the other.
    Nothing,
    Whole,
    ByRecord,
}

fn compare(sheet: &str, document: &str) -> Result<Came, TestCaseError> {
    // Where a variable hides another it is no stylesheet.
    let Ok(compiled) = Stylesheet::compile(sheet.as_bytes(), "property.xsl", &NoResolver) else { return Ok(Came::Nothing) };
    let limits = Limits { steps_max: 20_000, depth_max: 100, output_bytes_max: 100_000, ..Limits::default() };
    let run = |records| {
        let mut output = Vec::new();
        let report = compiled.transform().limits(limits).byte_order_mark(false).records(records).run(document.as_bytes(), &mut output);
        report.map(|report| (String::from_utf8(output).expect("UTF-8"), report.way))
    };
    match (run(Records::Never), run(Records::WhenAllowed)) {
        (Ok((whole, _)), Ok((by_record, way))) => {
            prop_assert_eq!(whole, by_record, "{}\n{}", sheet, document);
            Ok(if matches!(way, Way::RecordByRecord { .. }) { Came::ByRecord } else { Came::Whole })
        }
        // Budgets are spent at other places; what is wrong for another reason is wrong both ways.
        (whole, by_record) => {
            let is_spent = |error: &entrepot_xslt::Error| error.kind == entrepot_xslt::ErrorKind::Budget;
            match (&whole, &by_record) {
                (Err(one), _) | (_, Err(one)) if is_spent(one) => {}
                (Err(_), Err(_)) => {}
                _ => return Err(TestCaseError::fail(format!("{sheet}\n{document}\n{whole:?}\n{by_record:?}"))),
            }
            Ok(Came::Nothing)
        }
    }
}

#[test]
fn the_result_is_the_same_record_by_record() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3_000);
    let (by_record, whole) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let tapes = (proptest::collection::vec(any::<u8>(), 0..120), proptest::collection::vec(any::<u8>(), 0..40));
    let outcome = runner.run(&tapes, |(sheet, input)| {
        let (sheet, input) = (stylesheet(&mut Tape(&sheet)), document(&mut Tape(&input)));
        match compare(&sheet, &input)? {
            Came::ByRecord => by_record.set(by_record.get() + 1),
            Came::Whole => whole.set(whole.get() + 1),
            Came::Nothing => {}
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let (by_record, whole) = (by_record.get(), whole.get());
    println!("{by_record} record by record, {whole} whole, of {cases}");
    // Otherwise it would show nothing.
    assert!(by_record > cases / 20 && whole > cases / 20, "{by_record} record by record, {whole} whole, of {cases}");
}
