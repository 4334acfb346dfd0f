//! Any bytes as a source document; whole and record by record must agree.
#![no_main]

use entrepot_xslt::{NoResolver, Records, Stylesheet};
use libfuzzer_sys::fuzz_target;

const IDENTITY: &[u8] = br#"<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="@*|node()"><xsl:copy><xsl:apply-templates select="@*|node()"/></xsl:copy></xsl:template></xsl:stylesheet>"#;

fuzz_target!(|input: &[u8]| {
    let sheet = Stylesheet::compile(IDENTITY, "identity.xsl", &NoResolver).expect("it compiles");
    let run = |records| {
        let mut output = Vec::new();
        sheet.transform().records(records).run(input, &mut output).map(|_| output)
    };
    if let (Ok(whole), Ok(by_record)) = (run(Records::Never), run(Records::WhenAllowed)) {
        assert_eq!(whole, by_record);
    }
});
