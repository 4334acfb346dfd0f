//! Documents and stylesheets that mean harm: each ends soon, with a clear error or a harmless result.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use entrepot_xslt::{CompileError, DoctypePolicy, Error, ErrorKind, Limits, NoResolver, Report, Stylesheet};

const XSL: &str = "http://www.w3.org/1999/XSL/Transform";
const IDENTITY: &str = r#"<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>"#;

fn sheet_text(body: &str) -> String {
    format!(
        r#"<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}" xmlns:exsl="http://exslt.org/common" extension-element-prefixes="exsl">{body}</xsl:stylesheet>"#
    )
}

fn compile(body: &str) -> Result<Stylesheet, CompileError> {
    Stylesheet::compile(sheet_text(body).as_bytes(), "attack.xsl", &NoResolver)
}

fn transform(body: &str, input: &str) -> Result<(String, Report), Error> {
    let sheet = compile(body).expect("the stylesheet compiles");
    let mut output = Vec::new();
    let report = sheet.transform().byte_order_mark(false).run(input.as_bytes(), &mut output)?;
    Ok((String::from_utf8(output).expect("UTF-8"), report))
}

/// Runs something that must end within a second of processor time; unoptimised code gets a minute. One at a time, since the time is the
/// whole process's.
fn soon<T>(work: impl FnOnce() -> T) -> T {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (start, before) = (Instant::now(), processor_time());
    let result = work();
    let took = processor_time().zip(before).map_or_else(|| start.elapsed(), |(after, before)| after.saturating_sub(before));
    let most = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 1 });
    assert!(took < most, "it took {took:?}");
    result
}

/// Processor time of this process, which a busy machine does not stretch; `None` where it cannot be told.
fn processor_time() -> Option<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // The kernel shows hundredths of a second (USER_HZ, proc(5)).
    Some(Duration::from_millis(ticks * 10))
}

#[test]
fn an_external_entity_is_not_read() {
    let input = r#"<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/passwd">]><a>&secret;</a>"#;
    let error = soon(|| transform(IDENTITY, input)).expect_err("refused");
    assert!(error.to_string().contains("external entity"), "{error}");
    let input = r#"<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd" [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]><a>x</a>"#;
    let (output, _) = soon(|| transform(IDENTITY, input)).expect("what is not needed is left out");
    assert!(output.ends_with("<a>x</a>"), "{output}");
}

#[test]
fn documents_and_stylesheets_of_others_are_not_loaded() {
    for address in ["file:///etc/passwd", "/etc/passwd", "http://127.0.0.1:1/x", "../../../../etc/passwd"] {
        let body = format!(r#"<xsl:template match="/"><o><xsl:copy-of select="document('{address}')"/></o></xsl:template>"#);
        let error = soon(|| transform(&body, "<a/>")).expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Resource, "{error}");
        for element in ["include", "import"] {
            let errors = soon(|| compile(&format!(r#"<xsl:{element} href="{address}"/>"#))).expect_err("refused");
            assert_eq!(errors.errors[0].kind, ErrorKind::Resource, "{errors}");
        }
    }
}

#[test]
fn no_file_is_written() {
    let body = r#"<xsl:template match="/"><exsl:document href="/tmp/entrepot-attack"><x/></exsl:document></xsl:template>"#;
    let error = soon(|| transform(body, "<a/>")).expect_err("refused");
    assert!(error.to_string().contains("document"), "{error}");
    assert!(!std::path::Path::new("/tmp/entrepot-attack").exists());
}

#[test]
fn a_billion_laughs_are_too_many() {
    let mut subset = String::from(r#"<!ENTITY a0 "ha">"#);
    for level in 1..30 {
        subset.push_str(&format!(r#"<!ENTITY a{level} "{}">"#, format!("&a{};", level - 1).repeat(10)));
    }
    for input in [format!("<!DOCTYPE r [{subset}]><r>&a29;</r>"), format!("<!DOCTYPE r [{subset}]><r x='&a29;'/>")] {
        let error = soon(|| transform(IDENTITY, &input)).expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Budget, "{error}");
    }
    // Entities that make nothing at all, very often.
    let nothing = subset.replace("\"ha\"", "\"\"");
    let error = soon(|| transform(IDENTITY, &format!("<!DOCTYPE r [{nothing}]><r>&a29;</r>"))).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Budget, "{error}");
}

#[test]
fn one_long_entity_very_often_is_too_much() {
    let input = format!("<!DOCTYPE r [<!ENTITY e \"{}\">]><r>{}</r>", "x".repeat(100_000), "&e;".repeat(20_000));
    let error = soon(|| transform(IDENTITY, &input)).expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Budget, "{error}");
}

#[test]
fn a_document_type_can_be_refused() {
    let sheet = compile(IDENTITY).expect("good");
    let error = sheet.transform().doctype(DoctypePolicy::Refuse).run(&b"<!DOCTYPE a><a/>"[..], &mut Vec::new()).expect_err("refused");
    assert_eq!((error.kind, error.place.map(|place| place.column)), (ErrorKind::Document, Some(1)));
}

#[test]
fn endless_calls_end() {
    for body in [
        r#"<xsl:template match="/" name="t"><xsl:call-template name="t"/></xsl:template>"#,
        r#"<xsl:template match="/" name="t"><o><xsl:call-template name="t"/></o></xsl:template>"#,
        r#"<xsl:template match="/"><xsl:call-template name="a"/></xsl:template>
           <xsl:template name="a"><xsl:call-template name="b"/></xsl:template><xsl:template name="b"><xsl:call-template name="a"/></xsl:template>"#,
        r#"<xsl:template match="/"><xsl:variable name="x"><xsl:apply-templates select="."/></xsl:variable></xsl:template>"#,
        r#"<xsl:template match="/"><xsl:for-each select="/"><xsl:apply-templates select="/"/></xsl:for-each></xsl:template>"#,
        r#"<xsl:template match="/"><xsl:call-template name="t"><xsl:with-param name="p" select="'x'"/></xsl:call-template></xsl:template>
           <xsl:template name="t"><xsl:param name="p"/><xsl:call-template name="t"><xsl:with-param name="p" select="concat($p, 'x')"/></xsl:call-template><x/></xsl:template>"#,
    ] {
        let error = soon(|| transform(body, "<a/>")).expect_err("stopped");
        assert_eq!(error.kind, ErrorKind::Budget, "{error}");
        assert!(error.place.is_some(), "{error}");
    }
}

#[test]
fn expressions_nested_without_end_are_refused() {
    let many = 100_000;
    for expression in [
        format!("{}1{}", "(".repeat(many), ")".repeat(many)),
        format!("{}1{}", "not(".repeat(many), ")".repeat(many)),
        format!("{}1{}", "a[".repeat(many), "]".repeat(many)),
        format!("1{}", "+1".repeat(many)),
        format!("a{}", "/a".repeat(many)),
    ] {
        let body = format!(r#"<xsl:template match="/"><xsl:value-of select="{expression}"/></xsl:template>"#);
        let errors = soon(|| compile(&body)).expect_err("refused");
        assert_eq!(errors.errors[0].kind, ErrorKind::Budget, "{errors}");
    }
    // Signs nest nothing.
    let body = format!(r#"<xsl:template match="/"><o><xsl:value-of select="{}1"/></o></xsl:template>"#, "-".repeat(many));
    assert!(soon(|| transform(&body, "<a/>")).expect("good").0.contains("<o>1</o>"));
}

#[test]
fn very_deep_documents_do_no_harm() {
    let many = 200_000;
    let input = format!("{}{}", "<a>".repeat(many), "</a>".repeat(many));
    // Copied as a whole, depth does not matter; template by template it is bounded.
    let (output, _) = soon(|| transform(r#"<xsl:template match="/"><xsl:copy-of select="."/></xsl:template>"#, &input)).expect("good");
    assert!(output.ends_with("</a></a>"));
    let error = soon(|| transform(IDENTITY, &input)).expect_err("too deep");
    assert_eq!(error.kind, ErrorKind::Budget, "{error}");
    for test in ["count(//a)", "count(//a/ancestor::a)", "count(//a//a)", "count(//a/..)"] {
        let body = format!(r#"<xsl:template match="/"><o><xsl:value-of select="{test}"/></o></xsl:template>"#);
        soon(|| transform(&body, &input)).expect("good");
    }
    let as_sheet = format!(r#"<xsl:template match="/">{input}</xsl:template>"#);
    let errors = soon(|| compile(&as_sheet)).expect_err("refused");
    assert_eq!(errors.errors[0].kind, ErrorKind::Budget, "{errors}");
    // With a namespace on each level.
    let many = 50_000;
    let input: String = (0..many).map(|level| format!("<a xmlns:p{level}='u'>")).chain((0..many).map(|_| "</a>".to_owned())).collect();
    let (output, _) = soon(|| transform(r#"<xsl:template match="/"><xsl:copy-of select="."/></xsl:template>"#, &input)).expect("good");
    assert!(output.ends_with("</a></a>") || output.ends_with("/></a>"));
}

#[test]
fn documents_without_end_are_refused() {
    for input in
        ["<a", "<a>", "<a><![CDATA[", "<a><!--", "<a><?x", "<!DOCTYPE a [", "<a b='", "", "&", "<a>&#", "]]>", "<a/><b/>", "<a></b>"]
    {
        let error = soon(|| transform(IDENTITY, input)).expect_err("no document");
        assert_eq!(error.kind, ErrorKind::Document, "{input}: {error}");
    }
}

#[test]
fn a_run_can_be_cancelled() {
    let body = r#"<xsl:template match="/"><xsl:for-each select="//a"><xsl:for-each select="//a"><xsl:for-each select="//a"><xsl:if test="false()"/></xsl:for-each></xsl:for-each></xsl:for-each></xsl:template>"#;
    let input = format!("<r>{}</r>", "<a/>".repeat(3000));
    let sheet = compile(body).expect("good");
    let asked = AtomicBool::new(false);
    let cancel = || asked.swap(true, Ordering::Relaxed);
    let error = soon(|| sheet.transform().cancel_when(&cancel).run(input.as_bytes(), &mut Vec::new())).expect_err("stopped");
    assert_eq!(error.kind, ErrorKind::Cancelled);
    let limits = Limits { steps_max: 100_000, ..Limits::default() };
    let error = soon(|| sheet.transform().limits(limits).run(input.as_bytes(), &mut Vec::new())).expect_err("stopped");
    assert_eq!(error.kind, ErrorKind::Budget);
}

#[test]
fn results_and_fragments_have_bounds() {
    let doubling = r#"<xsl:template match="/"><xsl:call-template name="t"><xsl:with-param name="p" select="'0123456789'"/></xsl:call-template></xsl:template>
        <xsl:template name="t"><xsl:param name="p"/><xsl:variable name="q"><xsl:copy-of select="$p"/><x/><xsl:copy-of select="$p"/></xsl:variable>
        <xsl:call-template name="t"><xsl:with-param name="p" select="$q"/></xsl:call-template></xsl:template>"#;
    let sheet = compile(doubling).expect("good");
    let limits = Limits { fragment_bytes_max: 10 << 20, ..Limits::default() };
    let error = soon(|| sheet.transform().limits(limits).run(&b"<a/>"[..], &mut Vec::new())).expect_err("stopped");
    assert_eq!(error.kind, ErrorKind::Budget, "{error}");
    let endless = compile(r#"<xsl:template match="/"><xsl:for-each select="//a"><xsl:for-each select="//a">0123456789</xsl:for-each></xsl:for-each></xsl:template>"#).expect("good");
    let limits = Limits { output_bytes_max: 1 << 20, ..Limits::default() };
    let input = format!("<r>{}</r>", "<a/>".repeat(3000));
    let error = soon(|| endless.transform().limits(limits).run(input.as_bytes(), &mut Vec::new())).expect_err("stopped");
    assert_eq!(error.kind, ErrorKind::Budget, "{error}");
}

#[test]
fn text_has_a_bound_whether_in_one_piece_or_in_many() {
    let sheet = compile(IDENTITY).expect("good");
    let limits = Limits { text_bytes_max: 100_000, ..Limits::default() };
    for input in [
        format!("<r>{}</r>", "x".repeat(300_000)),
        format!("<r a='{}'/>", "x".repeat(300_000)),
        format!("<r><!--{}--></r>", "x".repeat(300_000)),
        format!("<r>{}</r>", "<a>0123456789</a>".repeat(20_000)),
        format!("<r>{}</r>", "<a b='0123456789'/>".repeat(20_000)),
    ] {
        let error = soon(|| sheet.transform().limits(limits).run(input.as_bytes(), &mut Vec::new())).expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Budget, "{error}");
    }
}

#[test]
fn recursion_of_thousands_of_levels_has_room() {
    // A recursion that is no jump: something is done after the call.
    // Unoptimised code takes ten times the stack.
    let levels: u32 = if cfg!(debug_assertions) { 3000 } else { 15_000 };
    let body = r#"<xsl:template match="/"><o><xsl:call-template name="t"><xsl:with-param name="n" select="LEVELS"/></xsl:call-template></o></xsl:template>
        <xsl:template name="t"><xsl:param name="n"/><xsl:if test="$n &gt; 0"><xsl:variable name="rest"><xsl:call-template name="t"><xsl:with-param name="n" select="$n - 1"/></xsl:call-template></xsl:variable><xsl:value-of select="string-length($rest) mod 7"/></xsl:if></xsl:template>"#;
    let (output, report) = soon(|| transform(&body.replace("LEVELS", &levels.to_string()), "<a/>")).expect("good");
    assert!(output.contains("<o>"), "{output}");
    assert!(report.depth >= levels, "{}", report.depth);
    // And one that is: any number of times.
    let body = r#"<xsl:template match="/"><o><xsl:call-template name="t"><xsl:with-param name="n" select="200000"/></xsl:call-template></o></xsl:template>
        <xsl:template name="t"><xsl:param name="n"/><xsl:choose><xsl:when test="$n = 0">done</xsl:when><xsl:otherwise><xsl:call-template name="t"><xsl:with-param name="n" select="$n - 1"/></xsl:call-template></xsl:otherwise></xsl:choose></xsl:template>"#;
    let (output, report) = soon(|| transform(body, "<a/>")).expect("good");
    assert!(output.contains("<o>done</o>"), "{output}");
    assert!(report.depth < 10, "{}", report.depth);
}
