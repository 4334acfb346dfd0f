use crate::testing::{transform, value};

const COPY: &str = r#"<xsl:template match="/"><xsl:copy-of select="."/></xsl:template>"#;

#[test]
fn documents_are_read_as_xml_says() {
    for (input, copied) in [
        ("<a b = '1'  c=\"2\"/>", r#"<a b="1" c="2" />"#),
        ("<a>x<![CDATA[<&]]>y</a>", "<a>x&lt;&amp;y</a>"),
        ("<a>&#65;&#x42;&lt;&apos;</a>", "<a>AB&lt;'</a>"),
        ("<a b='1\n2\t3&#10;'/>", r#"<a b="1 2 3&#xA;" />"#),
        ("<!DOCTYPE a [<!ENTITY e 'x<b/>y'>]><a>&e;&e;</a>", "<a>x<b />yx<b />y</a>"),
        ("<!DOCTYPE a [<!ATTLIST a d CDATA 'v' n NMTOKENS #IMPLIED>]><a n=' x  y '/>", r#"<a n=" x  y " d="v" />"#),
        ("<?pi  data?><!-- c --><a/><?q?>", "<?pi data?><!-- c --><a /><?q?>"),
        ("<a xmlns='u'><b xmlns=''/></a>", r#"<a xmlns="u"><b xmlns="" /></a>"#),
        ("<a\n>\r\n</a\n>", "<a>\n</a>"),
    ] {
        assert_eq!(transform(COPY, input).expect(input), copied, "{input}");
    }
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for input in [
        "<a",
        "<a></b>",
        "<a b=1/>",
        "<a b/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a b='1' b='2'/>",
        "<a>&x;</a>",
        "<a>&</a>",
        "<a>&#0;</a>",
        "<a/><b/>",
        "x<a/>",
        "<a/>x",
        "<a><!-- -- --></a>",
        "<a>]]></a>",
        "<1/>",
        "<a:b/>",
        "<a xmlns:b=''/>",
        "<a xmlns:xml='u'/>",
        "<?xml version='1.0'?",
        " <?xml version='1.0'?><a/>",
        "<?xml?><a/>",
        "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
        "<!DOCTYPE a [<!ENTITY e '<b>'>]><a>&e;</b></a>",
        "<!DOCTYPE a [<!ENTITY e '</a>'>]><a>&e;",
        "<a><?xml version='1.0'?></a>",
        "< a/>",
        "</a>",
    ] {
        assert!(transform(COPY, input).is_err(), "{input}");
    }
}

#[test]
fn ids_and_unparsed_entities_are_known() {
    let input =
        "<!DOCTYPE r [<!ATTLIST a i ID #IMPLIED><!ENTITY pic SYSTEM 'http://x/p.gif' NDATA gif>]><r><a i='one'>1</a><a i='two'>2</a></r>";
    assert_eq!(value("id('two')", input).expect("good"), "2");
    assert_eq!(value("count(id('two one none'))", input).expect("good"), "2");
    assert_eq!(value("unparsed-entity-uri('pic')", input).expect("good"), "http://x/p.gif");
}

#[test]
fn white_space_is_stripped_where_the_stylesheet_says() {
    let body = format!(r#"<xsl:strip-space elements="*"/><xsl:preserve-space elements="k p:*"/>{COPY}"#);
    let input = "<a> <b> </b> <k> </k> <c xml:space='preserve'> <d> </d></c> x </a>";
    assert_eq!(transform(&body, input).expect("good"), r#"<a><b /><k> </k><c xml:space="preserve"> <d> </d></c> x </a>"#);
}
