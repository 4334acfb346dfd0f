//! What must hold for every document, number and expression: found by trying many.

use entrepot_xslt::{NoResolver, Records, Stylesheet};
use proptest::prelude::*;

const XSL: &str = "http://www.w3.org/1999/XSL/Transform";

fn sheet(body: &str) -> Stylesheet {
    let text =
        format!(r#"<xsl:stylesheet version="1.0" xmlns:xsl="{XSL}"><xsl:output omit-xml-declaration="yes"/>{body}</xsl:stylesheet>"#);
    Stylesheet::compile(text.as_bytes(), "property.xsl", &NoResolver).expect("the stylesheet compiles")
}

fn run(sheet: &Stylesheet, input: &str, records: Records) -> String {
    let mut output = Vec::new();
    sheet.transform().byte_order_mark(false).records(records).run(input.as_bytes(), &mut output).expect("the transformation runs");
    String::from_utf8(output).expect("UTF-8")
}

fn value(expression: &str, input: &str) -> String {
    let escaped = expression.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    run(&sheet(&format!(r#"<xsl:template match="/"><xsl:value-of select="{escaped}"/></xsl:template>"#)), input, Records::Never)
}

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Comment(String),
    Instruction(String),
    Element(String, Vec<(String, String)>, Vec<Piece>),
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Piece {
    /// As the output method xml writes it.
    fn write(&self, into: &mut String) {
        match self {
            Piece::Text(text) => into.push_str(&escape(text)),
            Piece::Comment(text) => into.push_str(&format!("<!--{text}-->")),
            Piece::Instruction(data) => into.push_str(&format!("<?go {data}?>")),
            Piece::Element(name, attributes, children) => {
                into.push_str(&format!("<{name}"));
                for (name, value) in attributes {
                    into.push_str(&format!(" {name}=\"{}\"", escape(value).replace('"', "&quot;")));
                }
                if children.is_empty() {
                    into.push_str(" />");
                    return;
                }
                into.push('>');
                children.iter().for_each(|child| child.write(into));
                into.push_str(&format!("</{name}>"));
            }
        }
    }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("é")].prop_map(str::to_owned)
}

fn attributes() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::btree_map(prop_oneof![Just("x"), Just("y")].prop_map(str::to_owned), "[ -~é😀]{0,6}", 0..3)
        .prop_map(|map| map.into_iter().collect())
}

/// No two texts beside each other: they would be one.
fn children(inner: impl Strategy<Value = Piece> + Clone) -> impl Strategy<Value = Vec<Piece>> {
    proptest::collection::vec(inner, 0..6).prop_map(|list| {
        let mut kept: Vec<Piece> = Vec::new();
        for piece in list {
            if !matches!((&piece, kept.last()), (Piece::Text(_), Some(Piece::Text(_)))) {
                kept.push(piece);
            }
        }
        kept
    })
}

fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[ -~\u{e9}\u{4e2d}]{1,8}".prop_map(Piece::Text),
        "[a-z ]{0,6}".prop_map(Piece::Comment),
        "[a-z][a-z ]{0,5}".prop_map(Piece::Instruction),
        (name(), attributes()).prop_map(|(name, attributes)| Piece::Element(name, attributes, Vec::new())),
    ];
    let piece = leaf.prop_recursive(4, 40, 6, |inner| {
        (name(), attributes(), children(inner)).prop_map(|(name, attributes, children)| Piece::Element(name, attributes, children))
    });
    (name(), attributes(), children(piece)).prop_map(|(name, attributes, children)| {
        let mut text = String::new();
        Piece::Element(name, attributes, children).write(&mut text);
        text
    })
}

const IDENTITY: &str = r#"<xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template>"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_identity_changes_nothing(input in document()) {
        prop_assert_eq!(run(&sheet(IDENTITY), &input, Records::Never), input.clone());
        prop_assert_eq!(run(&sheet(IDENTITY), &input, Records::WhenAllowed), input.clone());
        let copy = sheet(r#"<xsl:template match="/"><xsl:copy-of select="."/></xsl:template>"#);
        prop_assert_eq!(run(&copy, &input, Records::WhenAllowed), input.clone());
        // Through a result tree fragment as well.
        let through = sheet(r#"<xsl:template match="/"><xsl:variable name="v"><xsl:copy-of select="."/></xsl:variable><xsl:copy-of select="$v"/></xsl:template>"#);
        prop_assert_eq!(run(&through, &input, Records::Never), input);
    }

    #[test]
    fn the_axes_divide_the_document(input in document()) {
        // XPath 1.0, section 2.2: ancestor, descendant, following, preceding and self have each node once.
        let wrong = value("count(//*[count(ancestor::*) + count(descendant::*) + count(following::*) + count(preceding::*) + 1 != count(//*)])", &input);
        prop_assert_eq!(wrong, "0");
        let wrong = value("count(//node()[count(preceding-sibling::node()) + count(following-sibling::node()) + 1 != count(../node())])", &input);
        prop_assert_eq!(wrong, "0");
    }

    #[test]
    fn a_step_from_many_nodes_is_the_union_of_steps_from_each(input in document()) {
        for (axis, inverse) in [
            ("preceding", "following"), ("following", "preceding"), ("ancestor", "descendant"), ("descendant", "ancestor"),
            ("preceding-sibling", "following-sibling"), ("following-sibling", "preceding-sibling"), ("child", "parent"),
            ("ancestor-or-self", "descendant-or-self"), ("descendant-or-self", "ancestor-or-self"),
        ] {
            let many = value(&format!("count(//a/{axis}::b)"), &input);
            let each = value(&format!("count(//b[{inverse}::a])"), &input);
            prop_assert_eq!(many, each, "{}", axis);
        }
        prop_assert_eq!(value("count(//a//b)", &input), value("count(/descendant-or-self::node()/child::a/descendant::b)", &input));
        prop_assert_eq!(value("count((//a | //b) | //a)", &input), value("count(//*[self::a or self::b])", &input));
    }

    #[test]
    fn numbers_survive_as_text(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let plain = format!("{number}");
        let text = value(&format!("string({plain})"), "<a/>");
        prop_assert!(!text.contains('e') && !text.contains('E'));
        prop_assert_eq!(text.parse::<f64>().ok().map(|read| read + 0.0), Some(number + 0.0), "{}", text);
    }

    #[test]
    fn substrings_and_their_complement_are_the_whole(text in "[a-zé😀]{0,12}", at in 0usize..14) {
        let joined = value(&format!("concat(substring('{text}', 1, {at}), substring('{text}', {}))", at + 1), "<a/>");
        prop_assert_eq!(joined, text);
    }

    #[test]
    fn sorting_keeps_all_and_orders_them(input in document()) {
        let sorted = sheet(r#"<xsl:template match="/"><xsl:for-each select="//*"><xsl:sort select="string-length()" data-type="number"/><xsl:value-of select="string-length()"/><xsl:text>,</xsl:text></xsl:for-each></xsl:template>"#);
        let lengths: Vec<u32> = run(&sorted, &input, Records::Never).split(',').filter_map(|length| length.parse().ok()).collect();
        prop_assert!(lengths.is_sorted());
        prop_assert_eq!(lengths.len().to_string(), value("count(//*)", &input));
    }

    #[test]
    fn keys_find_what_predicates_find(input in document()) {
        let keys = sheet(r#"<xsl:key name="k" match="*" use="name()"/><xsl:template match="/"><xsl:value-of select="count(key('k', 'a'))"/></xsl:template>"#);
        prop_assert_eq!(run(&keys, &input, Records::Never), value("count(//a)", &input));
    }
}
