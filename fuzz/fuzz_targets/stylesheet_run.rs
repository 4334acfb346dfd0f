//! Any bytes as a stylesheet, and stylesheets and documents that were whole before a few edits: refused, or run within their limits.
#![no_main]

use entrepot_xslt::{Limits, NoResolver, Stylesheet};
use shared::{Edit, edited};

const SHEET: &str = r##"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" xmlns:p="urn:p" exclude-result-prefixes="p">
<xsl:output method="xml" indent="yes" cdata-section-elements="c" encoding="utf-8"/><xsl:strip-space elements="*"/><xsl:preserve-space elements="p:keep"/>
<xsl:key name="k" match="line" use="@no"/><xsl:decimal-format name="d" decimal-separator="," grouping-separator="."/>
<xsl:param name="channel" select="'W-'"/><xsl:variable name="tree"><x y="1">a<z/></x></xsl:variable><xsl:attribute-set name="s"><xsl:attribute name="t">1</xsl:attribute></xsl:attribute-set>
<xsl:template match="/order[who]" priority="2"><Document xsl:use-attribute-sets="s" n="{count(line)}-{@no}"><xsl:apply-templates select="line" mode="m"><xsl:sort select="@sum" data-type="number" order="descending"/>
<xsl:with-param name="depth" select="3"/></xsl:apply-templates><xsl:call-template name="again"><xsl:with-param name="n" select="4"/></xsl:call-template></Document></xsl:template>
<xsl:template match="line" mode="m"><xsl:param name="depth"/><xsl:if test="position() &lt; last() and not(preceding-sibling::line[@no = current()/@no])"><L><xsl:number level="any" count="line" format="i.1"/>
<xsl:value-of select="format-number(sum(../line/@sum) div 3, '#.##0,00', 'd')"/><xsl:copy-of select="key('k', @no) | $tree"/></L></xsl:if><xsl:choose><xsl:when test="p:keep"><xsl:comment>c</xsl:comment></xsl:when>
<xsl:otherwise><xsl:processing-instruction name="pi">x</xsl:processing-instruction><xsl:element name="p:{name()}" namespace="urn:p"><xsl:attribute name="a"><xsl:value-of select="translate(substring-before(., '-'), 'ab', 'AB')"/></xsl:attribute></xsl:element></xsl:otherwise></xsl:choose></xsl:template>
<xsl:template name="again"><xsl:param name="n"/><xsl:if test="$n &gt; 0"><xsl:text disable-output-escaping="yes">&lt;n/&gt;</xsl:text><xsl:for-each select="//line[$n]/ancestor-or-self::*"><xsl:copy><xsl:value-of select="generate-id()"/></xsl:copy></xsl:for-each>
<xsl:call-template name="again"><xsl:with-param name="n" select="$n - 1"/></xsl:call-template></xsl:if><xsl:message>at <xsl:value-of select="$n"/></xsl:message></xsl:template></xsl:stylesheet>"##;
const DOCUMENT: &str = r#"<?xml version="1.0"?><!DOCTYPE order [<!ATTLIST line no ID #IMPLIED>]><order no="7" xmlns:p="urn:p"><who>Ada</who>
<line no="a" sum="10.50">x-1<p:keep> </p:keep></line><line no="b" sum="2"><![CDATA[<b>]]></line><line no="a" sum="n"/><?pi i?><!--c--></order>"#;

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<Edit<'_>>, Vec<Edit<'_>>, &[u8])| {
    let (kind, sheet, document, bytes) = input;
    let sheet = if kind == 0 { bytes.to_vec() } else { edited(SHEET, &sheet).into_bytes() };
    let document = if kind == 1 { bytes.to_vec() } else { edited(DOCUMENT, &document).into_bytes() };
    if let Ok(sheet) = Stylesheet::compile(&sheet, "fuzz.xsl", &NoResolver) {
        let limits = Limits { steps_max: 100_000, output_bytes_max: 1 << 20, stack_bytes: 32 << 20, ..Limits::default() };
        let mut output = Vec::new();
        let _ = sheet.transform().limits(limits).run(&document[..], &mut output);
        assert!(output.len() <= (1 << 20) + (64 << 10), "{} bytes", output.len());
    }
});
