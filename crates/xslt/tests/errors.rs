//! What is said when something is wrong: the place, what was found, what was expected, what to do.

use entrepot_xslt::{CompileError, Error, ErrorKind, Message, NoResolver, Records, Resolver, Resource, ResourceKind, Stylesheet};

const XSL: &str = "http://www.w3.org/1999/XSL/Transform";

fn compile_text(text: &str) -> Result<Stylesheet, CompileError> {
    Stylesheet::compile(text.as_bytes(), "a.xsl", &NoResolver)
}

/// The body begins on the second line.
fn compile(body: &str) -> Result<Stylesheet, CompileError> {
    compile_text(&format!("<xsl:stylesheet version=\"1.0\" xmlns:xsl=\"{XSL}\">\n{body}</xsl:stylesheet>"))
}

fn run(body: &str, input: &str) -> Result<String, Error> {
    let sheet = compile(body).unwrap_or_else(|errors| panic!("{errors}"));
    let mut output = Vec::new();
    sheet.transform().byte_order_mark(false).run(input.as_bytes(), &mut output)?;
    Ok(String::from_utf8(output).expect("UTF-8"))
}

#[test]
fn faults_of_a_stylesheet_have_place_expectation_and_hint() {
    let mut wrong = Vec::new();
    for (body, place, parts) in [
        (
            r#"<xsl:template match="/"><xsl:if tset="a">x</xsl:if></xsl:template>"#,
            "a.xsl:2:33",
            &["unknown attribute on xsl:if", "\"tset\"", "expected test", "did you mean test?"][..],
        ),
        (
            r#"<xsl:template match="/"><xsl:value-of select="a b"/></xsl:template>"#,
            "a.xsl:2:49",
            &["an operator is missing", "found \"b\""],
        ),
        (r#"<xsl:template match="/"><xsl:value-of select="1 to 3"/></xsl:template>"#, "a.xsl:2:49", &["XPath 2"]),
        (
            r#"<xsl:template match="/"><xsl:value-of select="upper-case(a)"/></xsl:template>"#,
            "a.xsl:2:47",
            &["unknown function", "XPath 2"],
        ),
        (
            r#"<xsl:template match="/"><xsl:value-of select="normalise-space(a)"/></xsl:template>"#,
            "a.xsl:2:47",
            &["did you mean normalize-space()?"],
        ),
        (
            r#"<xsl:template match="/"><xsl:value-of select="q:a"/></xsl:template>"#,
            "a.xsl:2:47",
            &["a prefix that is not declared", "xmlns:q"],
        ),
        (r#"<xsl:template match="q:a"/>"#, "a.xsl:2:22", &["a prefix that is not declared"]),
        (
            r#"<xsl:template match="/"><xsl:variable name="total" select="1"/><xsl:value-of select="$totl"/></xsl:template>"#,
            "a.xsl:2:86",
            &["$totl", "did you mean $total?"],
        ),
        (
            r#"<xsl:template match="/"><xsl:call-template name="fot"/></xsl:template><xsl:template name="foo"/>"#,
            "a.xsl:2:50",
            &["there is no template", "did you mean foo?"],
        ),
        (r#"<xsl:template match="/"><xsl:for-each-group select="a"/></xsl:template>"#, "a.xsl:2:25", &["XSLT 2"]),
        (r#"<xsl:template match="/"><xsl:valueof select="a"/></xsl:template>"#, "a.xsl:2:25", &["did you mean xsl:value-of?"]),
        (r#"<xsl:template match="/"><a b="{c"/></xsl:template>"#, "a.xsl:2:31", &["without a \"}\"", "{{"]),
        (r#"<xsl:template match="/"><a b="c}"/></xsl:template>"#, "a.xsl:2:32", &["without a \"{\""]),
        (r#"<xsl:template match="ancestor::a"/>"#, "a.xsl:2:22", &["two axes only"]),
        (
            r#"<xsl:template match="/"><xsl:value-of select="count(1)"/></xsl:template>"#,
            "a.xsl:2:53",
            &["argument 1 of count()", "a node-set"],
        ),
        (
            r#"<xsl:template match="/"><xsl:value-of select="substring(1)"/></xsl:template>"#,
            "a.xsl:2:47",
            &["wrong number of arguments", "1 argument", "2 to 3 arguments"],
        ),
        (r#"<xsl:variable name="a" select="$b"/><xsl:variable name="b" select="$a"/>"#, "a.xsl:2:", &["defined by itself"]),
        (r#"<xsl:template match="/"><xsl:sort select="a"/></xsl:template>"#, "a.xsl:2:25", &["xsl:sort is not allowed here"]),
        (r#"<xsl:output method="xhtml"/>"#, "a.xsl:2:21", &["xml, html or text", "XSLT 2"]),
    ] {
        let errors = compile(body).map(|_| ()).expect_err(body);
        let text = errors.to_string();
        if !text.starts_with(place) {
            wrong.push(format!("{body}\n{text}\nexpected at {place}"));
        }
        for part in parts {
            assert!(text.contains(part), "{body}\n{text}\nhas no {part:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn all_errors_are_told_not_only_the_first() {
    let errors = compile("<xsl:template match=\"/\"><xsl:if/><xsl:value-of select=\"$x\"/>\n<xsl:nope/></xsl:template><xsl:template/>")
        .map(|_| ())
        .expect_err("bad");
    assert_eq!(errors.errors.len(), 4, "{errors}");
    assert!(
        errors
            .errors
            .windows(2)
            .all(|pair| pair[0].place.as_ref().map(|place| place.line) <= pair[1].place.as_ref().map(|place| place.line))
    );
}

#[test]
fn what_is_no_xml_has_a_place() {
    for (text, line, column) in [
        ("<a>\n<b></c></a>", 2, 4),
        ("<a>\n  &nbsp;</a>", 2, 3),
        ("<a b='1' b='2'/>", 1, 10),
        ("<a\n b=1/>", 2, 4),
        ("<a>]]></a>", 1, 4),
        ("<p:a/>", 1, 2),
        ("<a/>x", 1, 5),
    ] {
        let error = run(r#"<xsl:template match="/"/>"#, text).expect_err(text);
        assert_eq!(error.kind, ErrorKind::Document, "{error}");
        assert_eq!(error.place.as_ref().map(|place| (place.line, place.column)), Some((line, column)), "{text}: {error}");
        let errors = compile_text(text).map(|_| ()).expect_err(text);
        assert_eq!(errors.errors[0].place.as_ref().map(|place| (place.line, place.column)), Some((line, column)), "{text}: {errors}");
    }
}

#[test]
fn faults_while_running_name_the_instruction() {
    for (body, part) in [
        (r#"<xsl:template match="/"><xsl:attribute name="a">1</xsl:attribute></xsl:template>"#, "no element to carry it"),
        (r#"<xsl:template match="/"><a>x<xsl:attribute name="a">1</xsl:attribute></a></xsl:template>"#, "after the element's content"),
        (r#"<xsl:template match="/"><xsl:element name="{'1 2'}"/></xsl:template>"#, "an element cannot have this name"),
        (r#"<xsl:template match="/"><xsl:value-of select="key('k', 1)"/></xsl:template>"#, "a key that is not declared"),
        (
            r#"<xsl:template match="/"><xsl:value-of select="format-number(1, '0', 'd')"/></xsl:template>"#,
            "a decimal format that is not declared",
        ),
        (
            r#"<xsl:template match="/"><xsl:variable name="v"><a/></xsl:variable><xsl:value-of select="count($v/a)"/></xsl:template>"#,
            "msxsl:node-set",
        ),
        (r#"<xsl:template match="/"><xsl:value-of select="document('x.xml')"/></xsl:template>"#, "a document cannot be had"),
        (r#"<xsl:template match="/"><xsl:for-each select="a"><xsl:apply-imports/></xsl:for-each></xsl:template>"#, "apply-imports"),
    ] {
        let error = run(body, "<a/>").expect_err(body);
        let text = error.to_string();
        assert!(text.starts_with("a.xsl:2:"), "{text}");
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn messages_reach_the_caller_and_may_end_the_run() {
    let sheet = compile(
        r#"<xsl:template match="/"><xsl:message>one <b><xsl:value-of select="1 + 1"/></b></xsl:message><a/><xsl:message terminate="yes">stop: <xsl:value-of select="a"/></xsl:message><never/></xsl:template>"#,
    )
    .expect("good");
    let mut messages: Vec<Message> = Vec::new();
    let mut collect = |message: Message| messages.push(message);
    let error = sheet.transform().on_message(&mut collect).run(&b"<a>why</a>"[..], &mut Vec::new()).expect_err("it terminates");
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Terminated, "stop: why"));
    assert_eq!(
        messages.iter().map(|message| (message.text.as_str(), message.terminate)).collect::<Vec<_>>(),
        [("one 2", false), ("stop: why", true)]
    );
    assert_eq!(messages[1].place.line, 2);
}

#[test]
fn what_looks_wrong_is_warned_of() {
    let sheet = compile(
        r#"<xsl:template match="a" mode="lost"/><xsl:template match="/"><xsl:call-template name="t"><xsl:with-param name="amuont" select="1"/></xsl:call-template></xsl:template>
        <xsl:template name="t"><xsl:param name="amount"/></xsl:template>"#,
    )
    .expect("legal");
    let warnings: Vec<String> = sheet.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.iter().any(|warning| warning.contains("never reached")), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("no parameter amuont")), "{warnings:?}");
    let twice = compile(
        r#"<xsl:template match="a"/><xsl:template match="a" priority="2"/><xsl:template match="a" mode="m"/><xsl:template match="/"><xsl:apply-templates mode="m"/></xsl:template>
        <xsl:template match=" a ">wins</xsl:template><xsl:template match="b" name="called"/><xsl:template match="b"/>"#,
    )
    .expect("legal");
    let warnings: Vec<String> = twice.warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("same pattern"), "{warnings:?}");
    let later = compile_text(&format!(
        r#"<xsl:stylesheet version="2.0" xmlns:xsl="{XSL}"><xsl:template match="/"><xsl:value-of select="upper-case(a)"/></xsl:template></xsl:stylesheet>"#
    ))
    .expect("forwards-compatible");
    assert!(later.warnings().iter().any(|warning| warning.message.contains("later version")), "{:?}", later.warnings());
    let error = later.transform().run(&b"<a/>"[..], &mut Vec::new()).expect_err("it is evaluated");
    assert!(error.to_string().contains("XPath 2"), "{error}");
}

struct Shelf;

impl Resolver for Shelf {
    fn resolve(&self, uri: &str, kind: ResourceKind) -> Result<Resource, String> {
        let content = match (uri, kind) {
            ("lib/base.xsl", ResourceKind::Stylesheet) => format!(
                r#"<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}"><xsl:template match="a"><base/></xsl:template><xsl:template match="b"><b/></xsl:template></xsl:stylesheet>"#
            ),
            ("lib/ring.xsl", ResourceKind::Stylesheet) => {
                format!(r#"<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}"><xsl:include href="ring.xsl"/></xsl:stylesheet>"#)
            }
            ("table.xml", ResourceKind::Document) => "<t><r k='1'>one</r></t>".to_owned(),
            _ => return Err(format!("no {uri}")),
        };
        Ok(Resource { uri: uri.to_owned(), content: content.into_bytes() })
    }
}

#[test]
fn imports_and_documents_come_from_the_resolver() {
    let text = format!(
        r#"<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}"><xsl:import href="lib/base.xsl"/><xsl:output omit-xml-declaration="yes"/><xsl:template match="/"><o k="{{document('table.xml')//r[@k = 1]}}"><xsl:apply-templates select="//a | //b"/></o></xsl:template><xsl:template match="a"><own><xsl:apply-imports/></own></xsl:template></xsl:stylesheet>"#
    );
    let sheet = Stylesheet::compile(text.as_bytes(), "main.xsl", &Shelf).unwrap_or_else(|errors| panic!("{errors}"));
    let mut output = Vec::new();
    sheet.transform().resolver(&Shelf).byte_order_mark(false).run(&b"<r><a/><b/></r>"[..], &mut output).expect("good");
    assert_eq!(String::from_utf8_lossy(&output), r#"<o k="one"><own><base /></own><b /></o>"#);
    let ring = format!(r#"<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}"><xsl:include href="lib/ring.xsl"/></xsl:stylesheet>"#);
    let errors = Stylesheet::compile(ring.as_bytes(), "main.xsl", &Shelf).map(|_| ()).expect_err("a ring");
    assert!(errors.to_string().contains("in a ring"), "{errors}");
}

#[test]
fn a_stylesheet_is_shared_between_threads_with_parameters_of_each() {
    fn shared<T: Send + Sync>(value: T) -> T {
        value
    }
    let sheet = shared(compile(r#"<xsl:output method="text"/><xsl:param name="n" select="0"/><xsl:template match="/"><xsl:value-of select="$n * 2"/></xsl:template>"#).expect("good"));
    assert_eq!(sheet.parameters(), ["n"]);
    let results: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let sheet = &sheet;
                scope.spawn(move || {
                    let mut output = Vec::new();
                    sheet
                        .transform()
                        .byte_order_mark(false)
                        .parameter("n", f64::from(number))
                        .run(&b"<a/>"[..], &mut output)
                        .expect("good");
                    String::from_utf8(output).expect("UTF-8")
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(results, ["0", "2", "4", "6"]);
}

#[test]
fn the_profile_counts_hits_and_time_by_the_caller_s_clock() {
    let sheet = compile(r#"<xsl:template match="/"><o><xsl:apply-templates select="//b"/></o></xsl:template><xsl:template match="b" name="bee"><x/></xsl:template>"#).expect("good");
    let ticks = std::sync::atomic::AtomicU64::new(0);
    let clock = || ticks.fetch_add(10, std::sync::atomic::Ordering::Relaxed);
    let report = sheet.transform().profile(&clock).run(&b"<a><b/><b/><b/></a>"[..], &mut Vec::new()).expect("good");
    let of = |label: &str| report.profile.iter().find(|entry| entry.label == label).cloned().expect("it was entered");
    assert_eq!((of("bee").hits, of("bee").own_nanoseconds), (3, 30));
    assert_eq!((of("/").hits, of("/").own_nanoseconds, of("/").total_nanoseconds), (1, 40, 70));
}

#[test]
fn a_fault_while_transforming_names_the_node_at_hand() {
    let body = r#"<xsl:template match="/"><o><xsl:apply-templates select="orders/order"/></o></xsl:template>
        <xsl:template match="order"><xsl:element name="{@name}"/></xsl:template>"#;
    let sheet = compile(body).unwrap_or_else(|errors| panic!("{errors}"));
    let input = r#"<orders><order name="a"/><other/><order name="b c"/></orders>"#;
    for (records, node) in [(Records::Never, "/orders/order[2]"), (Records::WhenAllowed, "/orders/*[3]")] {
        let error = sheet.transform().records(records).run(input.as_bytes(), &mut Vec::new()).expect_err("no name");
        assert_eq!(error.node.as_deref(), Some(node), "{error}");
        assert!(error.to_string().contains("\n  at: /orders"), "{error}");
    }
}
