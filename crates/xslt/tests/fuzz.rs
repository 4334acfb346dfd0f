//! Seeded nonsense: expressions, stylesheets and documents that nobody would write. Nothing may panic, hang or overflow.
//!
//! The same generators with coverage guidance are in `fuzz/` of the workspace, for cargo-fuzz.

use entrepot_xslt::{Limits, NoResolver, Stylesheet};

const XSL: &str = "http://www.w3.org/1999/XSL/Transform";
const INPUT: &str = r#"<?xml version="1.0"?><!DOCTYPE r [<!ATTLIST b id ID #IMPLIED><!ENTITY e "x<b>y</b>">]>
<r xmlns:p="urn:p"><a p:x="1">one<b id="i">2</b>&e;</a><!--c--><?pi d?><p:b>3.5</p:b><a/></r>"#;

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'t>(&mut self, list: &[&'t str]) -> &'t str {
        list[self.below(list.len())]
    }
}

const WORDS: [&str; 74] = [
    "a",
    "b",
    "p:b",
    "*",
    "p:*",
    "@",
    "@*",
    ".",
    "..",
    "/",
    "//",
    "|",
    "+",
    "-",
    "*",
    " div ",
    " mod ",
    " and ",
    " or ",
    "=",
    "!=",
    "&lt;",
    "&gt;=",
    "(",
    ")",
    "[",
    "]",
    ",",
    "::",
    "child::",
    "ancestor::",
    "preceding::",
    "following-sibling::",
    "namespace::*",
    "self::node()",
    "text()",
    "node()",
    "comment()",
    "processing-instruction('pi')",
    "'x'",
    "''",
    "1",
    "0",
    "-1",
    "1.5",
    "1e",
    "$v",
    "$w",
    "position()",
    "last()",
    "count(",
    "sum(",
    "string(",
    "concat(",
    "substring(",
    "translate(",
    "id(",
    "key('k',",
    "format-number(",
    "document(",
    "generate-id(",
    "current()",
    "true()",
    "not(",
    "number(",
    "round(",
    "normalize-space(",
    "substring-before(",
    "contains(",
    "name(",
    "lang('en')",
    "99999999999999999999",
    "é",
    "#",
];

fn expression(random: &mut Random) -> String {
    (0..1 + random.below(9)).map(|_| random.pick(&WORDS)).collect()
}

/// An expression that is well-formed: built from the grammar.
fn grammatical(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return random
            .pick(&[
                "a",
                "@*",
                ".",
                "..",
                "//b",
                "1",
                "'x'",
                "$v",
                "position()",
                "last()",
                "*[1]",
                "a/b",
                "current()",
                "namespace::*",
                "$w",
            ])
            .to_owned();
    }
    let mut inner = || grammatical(random, depth - 1);
    let (one, two) = (inner(), inner());
    match random.below(14) {
        0 => format!("{one} + {two}"),
        1 => format!("{one} = {two}"),
        2 => format!("({one}) &lt; {two}"),
        3 => format!("count(//*[{one}])"),
        4 => format!("//*[{one}][{two}]"),
        5 => format!("concat({one}, {two})"),
        6 => format!("substring({one}, {two})"),
        7 => format!("ancestor::*[{one}] | //b[{two}]"),
        8 => format!("not({one}) and {two}"),
        9 => format!("format-number({one}, '#,##0.00')"),
        10 => format!("-({one}) mod {two}"),
        11 => format!("preceding::node()[{one}]/following::*[{two}]"),
        12 => format!("key('k', {one})/..[{two}]"),
        _ => format!("translate({one}, {two}, 'abc')"),
    }
}

fn limits() -> Limits {
    Limits {
        steps_max: 200_000,
        depth_max: 200,
        tail_calls_max: 200,
        output_bytes_max: 1 << 20,
        fragment_bytes_max: 1 << 20,
        stack_bytes: 32 << 20,
        ..Limits::default()
    }
}

/// Compiles and runs; whether it came to a result.
fn attempt(sheet: &[u8], input: &[u8]) -> (bool, bool) {
    let Ok(sheet) = Stylesheet::compile(sheet, "fuzz.xsl", &NoResolver) else { return (false, false) };
    (true, sheet.transform().limits(limits()).run(input, &mut Vec::new()).is_ok())
}

fn wrap(body: &str) -> String {
    format!(
        r#"<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}" xmlns:p="urn:p"><xsl:key name="k" match="*" use="."/><xsl:variable name="v" select="//b"/>
        <xsl:variable name="w"><x>1</x></xsl:variable>{body}</xsl:stylesheet>"#
    )
}

#[test]
fn expressions_of_random_words_do_no_harm() {
    let mut random = Random(0x5EED);
    let mut compiled = 0;
    for _ in 0..1200 {
        let expression = expression(&mut random);
        let body = format!(
            r#"<xsl:template match="/"><xsl:for-each select="//node()"><xsl:value-of select="{expression}"/></xsl:for-each></xsl:template>"#
        );
        compiled += usize::from(attempt(wrap(&body).as_bytes(), INPUT.as_bytes()).0);
        let body = format!(
            r#"<xsl:template match="{expression}"><x/></xsl:template><xsl:template match="/"><o a="{{{expression}}}"><xsl:number count="{expression}"/></o></xsl:template>"#
        );
        compiled += usize::from(attempt(wrap(&body).as_bytes(), INPUT.as_bytes()).0);
    }
    assert!(compiled > 40, "only {compiled} of the expressions were any");
}

#[test]
fn expressions_of_the_grammar_are_compiled_and_run() {
    let mut random = Random(0xCAFE);
    let mut ran = 0;
    for round in 0..300 {
        let expression = grammatical(&mut random, 1 + round % 3);
        let body = format!(
            r#"<xsl:template match="/"><xsl:for-each select="//node() | //@*"><xsl:value-of select="string({expression})"/></xsl:for-each></xsl:template>"#
        );
        ran += usize::from(attempt(wrap(&body).as_bytes(), INPUT.as_bytes()).1);
    }
    assert!(ran > 50, "only {ran} of the expressions ran");
}

/// Changes some bytes: some replaced, some removed, some parts doubled.
fn mutate(random: &mut Random, text: &[u8]) -> Vec<u8> {
    let mut bytes = text.to_vec();
    for _ in 0..1 + random.below(2) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(5) {
            0 => bytes[at] = b"<>&\"'/=!?[]-:xa0 \xFF\x00"[random.below(18)],
            1 => {
                bytes.remove(at);
            }
            2 => {
                let end = (at + 1 + random.below(20)).min(bytes.len());
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            3 => {
                let end = (at + 1 + random.below(10)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => bytes.truncate(at + 1),
        }
    }
    bytes
}

#[test]
fn damaged_stylesheets_and_documents_do_no_harm() {
    let sheet = wrap(
        r#"<xsl:output method="xml" indent="yes" cdata-section-elements="a"/><xsl:strip-space elements="*"/><xsl:decimal-format name="d" NaN="-"/>
        <xsl:attribute-set name="s"><xsl:attribute name="q">1</xsl:attribute></xsl:attribute-set>
        <xsl:template match="/"><o xsl:use-attribute-sets="s"><xsl:apply-templates select="//a"><xsl:sort select="." order="descending"/><xsl:with-param name="n" select="2"/></xsl:apply-templates></o></xsl:template>
        <xsl:template match="a[1]" priority="3"><xsl:param name="n"/><xsl:choose><xsl:when test="$n &gt; 1"><xsl:number level="any" format="i"/></xsl:when><xsl:otherwise><xsl:copy-of select="$w"/></xsl:otherwise></xsl:choose></xsl:template>
        <xsl:template match="a" name="t"><xsl:element name="{name()}" namespace="urn:{position()}"><xsl:value-of select="format-number(b, '0.0', 'd')"/><xsl:comment>-</xsl:comment></xsl:element></xsl:template>"#,
    );
    assert_eq!(attempt(sheet.as_bytes(), INPUT.as_bytes()), (true, true));
    let mut random = Random(0xF00D);
    let (mut compiled, mut ran) = (0, 0);
    for _ in 0..800 {
        let (good, _) = attempt(&mutate(&mut random, sheet.as_bytes()), INPUT.as_bytes());
        compiled += usize::from(good);
        let (_, good) = attempt(sheet.as_bytes(), &mutate(&mut random, INPUT.as_bytes()));
        ran += usize::from(good);
    }
    assert!(compiled > 5 && ran > 5, "{compiled} compiled, {ran} ran");
}
